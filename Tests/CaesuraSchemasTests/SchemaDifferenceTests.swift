import CaesuraFormat
import CaesuraSchemas
import Testing

/// What differs between two schemas, and who reads what.
@Suite struct SchemaDifferenceTests {
    private static let user = SchemaLockTests.user
    private static let note = Field(
        number: 2, name: "note", type: .string, defaultValue: .string(""))

    private static func region(
        _ version: UInt32, _ fields: [Field], retired: [RetiredField] = []
    ) -> RegionSchema {
        SchemaLockTests.region(version, fields, retired: retired)
    }

    private static func status(_ cases: (String, UInt128)..., fallback: String = "") -> FieldType {
        .enumeration(
            raw: .scalar(.uint8),
            cases: cases.map {
                EnumerationCase(name: $0.0, raw: .uint($0.1), isFallback: $0.0 == fallback)
            })
    }

    /// The changes but for the version, a line each.
    private func lines(_ old: RegionSchema, _ new: RegionSchema) -> [String] {
        SchemaDifference(from: old, to: new).changes.filter { $0.kind != .version }.map { change in
            let place = [change.field, change.number.map { "(\($0))" }].compactMap(\.self)
            let values = [change.old, change.new].map { $0 ?? "none" }.joined(separator: " -> ")
            return ([change.kind.rawValue] + place).joined(separator: " ") + ": " + values
        }
    }

    /// The changes where one field becomes another.
    private func lines(_ old: Field, _ new: Field) -> [String] {
        lines(Self.region(1, [old]), Self.region(2, [new]))
    }

    @Test func `the same schemas do not differ, and read each other`() {
        let schema = Self.region(1, [Self.user])
        let difference = SchemaDifference(from: schema, to: schema)
        #expect(difference.isEmpty)
        #expect(difference.changes.isEmpty)
        #expect(difference.newReadsOld?.isRead == true)
        #expect(difference.oldReadsNew?.isRead == true)
        #expect(difference.oldReadsNew?.kept == [])
    }

    @Test func `fields that come and go are told with their numbers`() {
        let (first, second) = (Self.region(1, [Self.user, Self.note]), Self.region(2, [Self.user]))
        #expect(lines(second, first) == ["added note (2): none -> string = \"\""])
        #expect(lines(first, second) == ["dropped note (2): string = \"\" -> none"])
        for retired in [[2], ["note"], [2, "note"]] as [[RetiredField]] {
            let third = Self.region(2, [Self.user], retired: retired)
            #expect(lines(first, third) == ["retired note (2): string = \"\" -> none"])
        }
        #expect(
            lines(second, Self.region(3, [Self.user], retired: [9, "old"]))
                == ["retired (9): none -> number 9", "retired: none -> the name old"])
        #expect(
            lines(Self.region(1, [Self.user], retired: [2]), first)
                == ["added note (2): none -> string = \"\"", "revived (2): number 2 -> none"])
    }

    @Test func `each property of a field is told when it changes`() {
        func changed(_ change: (inout Field) -> Void) -> [String] {
            var field = Self.note
            change(&field)
            return lines(Self.note, field)
        }
        #expect(changed { $0.name = "remark" } == ["renamed remark (2): note -> remark"])
        #expect(changed { $0.type = .bytes } == ["type note (2): string -> bytes"])
        #expect(changed { $0.type = .optional(.string) } == ["type note (2): string -> string?"])
        #expect(changed { $0.defaultValue = nil } == ["default note (2): \"\" -> none"])
        #expect(changed { $0.defaultValue = .string("x") } == ["default note (2): \"\" -> \"x\""])
        #expect(changed { $0.since = 2 } == ["since note (2): 1 -> 2"])
        #expect(changed { $0.flags = .sensitive } == ["sensitive note (2): none -> sensitive"])
        #expect(changed { $0.formerNames = ["b", "a"] } == ["formerly note (2): none -> a, b"])
        #expect(
            changed { $0.deprecation = .init(since: 2, unwritten: 3, gone: 5) }
                == ["deprecated note (2): none -> since 2, unwritten 3, gone 5"])
    }

    @Test func `the order counts only of fields that both have`() {
        let last = Field(number: 3, name: "last", type: .bytes)
        let (first, turned) = ([Self.user, Self.note], [Self.note, Self.user])
        #expect(
            lines(Self.region(1, first), Self.region(2, turned))
                == ["order: user, note -> note, user"])
        #expect(
            lines(Self.region(1, first), Self.region(2, [last] + first))
                == ["added last (3): none -> bytes"])
    }

    @Test func `cases of enumerations are compared by their raw values`() {
        func lines(_ old: FieldType, _ new: FieldType) -> [String] {
            self.lines(
                Field(number: 4, name: "status", type: old),
                Field(number: 4, name: "status", type: new))
        }
        let old = Self.status(("open", 0), ("paid", 1))
        #expect(
            lines(old, Self.status(("open", 0), ("paid", 1), ("sent", 2)))
                == ["caseAdded status (4): none -> sent = 2"])
        #expect(
            lines(old, Self.status(("open", 0))) == ["caseRemoved status (4): paid = 1 -> none"])
        #expect(
            lines(old, Self.status(("new", 0), ("paid", 1)))
                == ["caseRenamed status (4): open = 0 -> new = 0"])
        #expect(
            lines(old, Self.status(("open", 0), ("paid", 1), fallback: "open"))
                == ["fallback status (4): none -> open"])
        guard case .enumeration(_, let cases) = old else { return }
        #expect(
            lines(old, .enumeration(raw: .scalar(.uint16), cases: cases))
                == ["type status (4): enum(uint8) -> enum(uint16)"])
    }

    @Test func `structs are compared at every depth, optional or not`() {
        func address(_ fields: [Field], retired: [RetiredField] = []) -> FieldType {
            .structure(fields, retired: retired)
        }
        let city = Field(number: 1, name: "city", type: .string)
        let zip = Field(number: 2, name: "zip", type: .scalar(.uint16))
        func home(_ inner: [Field], retired: [RetiredField] = []) -> Field {
            Field(
                number: 7, name: "home",
                type: .structure([
                    Field(
                        number: 3, name: "place", type: .optional(address(inner, retired: retired)))
                ]))
        }
        var wider = zip
        wider.type = .scalar(.uint32)
        #expect(
            lines(home([city, zip]), home([city, wider]))
                == ["type home.place.zip (2): uint16 -> uint32"])
        #expect(
            lines(home([city, zip]), home([city], retired: [2, 8]))
                == [
                    "retired home.place.zip (2): uint16 -> none",
                    "retired home.place (8): none -> number 8",
                ]
        )
        #expect(
            lines(
                Field(number: 7, name: "home", type: address([city])),
                Field(number: 7, name: "home", type: .optional(address([city, zip]))))
                == ["type home (7): struct -> struct?", "added home.zip (2): none -> uint16"])
    }

    @Test func `a key and a kind are told, and who cannot read them`() throws {
        let old = Self.region(1, [Self.user])
        var new = old
        new.key?.fields[0].type = .string
        #expect(lines(old, new) == ["type key:key (1): uint64 -> string"])
        let difference = SchemaDifference(from: old, to: new)
        #expect(difference.newReadsOld?.conflicts.map(\.rule) == [.otherKey])
        #expect(difference.oldReadsNew?.conflicts.map(\.rule) == [.otherKey])
        new = old
        new.kind = .log
        new.key = nil
        #expect(lines(old, new) == ["kind: table -> log"])
    }

    @Test func `each direction is read or refused by the rules of resolution`() throws {
        var wider = Self.user
        wider.type = .scalar(.uint64)
        let difference = SchemaDifference(
            from: Self.region(1, [Self.user]), to: Self.region(2, [wider, Self.note]))
        #expect(difference.newReadsOld?.isRead == true)
        let back = try #require(difference.oldReadsNew)
        #expect(!back.isRead)
        #expect(back.conflicts.map(\.rule) == [.otherType])
        #expect(back.conflicts.map(\.path) == ["user"])

        let place = Field(
            number: 5, name: "place",
            type: .structure([Field(number: 1, name: "city", type: .string)]))
        var larger = place
        larger.type = .structure([
            Field(number: 1, name: "city", type: .string),
            Field(number: 2, name: "zip", type: .string, defaultValue: .string("")),
        ])
        let kept = SchemaDifference(
            from: Self.region(1, [Self.user, place]),
            to: Self.region(2, [Self.user, larger, Self.note]))
        #expect(kept.newReadsOld?.isRead == true)
        #expect(kept.newReadsOld?.kept == [])
        #expect(kept.oldReadsNew?.isRead == true)
        #expect(kept.oldReadsNew?.kept == ["place.zip", "note"])
    }

    @Test func `regions are compared by name, and those of one side are told`() {
        let one = SchemaLockTests.region(1, [Self.user], name: "one")
        let two = SchemaLockTests.region(1, [Self.user], name: "two")
        let three = SchemaLockTests.region(1, [Self.user], name: "three")
        let all = SchemaDifference.all(from: [two, one], to: [two, three])
        #expect(all.map(\.region) == ["one", "three", "two"])
        #expect(all.map(\.isEmpty) == [false, false, true])
        #expect(all[0].new == nil)
        #expect(all[1].old == nil)
        #expect(all[0].changes.isEmpty && all[0].newReadsOld == nil && all[0].oldReadsNew == nil)
    }
}
