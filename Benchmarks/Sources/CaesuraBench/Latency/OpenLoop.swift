import Histogram

/// Operations at fixed times, whose latency counts from when they were due.
enum OpenLoop {
    /// Runs `operation` every `interval` nanoseconds for `duration` nanoseconds.
    @inline(__always) static func run(
        interval: UInt64, duration: UInt64, _ operation: (Int) -> Void
    ) -> Histogram<UInt64> {
        var histogram = histogram()
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

    /// A histogram of up to a minute, in nanoseconds.
    static func histogram() -> Histogram<UInt64> {
        var histogram = Histogram<UInt64>(
            highestTrackableValue: 60_000_000_000, numberOfSignificantValueDigits: .three)
        // Touched before it is used: a page fault of the histogram would look like latency.
        var value = 1.0
        while value < 6e10 {
            histogram.record(UInt64(value))
            value *= 1.01
        }
        histogram.reset()
        return histogram
    }

    /// Prints the percentiles of a histogram of nanoseconds, in microseconds.
    static func report(
        _ metric: String, _ subject: String, _ scale: String, _ histogram: Histogram<UInt64>
    ) {
        func print(_ name: String, _ nanoseconds: UInt64) {
            Result(
                metric, subject, scale, "us", Double(nanoseconds) / 1000, percentile: name
            ).print()
        }
        for percentile in [50.0, 99.0, 99.9, 99.99] {
            // Without the zero behind the point: p50, p99.9.
            let name = percentile == percentile.rounded() ? "\(Int(percentile))" : "\(percentile)"
            print("p" + name, histogram.valueAtPercentile(percentile))
        }
        print("p100", histogram.max)
    }
}
