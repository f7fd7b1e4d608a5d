import Foundation
import Histogram

/// The latencies of a load over time, in slices of 100 ms by when writes were due.
struct Timeline {
    private var slices: [Histogram<UInt32>] = []
    private var start: UInt64 = 0

    private static let slice: UInt64 = 100_000_000

    /// Notes a latency.
    mutating func record(_ latency: UInt64, due: UInt64) {
        if slices.isEmpty { start = due }
        let number = Int((max(due, start) - start) / Self.slice)
        while slices.count <= number {
            slices.append(
                Histogram<UInt32>(
                    highestTrackableValue: 60_000_000_000, numberOfSignificantValueDigits: .two))
        }
        slices[number].record(latency)
    }

    /// Appends a line for each slice to a file: the load, when the slice began, what went on, how many writes were due in it
    /// and percentiles of their latencies.
    func append(to path: String, load: String, _ stretches: Stretches) throws {
        var text = ""
        if !FileManager.default.fileExists(atPath: path) {
            text = "load,milliseconds,phase,partition,writes,p50_us,p99_us,p999_us,p100_us\n"
            _ = FileManager.default.createFile(atPath: path, contents: nil)
        }
        let all = stretches.all
        for (number, slice) in slices.enumerated() {
            let begin = start + UInt64(number) * Self.slice
            let stretch = all.last { $0.begin <= begin } ?? all[0]
            let microseconds = ([50, 99, 99.9].map { slice.valueAtPercentile($0) } + [slice.max])
                .map { String(Double($0) / 1000) }
            text +=
                "\(load),\(number * 100),\(stretch.phase),\(stretch.partition),\(slice.totalCount),"
                + microseconds.joined(separator: ",") + "\n"
        }
        guard let file = FileHandle(forWritingAtPath: path) else {
            throw Failure("cannot write \(path)")
        }
        try file.seekToEnd()
        try file.write(contentsOf: Data(text.utf8))
        try file.close()
    }
}
