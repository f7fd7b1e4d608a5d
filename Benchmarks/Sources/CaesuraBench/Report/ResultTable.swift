import Foundation

/// All results of a run, with ratios to Caesura.
struct ResultTable {
    private struct Key: Hashable {
        var metric: String
        var scale: String
        var subject: String
    }
    private struct Row {
        var unit: String
        var values: [Double]
        var command: Int
    }

    private var keys: [Key] = []
    private var rows: [Key: Row] = [:]
    private var commands: [String] = []
    private var digest: Substring?

    mutating func add(_ result: Result, command: String) {
        let key = Key(metric: result.metric, scale: result.scale, subject: result.subject)
        if rows[key] == nil {
            if !commands.contains(command) { commands.append(command) }
            rows[key] = Row(
                unit: result.unit, values: [], command: commands.firstIndex(of: command)! + 1)
            keys.append(key)
        }
        rows[key]!.values.append(result.value)
    }

    /// Programs that encode the same rows in the same format must make the same bytes.
    mutating func check(digest line: Substring) throws {
        let value = line.split(separator: "\t").last
        if let digest, digest != value { throw Failure("the row generators differ: \(line)") }
        digest = value
    }

    /// The table, then the commands that its last column numbers.
    var markdown: String {
        var lines = [
            "| what | N | subject | unit | min | median | runs | / Caesura | target | command |",
            "|---|---|---|---|---:|---:|---:|---:|---|---:|",
        ]
        for metric in keys.map(\.metric).uniqued() {
            let ofMetric = keys.filter { $0.metric == metric }
            for scale in ofMetric.map(\.scale).uniqued() {
                for key in ofMetric where key.scale == scale {
                    lines.append(line(of: key))
                }
            }
        }
        lines.append("")
        for (index, command) in commands.enumerated() { lines.append("\(index + 1). `\(command)`") }
        return lines.joined(separator: "\n")
    }

    private func line(of key: Key) -> String {
        let row = rows[key]!
        let sorted = row.values.sorted()
        // A worst case stays one: its best run says nothing.
        let worst = key.metric.hasSuffix("p100")
        let least = worst ? sorted.last! : sorted.first!
        let middle = worst ? least : sorted[sorted.count / 2]
        var ratio = ""
        let ours = Key(metric: key.metric, scale: key.scale, subject: Target.subject)
        if let own = rows[ours]?.values.sorted() {
            let base = worst ? own.last! : own.first!
            if base > 0 { ratio = number(least / base) }
        }
        let target = key.subject == Target.subject ? Target.text(for: key.metric) ?? "" : ""
        return "| \(key.metric) | \(key.scale) | \(key.subject) | \(row.unit) | \(number(least)) "
            + "| \(number(middle)) | \(row.values.count) | \(ratio) | \(target) | \(row.command) |"
    }

    private func number(_ value: Double) -> String {
        let digits = value >= 100 ? 0 : value >= 10 ? 1 : 2
        return String(format: "%.\(digits)f", value)
    }
}

extension Sequence where Element: Hashable {
    /// The elements without repetitions, in order.
    fileprivate func uniqued() -> [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}

/// What Caesura is meant to reach.
enum Target {
    static let subject = "Caesura"

    static func text(for metric: String) -> String? { targets[metric] }

    private static let targets: [String: String] = [
        "encode populate + encode": "<= 40 ns",
        "encode size": "<= 42 B",
        "encode restore": "<= 60 ns",
        "table read": "<= 1.0x Dictionary",
        "table update": "<= 1.0x Dictionary",
        "table insert": "<= 1.3x Dictionary",
        "table memory": "<= 0.75x Dictionary",
        "pause call p99": "<= 10 us",
        "pause call p100": "<= floor",
        "latency, checkpoint p99.9": "<= 3 us",
        "latency, checkpoint p99.99": "<= 2x idle",
        "latency, big values, checkpoint p100": "<= floor + 50 us",
    ]
}
