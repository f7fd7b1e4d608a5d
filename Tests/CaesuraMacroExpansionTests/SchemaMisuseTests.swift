import Testing

@testable import CaesuraMacroExpansion

/// Mistakes in the attribute, or in what it is attached to.
struct SchemaMisuseTests {
    @Test(arguments: ["class", "actor"])
    func `a reference type cannot be a row`(keyword: String) {
        expectMisuse(
            """
            @Schema("session")
            →\(keyword) Session {
                @Field(1) var user: UInt64
            }
            """, "\(keyword) 'Session' is a reference, but a row is a value: make it a struct",
            correction: .init("make it a struct", "struct Session {"))
    }

    @Test func `a class with a superclass is not made a struct by a keyword`() {
        expectMisuse(
            """
            @Schema("session")
            →class Session: Base {
                @Field(1) var user: UInt64
            }
            """, "class 'Session' is a reference, but a row is a value: make it a struct")
    }

    @Test func `an enum declares SchemaEnum`() {
        expectMisuse(
            """
            @Schema("status")
            →enum Status: UInt8 {
                case active = 1
            }
            """,
            "enum 'Status' has no fields: give it a raw value and declare 'SchemaEnum'"
                + " instead of '@Schema'")
    }

    @Test func `a generic struct has no one schema`() {
        expectMisuse(
            """
            @Schema("pair")
            struct Pair→<First> {
                @Field(1) var first: First
            }
            """, "struct 'Pair' is generic, but a schema has fixed types: name concrete types")
    }

    @Test func `a struct in a generic type has no one schema`() {
        expectMisuse(
            """
            enum Space<Name> {
                @Schema("session")
                struct →Session {
                    @Field(1) var user: UInt64
                }
            }
            """, "struct 'Session' is in a generic type: move it out")
    }

    @Test func `a local struct cannot be extended`() {
        expectMisuse(
            """
            func test() {
                @Schema("session")
                struct →Session {
                    @Field(1) var user: UInt64
                }
            }
            """, "struct 'Session' is local, so it cannot be extended: move it out")
    }

    @Test func `a row is copyable`() {
        expectMisuse(
            """
            @Schema("session")
            struct Session: →~Copyable {
                @Field(1) var user: UInt64
            }
            """, "rows are copied: remove '~Copyable'")
    }

    @Test func `a struct without fields is refused`() {
        expectMisuse(
            """
            @Schema("session")
            struct →Session {
                var user: UInt64 { 1 }
            }
            """, "struct 'Session' has no fields: write '@Field(1) var …'")
    }

    @Test(arguments: ["struct Stored {}", "enum Reader {}", "typealias Editor = String"])
    func `names of generated types are taken`(member: String) {
        let name = ["Stored", "Reader", "Editor"].first(where: member.contains) ?? ""
        expectMisuse(
            """
            @Schema("session")
            struct Session {
                @Field(1) var user: UInt64
                \(member.replacing(name, with: "→\(name)"))
            }
            """, "'@Schema' generates a type '\(name)': name this one otherwise")
    }

    // MARK: - The attribute

    @Test func `a schema's name is not empty`() {
        expectMisuse(
            """
            @Schema(→"")
            struct Session {
                @Field(1) var user: UInt64
            }
            """, "the schema's name is empty: name what a row is, as in \"session\"")
    }

    @Test(arguments: ["name", "\"user\\(1)\""])
    func `a schema's name is a literal`(name: String) {
        expectMisuse(
            """
            @Schema(→\(name))
            struct Session {
                @Field(1) var user: UInt64
            }
            """, "the schema's name must be a plain string literal")
    }

    @Test(arguments: [
        ("web session", "web_session"), ("web/session", "web_session"), ("3d", "_3d"),
        ("a\\nb", "a_nb"),
    ])
    func `a schema's name is one that tools can print`(name: String, suggestion: String) {
        expectMisuse(
            """
            @Schema(→"\(name)")
            struct Session {
                @Field(1) var user: UInt64
            }
            """, "a schema's name is letters, digits and '_': write \"\(suggestion)\"",
            correction: .init("use \"\(suggestion)\"", "@Schema(\"\(suggestion)\")"))
    }

    @Test(arguments: ["0", "-1", "current", "4294967296"])
    func `a version is a literal from 1`(version: String) {
        expectMisuse(
            """
            @Schema("session", version: →\(version))
            struct Session {
                @Field(1) var user: UInt64
            }
            """,
            "the schema's version is not a literal from 1 upwards: write 1 until it has shipped",
            correction: .init("use 1", "@Schema(\"session\", version: 1)"))
    }

    @Test(arguments: ["0", "65536", "old", "5.5"])
    func `retired fields are literals`(retired: String) {
        expectMisuse(
            """
            @Schema("session", retired: [→\(retired)])
            struct Session {
                @Field(1) var user: UInt64
            }
            """,
            "retired fields are literals, numbers from 1 to 65535 or names:"
                + " write them as in [5, \"country\"]")
    }

    // MARK: - @Field in the wrong place

    @Test func `a field needs a schema around it`() {
        expectMisuse(
            """
            struct Session {
                →@Field(1) var user: UInt64
            }
            """, "'@Field' needs '@Schema' on struct 'Session'")
        expectMisuse(
            """
            extension Session {
                →@Field(1) var user: UInt64
            }
            """, "'@Field' belongs on a stored property of a struct with '@Schema'")
    }

    @Test func `a field is a property`() {
        expectMisuse(
            """
            struct Session {
                →@Field(1) func user() {}
            }
            """, "'@Field' numbers a stored property: remove it",
            correction: .init("remove '@Field'", "    func user() {}"))
    }
}
