import CaesuraFormat
import CaesuraSchemas
import Testing

/// Present schemas against those that shipped.
@Suite struct SchemaCheckTests {
    private static let user = SchemaLockTests.user
    private static func field(_ number: UInt16, _ name: String, _ type: FieldType) -> Field {
        Field(number: number, name: name, type: type)
    }
    private static func added(_ number: UInt16, _ name: String, _ since: UInt32) -> Field {
        Field(
            number: number, name: name, type: .string, defaultValue: .string(""), since: since)
    }
    private static func region(
        _ version: UInt32, _ fields: [Field], retired: [RetiredField] = []
    ) -> RegionSchema {
        SchemaLockTests.region(version, fields, retired: retired)
    }

    /// The rules that a program breaks, of those that are errors and of others.
    private func rules(
        _ program: RegionSchema, after shipped: RegionSchema..., retiredBefore: UInt32 = 0
    ) throws -> (errors: [String], others: [String]) {
        var lock = SchemaLock()
        for schema in shipped { try lock.add([schema]) }
        try lock.retire(program.name, before: retiredBefore)
        let check = SchemaCheck([program], against: lock)
        #expect(check.isGood == !check.problems.contains { $0.severity == .error })
        for problem in check.problems { #expect(!problem.hint.isEmpty) }
        let errors = check.problems.filter { $0.severity == .error }.map(\.rule)
        let others = check.problems.filter { $0.severity != .error }.map(\.rule)
        return (errors, others)
    }

    @Test func `what shipped is good`() throws {
        let schema = Self.region(2, [Self.user, Self.added(2, "note", 2)])
        let (errors, others) = try rules(schema, after: Self.region(1, [Self.user]), schema)
        #expect(errors.isEmpty && others.isEmpty)
    }

    @Test func `a version that shipped does not change`() throws {
        let shipped = Self.region(2, [Self.user])
        #expect(
            try rules(Self.region(2, [Self.user, Self.added(2, "note", 2)]), after: shipped).errors
                == ["L2"])
        #expect(try rules(Self.region(1, [Self.user]), after: shipped).errors == ["L2"])
        #expect(try rules(Self.region(3, [Self.user]), after: shipped) == ([], ["L5"]))
    }

    @Test func `a retired number that comes back is caught however long ago it was`() throws {
        let first = Self.region(1, [Self.user, Self.field(2, "country", .string)])
        let second = Self.region(2, [Self.user], retired: [2, "country"])
        let third = Self.region(3, [Self.user, Self.added(3, "note", 3)], retired: [2, "country"])
        let back = Self.region(
            4,
            [
                Self.user, Self.added(3, "note", 3),
                Field(
                    number: 2, name: "score", type: .scalar(.float64),
                    defaultValue: .float(bits: 0),
                    since: 4),
            ])
        #expect(try rules(back, after: first, second, third).errors == ["W3", "W4"])
        let name = Self.region(
            4, [Self.user, Self.added(3, "note", 3), Self.added(4, "country", 4)], retired: [2])
        #expect(try rules(name, after: first, second, third).errors == ["L1"])
        // Who need not read that old data any more may.
        #expect(try rules(back, after: first, second, third, retiredBefore: 2).errors == [])
    }

    @Test func `every kind of change that cannot be read is an error`() throws {
        let address = FieldType.structure([Self.field(1, "city", .string)])
        let status = FieldType.enumeration(
            raw: .scalar(.uint8),
            cases: [
                EnumerationCase(name: "a", raw: .uint(0)),
                EnumerationCase(name: "b", raw: .uint(1)),
            ])
        let shipped = Self.region(
            1,
            [
                Self.user, Self.field(2, "address", address), Self.field(3, "status", status),
                Self.field(4, "name", .optional(.string)),
            ])
        func rule(_ change: (inout RegionSchema) -> Void) throws -> [String] {
            var program = shipped
            program.row.version = 2
            change(&program)
            return try rules(program, after: shipped).errors
        }
        #expect(try rule { $0.row.fields.remove(at: 0) } == ["W2"])
        #expect(try rule { $0.row.fields[0].type = .scalar(.uint16) } == ["W4"])
        #expect(try rule { $0.row.fields[0].type = .scalar(.int32) } == ["W4"])
        #expect(try rule { $0.row.fields[0].type = .string } == ["W4"])
        #expect(try rule { $0.row.fields[0].name = "person" } == ["W3"])
        #expect(try rule { $0.row.fields[3].type = .string } == ["W4"])
        #expect(try rule { $0.row.fields.append(Self.field(9, "new", .string)) } == ["W1"])
        #expect(
            try rule {
                $0.row.fields[1].type = .structure([
                    Self.field(1, "city", .string), Self.field(2, "zip", .string),
                ])
            } == ["W1"])
        #expect(
            try rule {
                $0.row.fields[2].type = .enumeration(
                    raw: .scalar(.uint8), cases: [EnumerationCase(name: "a", raw: .uint(0))])
            } == ["W5"])
        #expect(try rule { $0.key?.fields[0].type = .string } == ["W6"])
        #expect(
            try rule {
                $0.kind = .log
                $0.key = nil
            } == ["W7"])
        // And these are none.
        #expect(try rule { $0.row.fields[0].type = .scalar(.int64) } == [])
        #expect(try rule { $0.row.fields.reverse() } == [])
        #expect(try rule { $0.row.fields[0].flags = .sensitive } == [])
    }

    @Test func `what an older program cannot go on from is told`() throws {
        let shipped = Self.region(1, [Self.user])
        let wider = Self.region(2, [Self.field(1, "user", .scalar(.uint64))])
        #expect(try rules(wider, after: shipped) == ([], ["L5", "B4"]))
        var lock = SchemaLock()
        try lock.add([shipped])
        let check = SchemaCheck([wider], against: lock, rollback: .error)
        #expect(!check.isGood)
        let first = try #require(check.problems.first { $0.rule == "B4" })
        #expect(first.field == "user")
        #expect(first.version == 1)
    }

    @Test func `what keeps the way back open is told where that is possible`() throws {
        func status(_ cases: String...) -> FieldType {
            .enumeration(
                raw: .string, cases: cases.map { EnumerationCase(name: $0, raw: .string($0)) })
        }
        var lock = SchemaLock()
        try lock.add([Self.region(1, [Self.user, Self.field(2, "status", status("a"))])])
        func hint(_ fields: [Field], retired: [RetiredField] = []) throws -> String {
            let check = SchemaCheck([Self.region(2, fields, retired: retired)], against: lock)
            return try #require(check.problems.first { $0.rule.hasPrefix("B") }).hint
        }
        #expect(
            try hint([Self.user], retired: [.number(2)]).hasPrefix(
                "ship a version that gives it a default"))
        #expect(
            try hint([Self.user, Self.field(2, "status", status("a", "b"))])
                .hasPrefix("ship a version that gives it a fallback"))
    }

    @Test func `changed defaults and missing regions are worth a warning`() throws {
        let shipped = Self.region(1, [Self.user, Self.added(2, "note", 1)])
        var program = shipped
        program.row.version = 2
        program.row.fields[1].defaultValue = .string("x")
        #expect(try rules(program, after: shipped) == ([], ["L5", "L4"]))
        var lock = SchemaLock()
        try lock.add([shipped])
        #expect(SchemaCheck([], against: lock).problems.map(\.rule) == ["L3"])
        #expect(SchemaCheck([shipped], against: SchemaLock()).problems.map(\.rule) == ["L5"])
    }

    @Test func `a field goes when it was promised, and not before`() throws {
        func note(_ deprecation: Field.Deprecation?) -> Field {
            var field = Self.added(2, "note", 1)
            field.deprecation = deprecation
            return field
        }
        let first = Self.region(1, [Self.user, note(nil)])
        let second = Self.region(2, [Self.user, note(.init(since: 2, unwritten: 3, gone: 5))])
        let third = Self.region(3, [Self.user, note(.init(since: 2, unwritten: 3, gone: 5))])
        #expect(try rules(third, after: first, second) == ([], ["L5"]))
        func gone(_ version: UInt32) -> RegionSchema {
            Self.region(version, [Self.user], retired: [2, "note"])
        }
        #expect(try rules(gone(4), after: first, second, third).errors == ["L6", "L6"])
        #expect(try rules(gone(5), after: first, second, third) == ([], ["L5"]))
        // Nobody is bound by what need not be read any more.
        #expect(try rules(gone(4), after: first, second, third, retiredBefore: 4).errors == [])
        let soon = Self.region(3, [Self.user, note(.init(since: 2, unwritten: 3, gone: 4))])
        #expect(try rules(soon, after: first, second).errors == ["L6"])
        let later = Self.region(4, [Self.user, note(.init(since: 2, unwritten: 3, gone: 9))])
        #expect(try rules(later, after: first, second, third) == ([], ["L5"]))
        // One that goes without a warning is told.
        #expect(try rules(gone(2), after: first) == ([], ["L5", "L7"]))
    }
}
