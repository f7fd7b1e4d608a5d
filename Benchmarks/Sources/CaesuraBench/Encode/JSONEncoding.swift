import Foundation

/// JSONEncoder and JSONDecoder: a row at a time, on a fifth of the rows.
enum JSONEncoding {
    /// A row with its key, as JSON has no other place for it.
    private struct Entry: Codable {
        var id: UInt64
        var row: Session
    }

    static func run(rows: Int) throws {
        let scale = short(rows)
        let count = max(1, rows / 5)
        let entries = (0..<count).map { Entry(id: Session.id($0), row: Session($0)) }
        var lines: [Data] = []
        lines.reserveCapacity(count)
        let encoder = JSONEncoder()
        let encode = try nanoseconds {
            for entry in entries { lines.append(try encoder.encode(entry)) }
        }
        let bytes = lines.reduce(0) { $0 + $1.count + 1 }
        let decoder = JSONDecoder()
        var sum: UInt64 = 0
        let decode = try nanoseconds {
            for line in lines { sum &+= try decoder.decode(Entry.self, from: line).row.user }
        }
        keep(sum)
        for (metric, unit, value) in [
            ("encode", "ns/row", encode / Double(count)),
            ("restore; peers: parse", "ns/row", decode / Double(count)),
            ("encoded size", "B/row", Double(bytes) / Double(count)),
        ] { Result(metric, "JSONEncoder", scale, unit, value).print() }
    }
}
