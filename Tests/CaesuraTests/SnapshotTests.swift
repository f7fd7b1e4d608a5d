import Caesura
import CaesuraFormat
import Testing

@Suite struct SnapshotTests {
    static func store(_ bits: Int = 4, key: HashKey = HashKey(k0: 1, k1: 2)) -> Store {
        var configuration = Store.Configuration()
        configuration.partitionBits = bits
        configuration.hashKey = key
        return Store(configuration)
    }

    static func row(_ i: UInt64) -> SampleRow {
        let h = i &* 0x9E37_79B9_7F4A_7C15
        return SampleRow(
            user: i, token: String(h, radix: 16) + String(h &* 31, radix: 16),
            visits: UInt32(h % 977), note: i % 3 == 0 ? "note \(i % 5)" : nil)
    }

    static func restore(
        _ bytes: [UInt8], bits: Int = 3
    ) throws -> (Store, Table<UInt64, SampleRow>) {
        let store = Store()
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        var restorer = StreamRestorer(into: store)
        try restorer.push(bytes)
        try restorer.finish()
        return (store, table)
    }

    @Test(arguments: [0, 1, 50, 1_000, 40_000])
    func `what a snapshot holds comes back`(count: UInt64) throws {
        let store = Self.store()
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        for i in 0..<count { table[i] = Self.row(i) }
        let bytes = try store.cut().write(to: ByteArraySink()).bytes
        let (restored, back) = try Self.restore(bytes)
        #expect(back.count == Int(count))
        for i in 0..<count { #expect(back[i] == Self.row(i)) }
        #expect(restored.epoch > Epoch(rawValue: 1))
        // The restored store is a store like any other.
        for i in 0..<count where i % 2 == 0 { back.remove(i) }
        for i in 0..<count { back[i + 1_000_000] = Self.row(i) }
        #expect(back.count == Int(count) + Int(count / 2))
    }

    @Test func `the order of insertion does not show in the bytes`() throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var random = TableModelTests.Random(state: seed)
        var first: [UInt8]?
        for round in 0..<4 {
            let store = Self.store()
            let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
            var keys = Array(0..<20_000 as Range<UInt64>)
            if round > 0 { keys.shuffle(using: &random) }
            if round == 2 {
                // A longer history that ends in the same rows.
                for key in 0..<30_000 as Range<UInt64> { table[key] = Self.row(key &+ 1) }
                for key in 20_000..<30_000 as Range<UInt64> { table.remove(key) }
            }
            for key in keys { table[key] = Self.row(key) }
            if round == 3 {
                for key in keys where key % 7 == 0 { table.remove(key) }
                for key in keys where key % 7 == 0 { table[key] = Self.row(key) }
            }
            let bytes = try store.cut().write(to: ByteArraySink()).bytes
            #expect(first == nil || first == bytes)
            first = bytes
        }
    }

    @Test func `a cut does not see what is written after it`() throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var random = TableModelTests.Random(state: seed)
        let store = Self.store(2)
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        var model: [UInt64: SampleRow] = [:]
        var held: [(Cut, [UInt64: SampleRow])] = []
        for step in 0..<30_000 {
            let key = UInt64.random(in: 0..<1_500, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0..<2:
                var row = Self.row(random.next())
                row.token = TableModelTests.string(&random)
                table[key] = row
                model[key] = row
            case 2:
                table.remove(key)
                model[key] = nil
            default:
                table.update(key) { $0.visits += 1 }
                model[key]?.visits += 1
            }
            if step % 1_500 == 1_499 { held.append((store.cut(), model)) }
            if held.count > 4 {
                let (cut, expected) = held.remove(at: Int.random(in: 0..<5, using: &random))
                let bytes = try cut.write(to: ByteArraySink()).bytes
                cut.close()
                let (_, back) = try Self.restore(bytes)
                #expect(back.count == expected.count)
                for (key, row) in expected { #expect(back[key] == row) }
            }
        }
        for (cut, _) in held { cut.close() }
        #expect(store.memoryUse.retained == 0)
    }

    @Test func `values of any size come back`() throws {
        let store = Self.store()
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        var rows: [UInt64: SampleRow] = [:]
        for (index, size) in [
            0, 1, 1_023, 1_024, 1_025, 4_000, 65_535, 65_536, 65_537, 1 << 20, (1 << 20) + 1,
            5_000_000,
        ].enumerated() {
            let text = String(repeating: "é", count: size / 2) + (size % 2 == 1 ? "x" : "")
            rows[UInt64(index)] = SampleRow(
                user: 1, token: text, visits: 0, note: index % 2 == 0 ? text : "short")
        }
        for (key, row) in rows { table[key] = row }
        for key in 0..<300 as Range<UInt64> {
            table[key + 100] = SampleRow(
                user: key, token: String(repeating: "t", count: 3_000), visits: 0, note: nil)
        }
        let bytes = try store.cut().write(to: ByteArraySink()).bytes
        let (_, back) = try Self.restore(bytes)
        #expect(back.count == rows.count + 300)
        for (key, row) in rows { #expect(back[key] == row) }
        #expect(back[150]?.token.utf8.count == 3_000)
        table.update(11) { $0.visits = 9 }
        #expect(table[11]?.token == rows[11]?.token)
        table.update(11) { $0.token = "gone" }
        #expect(table[11]?.token == "gone")
    }

    @Test func `a text of 64 MiB comes back, and a write beside it copies a page only`() throws {
        let store = Self.store()
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        var row = Self.row(1)
        row.token = String(repeating: "0123456789abcdef", count: 4 << 20)
        table[1] = row
        let cut = store.cut()
        table.update(1) { $0.visits += 1 }
        #expect(store.memoryUse.retained <= 65_536)
        let (_, back) = try Self.restore(try cut.write(to: ByteArraySink()).bytes)
        cut.close()
        #expect(back[1]?.token == row.token)
        #expect(back[1]?.visits == row.visits)
        #expect(table[1]?.visits == row.visits + 1)
        #expect(table[1]?.token.utf8.count == 64 << 20)
    }

    @Test func `a restorer that has failed stays failed`() throws {
        let source = Store()
        let table = try source.table("sample", key: UInt64.self, row: SampleRow.self)
        for key in 0..<1_000 as Range<UInt64> {
            table[key] = SampleRow(user: key, token: "t", visits: 0, note: nil)
        }
        let bytes = try source.cut().write(to: ByteArraySink()).bytes
        // Rows are there: the metadata is refused. A row is set meanwhile: a chunk is.
        for setsEarly in [true, false] {
            let store = Store()
            let copy = try store.table("sample", key: UInt64.self, row: SampleRow.self)
            func disturb() {
                for key in 0..<1_000 as Range<UInt64> {
                    copy[key] = SampleRow(user: key, token: "", visits: 0, note: nil)
                }
            }
            if setsEarly { disturb() }
            var restorer = StreamRestorer(into: store)
            var errors = 0
            var isDisturbed = false
            for start in stride(from: 0, to: bytes.count, by: 50) {
                do {
                    try restorer.push(Array(bytes[start..<min(bytes.count, start + 50)]))
                } catch {
                    errors += 1
                }
                if restorer.metadata != nil, !isDisturbed {
                    isDisturbed = true
                    disturb()
                }
            }
            #expect(errors > 1)
            #expect(throws: SnapshotError<Never>.self) { try restorer.finish() }
        }
    }

    @Test func `names that look the same are two when their bytes are`() throws {
        let store = Store()
        let composed = try store.table("caf\u{E9}", key: UInt64.self, row: SampleRow.self)
        let decomposed = try store.table("cafe\u{301}", key: UInt64.self, row: SampleRow.self)
        composed[1] = SampleRow(user: 1, token: "", visits: 0, note: nil)
        #expect(decomposed.count == 0)
        let copy = Store()
        var restorer = StreamRestorer(into: copy)
        try restorer.push(store.cut().write(to: ByteArraySink()).bytes)
        try restorer.finish()
        #expect(copy.rowCount(of: "caf\u{E9}") == 1 && copy.rowCount(of: "cafe\u{301}") == 0)
    }

    @Test func `a cut that keeps too much is cancelled and the store goes on`() throws {
        var configuration = Store.Configuration()
        configuration.retainedByteLimit = 200_000
        let store = Store(configuration)
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        for i in 0..<20_000 as Range<UInt64> { table[i] = Self.row(i) }
        let cut = store.cut()
        for i in 0..<20_000 as Range<UInt64> { table.update(i) { $0.visits += 1 } }
        #expect(cut.isCancelled)
        #expect(throws: (any Error).self) { try cut.write(to: ByteArraySink()) }
        #expect(store.memoryUse.retained < 400_000)
        cut.close()
        #expect(store.memoryUse.retained == 0)
        #expect(table[7]?.visits == Self.row(7).visits + 1)
    }
}
