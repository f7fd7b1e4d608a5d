import SwiftSyntaxMacrosGenericTestSupport
import Testing

@testable import CaesuraMacroExpansion

/// Mistakes in a field's number, version, default or form.
struct FieldMisuseTests {
    /// A schema at version 2 with one more field, on line 4.
    private func expectMisuse(
        of field: String, _ message: String, correction: ExpectedCorrection? = nil,
        after others: DiagnosticSpec...,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        CaesuraMacroExpansionTests.expectMisuse(
            """
            @Schema("session", version: 2, retired: [5, "country"])
            struct Session {
                @Field(1) var user: UInt64
            \(field)
            }
            """, message, correction: correction, after: others, sourceLocation: sourceLocation)
    }

    // MARK: - Numbers

    @Test func `a number that is taken is refused, and the next free one suggested`() {
        expectMisuse(
            of: "@Field(→1) var visits: UInt32", "number 1 belongs to field 'user': write 6",
            correction: .init("use 6", "@Field(6) var visits: UInt32"))
    }

    @Test func `a number is the same in every radix`() {
        expectMisuse(
            of: "@Field(→0x0_1) var visits: UInt32", "number 1 belongs to field 'user': write 6",
            correction: .init("use 6", "@Field(6) var visits: UInt32"))
    }

    @Test(arguments: ["0", "65536", "99999999999999999999"])
    func `a number outside 16 bits is refused`(number: String) {
        expectMisuse(
            of: "@Field(→\(number)) var visits: UInt32",
            "the number of field 'visits' is \(number), not 1 to 65535: write 6",
            correction: .init("use 6", "@Field(6) var visits: UInt32"))
    }

    @Test(arguments: ["first", "1 + 1", "-1", "Numbers.visits"])
    func `a number that is no literal is refused`(number: String) {
        expectMisuse(
            of: "@Field(→\(number)) var visits: UInt32",
            "the number of field 'visits' is not an integer literal: write 6",
            correction: .init("use 6", "@Field(6) var visits: UInt32"))
    }

    @Test func `a retired number is refused`() {
        expectMisuse(
            of: "@Field(→5) var visits: UInt32",
            "number 5 is retired, data that had it means something else: write 6",
            correction: .init("use 6", "@Field(6) var visits: UInt32"))
    }

    @Test func `a retired name is refused`() {
        expectMisuse(
            of: "@Field(2) var →country: String",
            "the name 'country' is retired: data that had it means something else")
    }

    @Test func `former names are names, and others than the field's`() {
        expectMisuse(
            of: "@Field(2, formerly: [→name]) var visits: UInt32",
            "former names of field 'visits' are literals of letters, digits and '_': write them as in [\"count\"]"
        )
        expectMisuse(
            of: "@Field(2, formerly: [→\"a b\"]) var visits: UInt32",
            "former names of field 'visits' are literals of letters, digits and '_': write them as in [\"count\"]"
        )
        expectMisuse(
            of: "@Field(2, formerly: [→\"visits\"]) var visits: UInt32",
            "'visits' is the field's name now: remove it from 'formerly'")
        expectMisuse(
            of: "@Field(2, formerly: [\"hits\", →\"hits\"]) var visits: UInt32",
            "'hits' is twice in 'formerly': remove one")
    }

    @Test func `a field without a number is given the next free one`() {
        expectMisuse(
            of: "→@Field var visits: UInt32",
            "field 'visits' has no number: write '@Field(6)'")
    }

    @Test func `a stored property without a number would be lost`() {
        expectMisuse(
            of: "public var →visits: UInt32",
            "stored property 'visits' has no number: write '@Field(6)'",
            correction: .init(
                "write '@Field(6)'", "@Field(6) public var visits: UInt32"))
    }

    @Test func `a constant without a number is made static`() {
        expectMisuse(
            of: "let →limit = 5", "constant 'limit' is not part of a row: make it 'static'",
            correction: .init("make it 'static'", "static let limit = 5"))
    }

    // MARK: - Versions and defaults

    @Test func `an added field needs a default`() {
        expectMisuse(
            of: "@Field(2, since: 2) var →visits: UInt32",
            "field 'visits' was added in version 2, rows of older versions lack it:"
                + " give it a default, write '= 0'",
            correction: .init(
                "give it a default", "@Field(2, since: 2) var visits: UInt32 = 0"))
    }

    @Test(arguments: [
        ("Bool", "false"), ("Double", "0"), ("String", "\"\""), ("[UInt8]", "[]"),
        ("[Double]", "[]"), ("[UUID]", "[]"),
    ])
    func `the suggested default has the field's type`(type: String, value: String) {
        expectMisuse(
            of: "@Field(2, since: 2) var →visits: \(type)",
            "field 'visits' was added in version 2, rows of older versions lack it:"
                + " give it a default, write '= \(value)'",
            correction: .init(
                "give it a default", "@Field(2, since: 2) var visits: \(type) = \(value)"))
    }

    @Test func `an added field of a type without an obvious default gets a placeholder`() {
        expectMisuse(
            of: "@Field(2, since: 2) var →status: Status",
            "field 'status' was added in version 2, rows of older versions lack it:"
                + " give it a default",
            correction: .init(
                "give it a default", "@Field(2, since: 2) var status: Status = <#default#>"))
    }

    @Test func `an added constant cannot have a default`() {
        expectMisuse(
            of: "@Field(2, since: 2) let →visits: UInt32",
            "field 'visits' was added in version 2, rows of older versions lack it:"
                + " give it a default, make it 'var' and write '= 0'")
    }

    @Test func `a field of a later version raises the schema`() {
        expectMisuse(
            of: "@Field(2, since: →3) var visits: UInt32 = 0",
            "field 'visits' is there since version 3, but the schema is at version 2:"
                + " raise the schema to version 3",
            correction: .init(
                "raise the schema to version 3",
                "@Schema(\"session\", version: 3, retired: [5, \"country\"])", at: 1))
    }

    @Test func `a version is written where the schema has none`() {
        CaesuraMacroExpansionTests.expectMisuse(
            """
            @Schema("session")
            struct Session {
                @Field(1, since: →2) var user: UInt64 = 0
            }
            """,
            "field 'user' is there since version 2, but the schema is at version 1:"
                + " raise the schema to version 2",
            correction: .init(
                "raise the schema to version 2", "@Schema(\"session\", version: 2)", at: 1))
    }

    @Test(arguments: ["0", "-1", "current"])
    func `since is a literal version`(since: String) {
        expectMisuse(
            of: "@Field(2, since: →\(since)) var visits: UInt32 = 0",
            "'since' of field 'visits' is not a literal version: write 2",
            correction: .init("use 2", "@Field(2, since: 2) var visits: UInt32 = 0"))
    }

    @Test func `a field goes in steps that follow each other`() {
        expectMisuse(
            of: "@Field(2, deprecated: →3) var visits: UInt32 = 0",
            "field 'visits' is deprecated since version 3, but the schema is at version 2:"
                + " raise the schema to version 3",
            correction: .init(
                "raise the schema to version 3",
                "@Schema(\"session\", version: 3, retired: [5, \"country\"])", at: 1))
        expectMisuse(
            of: "@Field(2, gone: →4) var visits: UInt32 = 0",
            "field 'visits' goes, but is not deprecated: add 'deprecated: 2'")
        expectMisuse(
            of: "@Field(2, deprecated: →now) var visits: UInt32 = 0",
            "'deprecated' of field 'visits' is not a literal version")
        expectMisuse(
            of: "@Field(2, deprecated: 2, unwritten: →1) var visits: UInt32 = 0",
            "field 'visits' is deprecated before it is not written any more")
        expectMisuse(
            of: "@Field(2, deprecated: 2, unwritten: →3) var visits: UInt32",
            "field 'visits' will not be written, so rows need something in its place: give it a default"
        )
        expectMisuse(
            of: "@Field(2, deprecated: 2, unwritten: 3, gone: →3) var visits: UInt32 = 0",
            "field 'visits' goes after it is deprecated and not written")
        expectMisuse(
            of: "@Field(2, deprecated: 1, gone: →2) var visits: UInt32 = 0",
            "field 'visits' is gone in version 2: remove it, and add its number and name to 'retired'"
        )
    }

    @Test func `a key's fields do not go`() {
        CaesuraMacroExpansionTests.expectMisuse(
            """
            @Schema("route")
            struct Route: TableKey, Hashable {
                @Field(1, deprecated: →1) var user: UInt64 = 0
            }
            """, "'user' is part of a key, which never changes: remove 'deprecated'")
    }

    @Test(arguments: [".now", "Timestamp.now"])
    func `a default that changes with time is refused`(value: String) {
        expectMisuse(
            of: "@Field(2) var seen: Timestamp = →\(value)",
            "the default of field 'seen' differs each time it is asked for:"
                + " give it a constant and set '\(value)' in an initializer")
    }

    // MARK: - Form

    @Test func `a computed property has no place in a row`() {
        expectMisuse(
            of: "@Field(2) var visits: UInt32 →{ 3 }",
            "'visits' is computed, which has no place in a row: remove '@Field'",
            correction: .init("remove '@Field'", "var visits: UInt32 { 3 }"))
    }

    @Test func `a static property has no place in a row`() {
        expectMisuse(
            of: "@Field(2) →static var visits: UInt32 = 0",
            "'visits' is static, which has no place in a row: remove '@Field'",
            correction: .init("remove '@Field'", "static var visits: UInt32 = 0"))
    }

    @Test func `a lazy property is refused`() {
        expectMisuse(
            of: "@Field(2) →lazy var visits: UInt32 = 0",
            "'visits' is lazy, but a row holds every field: remove 'lazy'",
            correction: .init("remove 'lazy'", "@Field(2) var visits: UInt32 = 0"))
    }

    @Test func `a constant with a value cannot be read back`() {
        expectMisuse(
            of: "@Field(2) →let visits: UInt32 = 0",
            "'visits' cannot be read back, it is already set: make it 'var'",
            correction: .init("make it 'var'", "@Field(2) var visits: UInt32 = 0"))
    }

    @Test func `a reference is refused`() {
        expectMisuse(
            of: "@Field(2) →weak var owner: Owner?",
            "'owner' is a reference, which has no place in a row: remove '@Field'",
            correction: .init("remove '@Field'", "weak var owner: Owner?"))
    }

    @Test(arguments: ["willSet { print(newValue) }", "didSet { print(oldValue) }"])
    func `observers would not be called`(observer: String) {
        expectMisuse(
            of: "@Field(2) var visits: UInt32 →{ \(observer) }",
            "'visits' has observers, which writes in the table would not call: remove them",
            correction: .init("remove the observers", "@Field(2) var visits: UInt32"))
    }

    @Test func `a property wrapper is refused`() {
        expectMisuse(
            of: "@Field(2) →@Clamped(0...9) var visits: UInt32",
            "'visits' has '@Clamped', but a field is a plain stored property:"
                + " remove '@Clamped'",
            correction: .init("remove '@Clamped'", "@Field(2) var visits: UInt32"))
    }

    @Test func `each field has a line of its own`() {
        expectMisuse(
            of: "@Field(2) var →visits: UInt32, other: UInt32",
            "'@Field' numbers one property: declare each on a line of its own",
            after: DiagnosticSpec(
                message: "peer macro can only be applied to a single variable", line: 4, column: 1))
    }

    @Test(arguments: [
        ("0", "Int64"), ("0.5", "Double"), ("false", "Bool"), ("\"\"", "String"),
        ("Address()", "Address"),
    ])
    func `a field's type is in writing`(value: String, type: String) {
        expectMisuse(
            of: "@Field(2) var →visits = \(value)",
            "field 'visits' needs its type in writing: add ': \(type)'",
            correction: .init("add ': \(type)'", "@Field(2) var visits: \(type) = \(value)"))
    }

    @Test func `names of generated members are taken`() {
        expectMisuse(
            of: "@Field(2) var →cursor: UInt32",
            "'cursor' is a member of the generated types: name the field otherwise")
    }

    @Test func `a field's name is one that tools can print`() {
        expectMisuse(
            of: "@Field(2) var →`last seen`: UInt32",
            "field names are letters, digits and '_': write 'last_seen'")
    }

    @Test func `fields are the same in every build`() {
        expectMisuse(
            of: """
                →#if DEBUG
                @Field(2) var trace: String
                #endif
                """, "a schema is the same in every build: move fields out of '#if'")
    }
}
