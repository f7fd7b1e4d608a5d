import Caesura
import CaesuraFormat
import Testing

@Suite struct RowStreamTests {
    static func rows(_ count: Int, seed: UInt64) -> [SampleRow] {
        var random = TableModelTests.Random(state: seed)
        return (0..<count).map { index in
            var row = SnapshotTests.row(random.next())
            if index % 50 == 3 { row.token = TableModelTests.string(&random) }
            return row
        }
    }

    static func write(_ rows: [SampleRow]) throws -> [UInt8] {
        var writer = try RowStreamWriter(
            name: "rows", of: SampleRow.self, to: ByteArraySink())
        for row in rows { try writer.append(row) }
        return try writer.finish().bytes
    }

    static func read(_ bytes: [UInt8], pieces: Int) throws -> [SampleRow] {
        var reader = RowStreamReader(of: SampleRow.self)
        var rows: [SampleRow] = []
        for start in stride(from: 0, to: bytes.count, by: pieces) {
            try reader.push(Array(bytes[start..<min(start + pieces, bytes.count)])) {
                rows.append($0)
            }
        }
        try reader.finish()
        return rows
    }

    @Test(arguments: [0, 1, 63, 64, 8_192, 8_193, 20_000])
    func `rows come back in their order`(count: Int) throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        let rows = Self.rows(count, seed: seed)
        let bytes = try Self.write(rows)
        #expect(try Self.read(bytes, pieces: 100_000) == rows)
        if count < 100 { #expect(try Self.read(bytes, pieces: 1) == rows) }
    }

    @Test func `rows with values of any size come back in their order`() throws {
        var rows: [SampleRow] = []
        for size in [0, 1_024, 1_025, 40_000, 65_536, 65_537, 3_000_000, 5, 70_000] {
            rows.append(
                SampleRow(
                    user: UInt64(size), token: String(repeating: "a", count: size), visits: 1,
                    note: size % 2 == 0 ? String(repeating: "b", count: size) : nil))
        }
        let bytes = try Self.write(rows)
        #expect(try Self.read(bytes, pieces: 333_333) == rows)
    }

    @Test func `a stream cut anywhere is an error`() throws {
        let bytes = try Self.write(Self.rows(20, seed: 1))
        for length in 0..<bytes.count {
            #expect(throws: FormatError.self) {
                _ = try Self.read(Array(bytes[..<length]), pieces: 1 << 20)
            }
        }
    }

    @Test func `a stream of a store is not taken for a sequence of rows`() throws {
        let store = Store()
        _ = try store.table("rows", key: UInt64.self, row: SampleRow.self)
        let bytes = try store.cut().write(to: ByteArraySink()).bytes
        #expect(throws: FormatError(.schemaMismatch, "", at: 0)) {
            _ = try Self.read(bytes, pieces: 1 << 20)
        }
    }
}
