import ArgumentParser
import AsyncHTTPClient
import Caesura
import CaesuraMigration
import CaesuraNode
import CaesuraNodeService
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

    @OptionGroup var nodes: NodeOptions

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

        let node = try await node(of: store, checkpoints, logger)
        let client = HTTPClient(eventLoopGroup: .singletonMultiThreadedEventLoopGroup)
        let replies = try ReplyTable(in: store)
        let routes = SessionRoutes(
            sessions: sessions,
            place: SessionPlace(node: node, replies: replies, checkpoints: checkpoints),
            forwarding: node.map { Forwarding(node: $0, client: client) })
        let server = Application(
            router: routes.router,
            configuration: ApplicationConfiguration(
                address: .hostname(listen.host, port: listen.port)),
            onServerRunning: { channel in
                let port = channel.localAddress?.port ?? listen.port
                FileHandle.standardOutput.write(
                    Data("listening on \(Address(host: listen.host, port: port))\n".utf8))
            },
            logger: logger)

        // The node stops first: it gives its sessions away, while the server goes on and forwards what comes late. Then the
        // server, when its last request is answered; then the last checkpoint is taken.
        var services: [any Service] = [
            CheckpointService(checkpoints), SilentClients(replies: replies), server,
        ]
        if let node { services.append(node) }
        let result = await Result {
            try await ServiceGroup(
                services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger
            ).run()
        }
        try await client.shutdown()
        try result.get()
    }

    /// The node that this process is, if it is one of several.
    private func node(
        of store: Store, _ checkpoints: ContinuousCheckpoints, _ logger: Logger
    ) async throws -> NodeService? {
        guard let owners = nodes.owners else { return nil }
        var configuration = try nodes.configuration(
            service: NetworkAddress(host: listen.host, port: UInt16(clamping: listen.port)))
        configuration.observer = { event in
            switch event {
            case .connectionFailed(let error): logger.warning("\(error)")
            case .registerFailed(let error): logger.error("\(error)")
            case .notDurable(let error): logger.error("\(error)")
            case .reported(let report): logger.info("\(report)")
            default: break
            }
        }
        return try await NodeService(
            configuration, of: store, register: DirectoryOwnerRegister(owners),
            addresses: DirectoryAddressBook(owners), checkpoints: checkpoints)
    }
}

extension Result where Failure == any Error, Success == Void {
    fileprivate init(_ body: () async throws -> Void) async {
        do {
            try await body()
            self = .success(())
        } catch {
            self = .failure(error)
        }
    }
}
