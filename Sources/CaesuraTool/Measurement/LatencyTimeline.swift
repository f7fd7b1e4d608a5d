/// The longest latency in each short window of a run, in the order of time.
struct LatencyTimeline: Sendable {
    /// When the first window begins, on the monotonic clock.
    let start: UInt64
    /// How long a window is, in nanoseconds.
    let window: UInt64
    /// The longest latency of the operations due in each window; 0 where none was due.
    private(set) var longest: [UInt64] = []

    /// Creates a timeline that begins at `start`, with room for `duration`.
    init(start: UInt64, window: UInt64, duration: UInt64) {
        self.start = start
        self.window = window
        // So that recording never allocates during the planned run.
        longest.reserveCapacity(Int(duration / window) * 2 + 16)
    }

    /// Notes the latency of an operation that was due at a moment.
    mutating func record(due: UInt64, latency: UInt64) {
        let index = Int((due &- start) / window)
        while longest.count <= index { longest.append(0) }
        if latency > longest[index] { longest[index] = latency }
    }

    /// The longer of both in each window.
    ///
    /// - Precondition: The windows are as wide, and begin at about the same moment.
    func merged(with other: LatencyTimeline) -> LatencyTimeline {
        precondition(other.window == window, "windows of different widths")
        var merged = self
        for (index, latency) in other.longest.enumerated() {
            if index == merged.longest.count { merged.longest.append(0) }
            merged.longest[index] = max(merged.longest[index], latency)
        }
        return merged
    }
}
