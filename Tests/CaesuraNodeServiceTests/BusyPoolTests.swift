import Caesura
import CaesuraMigration
import CaesuraNode
import CaesuraNodeService
import Foundation
import Synchronization
import Testing

/// Nodes beside code that keeps all threads of the cooperative pool.
@Suite(.timeLimit(.minutes(60)))
struct BusyPoolTests {
    /// How many of the pool's threads are kept, and whether the moves have begun.
    private final class Pool: Sendable {
        let kept = Atomic(0)
        let began = Atomic(false)
    }

    @Test func `partitions move though no thread of the pool is free`() async throws {
        let world = World()
        let a = try await world.member("a", createsPartitions: true)
        let b = try await world.member("b")
        try await world.run {
            await a.servesAll()
            for key in 0..<2_000 as Range<UInt64> { a.accounts[key] = Account(count: 0, note: "") }
            let partitions = a.service.division.partitions
            let threads = ProcessInfo.processInfo.activeProcessorCount
            let pool = Pool()
            let deadline = ContinuousClock.now + .seconds(60)
            await withTaskGroup { group in
                for _ in 0..<threads {
                    group.addTask {
                        pool.kept.add(1, ordering: .sequentiallyConsistent)
                        while pool.kept.load(ordering: .sequentiallyConsistent) < threads {}
                        // From here on the pool has no thread.
                        if !pool.began.exchange(true, ordering: .sequentiallyConsistent) {
                            for partition in partitions {
                                // What comes behind the move needs the pool, and is waited for by nobody.
                                Task.immediate {
                                    try await a.service.move(
                                        partition, to: "b", budget: .seconds(60))
                                }
                            }
                        }
                        while world.ends.withLock({ $0.count }) < partitions.count,
                            ContinuousClock.now < deadline
                        {}
                    }
                }
            }
            let ends = world.ends.withLock { $0 }
            #expect(ends.count == partitions.count)
            for end in ends {
                guard case .moved = end.outcome else {
                    Issue.record("\(end)")
                    continue
                }
            }
            #expect(b.accounts.count == 2_000)
        }
        #expect(world.failures.withLock { $0 } == [])
    }
}
