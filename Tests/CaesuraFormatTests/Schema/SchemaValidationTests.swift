import CaesuraFormat
import CaesuraTesting
import Testing

@Suite struct SchemaValidationTests {
    struct Wrong: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var code: FormatError.Code
        var region: RegionSchema

        init(
            _ what: String, _ code: FormatError.Code = .malformed,
            _ change: (inout RegionSchema) -> Void
        ) {
            testDescription = what
            self.code = code
            region = session
            change(&region)
        }

        static func type(
            _ what: String, _ type: FieldType, code: FormatError.Code = .malformed
        ) -> Wrong {
            Wrong(what, code) { $0.row.fields[0].type = type }
        }

        static func nested(_ depth: Int) -> FieldType {
            let inner: FieldType = depth == 0 ? .string : nested(depth - 1)
            return .structure([Field(number: 1, name: "f", type: inner)])
        }
    }

    static let wrong: [Wrong] = [
        Wrong("a table without a key") { $0.key = nil },
        Wrong("a log with a key") { $0.kind = .log },
        Wrong("a key without fields") { $0.key!.fields = [] },
        Wrong("an empty name") { $0.name = "" },
        Wrong("a long name", .limitExceeded) { $0.name = String(repeating: "x", count: 256) },
        Wrong("a control character in a name") { $0.row.name = "a\u{1B}[2J" },
        Wrong("a full stop in a field's name") { $0.row.fields[0].name = "a.b" },
        Wrong("version 0") { $0.row.version = 0 },
        Wrong("number 0") { $0.row.fields[0].number = 0 },
        Wrong("a number twice") { $0.row.fields[1].number = 1 },
        Wrong("a name twice") { $0.row.fields[1].name = "user" },
        Wrong("since 0") { $0.row.fields[0].since = 0 },
        Wrong("since a later version") { $0.row.fields[0].since = 3 },
        Wrong("deprecated since version 0") { $0.row.fields[0].deprecation = .init(since: 0) },
        Wrong("deprecated since a later version") {
            $0.row.fields[0].deprecation = .init(since: 3)
        },
        Wrong("not written before it is deprecated") {
            $0.row.fields[3].deprecation = .init(since: 2, unwritten: 1)
        },
        Wrong("not written, and without a default") {
            $0.row.fields[0].deprecation = .init(since: 1, unwritten: 9)
        },
        Wrong("gone before it is deprecated") {
            $0.row.fields[0].deprecation = .init(since: 2, gone: 2)
        },
        Wrong("gone before it is not written") {
            $0.row.fields[3].deprecation = .init(since: 1, unwritten: 3, gone: 3)
        },
        Wrong("unknown flags") { $0.row.fields[0].flags = Field.Flags(rawValue: 2) },
        Wrong("a default of another type") { $0.row.fields[0].defaultValue = .int(0) },
        Wrong("a default out of range") { $0.row.fields[3].defaultValue = .uint(1 << 32) },
        Wrong("no default where one must be") { $0.row.fields[0].defaultValue = Value.none },
        Wrong("a long default") {
            $0.row.fields[1].defaultValue = .string(String(repeating: "x", count: 4097))
        },
        Wrong("a default no Float32 is") {
            $0.row.fields[0].type = .scalar(.float32)
            $0.row.fields[0].defaultValue = .float(bits: (0.1).bitPattern)
        },
        Wrong("a NaN with a payload") {
            $0.row.fields[0].type = .scalar(.float64)
            $0.row.fields[0].defaultValue = .float(bits: Double.nan.bitPattern | 1)
        },
        Wrong("a UUID of 15 bytes") {
            $0.row.fields[0].type = .scalar(.uuid)
            $0.row.fields[0].defaultValue = .uuid([UInt8](repeating: 0, count: 15))
        },
        .type("an optional of an optional", .optional(.optional(.string))),
        .type("a struct without fields", .structure([])),
        .type("nine levels", nested(8), code: .limitExceeded),
        .type("an enumeration without cases", .enumeration(raw: .string, cases: [])),
        .type(
            "an enumeration of floats",
            .enumeration(
                raw: .scalar(.float64),
                cases: [EnumerationCase(name: "a", raw: .float(bits: 0))])),
        .type(
            "a case of another type",
            .enumeration(raw: .string, cases: [EnumerationCase(name: "a", raw: .uint(1))])),
        .type(
            "two cases of one raw value",
            .enumeration(
                raw: .scalar(.uint8),
                cases: [
                    EnumerationCase(name: "a", raw: .uint(1)),
                    EnumerationCase(name: "b", raw: .uint(1)),
                ])),
        .type(
            "two cases of one name",
            .enumeration(
                raw: .scalar(.uint8),
                cases: [
                    EnumerationCase(name: "a", raw: .uint(1)),
                    EnumerationCase(name: "a", raw: .uint(2)),
                ])),
        .type(
            "too many columns",
            .structure(
                (1...1020).map { Field(number: $0, name: "f\($0)", type: .scalar(.bool)) }),
            code: .limitExceeded),
    ]

    static func nested(_ depth: Int) -> FieldType { Wrong.nested(depth) }

    @Test(arguments: wrong)
    func `a schema that breaks a rule is refused`(wrong: Wrong) {
        #expect(throws: FormatError(wrong.code, "", at: 0)) { try wrong.region.validate() }
    }

    @Test func `eight levels and names that only look alike are fine`() throws {
        var region = session
        region.row.fields[0].type = Self.nested(6)
        region.row.fields[1].name = "caf\u{E9}"
        region.row.fields[2].name = "cafe\u{301}"
        try region.validate()
    }

    @Test func `a schema prints as Swift-like text`() {
        var region = session
        region.row.fields.append(
            Field(
                number: 7, name: "home",
                type: .optional(
                    .structure([
                        Field(
                            number: 1, name: "city", type: .string, defaultValue: .string("a\"b")),
                        Field(
                            number: 2, name: "kind",
                            type: .enumeration(
                                raw: .scalar(.uint8),
                                cases: [EnumerationCase(name: "flat", raw: .uint(1))])),
                        Field(number: 3, name: "tags", type: .array(.uint16)),
                    ]))))
        #expect(
            region.description == """
                table "sessions", key: uint64
                @Schema("session", version: 2)
                struct {
                    @Field(1) var user: uint64
                    @Field(2, .sensitive) var token: string
                    @Field(3) var lastSeen: timestamp?
                    @Field(4, since: 2) var visits: uint32 = 0
                    @Field(7) var home: struct {
                        @Field(1) var city: string = "a\\"b"
                        @Field(2) var kind: enum(uint8) { flat = 1 }
                        @Field(3) var tags: [uint16]
                    }?
                }
                """)
    }
}
