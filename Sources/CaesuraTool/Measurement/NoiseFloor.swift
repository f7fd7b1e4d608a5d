/// What the machine itself does to a thread that only reads the clock: interrupts, other processes, the
/// hypervisor.
///
/// Feed it successive readings of the clock between which the thread did nothing. A long time between two of
/// them is a gap. The histogram answers: an operation of no length, due at a random moment, how late is it
/// done? So its percentiles stand beside those of real operations on the same thread.
struct NoiseFloor: Sendable {
    /// One imagined operation falls due in each of these.
    static let interval: UInt64 = 1_000
    /// Two readings of the clock lie 20 to 50 ns apart; anything this long is not the reading itself.
    private static let smallestGap: UInt64 = 300

    private var histogram = LatencyHistogram()
    private var watched: UInt64 = 0
    private var counted: UInt64 = 0

    /// Notes two successive readings of the clock.
    mutating func record(from earlier: UInt64, to later: UInt64) {
        let gap = later &- earlier
        watched &+= gap
        guard gap >= Self.smallestGap else { return }
        let before = histogram.count
        histogram.record(gap: gap, interval: Self.interval)
        counted += histogram.count - before
    }

    /// Watches the clock on this thread for a while.
    static func watch(for duration: UInt64) -> NoiseFloor {
        var floor = NoiseFloor()
        let start = MonotonicClock.now()
        var now = start
        while now - start < duration {
            let earlier = now
            now = MonotonicClock.now()
            floor.record(from: earlier, to: now)
        }
        return floor
    }

    /// Adds what another thread saw.
    mutating func add(_ other: NoiseFloor) {
        histogram.add(other.histogram)
        watched += other.watched
        counted += other.counted
    }

    /// The distribution, with every imagined operation that met no gap counted as one reading of the clock.
    var latencies: LatencyHistogram {
        var all = histogram
        let due = watched / Self.interval
        if due > counted { all.record(40, count: due - counted) }
        return all
    }
}
