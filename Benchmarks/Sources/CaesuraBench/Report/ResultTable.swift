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
        /// One column, or one a percentile.
        var values: [Column] = []
        var command: Int
    }
    private struct Column {
        var name: String?
        var samples: [Double] = []

        /// More is better.
        var isRate: Bool

        /// The best of the repetitions; of the worst case, the worst.
        var best: Double { name == "p100" || isRate ? samples.max()! : samples.min()! }
        var median: Double { name == "p100" ? best : samples.sorted()[samples.count / 2] }
    }

    private var keys: [Key] = []
    private var rows: [Key: Row] = [:]
    private var commands: [String] = []
    private var digest: Substring?

    mutating func add(_ result: Result, command: String) {
        let key = Key(metric: result.metric, scale: result.scale, subject: result.subject)
        if rows[key] == nil {
            if !commands.contains(command) { commands.append(command) }
            rows[key] = Row(unit: result.unit, command: commands.firstIndex(of: command)! + 1)
            keys.append(key)
        }
        if let column = rows[key]!.values.firstIndex(where: { $0.name == result.percentile }) {
            rows[key]!.values[column].samples.append(result.value)
        } else {
            rows[key]!.values.append(
                Column(
                    name: result.percentile, samples: [result.value],
                    isRate: result.unit.hasSuffix("/s")))
        }
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
            "| what | N | subject | unit | best | median | runs | ratio | target | command |",
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
        let columns = row.values
        let best = columns.map(\.best)
        // Ratios are to Caesura's line, or, where all lines are Caesura's, to the one without checkpoints or
        // moves.
        let base = [Target.subject, Target.idle, Target.unmoved].lazy
            .compactMap { rows[Key(metric: key.metric, scale: key.scale, subject: $0)] }.first
        var ratios: [String] = []
        if let base, base.values.map(\.name) == columns.map(\.name) {
            ratios = zip(best, base.values.map(\.best)).map { $1 > 0 ? number($0 / $1) : "" }
        }
        let names = columns.compactMap(\.name)
        let cells = [
            key.metric, key.scale, key.subject,
            names.isEmpty ? row.unit : "\(row.unit), \(names.joined(separator: " / "))",
            joined(best.map(number)), joined(columns.map { number($0.median) }),
            "\(columns.map(\.samples.count).max() ?? 0)", joined(ratios),
            Target.text(for: key.metric, key.subject), "\(row.command)",
        ]
        return "| " + cells.joined(separator: " | ") + " |"
    }

    private func joined(_ parts: [String]) -> String { parts.joined(separator: " / ") }

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
    static let idle = "no checkpoint"
    static let unmoved = "no migration"
    static let others = "other partitions"

    static func text(for metric: String, _ subject: String) -> String {
        targets[metric + ", " + subject] ?? ""
    }

    private static let targets: [String: String] = [
        "encode, Caesura": "<= 40 ns",
        "encoded size, Caesura": "<= 42 B",
        "restore; peers: parse, Caesura": "<= 60 ns",
        "read a field, Caesura": "<= 1.0x Dictionary",
        "update a field, Caesura": "<= 1.0x Dictionary",
        "insert, Caesura": "<= 1.3x Dictionary",
        "memory, Caesura": "<= 0.75x Dictionary",
        "pause: call, Caesura": "p99 <= 10 us, p100 <= floor",
        "writer latency, checkpoint": "p99.9 <= 3 us, p99.99 <= 2x",
        "writer latency, checkpoint, cold": "p99.9 <= 3 us, p99.99 <= 2x",
        "writer latency with 10 MB values, checkpoint": "p100 <= floor + 50 us",
        "delta, bytes over floor, Caesura": "<= 1.25x at 0.1, 1, 10 %",
        "delta, time over a snapshot, Caesura": "<= 3 % at 1 %",
        "continuous: throughput lost, Caesura": "<= 5 %",
        "migration: blackout, Caesura": "p100 <= floor + 1 ms at 100k writes/s",
        "migration: state a second, Caesura": ">= 1,000 MB/s idle, 700 with TLS",
        "migration: latency of a write, other partitions": "p99.9 <= 1.5x",
        "migration: latency of a write, forwarded, other partitions": "p99.9 <= 1.5x",
    ]
}
