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

    @Test func `whether values lie in the page or outside does not show in the bytes`() throws {
        var streams: [[UInt8]] = []
        for round in 0..<3 {
            let store = SnapshotTests.store(1)
            let table = try store.table("wide", key: UInt64.self, row: WideRow.self)
            for key in 0..<60 as Range<UInt64> {
                let row = WideRow(
                    (0..<WideRow.count).map { Self.text($0 + Int(key), (Int(key) * 37 + $0) % 900) }
                )
                if round == 0 {
                    // All at once: the values go outside.
                    table[key] = row
                } else {
                    // One by one: they stay inside as long as they fit.
                    table[key] = WideRow(repeating: "")
                    for index in 0..<WideRow.count {
                        table.update(key) { $0[index] = row.texts[index] }
                    }
                    if round == 2 { table[key] = row }
                }
            }
            streams.append(try store.cut().write(to: ByteArraySink()).bytes)
        }
        #expect(streams[0] == streams[1])
        #expect(streams[0] == streams[2])
    }

    @Test func `a transaction that throws leaves rows of any size as they were`() throws {
        struct Change: Error {}
        let store = SnapshotTests.store(0)
        let table = try store.table("wide", key: UInt64.self, row: WideRow.self)
        var rows: [UInt64: WideRow] = [:]
        for key in 0..<8 as Range<UInt64> {
            rows[key] = WideRow(repeating: Self.text(Int(key), 300 * Int(key)))
            table[key] = rows[key]
        }
        let cut = store.cut()
        let before = try cut.write(to: ByteArraySink()).bytes
        for _ in 0..<20 {
            #expect(throws: Change.self) {
                try store.transaction(table.row(0)) { (transaction) throws(Change) in
                    for key in 0..<8 as Range<UInt64> {
                        transaction.update(table, key) { $0[3] = Self.text(5, 5_000) }
                        transaction[table, key] = WideRow(repeating: Self.text(9, 1_024))
                        if key % 2 == 0 { transaction.remove(table, key) }
                        transaction[table, key + 100] = WideRow(repeating: "new")
                    }
                    throw Change()
                }
            }
        }
        #expect(table.count == 8)
        for (key, row) in rows { #expect(table[key] == row) }
        #expect(try cut.write(to: ByteArraySink()).bytes == before)
        cut.close()
        #expect(store.memoryUse.retained == 0)
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

    @Schema("box")
    struct Box: Hashable {
        @Field(1) var name: String
    }

    @Schema("box", version: 2)
    struct LabelledBox: Hashable {
        @Field(1) var name: String
        @Field(2, since: 2) var front: String = WideRowTests.text(5, 1_000)
        @Field(3, since: 2) var back: String = WideRowTests.text(6, 1_000)
    }

    @Schema("shelf")
    struct Shelf: Equatable {
        @Field(1) var wide: WideRow
        @Field(2) var box: WideRowTests.Box?
    }

    @Schema("shelf", version: 2)
    struct LabelledShelf: Equatable {
        @Field(1) var wide: WideRow
        @Field(2) var box: WideRowTests.LabelledBox?
    }

    @Test(arguments: Array(stride(from: 840, through: 900, by: 2)))
    func `a row that fills its page has room for what is kept for others`(size: Int) throws {
        let new = Store()
        let rows = try new.table("shelves", key: UInt64.self, row: LabelledShelf.self)
        rows[1] = LabelledShelf(wide: WideRow(repeating: ""), box: nil)
        let old = Store()
        let table = try old.table("shelves", key: UInt64.self, row: Shelf.self)
        try Self.restore(new, into: old)
        var wide = WideRow(repeating: "")
        for index in 0..<WideRow.count {
            wide.texts[index] = Self.text(index, size)
            table.update(1) { $0.wide = wide }
        }
        // What these leave behind is garbage, until the page is made anew.
        for index in 0..<3 {
            wide.texts[index] += "+"
            table.update(1) { $0.wide = wide }
        }
        table.update(1) { $0.box = Box(name: "box") }
        #expect(table[1] == Shelf(wide: wide, box: Box(name: "box")))
        let again = Store()
        let back = try again.table("shelves", key: UInt64.self, row: LabelledShelf.self)
        try Self.restore(old, into: again)
        #expect(back[1] == LabelledShelf(wide: wide, box: LabelledBox(name: "box")))
    }

    private static func restore(_ source: Store, into target: Store) throws {
        var restorer = StreamRestorer(into: target)
        try restorer.push(source.cut().write(to: ByteArraySink()).bytes)
        try restorer.finish()
    }
}
