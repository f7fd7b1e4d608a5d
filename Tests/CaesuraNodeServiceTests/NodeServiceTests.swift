import Caesura
import CaesuraMigration
import CaesuraNode
import CaesuraNodeService
import CaesuraTransport
import Synchronization
import Testing

/// Nodes of one process that move partitions over real connections.
@Suite(.timeLimit(.minutes(60)))
struct NodeServiceTests {
    private static let rowCount: UInt64 = 2_000

    /// Counts up rows until it is told to end.
    ///
    /// - Returns: How often.
    private static func write(to world: World, until isDone: Box) async throws -> UInt64 {
        var written: UInt64 = 0
        while !isDone.value.load(ordering: .relaxed) {
            try await world.increment(written % rowCount)
            written += 1
            // A write that need not wait does not let others run.
            await Task.yield()
        }
        return written
    }

    final class Box: Sendable { let value = Atomic(false) }

    @Test func `partitions move over a connection while writers go on, and nothing is lost`()
        async throws
    {
        let world = World()
        let a = try await world.member("a", createsPartitions: true)
        let b = try await world.member("b")
        try await world.run {
            await a.servesAll()
            for key in 0..<Self.rowCount { a.accounts[key] = Account(count: 0, note: "n\(key)") }
            let isDone = Box()
            async let written = Self.write(to: world, until: isDone)
            for partition in a.service.division.partitions {
                var end = try await a.service.move(partition, to: "b", budget: .seconds(60))
                // On a busy machine a handover may take longer than it is given, and is taken back.
                while case .aborted = end.outcome {
                    end = try await a.service.move(partition, to: "b", budget: .seconds(60))
                }
                guard case .moved(let entry) = end.outcome else {
                    Issue.record("\(end)")
                    continue
                }
                #expect(entry.owner == "b")
                #expect(end.cost.blackout > .zero)
            }
            isDone.value.store(true, ordering: .relaxed)
            let total = try await written
            #expect(a.accounts.count == 0)
            #expect(b.accounts.count == Int(Self.rowCount))
            #expect(try b.sum == total)
        }
        #expect(world.failures.withLock { $0 } == [])
    }
}
