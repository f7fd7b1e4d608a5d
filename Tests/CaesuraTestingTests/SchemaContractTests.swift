import Caesura
import CaesuraFormat
import CaesuraSchemas
import CaesuraTesting
import Testing

/// The contract holds for programs that keep their promises, and names what others break.
@Suite struct SchemaContractTests {
    @Schema("address")
    struct Address1 {
        @Field(1) var city: String
    }

    @Schema("person")
    struct Person1 {
        @Field(1) var name: String
        @Field(2) var age: UInt8
        @Field(3) var country: String
        @Field(4) var address: SchemaContractTests.Address1?
    }

    @Schema("address")
    struct Address2 {
        @Field(1) var city: String
        @Field(2) var zip: String = "?"
    }

    @Schema("person", version: 2, retired: [3, "country"])
    struct Person2 {
        @Field(4) var address: SchemaContractTests.Address2?
        @Field(1, formerly: ["name"]) var fullName: String
        @Field(2) var age: UInt32
        @Field(5, since: 2) var tags: [Int64] = [1, -1]
    }

    @Schema("person", version: 3, retired: [1, "fullName", 3, "country"])
    struct Person3 {
        @Field(4) var address: SchemaContractTests.Address2?
        @Field(2) var age: UInt32
        @Field(5, since: 2) var tags: [Int64] = [1, -1]
        @Field(6, since: 3) var first: String = ""
        @Field(7, since: 3) var last: String = ""
    }

    @Schema("key")
    struct Key: TableKey, Hashable {
        @Field(1) var region: String
        @Field(2) var number: UInt16
        @Field(3) var part: Int32?
    }

    private typealias Declaration = @Sendable (Store) throws -> Void

    private static func declare<Row: SchemaStruct & Sendable>(
        _ row: Row.Type, _ initial: Row, _ migrations: [RowMigration] = []
    ) -> Declaration {
        { store in
            _ = try store.table("people", key: Key.self, row: Row.self, migrations: migrations)
            _ = try store.table("names", key: String.self, row: Row.self, migrations: migrations)
            _ = try store.log("log", row: Row.self, migrations: migrations)
            _ = try store.cell("cell", initial: initial, migrations: migrations)
        }
    }

    private static let first: Declaration = declare(
        Person1.self, Person1(name: "", age: 0, country: "", address: nil))
    private static let second: Declaration = declare(
        Person2.self, Person2(address: nil, fullName: "", age: 0))
    private static func third(_ migrations: [RowMigration]) -> Declaration {
        declare(Person3.self, Person3(address: nil, age: 0), migrations)
    }

    private func lock(_ programs: Declaration...) throws -> SchemaLock {
        var lock = SchemaLock()
        for declare in programs {
            let store = Store()
            try declare(store)
            try lock.add(store.regions)
        }
        return lock
    }

    private static let split = RowMigration(from: Person2.self, to: Person3.self) { old in
        Person3(
            address: old.address, age: old.age, tags: old.tags,
            first: String(old.fullName.prefix { $0 != " " }), last: old.fullName)
    }

    @Test func `programs that keep their promises pass, whatever the rows`() throws {
        for seed in 0..<8 as Range<UInt64> {
            try SchemaContract(lock(Self.first), seed: seed, declare: Self.first).check()
            try SchemaContract(lock(Self.first, Self.second), seed: seed, declare: Self.second)
                .check()
            try SchemaContract(
                lock(Self.first, Self.second), seed: seed, declare: Self.third([Self.split])
            ).check()
        }
    }

    @Test func `a migration that gives another row each time is found`() throws {
        let wrong = RowMigration(from: Person2.self, to: Person3.self) { old in
            Person3(address: nil, age: UInt32.random(in: 0 ... .max))
        }
        let contract = try SchemaContract(
            lock(Self.first, Self.second), declare: Self.third([wrong]))
        let violation = #expect(throws: SchemaContractViolation.self) { try contract.check() }
        #expect(
            violation?.violations.contains {
                $0.hasPrefix("region people, version 2: rows differ when they are read twice")
            } == true)
    }

    @Schema("person", version: 3)
    struct Dropped {
        @Field(1, formerly: ["name"]) var fullName: String
        @Field(4) var address: SchemaContractTests.Address2?
    }

    @Test func `what the lock forbids is found`() throws {
        let contract = try SchemaContract(
            lock(Self.first, Self.second),
            declare: Self.declare(Dropped.self, Dropped(fullName: "", address: nil)))
        let violation = #expect(throws: SchemaContractViolation.self) { try contract.check() }
        #expect(violation?.violations.contains { $0.hasPrefix("W2 people.age") } == true)
        #expect(violation?.description.contains("(seed ") == true)
    }
}
