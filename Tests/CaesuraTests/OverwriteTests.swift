import Foundation
import Testing

@testable import Caesura

/// Values that take the place of others in a page, without more of its heap.
@Suite struct OverwriteTests {
    /// Where the heap of the page ends that the first row of a table of one partition lies in.
    func heapTop<Key, Row>(_ table: Table<Key, Row>) -> UInt32 {
        unsafe table.core.partition(0).pointee.root.page.header.pointee.heapTop
    }

    func table<Row: SchemaStruct>(
        of row: Row.Type, _ store: Store = SnapshotTests.store(0)
    ) throws -> Table<UInt64, Row> {
        try store.table("rows", key: UInt64.self, row: row)
    }

    @Test func `a field takes no more of the heap for a value that is not longer`() throws {
        let table = try table(of: SampleRow.self)
        table[1] = SampleRow(user: 1, token: "0123456789", visits: 0, note: "note")
        table[2] = SampleRow(user: 2, token: "neighbour", visits: 0, note: "other")
        let top = heapTop(table)
        for token in ["abcdefghij", "98765432", "", "", "x"] {
            if token == "x" {
                // Grown again: it takes one byte of new space.
                table.update(1) { $0.token = token }
                #expect(heapTop(table) == top + 1)
            } else {
                table.update(1) { $0.token = token }
                #expect(heapTop(table) == top)
            }
            #expect(table[1]?.token == token)
        }
        table.update(1) { $0.note = "ETON" }
        #expect(heapTop(table) == top + 1)
        #expect(table[1] == SampleRow(user: 1, token: "x", visits: 0, note: "ETON"))
        table.update(1) { $0.note = nil }
        table.update(1) { $0.note = "note" }
        #expect(heapTop(table) == top + 1 + 4)
        #expect(table[2] == SampleRow(user: 2, token: "neighbour", visits: 0, note: "other"))
    }

    @Test func `a row takes no more of the heap than its longer values`() throws {
        let table = try table(of: Visit.self)
        var row = Visit(7, token: "token 1")
        table[1] = row
        let top = heapTop(table)
        row.token = "token 2"
        row.digest = [7, 6, 5, 4, 3, 2, 1]
        row.scores = [2.5, 3.5]
        row.isFirst = nil
        row.status = .blocked
        row.moved = Address(city: "OTHER 7", isBilling: true)
        table[1] = row
        #expect(heapTop(table) == top)
        #expect(table[1] == row)
        row.token = "longer token"
        row.moved = nil
        table[1] = row
        #expect(heapTop(table) == top + 12)
        #expect(table[1] == row)
    }

    @Test func `a value outside the page leaves its place to the next one outside`() throws {
        let table = try table(of: Visit.self)
        let tokens = (0..<4).map { String(repeating: "\($0)", count: 2_000 + 300_000 * $0) }
        table[1] = Visit(7, token: tokens[0])
        let top = heapTop(table)
        for token in tokens.reversed() {
            table.update(1) { $0.token = token }
            #expect(table[1]?.token == token)
            table[1] = Visit(7, token: tokens[2])
            #expect(table[1]?.token == tokens[2])
        }
        #expect(heapTop(table) == top)
        table.update(1) { $0.token = "inside" }
        #expect(heapTop(table) == top + 6)
        #expect(table[1]?.token == "inside")
    }

    @Test func `what a cut sees is not overwritten`() throws {
        let store = SnapshotTests.store(0)
        let table = try table(of: Visit.self, store)
        let large = String(repeating: "large ", count: 1_000)
        let rows = [1: Visit(7, token: "token"), 2: Visit(8, token: large)] as [UInt64: Visit]
        for (key, row) in rows { table[key] = row }
        let cut = store.cut()
        let bytes = try cut.write(to: ByteArraySink()).bytes
        for round in 0..<3 {
            for key in rows.keys {
                table.update(key) {
                    $0.token = key == 1 ? "TOKE\(round)" : large.uppercased()
                    $0.digest = Array(repeating: 9, count: $0.digest.count)
                }
                table[key] = table[key]
            }
        }
        #expect(table[1]?.token == "TOKE2")
        #expect(table[2]?.token == large.uppercased())
        for (key, row) in rows {
            #expect(try cut.read(key, in: table) { $0.token } == row.token)
            #expect(try cut.read(key, in: table) { $0.digest } == row.digest)
        }
        #expect(try cut.write(to: ByteArraySink()).bytes == bytes)
    }

    @Test func `cuts stay what they were while values change their lengths`() throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var random = TableModelTests.Random(state: seed)
        let store = SnapshotTests.store(1)
        let table = try table(of: SampleRow.self, store)
        var model: [UInt64: SampleRow] = [:]
        var cuts: [(cut: Cut, model: [UInt64: SampleRow])] = []
        for step in 0..<12_000 {
            let key = UInt64.random(in: 0..<200, using: &random)
            let token = TableModelTests.string(&random)
            let note = Bool.random(using: &random) ? TableModelTests.string(&random) : nil
            if model[key] == nil || step % 3 == 0 {
                let row = SampleRow(user: key, token: token, visits: 1, note: note)
                table[key] = row
                model[key] = row
            } else {
                table.update(key) {
                    $0.token = token
                    $0.note = note
                }
                model[key]?.token = token
                model[key]?.note = note
            }
            guard step % 1_000 == 999 else { continue }
            cuts.append((store.cut(), model))
            if cuts.count > 3 { cuts.removeFirst().cut.close() }
            for (cut, model) in cuts {
                var seen = 0
                try cut.forEach(in: table) { key, row in
                    seen += 1
                    #expect(row.token == model[key]?.token && row.note == model[key]?.note)
                }
                #expect(seen == model.count)
            }
        }
        for (key, row) in model { #expect(table[key] == row) }
    }
}
