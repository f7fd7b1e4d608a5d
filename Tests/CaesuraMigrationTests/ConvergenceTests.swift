import CaesuraMigration
import Testing

/// When writes stop, from rounds whose numbers are written down.
struct ConvergenceTests {
    /// After a snapshot of 100 MB in 0.1 s: deltas, each begun when the one before was applied, of what was written at a rate.
    private func rounds(
        _ count: Int, dirtyBytesPerSecond dirty: Double, appliedBytesPerSecond applied: Double,
        _ convergence: inout Convergence
    ) {
        convergence.note(
            Convergence.Round(bytes: 100_000_000, duration: .milliseconds(100), interval: .zero))
        var interval = 0.1
        for _ in 0..<count {
            let bytes = dirty * interval
            let duration = bytes / applied
            convergence.note(
                Convergence.Round(
                    bytes: UInt64(bytes), duration: .seconds(duration), interval: .seconds(interval)
                ))
            interval = max(duration, 0.000_1)
        }
    }

    @Test func `before the first delta nothing is known`() {
        var convergence = Convergence(budget: .seconds(10), overhead: .zero)
        #expect(convergence.prediction == nil)
        #expect(convergence.verdict == .improves)
        rounds(0, dirtyBytesPerSecond: 0, appliedBytesPerSecond: 1, &convergence)
        #expect(convergence.appliedBytesPerSecond == 1_000_000_000)
        #expect(convergence.prediction == nil)
        #expect(convergence.verdict == .improves)
    }

    @Test func `rounds shrink by the ratio of the rates until the last one fits`() throws {
        var convergence = Convergence(budget: .milliseconds(1), overhead: .microseconds(100))
        // 10 MB are written during the snapshot, applied in 10 ms; 1 MB during that, and so on.
        rounds(1, dirtyBytesPerSecond: 100e6, appliedBytesPerSecond: 1e9, &convergence)
        #expect(convergence.verdict == .improves)
        // 0.1 MB, with which 1 MB is pending, and the overhead: 1.1 ms.
        let first = try #require(convergence.prediction)
        #expect(abs(first / .microseconds(1_100) - 1) < 0.01)
        convergence = Convergence(budget: .milliseconds(1), overhead: .microseconds(100))
        rounds(2, dirtyBytesPerSecond: 100e6, appliedBytesPerSecond: 1e9, &convergence)
        let second = try #require(convergence.prediction)
        #expect(abs(second / .microseconds(200) - 1) < 0.01)
        #expect(convergence.verdict == .fits)
        let dirty = try #require(convergence.dirtyBytesPerSecond)
        #expect(abs(dirty / 100e6 - 1) < 0.01)
    }

    @Test func `writers that are as fast as the target do not converge`() {
        var convergence = Convergence(budget: .milliseconds(1), overhead: .microseconds(100))
        rounds(3, dirtyBytesPerSecond: 1e9, appliedBytesPerSecond: 1e9, &convergence)
        #expect(convergence.verdict == .improves)
        convergence = Convergence(budget: .milliseconds(1), overhead: .microseconds(100))
        rounds(4, dirtyBytesPerSecond: 1e9, appliedBytesPerSecond: 1e9, &convergence)
        #expect(convergence.verdict == .stuck)
        // They are slowed: that has to show first.
        convergence.beginAnew()
        #expect(convergence.verdict == .improves)
    }

    @Test func `what takes longer than the budget whatever is written is not tried for long`() {
        for dirty in [0, 100e6, 1e9] {
            var convergence = Convergence(budget: .milliseconds(1), overhead: .milliseconds(2))
            rounds(4, dirtyBytesPerSecond: dirty, appliedBytesPerSecond: 1e9, &convergence)
            #expect(convergence.verdict == .tooFar)
            // The next round trip was a better one.
            convergence.overhead = .zero
            #expect(convergence.verdict != .tooFar)
        }
    }

    @Test func `one slow round is not averaged away`() throws {
        var convergence = Convergence(budget: .milliseconds(1), overhead: .zero)
        rounds(3, dirtyBytesPerSecond: 10e6, appliedBytesPerSecond: 1e9, &convergence)
        convergence.note(
            Convergence.Round(
                bytes: 1_000_000, duration: .milliseconds(10), interval: .milliseconds(100)))
        let applied = try #require(convergence.appliedBytesPerSecond)
        #expect(abs(applied / 100e6 - 1) < 0.01)
    }
}
