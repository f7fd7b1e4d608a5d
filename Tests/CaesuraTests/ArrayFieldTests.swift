import Caesura
import Foundation
import Testing

@Schema("group")
struct Group: Equatable {
    @Field(1) var members: [UUID]
    @Field(2) var seen: [Timestamp]
    @Field(3) var flags: [Bool]
    @Field(4) var weights: [Float16]
    @Field(5) var totals: [Int128]
    @Field(6) var invited: [UUID]? = nil

    init(_ seed: Int, count: Int) {
        members = (0..<count).map { Self.member(seed, $0) }
        seen = (0..<count).map { Timestamp(microseconds: Int64(seed * $0)) }
        flags = (0..<count).map { $0 % 3 == seed % 3 }
        weights = (0..<count).map { Float16($0 % 100) / 8 }
        totals = (0..<count).map { Int128($0) << 70 - Int128(seed) }
        invited = seed % 2 == 0 ? nil : members.reversed()
    }

    static func member(_ seed: Int, _ index: Int) -> UUID {
        UUID(uuid: (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, UInt8(seed), UInt8(index & 255)))
    }
}

/// Arrays of every kind of scalar as fields, and as keys.
@Suite struct ArrayFieldTests {
    @Test func `arrays of scalars come back from a table and from a snapshot`() throws {
        let store = SnapshotTests.store(1)
        let table = try store.table("groups", key: UInt64.self, row: Group.self)
        var rows: [UInt64: Group] = [:]
        // None, in the page, outside it, and in segments of a stream.
        for (seed, count) in [0, 1, 5, 60, 300, 5_000].enumerated() {
            rows[UInt64(seed)] = Group(seed, count: count)
            table[UInt64(seed)] = rows[UInt64(seed)]
        }
        table.update(2) { $0.members[3] = Group.member(9, 9) }
        rows[2]!.members[3] = Group.member(9, 9)
        let bytes = try store.cut().write(to: ByteArraySink()).bytes
        let restored = Store()
        let back = try restored.table("groups", key: UInt64.self, row: Group.self)
        var restorer = StreamRestorer(into: restored)
        try restorer.push(bytes)
        try restorer.finish()
        for (key, row) in rows {
            #expect(table[key] == row)
            #expect(back[key] == row)
        }
        #expect(back.count == rows.count)
    }

    @Test func `an array of UUIDs is in a schema what it is in the format`() {
        #expect(Group.schema.fields[0].type == .array(.uuid))
        #expect(Group.schema.fields[5].type == .optional(.array(.uuid)))
        let id = Group.member(3, 4)
        #expect(
            [UUID].value(of: [id])
                == .array([.uuid([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 3, 4])]))
    }

    @Schema("list")
    struct List: Equatable {
        @Field(1) var name: String
    }

    @Schema("list", version: 2)
    struct LongerList: Equatable {
        @Field(1) var name: String
        @Field(2, since: 2) var items: [UInt32] = []
        @Field(3, since: 2) var image: [UInt8] = []
        @Field(4, since: 2) var sizes: [Int64] = [1, 2]
    }

    @Test func `an empty array is the default of a field that the data lacks`() throws {
        #expect(
            LongerList.schema.fields.map(\.defaultValue)[1...] == [
                .array([]), .bytes([]), .array([.int(1), .int(2)]),
            ])
        let older = Store()
        try older.table("lists", key: UInt64.self, row: List.self)[1] = List(name: "a")
        let store = Store()
        let lists = try store.table("lists", key: UInt64.self, row: LongerList.self)
        var restorer = StreamRestorer(into: store)
        try restorer.push(older.cut().write(to: ByteArraySink()).bytes)
        try restorer.finish()
        #expect(lists[1] == LongerList(name: "a"))
    }

    @Test func `an array of UUIDs is a key`() throws {
        try KeyTests().check { [Group.member(Int($0 >> 8), Int($0)), Group.member(0, 0)] }
    }
}
