import CaesuraFormat
import Testing

@testable import Caesura

@Suite struct LogTests {
    typealias Random = TableModelTests.Random

    static func restore(_ bytes: [UInt8], piece: Int = .max, into store: Store) throws {
        try RegionModelTests.restore(bytes, piece: piece, into: store)
    }

    static func bytes(of store: Store) throws -> [UInt8] {
        let cut = store.cut()
        defer { cut.close() }
        return try cut.write(to: ByteArraySink()).bytes
    }

    // MARK: The directory

    @Test func `the directory finds each page of each height, and forgets each once`() throws {
        let pool = PagePool()
        var random = Random(state: 5)
        // Pages that nobody reads: the directory only keeps their addresses.
        func page(_ index: Int) -> Page {
            unsafe Page(base: UnsafeMutableRawPointer(bitPattern: (index + 1) * 64)!)
        }
        func index(_ page: Page) -> Int { unsafe Int(bitPattern: page.base) / 64 - 1 }
        var extent = LogExtent()
        extent.head = 100
        extent.end = 100
        var firsts: [UInt64] = []
        let inUse = pool.statistics.inUse
        var forgotten = 0
        func forget(before position: UInt64, keepsTail: Bool) {
            let old = extent
            extent.forget(before: position, keepsTail: keepsTail)
            old.forEachForgotten(
                in: extent,
                page: { page in
                    #expect(index(page) == forgotten)
                    forgotten += 1
                },
                node: { node in
                    unsafe pool.free(
                        node.base, byteCount: Retirable.byteCount(of: node.base))
                })
        }
        for count in 0..<300_000 {
            extent.append(page(count), at: extent.end, pool: pool)
            firsts.append(extent.end)
            extent.end += UInt64.random(in: 1...3, using: &random)
            if count % 6_007 == 0 || count == 512 || count == 262_144 {
                for _ in 0..<50 {
                    let position = UInt64.random(in: extent.head..<extent.end, using: &random)
                    let place = extent.place(of: position)
                    #expect(index(place.page) == place.ordinal)
                    #expect(firsts[place.ordinal] == place.first && place.first <= position)
                    #expect(
                        place.ordinal == count || firsts[place.ordinal + 1] > position)
                    #expect(index(extent.page(place.ordinal).page) == place.ordinal)
                }
            }
            if count % 20_011 == 20_000 {
                let span = extent.end - extent.head
                let position = extent.head + UInt64.random(in: 0..<span / 2, using: &random)
                forget(before: position, keepsTail: true)
                #expect(forgotten == extent.pages.lowerBound)
            }
        }
        forget(before: extent.end, keepsTail: true)
        #expect(extent.pages == 299_999..<300_000)
        forget(before: extent.end, keepsTail: false)
        #expect(forgotten == 300_000 && extent.pages.isEmpty)
        #expect(pool.statistics.inUse == inUse)
    }

    // MARK: Rows

    @Test func `rows of every type come back, also from cuts and restores`() throws {
        let store = Store()
        let log = try store.log("every", row: EveryType.self)
        let rows = (0..<300).map { index in
            var row = EveryType()
            row.int32 = Int32(index)
            row.text = String(repeating: "t", count: index * 7 % 2_000)
            return row
        }
        for row in rows { log.append(row) }
        let other = Store()
        let back = try other.log("every", row: EveryType.self)
        try Self.restore(Self.bytes(of: store), into: other)
        for (index, row) in rows.enumerated() {
            #expect(log[UInt64(index)] == row)
            #expect(back[UInt64(index)] == row)
            #expect(back.read(UInt64(index)) { $0.text } == row.text)
        }
        #expect(log[300] == nil && log[.max] == nil)
        #expect(log.read(300) { $0.int32 } == nil)
    }

    @Test func `wide rows and rows of many strings have room`() throws {
        let store = Store()
        let log = try store.log("wide", row: WideRow.self)
        var rows: [WideRow] = []
        for size in [0, 5, 900, 1_024, 1_025, 70_000] {
            for _ in 0..<20 { rows.append(WideRow(repeating: String(repeating: "w", count: size))) }
        }
        for row in rows { log.append(row) }
        log.append(contentsOf: rows)
        for (index, row) in (rows + rows).enumerated() { #expect(log[UInt64(index)] == row) }
        let other = Store()
        try Self.restore(Self.bytes(of: store), into: other)
        let back = try other.log("wide", row: WideRow.self)
        for (index, row) in (rows + rows).enumerated() { #expect(back[UInt64(index)] == row) }
    }

    @Test func `an append of no rows changes nothing`() throws {
        let log = try Store().log("log", row: SampleRow.self)
        #expect(log.append(contentsOf: []) == 0..<0)
        #expect(log.positions == 0..<0)
        log.trim(before: 9)
        #expect(log.positions == 0..<0)
    }

    // MARK: Trimming

    @Test func `what was trimmed is freed, with its large values, when no cut sees it`() throws {
        let store = Store()
        let log = try store.log("log", row: SampleRow.self)
        let empty = store.memoryUse.inUse
        let large = String(repeating: "l", count: 200_000)
        func fill() {
            for index in 0..<2_000 as Range<UInt64> {
                var row = SnapshotTests.row(index)
                if index % 100 == 0 { row.token = large }
                log.append(row)
            }
        }
        fill()
        log.trim(before: 1_990)
        // The page with the last rows, and one node.
        #expect(store.memoryUse.inUse - empty < 40_000)
        #expect(store.memoryUse.retained == 0)
        log.trim(before: .max)
        fill()
        let cut = store.cut()
        log.trim(before: .max)
        #expect(store.memoryUse.retained > 4_000_000)
        var count = 0
        try cut.forEach(in: log) { position, row in
            if row.token.utf8.count == large.utf8.count { count += 1 }
        }
        #expect(count == 20)
        // A later cut sees nothing of it.
        store.cut().close()
        #expect(store.memoryUse.retained > 4_000_000)
        cut.close()
        #expect(store.memoryUse.retained == 0)
        #expect(store.memoryUse.inUse - empty < 40_000)
    }

    @Test func `a queue of large values keeps none that were taken out`() throws {
        let store = Store()
        let log = try store.log("queue", row: SampleRow.self)
        let empty = store.memoryUse.inUse
        for index in 0..<500 as Range<UInt64> {
            var row = SnapshotTests.row(index)
            row.token = String(repeating: "q", count: 100_000)
            let position = log.append(row)
            #expect(log[position] == row)
            log.trim(before: position + 1)
            #expect(log.isEmptyOfPages)
        }
        #expect(store.memoryUse.inUse == empty)
    }

    // MARK: Snapshots

    @Test func `chunks of sealed stretches are the same in every later snapshot`() throws {
        let store = SnapshotTests.store(1)
        let log = try store.log("log", row: SampleRow.self)
        let table = try store.table("table", key: UInt64.self, row: SampleRow.self)
        func chunks() throws -> [UInt64: [UInt8]] {
            var chunks: [UInt64: [UInt8]] = [:]
            for chunk in try RegionModelTests.chunks(Self.bytes(of: store))
            where chunk.header.role == .log {
                chunks[chunk.header.range.first] = chunk.bytes
            }
            return chunks
        }
        for index in 0..<20_000 as Range<UInt64> { log.append(SnapshotTests.row(index)) }
        let first = try chunks()
        #expect(first.keys.sorted() == [0, 8_192, 16_384])
        for index in 0..<9_000 as Range<UInt64> {
            log.append(SnapshotTests.row(index))
            table[index] = SnapshotTests.row(index)
        }
        let second = try chunks()
        #expect(second.keys.sorted() == [0, 8_192, 16_384, 24_576])
        #expect(second[0] == first[0] && second[8_192] == first[8_192])
        #expect(second[16_384] != first[16_384])
        log.trim(before: 5_000)
        let third = try chunks()
        #expect(third.keys.sorted() == [5_000, 8_192, 16_384, 24_576])
        for position in [8_192, 16_384, 24_576] as [UInt64] {
            #expect(third[position] == second[position])
        }
    }

    @Test func `a source leaves out the stretches that the receiver keeps`() throws {
        let store = SnapshotTests.store(1)
        let log = try store.log("log", row: SampleRow.self)
        for index in 0..<30_000 as Range<UInt64> { log.append(SnapshotTests.row(index)) }
        log.trim(before: 100)
        let cut = store.cut()
        func positions(keeping kept: Range<UInt64>) throws -> [UInt64] {
            let source = try SnapshotSource(cut, keeping: ["log": kept, "other": 0..<9])
            #expect(source.heads == [100])
            var positions: [UInt64] = []
            while let job = try source.next() { positions.append(job.range.first) }
            return positions
        }
        #expect(try positions(keeping: 0..<0) == [100, 8_192, 16_384, 24_576])
        // The first stretch had rows then that were trimmed since.
        #expect(try positions(keeping: 0..<8_192) == [100, 8_192, 16_384, 24_576])
        #expect(try positions(keeping: 0..<16_384) == [100, 16_384, 24_576])
        #expect(try positions(keeping: 100..<8_192) == [8_192, 16_384, 24_576])
        #expect(try positions(keeping: 101..<16_384) == [100, 16_384, 24_576])
        #expect(try positions(keeping: 8_192..<24_575) == [100, 16_384, 24_576])
        // The last stretch may have had fewer rows.
        #expect(try positions(keeping: 100..<30_000) == [24_576])
    }

    @Test(arguments: [1, 1_000, Int.max])
    func `a log without rows comes back with its positions`(piece: Int) throws {
        let store = SnapshotTests.store(1)
        let log = try store.log("log", row: SampleRow.self)
        let other = try store.log("other", row: SampleRow.self)
        for index in 0..<500 as Range<UInt64> { log.append(SnapshotTests.row(index)) }
        log.trim(before: .max)
        other.append(SnapshotTests.row(1))
        let back = Store()
        try Self.restore(Self.bytes(of: store), piece: piece, into: back)
        let restored = try back.log("log", row: SampleRow.self)
        #expect(restored.positions == 500..<500)
        #expect(restored.append(SnapshotTests.row(7)) == 500)
        #expect(restored[500] == SnapshotTests.row(7))
        #expect(try back.log("other", row: SampleRow.self).positions == 0..<1)
        #expect(try Self.bytes(of: back).count > 0)
    }

    // MARK: Declaring, emptying

    @Test func `rows that came before their Swift type are taken over`() throws {
        let store = SnapshotTests.store(1)
        let log = try store.log("sales", row: Sale.self)
        let rows = (0..<900).map { Sale($0) }
        for row in rows { log.append(row) }
        log.trim(before: 33)
        let bytes = try Self.bytes(of: store)
        let plain = Store()
        try Self.restore(bytes, into: plain)
        let cut = plain.cut()
        // Its memory looks different, so the rows are copied; the cut keeps the old ones.
        let late = try plain.log("sales", row: Sale.self)
        #expect(late.positions == 33..<900)
        for index in 33..<900 { #expect(late[UInt64(index)] == rows[index]) }
        #expect(
            try RegionModelTests.logChunks(cut.write(to: ByteArraySink()).bytes)
                == RegionModelTests.logChunks(bytes))
        cut.close()
        #expect(plain.memoryUse.retained == 0)
        late.append(rows[0])
        #expect(late[900] == rows[0])
        let same = Store()
        try Self.restore(bytes, into: same)
        let asWritten = try same.log("sales", row: PlainSale.self)
        #expect(asWritten.positions == 33..<900)
        #expect(asWritten[34]?.price == rows[34].price)
        #expect(throws: StoreError(.regionConflict, "")) {
            try same.log("sales", row: Sale.self)
        }
    }

    @Test func `a name is that of one region, whatever its kind`() throws {
        let store = Store()
        _ = try store.log("log", row: SampleRow.self)
        _ = try store.table("table", key: UInt64.self, row: SampleRow.self)
        _ = try store.cell("cell", initial: Counters())
        #expect(try store.log("log", row: SampleRow.self).count == 0)
        #expect(throws: StoreError(.regionConflict, "")) {
            try store.log("table", row: SampleRow.self)
        }
        #expect(throws: StoreError(.regionConflict, "")) {
            try store.log("cell", row: Counters.self)
        }
        #expect(throws: StoreError(.regionConflict, "")) {
            try store.table("log", key: UInt64.self, row: SampleRow.self)
        }
        #expect(throws: StoreError(.regionConflict, "")) {
            try store.cell("log", initial: Counters())
        }
        #expect(throws: StoreError(.regionConflict, "")) {
            try store.cell("table", initial: Counters())
        }
        #expect(store.regions.map(\.name) == ["cell", "log", "table"])
        #expect(store.rowCount(of: "log") == 0)
    }

    @Test func `a store that is emptied gives no position twice`() throws {
        let store = Store()
        let log = try store.log("log", row: SampleRow.self)
        log.append(contentsOf: (0..<100).map { SnapshotTests.row($0) })
        let cut = store.cut()
        store.removeAll()
        #expect(log.positions == 100..<100)
        #expect(log.append(SnapshotTests.row(5)) == 100)
        #expect(try cut.read(99, in: log) { $0.user } == 99)
        #expect(try cut.positions(of: log) == 0..<100)
        cut.close()
        #expect(store.memoryUse.retained == 0)
    }

    // MARK: Restoring what is wrong

    static func chunk(
        _ rows: [UInt64], at position: UInt64, sequence: UInt64 = 0
    ) throws -> [UInt8] {
        let store = SnapshotTests.store(1)
        let log = try store.log("log", row: SampleRow.self)
        unsafe log.core.body.pointee.begin(at: position)
        for row in rows { log.append(SnapshotTests.row(row)) }
        return try RegionModelTests.chunks(bytes(of: store))[0].bytes
    }

    static func applier(_ store: Store) throws -> ChunkApplier {
        let schema = RegionSchema(name: "log", kind: .log, key: nil, row: SampleRow.schema)
        return try ChunkApplier(
            store,
            metadata: StreamMetadata(
                epoch: 9, hashKey: HashKey(k0: 1, k1: 2), partitionBits: 1, regions: [schema]))
    }

    static func apply(_ chunk: [UInt8], _ applier: ChunkApplier) throws {
        try unsafe chunk.withUnsafeBytes { bytes in
            try unsafe applier.apply(
                VerifiedChunk(verifying: bytes), with: ChunkApplier.Worker(for: applier))
        }
    }

    @Test func `chunks of a log that leave rows out or repeat them are refused`() throws {
        let store = Store()
        let log = try store.log("log", row: SampleRow.self)
        let applier = try Self.applier(store)
        try Self.apply(Self.chunk([1, 2, 3], at: 40), applier)
        for position in [0, 39, 40, 42, 44, 8_192, 1 << 63 - 8] as [UInt64] {
            #expect(throws: FormatError(.malformed, "", at: 0)) {
                try Self.apply(Self.chunk([4], at: position), applier)
            }
        }
        try Self.apply(Self.chunk([4], at: 43), applier)
        #expect(log.positions == 40..<44)
        #expect(log[43] == SnapshotTests.row(4))
        try applier.finish(heads: [7])
        #expect(log.positions == 40..<44)
        #expect(throws: (any Error).self) { try Self.apply(Self.chunk([5], at: 44), applier) }
    }

    @Test func `a log at the last positions there are is restored, and then written no more`()
        throws
    {
        let store = Store()
        let log = try store.log("log", row: SampleRow.self)
        let applier = try Self.applier(store)
        let last: UInt64 = 1 << 63 - 2
        try Self.apply(Self.chunk([1, 2], at: last), applier)
        try applier.finish()
        #expect(log.positions == last..<1 << 63)
        #expect(try Self.bytes(of: store).count > 0)
        log.append(SnapshotTests.row(3))
        #expect(log[1 << 63] == SnapshotTests.row(3))
        #expect(throws: SnapshotError<Never>.self) { try Self.bytes(of: store) }
    }

    @Test func `what appends or trims while rows are restored disturbs`() throws {
        for disturb: (Log<SampleRow>) -> Void in [
            { $0.append(SnapshotTests.row(9)) }, { $0.trim(before: .max) },
        ] {
            let store = Store()
            let log = try store.log("log", row: SampleRow.self)
            let applier = try Self.applier(store)
            try Self.apply(Self.chunk([1, 2], at: 0), applier)
            disturb(log)
            let failure = Result { try Self.apply(Self.chunk([3], at: 2), applier) }
            if log.positions == 2..<3 {
                // The positions go on, so the next rows have theirs; but the store is not what was saved.
                #expect(throws: Never.self) { try failure.get() }
                try applier.finish()
                store.adoptAncestor(
                    place: "", epoch: 9, digest: 1, regions: ["log"], isRestored: true)
                #expect(store.ancestor?.isExact == false)
            } else {
                #expect(throws: StoreError(.restoreDisturbed, "")) { try failure.get() }
            }
            applier.abandon()
        }
    }

    @Test func `a log that has rows takes no restore, an emptied one does`() throws {
        let store = Store()
        let log = try store.log("log", row: SampleRow.self)
        log.append(SnapshotTests.row(1))
        #expect(throws: StoreError(.notEmpty, "")) { try Self.applier(store) }
        log.trim(before: 1)
        let applier = try Self.applier(store)
        try Self.apply(Self.chunk([1, 2], at: 40), applier)
        applier.abandon()
        #expect(log.positions == 42..<42)
        let again = try Self.applier(store)
        try Self.apply(Self.chunk([1, 2], at: 3), again)
        try again.finish()
        #expect(log.positions == 3..<5)
        #expect(log[4] == SnapshotTests.row(2))
    }
}

extension Log {
    fileprivate var isEmptyOfPages: Bool { core.extent.pages.isEmpty }
}
