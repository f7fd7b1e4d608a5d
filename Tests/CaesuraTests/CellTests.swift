import CaesuraFormat
import Testing

@testable import Caesura

@Suite struct CellTests {
    static let other = Counters(total: 5, label: String(repeating: "x", count: 5_000), last: 9)

    @Test func `a cell has its initial value until another is set`() throws {
        let store = Store()
        let cell = try store.cell("cell", initial: Self.other)
        #expect(cell.value == Self.other)
        cell.update { $0.total += 1 }
        #expect(cell.read { $0.total } == 6)
        #expect(cell.read { $0.last } == 9)
        cell.value = Counters()
        #expect(cell.value == Counters())
        // The first declaration's stays.
        let again = try store.cell("cell", initial: Counters(total: 77))
        #expect(again.value == Counters())
        store.removeAll()
        #expect(cell.value == Self.other)
        #expect(store.rowCount(of: "cell") == 1)
    }

    @Test func `what an update has set before it throws stays set`() throws {
        struct Failure: Error {}
        let cell = try Store().cell("cell", initial: Counters())
        #expect(throws: Failure.self) {
            try cell.update {
                $0.total = 3
                throw Failure()
            }
        }
        #expect(cell.value.total == 3)
    }

    @Test func `a cut keeps the value it saw`() throws {
        let store = Store()
        let cell = try store.cell("cell", initial: Counters())
        let before = store.cut()
        cell.value = Self.other
        let after = store.cut()
        cell.update { $0.label = "later" }
        store.removeAll()
        #expect(try before.read(cell) { $0.label } == "none")
        #expect(try after.read(cell) { $0.label } == Self.other.label)
        #expect(throws: StoreError(.unknownRegion, "")) {
            try before.read(Store().cell("cell", initial: Counters())) { $0.total }
        }
        before.close()
        after.close()
        #expect(store.memoryUse.retained == 0)
    }

    @Test(arguments: [false, true])
    func `a restored value wins over the initial one`(isDeclaredLate: Bool) throws {
        let store = SnapshotTests.store(1)
        try store.cell("cell", initial: Counters()).value = Self.other
        let bytes = try LogTests.bytes(of: store)
        let back = Store()
        if !isDeclaredLate { _ = try back.cell("cell", initial: Counters(total: 1)) }
        try LogTests.restore(bytes, piece: 1, into: back)
        let cell = try back.cell("cell", initial: Counters(total: 1))
        #expect(cell.value == Self.other)
        #expect(back.ancestor?.isExact == true)
        #expect(try LogTests.bytes(of: back).count == bytes.count)
    }

    @Test func `a stream without the cell leaves it its initial value`() throws {
        let bytes = try LogTests.bytes(of: SnapshotTests.store(1))
        let store = Store()
        let cell = try store.cell("cell", initial: Self.other)
        for _ in 0..<9 { store.cut().close() }
        try LogTests.restore(bytes, into: store)
        #expect(cell.value == Self.other)
        #expect(store.ancestor?.isExact == true)
    }

    @Test func `a cell that was written takes no restore, until the store is emptied`() throws {
        let bytes = try LogTests.bytes(of: SnapshotTests.store(1))
        let store = Store()
        let cell = try store.cell("cell", initial: Counters())
        cell.update { $0.total = 0 }
        #expect(throws: SnapshotError<Never>.self) { try LogTests.restore(bytes, into: store) }
        store.removeAll()
        try LogTests.restore(bytes, into: store)
    }

    @Test func `a value that is set while another is restored disturbs`() throws {
        let source = SnapshotTests.store(1)
        let schema = try source.cell("cell", initial: Self.other).schema
        let chunk = try RegionModelTests.chunks(LogTests.bytes(of: source))[0].bytes
        let store = Store()
        let cell = try store.cell("cell", initial: Counters())
        let applier = try ChunkApplier(
            store,
            metadata: StreamMetadata(
                epoch: 9, hashKey: HashKey(k0: 1, k1: 2), partitionBits: 1, regions: [schema]))
        cell.update { $0.total = 8 }
        #expect(throws: StoreError(.restoreDisturbed, "")) { try LogTests.apply(chunk, applier) }
        applier.abandon()
        #expect(cell.value == Counters())
        let again = try ChunkApplier(store, metadata: applier.metadata)
        try LogTests.apply(chunk, again)
        #expect(cell.value == Self.other)
        // A second value.
        #expect(throws: FormatError(.malformed, "", at: 0)) { try LogTests.apply(chunk, again) }
        try again.finish()
        #expect(cell.value == Self.other)
    }

    @Test func `a cell of which only the schema is known has no value, and is not written`() throws
    {
        let schema = try Store().cell("cell", initial: Counters()).schema
        let store = SnapshotTests.store(1)
        try store.declare(schema)
        #expect(store.rowCount(of: "cell") == 0)
        let back = Store()
        try LogTests.restore(LogTests.bytes(of: store), into: back)
        #expect(try back.cell("cell", initial: Self.other).value == Self.other)
        #expect(try store.cell("cell", initial: Self.other).value == Self.other)
    }

    @Test func `a value of another type layout is taken over`() throws {
        let store = SnapshotTests.store(1)
        let cell = try store.cell("sale", initial: Sale(0))
        cell.value = Sale(401)
        let back = Store()
        try LogTests.restore(LogTests.bytes(of: store), into: back)
        #expect(try back.cell("sale", initial: Sale(1)).value == Sale(401))
    }
}
