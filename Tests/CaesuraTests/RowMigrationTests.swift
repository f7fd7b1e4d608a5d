import Caesura
import CaesuraFormat
import Testing

/// Rows that take code to become those of a later version.
@Suite struct RowMigrationTests {
    @Schema("person_key")
    struct Key: TableKey, Hashable {
        @Field(1) var country: String
        @Field(2) var number: UInt32
    }

    @Schema("person")
    struct Person1: Hashable {
        @Field(1) var name: String
        @Field(2) var born: String
    }

    @Schema("person", version: 2)
    struct Person2: Hashable {
        @Field(1) var name: String
        @Field(2) var born: String
        @Field(3, since: 2) var note: String? = nil
    }

    @Schema("person", version: 3, retired: [1, "name", 2, "born"])
    struct Person3: Hashable {
        @Field(3, since: 2) var note: String? = nil
        @Field(4, since: 3) var first: String = ""
        @Field(5, since: 3) var last: String = ""
        @Field(6, since: 3) var year: Int16 = 0
    }

    @Schema("person", version: 4, retired: [1, "name", 2, "born"])
    struct Person4: Hashable {
        @Field(3, since: 2) var note: String? = nil
        @Field(4, since: 3) var first: String = ""
        @Field(5, since: 3) var last: String = ""
        @Field(6, since: 3) var year: Int32 = 0
        @Field(7, since: 4) var visits: UInt8 = 1
    }

    @Schema("person", version: 5, retired: [1, "name", 2, "born", 6, "year"])
    struct Person5: Hashable {
        @Field(3, since: 2) var note: String? = nil
        @Field(4, since: 3) var first: String = ""
        @Field(5, since: 3) var last: String = ""
        @Field(7, since: 4) var visits: UInt8 = 1
        @Field(8, since: 5) var decade: String = ""
    }

    private static let split = RowMigration(from: Person2.self, to: Person3.self) { old in
        let names = old.name.split(separator: " ", maxSplits: 1)
        return Person3(
            note: old.note, first: String(names.first ?? ""), last: String(names.last ?? ""),
            year: Int16(old.born) ?? -1)
    }

    private static let decades = RowMigration(from: Person4.self, to: Person5.self) { old in
        Person5(
            note: old.note, first: old.first, last: old.last, visits: old.visits,
            decade: "\(old.year / 10)x")
    }

    private static func text(_ seed: UInt32, _ name: String) -> String {
        seed % 60 == 9 ? String(repeating: "\(name)\(seed)", count: 20_000) : "\(name)\(seed)"
    }

    private static func person1(_ seed: UInt32) -> Person1 {
        Person1(name: text(seed, "f") + " " + text(seed + 1, "l"), born: "\(1900 + seed % 100)")
    }

    private static func person4(_ seed: UInt32) -> Person4 {
        Person4(
            first: text(seed, "f"), last: text(seed + 1, "l"), year: Int32(1900 + seed % 100),
            visits: 1)
    }

    private static func person5(_ seed: UInt32) -> Person5 {
        Person5(
            first: text(seed, "f"), last: text(seed + 1, "l"), visits: 1,
            decade: "\((1900 + seed % 100) / 10)x")
    }

    private static func key(_ seed: UInt32) -> Key {
        Key(
            country: ["de", "fr", String(repeating: "x", count: 3_000)][Int(seed % 3)], number: seed
        )
    }

    private func bytes(_ count: UInt32) throws -> [UInt8] {
        let store = Store()
        let table = try store.table("people", key: Key.self, row: Person1.self)
        let log = try store.log("log", row: Person1.self)
        let cell = try store.cell("cell", initial: Self.person1(0))
        for seed in 0..<count { table[Self.key(seed)] = Self.person1(seed) }
        log.append(contentsOf: (0..<count).map(Self.person1))
        cell.value = Self.person1(7)
        let cut = store.cut()
        defer { cut.close() }
        return try cut.write(to: ByteArraySink()).bytes
    }

    private func check<Row: SchemaStruct & Hashable>(
        _ initial: Row, _ migrations: [RowMigration], isLate: Bool, _ row: (UInt32) -> Row
    ) throws {
        let store = Store()
        func declare() throws -> (Table<Key, Row>, Log<Row>, Cell<Row>) {
            (
                try store.table("people", key: Key.self, row: Row.self, migrations: migrations),
                try store.log("log", row: Row.self, migrations: migrations),
                try store.cell("cell", initial: initial, migrations: migrations)
            )
        }
        if !isLate { _ = try declare() }
        var restorer = StreamRestorer(into: store)
        try restorer.push(bytes(300))
        try restorer.finish()
        let (table, log, cell) = try declare()
        #expect(table.count == 300 && log.count == 300)
        for seed in 0..<300 as Range<UInt32> {
            #expect(table[Self.key(seed)] == row(seed))
            #expect(log[UInt64(seed)] == row(seed))
        }
        #expect(cell.value == row(7))
        #expect(store.regions.allSatisfy { $0.row == Row.schema })
    }

    @Test(arguments: [false, true])
    func `a migration runs between resolutions`(_ isLate: Bool) throws {
        try check(Person4(), [Self.split], isLate: isLate, Self.person4)
    }

    @Test(arguments: [false, true])
    func `migrations run one after the other, in whatever order they are given`(
        _ isLate: Bool
    ) throws {
        try check(Person5(), [Self.decades, Self.split], isLate: isLate, Self.person5)
    }

    @Test
    func
        `without a migration what is retired is gone, and the message says so where it cannot be read`()
        throws
    {
        // All new fields have defaults, so this is read: the names are skipped.
        try check(Person4(), [], isLate: false) { _ in Person4() }
        let store = Store()
        _ = try store.table("people", key: Key.self, row: Strict.self)
        var restorer = StreamRestorer(into: store)
        let error = #expect(throws: SnapshotError<Never>.self) { try restorer.push(bytes(10)) }
        guard case .store(let refusal)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(refusal.code == .schemaMismatch)
        #expect(
            refusal.message.hasSuffix("or declare the region with a RowMigration from version 1"))
    }

    @Schema("person", version: 2)
    struct Strict: Hashable {
        @Field(1) var name: [UInt8]
        @Field(2) var born: String
    }

    @Test func `rows of the version that a migration leads to are not migrated`() throws {
        let source = Store()
        let old = try source.table("people", key: Key.self, row: Person3.self)
        old[Self.key(1)] = Person3(first: "a", last: "b", year: 3)
        let store = Store()
        let table = try store.table(
            "people", key: Key.self, row: Person4.self,
            migrations: [
                RowMigration(from: Person2.self, to: Person3.self) { _ in
                    Issue.record("a row of version 3 is none of version 2")
                    return Person3()
                }
            ])
        var restorer = StreamRestorer(into: store)
        try restorer.push(source.cut().write(to: ByteArraySink()).bytes)
        try restorer.finish()
        #expect(table[Self.key(1)] == Person4(first: "a", last: "b", year: 3, visits: 1))
    }

    @Test func `a row stream of another version is read`() throws {
        var writer = try RowStreamWriter(name: "people", of: Person1.self, to: ByteArraySink())
        for seed in 0..<300 as Range<UInt32> { try writer.append(Self.person1(seed)) }
        let bytes = try writer.finish().bytes
        var reader = RowStreamReader(of: Person2.self)
        var seed: UInt32 = 0
        try reader.push(bytes) { row in
            let old = Self.person1(seed)
            #expect(row == Person2(name: old.name, born: old.born))
            seed += 1
        }
        try reader.finish()
        #expect(seed == 300)
        // A later version has more, which is left out.
        var newer = try RowStreamWriter(name: "people", of: Person2.self, to: ByteArraySink())
        for seed in 0..<300 as Range<UInt32> {
            let old = Self.person1(seed)
            try newer.append(Person2(name: old.name, born: old.born, note: Self.text(seed, "n")))
        }
        var older = RowStreamReader(of: Person1.self)
        seed = 0
        try older.push(newer.finish().bytes) { row in
            #expect(row == Self.person1(seed))
            seed += 1
        }
        #expect(seed == 300)
    }
}
