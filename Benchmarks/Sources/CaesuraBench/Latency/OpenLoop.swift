import Histogram

/// Operations at fixed times, whose latency counts from when they were due.
enum OpenLoop {
    /// Runs `operation` every `interval` nanoseconds for `duration` nanoseconds.
    @inline(__always) static func run(
        interval: UInt64, duration: UInt64, _ operation: (Int) -> Void
    ) -> Histogram<UInt64> {
        var histogram = Histogram<UInt64>(
            highestTrackableValue: 60_000_000_000, numberOfSignificantValueDigits: .three)
        let count = Int(duration / interval)
        let start = now() + 100_000
        for k in 0..<count {
            let due = start + UInt64(k) * interval
            while now() < due {}
            operation(k)
            histogram.record(now() - due)
        }
        return histogram
    }

    /// Prints the percentiles of a histogram of nanoseconds, in microseconds.
    static func report(
        _ metric: String, _ subject: String, _ scale: String, _ histogram: Histogram<UInt64>
    ) {
        for (name, percentile) in [
            ("p50", 50.0), ("p99", 99.0), ("p99.9", 99.9), ("p99.99", 99.99),
        ] {
            let value = histogram.valueAtPercentile(percentile)
            Result("\(metric) \(name)", subject, scale, "us", Double(value) / 1000).print()
        }
        Result("\(metric) p100", subject, scale, "us", Double(histogram.max) / 1000).print()
    }
}
