import Caesura
import CaesuraFormat
import Testing

/// Rows whose values are each small enough for a page, and too large for it together.
@Suite struct WideRowTests {
    static func text(_ seed: Int, _ count: Int) -> String {
        String(repeating: Character(Unicode.Scalar(UInt8(97 + seed % 26))), count: count)
    }

    /// A store that a cut covers all along or not.
    func check(_ body: (Table<UInt64, WideRow>) throws -> [UInt64: WideRow]) throws {
        let store = SnapshotTests.store(0)
        let table = try store.table("wide", key: UInt64.self, row: WideRow.self)
        let rows = try body(table)
        #expect(table.count == rows.count)
        for (key, row) in rows { #expect(table[key] == row) }
        let bytes = try store.cut().write(to: ByteArraySink()).bytes
        let restored = Store()
        let back = try restored.table("wide", key: UInt64.self, row: WideRow.self)
        var restorer = StreamRestorer(into: restored)
        try restorer.push(bytes)
        try restorer.finish()
        #expect(back.count == rows.count)
        for (key, row) in rows { #expect(back[key] == row) }
    }

    @Test(arguments: [900, 920, 928, 932, 936, 940, 1_000, 1_024])
    func `fields that fill a page one by one spill out of it`(size: Int) throws {
        try check { table in
            var row = WideRow(repeating: "")
            table[1] = row
            for round in 0..<3 {
                for index in 0..<WideRow.count {
                    let text = Self.text(index + round, index < 60 ? size : 16 + index % 3)
                    table.update(1) { $0[index] = text }
                    row.texts[index] = text
                }
                let whole = WideRow(repeating: Self.text(round, size))
                table[1] = whole
                table[1] = row
            }
            return [1: row]
        }
    }

    @Test func `rows join one that fills its page`() throws {
        try check { table in
            var rows: [UInt64: WideRow] = [:]
            for key in 0..<40 as Range<UInt64> {
                rows[key] = WideRow(repeating: key % 2 == 0 ? "" : Self.text(Int(key), 100))
                table[key] = rows[key]
                if key % 4 == 0 {
                    for index in 0..<WideRow.count {
                        let text = Self.text(index, index < 58 ? 1_024 : 40)
                        table.update(key) { $0[index] = text }
                        rows[key]!.texts[index] = text
                    }
                }
            }
            return rows
        }
    }

    @Test func `random fields of random lengths stay what they are`() throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var random = TableModelTests.Random(state: seed)
        try check { table in
            var rows: [UInt64: WideRow] = [:]
            for _ in 0..<6_000 {
                let key = UInt64.random(in: 0..<12, using: &random)
                let size = Int.random(in: 0...1_100, using: &random)
                let index = Int.random(in: 0..<WideRow.count, using: &random)
                let text = Self.text(index, size)
                switch Int.random(in: 0..<60, using: &random) {
                case 0:
                    table.remove(key)
                    rows[key] = nil
                case 1..<4:
                    rows[key] = WideRow(repeating: text)
                    table[key] = rows[key]
                default:
                    table.update(key) { $0[index] = text }
                    rows[key]?.texts[index] = text
                }
            }
            return rows
        }
    }
}
