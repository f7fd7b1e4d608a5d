import Caesura
import CaesuraFormat
import CaesuraSchemas
import Testing

/// What a program says of its own schemas.
@Suite struct SchemaRegistryTests {
    @Schema("person")
    struct Person1 {
        @Field(1) var name: String
        @Field(2) var age: String
    }

    @Schema("person", version: 2)
    struct Person2 {
        @Field(1) var name: String
        @Field(2) var age: UInt8
    }

    private static let migration = RowMigration(from: Person1.self, to: Person2.self) { old in
        Person2(name: old.name, age: UInt8(old.age) ?? 0)
    }

    private static func program(_ migrations: [RowMigration]) throws -> Store {
        let store = Store()
        _ = try store.table(
            "people", key: UInt64.self, row: Person2.self, migrations: migrations)
        _ = try store.log("changes", row: Person1.self)
        _ = try store.cell("owner", initial: Person1(name: "a", age: "1"))
        return store
    }

    @Test func `what a program declares comes back, with its migrations, and the same each time`()
        throws
    {
        let store = try Self.program([Self.migration])
        let bytes = SchemaRegistry.bytes(of: store)
        #expect(bytes.first == SchemaRegistry.firstByte)
        #expect(try SchemaRegistry.bytes(of: Self.program([Self.migration])) == bytes)
        let offer = try SchemaRegistry.offer(bytes)
        #expect(offer == store.schemaOffer)
        #expect(offer.regions.map(\.read) == store.regions)
        #expect(offer.regions.map(\.migrations.count) == [0, 0, 1])
    }

    @Test func `what is no whole output of a registry is refused, and crashes nothing`() throws {
        let bytes = try SchemaRegistry.bytes(of: Self.program([Self.migration]))
        for count in 0..<bytes.count {
            #expect(throws: FormatError.self) { try SchemaRegistry.offer(Array(bytes[..<count])) }
        }
        #expect(throws: FormatError.self) { try SchemaRegistry.offer(bytes + [0]) }
        // The acceptance of a negotiation.
        #expect(throws: FormatError.self) {
            try SchemaRegistry.offer([2] + Array(repeating: 0, count: 8))
        }
        for place in bytes.indices {
            for byte in [0, 1, 0x7F, 0x80, 0xFF] as [UInt8] {
                var changed = bytes
                changed[place] = byte
                _ = try? SchemaRegistry.offer(changed)
            }
        }
    }

    @Test func `data that a migration leads on from is read, and without one it is not`() throws {
        let old = Store()
        _ = try old.table("people", key: UInt64.self, row: Person1.self)
        var lock = SchemaLock()
        try lock.add(old.regions)
        func errors(_ migrations: [RowMigration]) throws -> [String] {
            let offer = try SchemaRegistry.offer(
                SchemaRegistry.bytes(of: Self.program(migrations)))
            return SchemaCheck(offer, against: lock).problems
                .filter { $0.severity == .error }.map(\.rule)
        }
        #expect(try errors([]) == ["W4"])
        #expect(try errors([Self.migration]) == [])
        // Nobody reads backwards by code.
        let check = try SchemaCheck(
            Self.program([Self.migration]).schemaOffer, against: lock, rollback: .error)
        #expect(check.problems.filter { $0.severity == .error }.map(\.rule) == ["B4"])
    }
}
