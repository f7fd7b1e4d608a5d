import ArgumentParser
import Caesura
import CaesuraRepository
import CaesuraService
import Foundation
import Hummingbird
import Logging
import ServiceLifecycle
import Sessions

/// Keeps sessions in memory, and on disk without pausing for it.
@main
struct SessionService: AsyncParsableCommand {
    @Option(help: "Where to listen; port 0 takes a free one.")
    var listen = Address(host: "127.0.0.1", port: 8080)

    @Option(help: "The directory of the checkpoints; it is made if it is not there.")
    var repository: String

    func run() async throws {
        let logger = Logger(label: "sessions")
        let store = Store()
        let sessions = try Sessions(in: store)
        let repository = try await Repository.open(.directory(repository))
        try await repository.restore(into: store)

        var options = ContinuousCheckpoints.Options()
        options.retention = Retention(newest: 2, hourly: .seconds(48 * 3600))
        options.observer = { event in
            switch event {
            case .failed(let error), .maintenanceFailed(let error): logger.error("\(error)")
            default: break
            }
        }
        let checkpoints = repository.checkpoints(
            of: store, every: .milliseconds(100), options: options)

        let server = Application(
            router: SessionRoutes(sessions: sessions, checkpoints: checkpoints).router,
            configuration: ApplicationConfiguration(
                address: .hostname(listen.host, port: listen.port)),
            onServerRunning: { channel in
                let port = channel.localAddress?.port ?? listen.port
                FileHandle.standardOutput.write(
                    Data("listening on \(Address(host: listen.host, port: port))\n".utf8))
            },
            logger: logger)

        // The server stops first, when its last request is answered; then the last checkpoint is taken.
        try await ServiceGroup(
            services: [CheckpointService(checkpoints), server],
            gracefulShutdownSignals: [.sigterm, .sigint], logger: logger
        ).run()
    }
}
