import Caesura
import CaesuraRepository
import CaesuraService
import Foundation
import Logging
import ServiceLifecycle
import Testing

@Suite struct CheckpointServiceTests {
    @Schema("counter")
    struct Counter {
        @Field(1) var value: UInt64
    }

    /// A service that writes until it is shut down, and once more then.
    private struct Writer: Service {
        let counters: Table<String, Counter>
        let checkpoints: ContinuousCheckpoints
        let written: AsyncStream<Void>.Continuation

        func run() async throws {
            counters["requests"] = Counter(value: 1)
            try await checkpoints.durable()
            written.finish()
            try await gracefulShutdown()
            counters["requests"] = Counter(value: 2)
        }
    }

    @Test func `a group's shutdown ends with a checkpoint of all that its services wrote`()
        async throws
    {
        let directory = FileManager.default.temporaryDirectory
            .appendingPathComponent("caesura-service-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let store = Store()
        let counters = try store.table("counters", key: String.self, row: Counter.self)
        let repository = try await Repository.open(.directory(directory))
        let checkpoints = repository.checkpoints(of: store, every: .seconds(3600))
        let (wrote, written) = AsyncStream.makeStream(of: Void.self)
        let group = ServiceGroup(
            services: [
                CheckpointService(checkpoints),
                Writer(counters: counters, checkpoints: checkpoints, written: written),
            ], logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        async let running: Void = group.run()
        for await _ in wrote {}
        await group.triggerGracefulShutdown()
        // The writer ends before the group does, which a group takes for a shutdown too.
        try? await running
        repository.close()

        let restored = Store()
        let again = try restored.table("counters", key: String.self, row: Counter.self)
        try await Repository.open(.directory(directory), for: .read).restore(into: restored)
        #expect(again["requests"]?.value == 2)
    }
}
