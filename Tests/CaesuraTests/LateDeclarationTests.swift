import CaesuraFormat
import Foundation
import Testing

@testable import Caesura

/// A field of each type there is, optional and not, in an order that no layout would choose.
@Schema("every")
struct EveryType: Equatable {
    @Field(1) var bool: Bool
    @Field(2) var int128: Int128
    @Field(3) var maybeInt8: Int8?
    @Field(4) var text: String
    @Field(5) var uint64: UInt64
    @Field(6) var maybeText: String?
    @Field(7) var int16: Int16
    @Field(8) var uuid: UUID
    @Field(9) var maybeUUID: UUID?
    @Field(10) var float16: Float16
    @Field(11) var maybeInt64: Int64?
    @Field(12) var bytes: [UInt8]
    @Field(13) var uint8: UInt8
    @Field(14) var status: Status
    @Field(15) var float: Float
    @Field(16) var address: Address
    @Field(17) var maybeAddress: Address?
    @Field(18) var double: Double
    @Field(19) var int8: Int8
    @Field(20) var maybeStatus: Status?
    @Field(21) var scores: [Double]?
    @Field(22) var uint128: UInt128
    @Field(23) var uint16: UInt16
    @Field(24) var maybeBool: Bool?
    @Field(25) var seen: Timestamp
    @Field(26) var int32: Int32
    @Field(27) var wide: Wide
    @Field(28) var maybeWide: Wide?
    @Field(29) var uint32: UInt32
    @Field(30) var maybeInt128: Int128?
    @Field(31) var int64: Int64
    @Field(32) var mode: Mode
    @Field(33) var times: [Timestamp]
    @Field(34) var maybeSeen: Timestamp?
    @Field(35) var maybeFloat16: Float16?

    init() {
        bool = true
        int128 = -7
        maybeInt8 = nil
        text = "text"
        uint64 = 9
        maybeText = "maybe"
        int16 = -3
        uuid = UUID()
        maybeUUID = UUID()
        float16 = 1.5
        maybeInt64 = 1
        bytes = [1, 2, 3]
        uint8 = 200
        status = .blocked
        float = 0.25
        address = Address(city: "city", isBilling: true)
        maybeAddress = Address(city: "other")
        double = 0.5
        int8 = -1
        maybeStatus = .active
        scores = [1, 2]
        uint128 = 1 << 100
        uint16 = 16
        maybeBool = false
        seen = Timestamp(microseconds: 5)
        int32 = 32
        wide = Wide()
        maybeWide = Wide()
        uint32 = 33
        maybeInt128 = 2
        int64 = -64
        mode = .slow
        times = [Timestamp(microseconds: 1)]
        maybeSeen = nil
        maybeFloat16 = 2
    }
}

@Schema("wide")
struct Wide: Equatable {
    @Field(1) var small: UInt8 = 1
    @Field(2) var large: Int128 = 2
    @Field(3) var note: String? = "note"
}

enum Mode: String, SchemaEnum { case fast, slow }

typealias Cents = Int64

/// A row whose memory looks different from what its schema tells: a macro does not see what `Cents` is.
@Schema("sale")
struct Sale: Equatable {
    @Field(1) var shop: UInt8
    @Field(2) var count: UInt32
    @Field(3) var price: Cents
    @Field(4) var note: String?
    @Field(5) var item: String

    init(_ seed: UInt64) {
        shop = UInt8(truncatingIfNeeded: seed)
        price = Cents(seed) * 100
        note = seed % 3 == 0 ? nil : String(repeating: "n", count: seed % 50 == 1 ? 3_000 : 4)
        item = String(repeating: "i", count: seed % 400 == 0 ? 300_000 : Int(seed % 30))
        count = UInt32(seed)
    }
}

/// The same schema with the types' own names.
@Schema("sale")
struct PlainSale: Equatable {
    @Field(1) var shop: UInt8
    @Field(2) var count: UInt32
    @Field(3) var price: Int64
    @Field(4) var note: String?
    @Field(5) var item: String
}

/// Tables whose Swift types come after their rows.
@Suite struct LateDeclarationTests {
    static let count: UInt64 = 3_000

    /// A stream of sales and a store that it was restored into without a declaration.
    static func restoredSales() throws -> (store: Store, bytes: [UInt8]) {
        let source = SnapshotTests.store()
        let table = try source.table("sales", key: UInt64.self, row: Sale.self)
        for key in 0..<count { table[key] = Sale(key) }
        let bytes = try source.cut().write(to: ByteArraySink()).bytes
        return (try restored(bytes), bytes)
    }

    static func restored(_ bytes: [UInt8]) throws -> Store {
        let store = Store()
        var restorer = StreamRestorer(into: store)
        try restorer.push(bytes)
        try restorer.finish()
        return store
    }

    private func layouts<Key: TableKey, Row: SchemaStruct>(
        _ key: Key.Type, _ row: Row.Type
    ) throws -> (schema: RowLayout, types: RowLayout) {
        let table = try Store().table("table", key: key, row: row)
        return (RowLayout(region: table.schema), RowLayout(key: key, row: row))
    }

    private func expectOneLayout<Key: TableKey, Row: SchemaStruct>(
        _ key: Key.Type, _ row: Row.Type
    ) throws {
        let layouts = try layouts(key, row)
        #expect(layouts.schema.matches(layouts.types), "\(key), \(row)")
    }

    @Test func `a schema has the layout that its types have`() throws {
        try expectOneLayout(UInt64.self, EveryType.self)
        try expectOneLayout(UInt8.self, EveryType.self)
        try expectOneLayout(Int128?.self, EveryType.self)
        try expectOneLayout(Place.self, Visit.self)
        try expectOneLayout(PeerBox.self, Wide.self)
        try expectOneLayout(UUID.self, Address.self)
        try expectOneLayout(String.self, PlainSale.self)
        try expectOneLayout(Bool.self, WideRow.self)
        try expectOneLayout([UInt32].self, SampleRow.self)
        // What the other tests here rest on.
        let sales = try layouts(UInt64.self, Sale.self)
        #expect(!sales.schema.matches(sales.types))
    }

    @Test func `rows of each type are used as they lie`() throws {
        let source = Store()
        let table = try source.table("every", key: Place.self, row: EveryType.self)
        let key = Place(peer: "peer", length: 8)
        table[key] = EveryType()
        let store = try Self.restored(source.cut().write(to: ByteArraySink()).bytes)
        let core = try #require(store.core.table(named: "every"))
        let back = try store.table("every", key: Place.self, row: EveryType.self)
        #expect(back.core === core)
        #expect(back[key] == table[key])
    }

    @Test func `rows of another layout are copied, and an open cut keeps its own`() throws {
        let (store, _) = try Self.restoredSales()
        let cut = store.cut()
        let table = try store.table("sales", key: UInt64.self, row: Sale.self)
        #expect(table.count == Int(Self.count))
        for key in 0..<Self.count { #expect(table[key] == Sale(key)) }
        for key in 0..<Self.count {
            table.update(key) {
                $0.price = 0
                $0.item = "sold"
            }
        }
        for key in 0..<Self.count where key % 2 == 0 { table.remove(key) }
        for key in Self.count..<2 * Self.count { table[key] = Sale(key) }
        let old = try Self.restored(cut.write(to: ByteArraySink()).bytes)
        let before = try old.table("sales", key: UInt64.self, row: Sale.self)
        for key in 0..<Self.count { #expect(before[key] == Sale(key)) }
        cut.close()
        #expect(store.memoryUse.retained == 0)
        #expect(table[1]?.item == "sold")
        #expect(table[Self.count + 1] == Sale(Self.count + 1))
    }

    @Test func `rows of another layout are copied, and an open cut of a part keeps its own`() throws
    {
        let (store, _) = try Self.restoredSales()
        let cut = store.cut(of: .rows(.all))
        func content() throws -> UInt64 {
            let digest = try ContentDigest(of: .rows(.all), at: cut, in: ["sales"])
            while try digest.advance() {}
            return digest.value
        }
        let before = try content()
        let table = try store.table("sales", key: UInt64.self, row: Sale.self)
        for key in 0..<Self.count { table.update(key) { $0.item = "sold" } }
        for key in Self.count..<2 * Self.count { table[key] = Sale(key) }
        #expect(try content() == before)
        cut.close()
        while store.reclaimSome() {}
        #expect(store.memoryUse.retained == 0)
    }

    @Test func `two Swift types of one schema whose memory differs conflict`() throws {
        let (store, _) = try Self.restoredSales()
        let table = try store.table("sales", key: UInt64.self, row: Sale.self)
        #expect(throws: StoreError(.regionConflict, "")) {
            try store.table("sales", key: UInt64.self, row: PlainSale.self)
        }
        // A tool that knows only the schema takes the table as it is.
        try store.declare(table.schema)
        #expect(try store.table("sales", key: UInt64.self, row: Sale.self)[7] == Sale(7))
    }

    @Test func `a declaration that does not know all cases is refused, and another one taken`()
        throws
    {
        for status in NewerStatus.allCases {
            let source = Store()
            let newer = try source.table("accounts", key: UInt64.self, row: NewerAccount.self)
            newer[1] = NewerAccount(status: status)
            let store = try Self.restored(source.cut().write(to: ByteArraySink()).bytes)
            #expect(throws: StoreError(.schemaMismatch, "")) {
                try store.table("accounts", key: UInt64.self, row: Account.self)
            }
            let table = try store.table("accounts", key: UInt64.self, row: NewerAccount.self)
            #expect(table[1]?.status == status)
            #expect(table.schema.row == NewerAccount.schema)
        }
    }

    @Test func `a declaration that would move rows waits for the end of a restore`() throws {
        let (_, bytes) = try Self.restoredSales()
        let store = Store()
        var restorer = StreamRestorer(into: store)
        try restorer.push(Array(bytes[..<(bytes.count / 2)]))
        #expect(throws: StoreError(.regionConflict, "")) {
            try store.table("sales", key: UInt64.self, row: Sale.self)
        }
        try restorer.push(Array(bytes[(bytes.count / 2)...]))
        try restorer.finish()
        let table = try store.table("sales", key: UInt64.self, row: Sale.self)
        #expect(table.count == Int(Self.count))
    }

    @Test func `a cut during the declaration of a table shows all of it`() throws {
        let (store, _) = try Self.restoredSales()
        let running = ConcurrencyTests.Running(1)
        try onThreads(
            {
                defer { running.done() }
                let table = try store.table("sales", key: UInt64.self, row: Sale.self)
                for key in 0..<Self.count { table.update(key) { $0.count += 1 } }
            },
            {
                while !running.isNone {
                    let cut = store.cut()
                    #expect(cut.rowCount(of: "sales") == Int(Self.count))
                    let copy = try Self.restored(cut.write(to: ByteArraySink()).bytes)
                    #expect(copy.rowCount(of: "sales") == Int(Self.count))
                    cut.close()
                }
            })
        store.cut().close()
        #expect(store.memoryUse.retained == 0)
    }

    @Test func `rows that become wider go on growing in number`() throws {
        let source = Store()
        let table = try source.table("aliased", key: UInt64.self, row: AliasedRow.self)
        for key in 0..<20_000 as Range<UInt64> { table[key] = AliasedRow(key) }
        let store = Store()
        var restorer = StreamRestorer(into: store)
        try restorer.push(source.cut().write(to: ByteArraySink()).bytes)
        try restorer.finish()
        let typed = try store.table("aliased", key: UInt64.self, row: AliasedRow.self)
        for key in 20_000..<40_000 as Range<UInt64> { typed[key] = AliasedRow(key) }
        #expect(typed.count == 40_000)
        let isWhole = (0..<40_000 as Range<UInt64>).allSatisfy { typed[$0] == AliasedRow($0) }
        #expect(isWhole)
    }
}
