/// What `caesura demo` measured: the content of `report.html` and of `--json`.
struct DemoReport: Codable, Sendable {
    /// Rows in the table.
    var rows: Int
    /// Writes due each second.
    var writesPerSecond: Int
    /// Processor cores of the machine.
    var cores: Int
    /// The usual ways of saving, Caesura last.
    var runs: [Run]
    /// The move to another process.
    var migration: Migration

    /// One way of saving under the same load.
    struct Run: Codable, Sendable {
        /// What it is, in two or three words.
        var name: String
        /// How it works, in one sentence.
        var explanation: String
        /// The time writers were kept out, for each save, in nanoseconds.
        var pauses: [UInt64]
        /// Bytes of one save.
        var byteCount: Int
        /// Latencies of writes while no save ran.
        var calm: Percentiles
        /// Latencies of writes that were due, or done, while a save ran.
        var duringSave: Percentiles
        /// The curve of `duringSave`.
        var curve: [CurvePoint]
        /// What the machine did to the same thread while it had nothing to do.
        var floor: Percentiles
        /// The curve of `floor`.
        var floorCurve: [CurvePoint]
        /// The longest latency in each window, in nanoseconds; 0 where no write was due.
        var timeline: [UInt64]
        /// How long a window is, in nanoseconds.
        var timelineWindow: UInt64
        /// When saves ran, in nanoseconds from the start of the timeline.
        var saves: [Span]

        /// The longest pause, in nanoseconds.
        var longestPause: UInt64 { pauses.max() ?? 0 }
    }

    /// The move of all rows to another process, under the same load.
    struct Migration: Codable, Sendable {
        /// How many partitions moved, one of them without rows.
        var partitions: Int
        /// Bytes that were sent.
        var byteCount: Int
        /// From the order until the last one had moved, in nanoseconds.
        var duration: UInt64
        /// How long writes to each partition had stopped, in nanoseconds.
        var blackouts: [UInt64]
        /// Writes that were forwarded to the other process.
        var forwarded: Int
        /// Latencies of writes before.
        var before: Percentiles
        /// Of those that were due, or done, while partitions moved.
        var during: Percentiles
        /// Of those afterwards, all of which were forwarded.
        var after: Percentiles
        /// The longest latency in each window, in nanoseconds; 0 where no write was due.
        var timeline: [UInt64]
        /// How long a window is, in nanoseconds.
        var timelineWindow: UInt64
        /// When partitions moved.
        var moving: Span

        /// The longest blackout, in nanoseconds.
        var longestBlackout: UInt64 { blackouts.max() ?? 0 }
    }

    /// A point of a distribution: so many in a hundred took no longer.
    struct CurvePoint: Codable, Sendable {
        /// From 0 to 100.
        var percent: Double
        /// Nanoseconds.
        var latency: UInt64
    }

    /// A stretch of time.
    struct Span: Codable, Sendable {
        /// Nanoseconds from the start of the timeline.
        var start: UInt64
        /// Nanoseconds from the start of the timeline.
        var end: UInt64
    }
}

extension LatencyHistogram {
    /// Enough points of the distribution to draw it: sixteen for each further nine, up to the longest.
    var curve: [DemoReport.CurvePoint] {
        guard count > 0 else { return [] }
        var points: [DemoReport.CurvePoint] = []
        // Beyond one in `count` there is nothing left to tell apart.
        var share = 1.0
        while share * Double(count) > 1, share > 1e-7 {
            let percent = 100 * (1 - share)
            points.append(.init(percent: percent, latency: value(at: percent)))
            share *= 0.8659643233600653  // the sixteenth root of a tenth
        }
        points.append(.init(percent: 100, latency: value(at: 100)))
        return points
    }
}
