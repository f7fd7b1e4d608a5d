import Histogram

/// Counts of latencies in nanoseconds, exact to three digits from 1 ns to five minutes.
struct LatencyHistogram: Sendable {
    private var histogram: Histogram<UInt64>

    /// Longer than any run of the tool, so that nothing is ever out of range.
    private static let longest: UInt64 = 300_000_000_000

    /// Creates an empty histogram.
    init() {
        histogram = Histogram(
            highestTrackableValue: Self.longest, numberOfSignificantValueDigits: .three)
    }

    /// Counts one latency.
    mutating func record(_ nanoseconds: UInt64) {
        histogram.record(min(nanoseconds, Self.longest))
    }

    /// Counts what operations due every `interval` would have met in a gap of `length`: the whole of it, and
    /// ever less.
    mutating func record(gap length: UInt64, interval: UInt64) {
        histogram.recordCorrectedValue(min(length, Self.longest), expectedInterval: interval)
    }

    /// Counts `count` equal latencies.
    mutating func record(_ nanoseconds: UInt64, count: UInt64) {
        guard count > 0 else { return }
        histogram.record(min(nanoseconds, Self.longest), count: count)
    }

    /// Adds another's counts.
    mutating func add(_ other: LatencyHistogram) { histogram.add(other.histogram) }

    /// How many were counted.
    var count: UInt64 { histogram.totalCount }

    /// The latency that `percent` of all do not exceed; 0 if there is none.
    func value(at percent: Double) -> UInt64 {
        count == 0 ? 0 : histogram.valueAtPercentile(percent)
    }

    /// The usual six.
    var percentiles: Percentiles {
        Percentiles(
            count: count, p50: value(at: 50), p90: value(at: 90), p99: value(at: 99),
            p999: value(at: 99.9), p9999: value(at: 99.99), p100: value(at: 100))
    }
}

/// The latencies, in nanoseconds, that given shares of all do not exceed.
struct Percentiles: Codable, Equatable, Sendable {
    var count: UInt64
    var p50: UInt64
    var p90: UInt64
    var p99: UInt64
    var p999: UInt64
    var p9999: UInt64
    var p100: UInt64

    /// What stands above the columns of ``cells``.
    static let headings = ["p50", "p90", "p99", "p99.9", "p99.99", "p100"]

    /// The six latencies with their units.
    var cells: [String] {
        count == 0
            ? Self.headings.map { _ in "–" }
            : [p50, p90, p99, p999, p9999, p100].map(durationText)
    }
}
