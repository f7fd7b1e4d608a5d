import CaesuraFormat

/// `encode`: rows to bytes and back, one thread.
enum EncodeBenchmark {
    static func run(_ options: Options) throws {
        let rows = try options.int("rows", default: 1_000_000)
        let passes = try options.int("passes", default: 3)
        switch try options.string("subject") {
        case "caesura": try StoreEncoding.run(rows: rows, passes: passes, compression: .none)
        case "caesura-zstd":
            try StoreEncoding.run(rows: rows, passes: passes, compression: .zstd(level: 3))
        case "columns": try ColumnsEncoding.run(rows: rows, passes: passes)
        case "swift-protobuf": try SwiftProtobufEncoding.run(rows: rows, passes: passes)
        case "json": try JSONEncoding.run(rows: rows)
        case let other: throw Failure("no such subject: \(other)")
        }
    }

    /// The least time of several passes, in nanoseconds a row.
    static func best(of passes: Int, rows: Int, _ body: () throws -> Void) rethrows -> Double {
        var best = Double.infinity
        for _ in 0..<passes { best = min(best, try nanoseconds(body)) }
        return best / Double(rows)
    }

    /// FNV-1a over bytes: shows that two programs made the same.
    static func digest(_ bytes: [UInt8]) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}
