import Caesura
import CaesuraFormat
import Testing

/// One partition that grows to more pages than one node of the directory takes.
@Suite struct DirectoryTests {
    @Test func `each cut of a partition's growth shows what was there`() throws {
        let step: UInt64 = 6_000
        let store = SnapshotTests.store(0)
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        var cuts: [(rows: UInt64, cut: Cut)] = []
        for row in 0..<8 * step {
            table[row] = SnapshotTests.row(row)
            if row % step == step - 1 { cuts.append((row + 1, store.cut())) }
        }
        for row in 0..<8 * step { #expect(table[row] == SnapshotTests.row(row)) }
        for row in 0..<8 * step { table.update(row) { $0.visits = 1 } }
        for (rows, cut) in cuts {
            let bytes = try cut.write(to: ByteArraySink()).bytes
            cut.close()
            let store = SnapshotTests.store(0)
            let back = try store.table("sample", key: UInt64.self, row: SampleRow.self)
            var restorer = StreamRestorer(into: store)
            try restorer.push(bytes)
            try restorer.finish()
            #expect(back.count == Int(rows))
            for row in 0..<rows { #expect(back[row] == SnapshotTests.row(row)) }
            #expect(back[rows] == nil)
            // It grows on from what a restore has built.
            for row in rows..<rows + step { back[row] = SnapshotTests.row(row) }
            for row in 0..<rows + step { #expect(back.remove(row)) }
            #expect(back.count == 0)
        }
    }
}
