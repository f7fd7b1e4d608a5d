import Caesura
import CaesuraFormat
import Testing

/// Fields that go: deprecated, then not written, then gone.
@Suite struct DeprecatedFieldTests {
    @Schema("address", version: 2)
    struct Address: Hashable {
        @Field(1) var city: String
        @Field(2, deprecated: 2) var zip: String = "none"
    }

    @Schema("person", version: 3)
    struct Person: Hashable {
        @Field(1) var name: String
        @Field(2, deprecated: 2, unwritten: 4, gone: 5) var country: String = "nowhere"
        @Field(3, deprecated: 2, unwritten: 3) var age: UInt16?
        @Field(4) var address: DeprecatedFieldTests.Address
        @Field(5, deprecated: 3, unwritten: 3) var note: String = "none"
    }

    /// The same, as it was before anything was to go.
    @Schema("person")
    struct Earlier: Hashable {
        @Field(1) var name: String
        @Field(2) var country: String
        @Field(3) var age: UInt16?
        @Field(4) var address: DeprecatedFieldTests.EarlierAddress
        @Field(5) var note: String
    }

    @Schema("address")
    struct EarlierAddress: Hashable {
        @Field(1) var city: String
        @Field(2) var zip: String
    }

    private static let long = String(repeating: "long ", count: 3_000)

    private static func earlier(_ note: String = "a note") -> Earlier {
        Earlier(
            name: "Ada", country: "England", age: 36,
            address: EarlierAddress(city: "London", zip: "W1"), note: note)
    }

    // Deprecated itself, it may use what is.
    @available(*, deprecated)
    private static func isSame(_ person: Person?, _ old: Earlier) -> Bool {
        person
            == Person(
                name: old.name, country: old.country, age: old.age,
                address: Address(city: old.address.city, zip: old.address.zip), note: old.note)
    }

    private protocol Comparing { static func isSame(_ person: Person?, _ old: Earlier) -> Bool }
    private enum Comparison: Comparing {
        @available(*, deprecated)
        static func isSame(_ person: Person?, _ old: Earlier) -> Bool {
            DeprecatedFieldTests.isSame(person, old)
        }
    }

    /// Whether a person is what a row of before says, without a warning that fields are used.
    private static func isSame(_ person: Person?, as old: Earlier) -> Bool {
        func compare<Type: Comparing>(with type: Type.Type) -> Bool { type.isSame(person, old) }
        return compare(with: Comparison.self)
    }

    @Test(arguments: ["a note", long])
    func `what is not written any more has its default, and what rows have stays`(
        note: String
    ) throws {
        let old = Store()
        try old.table("people", key: UInt64.self, row: Earlier.self)[1] = Self.earlier(note)
        let new = Store()
        let people = try new.table("people", key: UInt64.self, row: Person.self)
        var restorer = StreamRestorer(into: new)
        try restorer.push(old.cut().write(to: ByteArraySink()).bytes)
        try restorer.finish()
        #expect(Self.isSame(people[1], as: Self.earlier(note)))
        people.update(1) { $0.name = "Countess" }
        var row = Self.earlier(note)
        row.name = "Countess"
        #expect(Self.isSame(people[1], as: row))

        // Set anew: what is only deprecated is written, the rest is not.
        people[1] = people[1]
        people[2] = people[1]
        row.age = nil
        row.note = "none"
        #expect(Self.isSame(people[1], as: row))
        #expect(Self.isSame(people[2], as: row))
    }

    @Test func `the schema says when a field goes`() {
        let fields = Person.schema.fields
        #expect(fields.map(\.deprecation?.since) == [nil, 2, 2, nil, 3])
        #expect(fields.map(\.deprecation?.unwritten) == [nil, 4, 3, nil, 3])
        #expect(fields.map(\.deprecation?.gone) == [nil, 5, nil, nil, nil])
        #expect(
            "\(Person.schema)".contains(
                "@Field(2, deprecated: 2, unwritten: 4, gone: 5) var country: string"))
        #expect(
            Person.value(of: Person(name: "A", address: Address(city: "B")))
                == .structure([
                    .string("A"), .string("nowhere"), .none,
                    .structure([.string("B"), .string("none")]), .string("none"),
                ]))
    }
}
