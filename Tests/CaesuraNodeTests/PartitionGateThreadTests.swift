import CaesuraMigration
import CaesuraNode
import Foundation
import Synchronization
import Testing

/// Writers on several threads while others seal, serve and close.
struct PartitionGateThreadTests {
    /// What only the gate keeps apart: written while no writer is inside, read by writers.
    final class Shared: @unchecked Sendable {
        // @unchecked: that nobody reads it while it is written is what is tested, by the thread sanitizer too.
        var fencingEpoch: UInt64 = 0
    }

    /// Counts of all threads.
    final class Counts: Sendable {
        let inside = Atomic(0)
        let done = Atomic(0)
        let resumed = Atomic(0)
        let cancelled = Atomic(0)
        let queued = Atomic(0)
        let drained = Atomic(0)
        let strangers = Atomic(0)
        let isEnding = Atomic(false)
    }

    static let writers = 3

    /// Writes until it is told to end, and waits in the queue where it must.
    static func write(
        _ gate: PartitionGate, _ shared: Shared, _ counts: Counts, seed: UInt64
    ) {
        var random = SplitMix(seed: seed)
        while !counts.isEnding.load(ordering: .acquiring) {
            let outcome = gate.perform { epoch in
                counts.inside.add(1, ordering: .relaxed)
                if shared.fencingEpoch != epoch { counts.strangers.add(1, ordering: .relaxed) }
                counts.inside.subtract(1, ordering: .relaxed)
            }
            switch outcome {
            case .done: counts.done.add(1, ordering: .relaxed)
            case .wait: wait(gate, counts, cancels: Bool.random(using: &random))
            case .elsewhere: sched_yield()
            case .overtaken: counts.strangers.add(1, ordering: .relaxed)
            }
        }
    }

    static func wait(_ gate: PartitionGate, _ counts: Counts, cancels: Bool) {
        let semaphore = DispatchSemaphore(value: 0)
        let ticket = gate.wait { _ in
            counts.resumed.add(1, ordering: .relaxed)
            semaphore.signal()
        }
        counts.queued.add(1, ordering: .relaxed)
        if cancels, let ticket, gate.cancel(ticket) {
            counts.cancelled.add(1, ordering: .relaxed)
        } else {
            semaphore.wait()
        }
    }

    /// Seals and serves under later and later entries, now and then without waiting in between, until `count` writes
    /// have come to a sealed gate.
    static func control(
        _ gate: PartitionGate, _ shared: Shared, _ counts: Counts, until count: Int, seed: UInt64
    ) throws -> Int {
        var random = SplitMix(seed: seed)
        var last = try OwnerEntry(creating: "a")
        var seals = 0
        while counts.queued.load(ordering: .relaxed) < count {
            let entry = try OwnerEntry(.abort, of: last, to: "a")
            last = entry
            seals += 1
            gate.seal {
                shared.fencingEpoch = entry.fencingEpoch
                if counts.inside.load(ordering: .relaxed) != 0 {
                    counts.strangers.add(1, ordering: .relaxed)
                }
                counts.drained.add(1, ordering: .releasing)
            }
            if Bool.random(using: &random) {
                while counts.drained.load(ordering: .acquiring) != seals { sched_yield() }
                for _ in 0..<Int.random(in: 0..<5, using: &random) { sched_yield() }
            }
            if Int.random(in: 0..<7, using: &random) == 0 { gate.close(nil) }
            gate.serve(entry)
            for _ in 0..<Int.random(in: 0..<5, using: &random) { sched_yield() }
        }
        return seals
    }

    @Test(.timeLimit(.minutes(60)), arguments: 1...3 as ClosedRange<UInt64>)
    func `no writer is inside when all are said to have left, and nobody waits for ever`(
        seed: UInt64
    ) throws {
        let gate = PartitionGate()
        let shared = Shared()
        let counts = Counts()
        let entry = try OwnerEntry(creating: "a")
        shared.fencingEpoch = entry.fencingEpoch
        gate.serve(entry)
        let group = DispatchGroup()
        for number in 0..<Self.writers {
            group.enter()
            let thread = Thread {
                Self.write(gate, shared, counts, seed: seed * 10 + UInt64(number))
                group.leave()
            }
            thread.start()
        }
        let seals = try Self.control(gate, shared, counts, until: 1_000, seed: seed)
        // All who wait are resumed, for the last thing that was done was to serve.
        counts.isEnding.store(true, ordering: .releasing)
        group.wait()
        #expect(counts.strangers.load(ordering: .relaxed) == 0)
        #expect(counts.done.load(ordering: .relaxed) > 0)
        #expect(counts.drained.load(ordering: .relaxed) == seals)
        #expect(
            counts.resumed.load(ordering: .relaxed) + counts.cancelled.load(ordering: .relaxed)
                == counts.queued.load(ordering: .relaxed))
        #expect(gate.waitingCount == 0)
    }
}
