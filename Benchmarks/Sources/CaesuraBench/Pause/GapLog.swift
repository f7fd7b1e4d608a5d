/// The moments at which a thread was late: written by that thread, read after its end.
final class GapLog: @unchecked Sendable {
    /// Gaps at most this long are not noted.
    static let threshold: UInt64 = 1_000

    private(set) var entries: [(end: UInt64, length: UInt64)] = []
    /// Gaps that there was no room for.
    private(set) var dropped = 0

    init(capacity: Int) {
        // Touched before it is used: a page fault of the log would look like a gap.
        entries = Array(repeating: (end: 0, length: 0), count: capacity)
        entries.removeAll(keepingCapacity: true)
    }

    @inline(__always) func note(end: UInt64, length: UInt64) {
        guard length > Self.threshold else { return }
        guard entries.count < entries.capacity else {
            dropped += 1
            return
        }
        entries.append((end, length))
    }

    /// The longest gap that overlaps each window, at least ``threshold``; windows in order of time.
    func longest(in windows: [Range<UInt64>]) -> [UInt64] {
        var first = 0
        return windows.map { window in
            while first < entries.count, entries[first].end <= window.lowerBound { first += 1 }
            var longest = Self.threshold
            for entry in entries[first...] {
                if entry.end - entry.length >= window.upperBound { break }
                longest = max(longest, entry.length)
            }
            return longest
        }
    }
}

/// Percentiles of nanoseconds, printed as microseconds.
func reportPercentiles(
    _ metric: String, _ subject: String, _ scale: String, _ samples: [UInt64]
) {
    guard !samples.isEmpty else { return }
    let sorted = samples.sorted()
    for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p100", 1.0)] {
        // The smallest sample that at least this share of all does not exceed.
        let place = max(0, Int((share * Double(sorted.count)).rounded(.up)) - 1)
        Result(
            metric, subject, scale, "us", Double(sorted[place]) / 1000, percentile: name
        ).print()
    }
}
