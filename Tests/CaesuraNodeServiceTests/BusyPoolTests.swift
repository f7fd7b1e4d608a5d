import Caesura
import CaesuraMigration
import CaesuraNode
import CaesuraNodeService
import CaesuraRepository
import Foundation
import Synchronization
import Testing

/// Nodes beside code that keeps all threads of the cooperative pool.
@Suite(.timeLimit(.minutes(60)))
struct BusyPoolTests {
    /// Tasks that keep the pool's threads of each priority from when all have begun.
    private final class Keepers: Sendable {
        private let waiting: Atomic<Int>
        private let isOver = Atomic(false)

        init(_ count: Int) { waiting = Atomic(count) }

        var areOver: Bool { isOver.load(ordering: .relaxed) }

        /// Returns when the last has begun; one of them is told that it is that.
        func gather() -> Bool {
            let isLast = waiting.subtract(1, ordering: .sequentiallyConsistent).newValue == 0
            while waiting.load(ordering: .sequentiallyConsistent) > 0 {}
            return isLast
        }

        /// Returns when somebody has found that `isDone`.
        func stay(until isDone: () -> Bool) {
            while !areOver {
                if isDone() { isOver.store(true, ordering: .relaxed) }
                // A thread that sleeps is replaced by another.
                let next = ContinuousClock.now + .milliseconds(1)
                while ContinuousClock.now < next {}
            }
        }
    }

    /// Moves all partitions to node b while no thread of the pool is free.
    ///
    /// - Returns: How the moves have ended that did within a minute.
    private static func move(_ member: Member, in world: World) async -> [MoveEnd] {
        let partitions = member.service.division.partitions
        let priorities = [TaskPriority.high, .medium, .low]
        let threads = ProcessInfo.processInfo.activeProcessorCount
        let keepers = Keepers(threads * priorities.count)
        for priority in priorities {
            for _ in 0..<threads {
                // Not of a group: what is waited for gets the priority of who waits.
                Task.detached(priority: priority) {
                    if keepers.gather() {
                        for partition in partitions {
                            // Nobody waits for it to return, which takes a thread of the pool.
                            Task.immediate {
                                try await member.service.move(
                                    partition, to: "b", budget: .seconds(60))
                            }
                        }
                    }
                    let deadline = ContinuousClock.now + .seconds(60)
                    keepers.stay {
                        world.ends.withLock { $0.count } == partitions.count
                            || ContinuousClock.now > deadline
                    }
                }
            }
        }
        while !keepers.areOver { await Task.yield() }
        return world.ends.withLock { $0 }
    }

    @Test func `partitions move though no thread of the pool is free`() async {
        // A process of its own has a pool of its own.
        await #expect(processExitsWith: .success) {
            let directory = FileManager.default.temporaryDirectory.appending(
                path: "caesura-test-\(UUID().uuidString)")
            defer { try? FileManager.default.removeItem(at: directory) }
            let world = World(
                try await DirectoryOwnerRegister(directory.path),
                try await DirectoryAddressBook(directory.path))
            // So little a second that timers are waited for.
            let a = try await world.member("a", createsPartitions: true) {
                $0.node.bytesPerSecond = 1 << 20
            }
            let b = try await world.member("b")
            try await world.run {
                await a.servesAll()
                for key in 0..<2_000 as Range<UInt64> {
                    a.accounts[key] = Account(count: 0, note: "row \(key)")
                }
                for end in await Self.move(a, in: world) {
                    guard case .moved = end.outcome else {
                        Issue.record("\(end)")
                        continue
                    }
                }
                #expect(a.accounts.count == 0)
                #expect(b.accounts.count == 2_000)
            }
            #expect(world.failures.withLock { $0 } == [])
        }
    }
}
