import Testing

@testable import CaesuraMacroExpansion

/// Types that cannot be fields, by their spelling.
struct FieldTypeMisuseTests {
    private func expectMisuse(
        of type: String, refused part: String? = nil, _ reason: String, replacement: String? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        CaesuraMacroExpansionTests.expectMisuse(
            """
            @Schema("session")
            struct Session {
                @Field(1) var it: →\(type)
            }
            """, "type '\(part ?? type)' of field 'it' \(reason)",
            correction: replacement.map { .init("use '\($0)'", "    @Field(1) var it: \($0)") },
            sourceLocation: sourceLocation)
    }

    @Test(arguments: [("Int", "Int64"), ("UInt", "UInt64"), ("Swift.Int", "Int64")])
    func `integers have a fixed width`(type: String, replacement: String) {
        expectMisuse(
            of: type, "has a width that differs by platform: write '\(replacement)'",
            replacement: replacement)
    }

    @Test(arguments: ["Any", "AnyObject", "AnyHashable", "any Codable", "some Codable", "A & B"])
    func `existentials have no layout`(type: String) {
        expectMisuse(of: type, "has no layout of its own: name a concrete type")
    }

    @Test func `functions cannot be stored`() {
        expectMisuse(of: "() -> Void", "is a function, which cannot be stored")
    }

    @Test(arguments: ["(UInt64, String)", "()"])
    func `a struct takes the place of a tuple`(type: String) {
        expectMisuse(of: type, "is a tuple: declare a struct with '@Schema' instead")
    }

    @Test(arguments: ["[String: UInt64]", "Dictionary<String, UInt64>"])
    func `rows take the place of a dictionary`(type: String) {
        expectMisuse(
            of: type,
            "is a dictionary: give each element a row of its own, in another table")
    }

    @Test func `rows take the place of a set`() {
        expectMisuse(
            of: "Set<UInt64>", "is a set: give each element a row of its own, in another table")
    }

    @Test func `optionals do not nest`() {
        expectMisuse(
            of: "UInt64??", "is an optional of an optional, which cannot be a field",
            replacement: "UInt64?")
        expectMisuse(
            of: "Optional<UInt64?>", "is an optional of an optional, which cannot be a field",
            replacement: "UInt64?")
        expectMisuse(
            of: "UInt64!", "is implicitly unwrapped: write 'UInt64?'", replacement: "UInt64?")
    }

    @Test(arguments: [
        "[String]", "[[UInt8]]", "[UInt64?]", "Array<String>", "[[UInt64]]", "[[UUID]]", "[UUID?]",
    ])
    func `arrays hold scalars`(type: String) {
        expectMisuse(
            of: type,
            "cannot be a field, arrays hold scalars: give each element a row of its own")
    }

    @Test func `the part that is wrong is the part that is marked`() {
        CaesuraMacroExpansionTests.expectMisuse(
            """
            @Schema("session")
            struct Session {
                @Field(1) var it: [→Int]?
            }
            """, "type 'Int' of field 'it' has a width that differs by platform: write 'Int64'",
            correction: .init("use 'Int64'", "    @Field(1) var it: [Int64]?"))
    }

    @Test(arguments: [
        ("ContiguousArray<UInt64>", "[UInt64]"), ("ArraySlice<UInt64>", "[UInt64]"),
        ("Substring", "String"), ("Character", "String"),
    ])
    func `a type with a plainer sister is replaced by it`(type: String, replacement: String) {
        expectMisuse(
            of: type, "is not stored as such: write '\(replacement)'", replacement: replacement)
    }

    @Test func `arrays have no fixed length`() {
        expectMisuse(
            of: "[16 of UInt8]", "is an array of fixed length: write '[UInt8]'",
            replacement: "[UInt8]")
    }

    @Test func `metatypes cannot be stored`() {
        expectMisuse(of: "Session.Type", "is a metatype, which cannot be stored")
    }
}
