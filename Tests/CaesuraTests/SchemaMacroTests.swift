import Caesura
import Foundation
import Testing

enum Status: UInt8, SchemaEnum { case active = 1, blocked = 2 }

@Schema("address")
struct Address: Equatable {
    @Field(1) var city: String
    @Field(2) var isBilling: Bool = false
}

@Schema("visit", version: 3, retired: [9, "country"])
struct Visit: Equatable {
    @Field(1) var isFirst: Bool?
    @Field(2) let address: Address
    @Field(3) private(set) var note: String?
    @Field(4, .sensitive) var token: String
    @Field(5) var digest: [UInt8]
    @Field(6) var scores: [Double]
    @Field(7) var `default`: Int16
    @Field(8) var session: UUID
    @Field(10, since: 2) var status: Status = .active
    @Field(11, since: 3) var moved: Address?
    @Field(12, since: 3) var seen: Timestamp = Timestamp(microseconds: 0)

    init(_ seed: Int, token: String) {
        isFirst = seed % 3 == 0 ? nil : seed % 2 == 0
        address = Address(city: "city \(seed)", isBilling: seed % 2 == 0)
        note = seed % 4 == 0 ? nil : "note \(seed)"
        self.token = token
        digest = Array(repeating: UInt8(truncatingIfNeeded: seed), count: seed % 40)
        scores = (0..<seed % 5).map { Double($0) / 4 }
        `default` = Int16(truncatingIfNeeded: seed)
        session = UUID()
        moved = seed % 5 == 0 ? nil : Address(city: "other \(seed)")
    }
}

@Schema("place")
struct Place: TableKey {
    @Field(1) var peer: String
    @Field(2) var length: UInt8
}

@Schema("peer")
struct Peer: TableKey {
    @Field(1) var name: String
}

@Schema("peerBox")
struct PeerBox: TableKey {
    @Field(1) var peer: Peer
}

enum NewerStatus: UInt8, SchemaEnum { case active = 1, blocked = 2, deleted = 3 }

@Schema("account")
struct Account: Equatable {
    @Field(1) var status: Status
}

@Schema("account", version: 2)
struct NewerAccount: Equatable {
    @Field(1) var status: NewerStatus
}

/// Types that have the names of the library's own, which the generated code must not mistake.
enum Shadows {
    struct Value: Equatable {}

    @Schema("shadow")
    struct Shadow: Equatable {
        struct Field {}
        enum Schema {}
        @Field(1) var name: String
    }
}

/// What `@Schema` generates, in a table.
struct SchemaMacroTests {
    @Test func `a row comes back as it was set`() throws {
        let table = try Store().table("visits", key: Place.self, row: Visit.self)
        let tokens = ["", "short", String(repeating: "long ", count: 100_000)]
        var rows: [Place: Visit] = [:]
        for seed in 0..<300 {
            let key = Place(peer: "peer \(seed % 7)", length: UInt8(seed / 7))
            rows[key] = Visit(seed, token: tokens[seed % 3])
            table[key] = rows[key]
        }
        #expect(table.count == 300)
        for (key, row) in rows { #expect(table[key] == row) }
    }

    @Test func `a struct of one string is a key`() throws {
        try KeyTests().check { Peer(name: "peer \($0)") }
        try KeyTests().check { PeerBox(peer: Peer(name: "peer \($0)")) }
        try KeyTests().check { Place(peer: "peer \($0)", length: 8) }
    }

    @Test func `cases that the program does not know are refused, whatever the rows have`() throws {
        for status in NewerStatus.allCases {
            let source = Store()
            let newer = try source.table("accounts", key: UInt64.self, row: NewerAccount.self)
            newer[1] = NewerAccount(status: status)
            let bytes = try source.cut().write(to: ByteArraySink()).bytes
            let store = Store()
            let table = try store.table("accounts", key: UInt64.self, row: Account.self)
            var restorer = StreamRestorer(into: store)
            #expect(throws: SnapshotError<Never>.self) { try restorer.push(bytes) }
            #expect(table[1] == nil)
        }
    }

    @Test func `fields are read and written where they lie`() throws {
        let table = try Store().table("visits", key: Place.self, row: Visit.self)
        let key = Place(peer: "10.0.0.1", length: 24)
        var row = Visit(1, token: "token")
        table[key] = row
        table.update(key) {
            $0.isFirst = nil
            $0.token += "s, longer than before"
            $0.digest = [1, 2, 3]
            $0.scores.append(7)
            $0.`default` = -5
            $0.status = .blocked
            $0.moved = Address(city: String(repeating: "x", count: 5_000))
            $0.seen = Timestamp(microseconds: 12)
        }
        row.isFirst = nil
        row.token += "s, longer than before"
        row.digest = [1, 2, 3]
        row.scores.append(7)
        row.`default` = -5
        row.status = .blocked
        row.moved = Address(city: String(repeating: "x", count: 5_000))
        row.seen = Timestamp(microseconds: 12)
        #expect(table[key] == row)
        let read = table.read(key) {
            ($0.isFirst, $0.address, $0.note, $0.status, $0.moved?.city.utf8.count, $0.session)
        }
        #expect(read?.0 == .some(nil))
        #expect(read?.1 == row.address)
        #expect(read?.2 == "note 1")
        #expect(read?.3 == .blocked)
        #expect(read?.4 == 5_000)
        #expect(read?.5 == row.session)
    }

    @Test func `bytes are lent without building the value`() throws {
        let table = try Store().table("visits", key: UInt64.self, row: Visit.self)
        table[1] = Visit(7, token: "token")
        let lent = table.read(1) { row in
            (
                row.withToken { bytes in unsafe bytes.withUnsafeBytes { unsafe Array($0) } },
                row.withDigest { $0.byteCount }
            )
        }
        #expect(lent?.0 == Array("token".utf8))
        #expect(lent?.1 == 7)
    }

    @Test func `the schema says what the struct says`() {
        #expect(Visit.schema.name == "visit")
        #expect(Visit.schema.version == 3)
        #expect(Visit.schema.fields.map(\.number) == [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12])
        #expect(
            Visit.schema.fields.map(\.name) == [
                "isFirst", "address", "note", "token", "digest", "scores", "default", "session",
                "status", "moved", "seen",
            ])
        #expect(Visit.schema.fields[3].flags == .sensitive)
        #expect(Visit.schema.fields[0].defaultValue == .some(.none))
        #expect(Visit.schema.fields[1].defaultValue == nil)
        #expect(Visit.schema.fields[1].type == .structure(Address.schema.fields))
        #expect(Visit.schema.fields[8].defaultValue == .uint(1))
        #expect(Visit.schema.fields[8].since == 2)
        #expect(Visit.schema.fields[10].defaultValue == .int(0))
    }

    @Test func `stored rows have no padding between scalars`() {
        @inline(never) func size<Row: SchemaStruct>(_ row: Row.Type) -> Int {
            MemoryLayout<Row.Stored>.size
        }
        #expect(size(Place.self) == 4 + 1)
        #expect(size(Address.self) == 4 + 1)
        #expect(!Visit.isInline)
    }

    @Test func `names of the library may be taken`() throws {
        let table = try Store().table("shadows", key: UInt64.self, row: Shadows.Shadow.self)
        table[1] = Shadows.Shadow(name: "a")
        #expect(table[1]?.name == "a")
    }
}
