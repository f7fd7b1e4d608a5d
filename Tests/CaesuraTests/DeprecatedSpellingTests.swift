public import Caesura
import CaesuraFormat
import Testing

/// Structs with deprecated fields, of every spelling and access: that they compile without a warning is most of the test.
@Suite struct DeprecatedSpellingTests {
    @Schema("self_default", version: 2)
    struct SelfDefault {
        static let nowhere = "nowhere"
        @Field(1) var name: String
        @Field(2, deprecated: 2, unwritten: 2) var country: String = Self.nowhere
        @Field(3, deprecated: 2, unwritten: 2) var plan: DeprecatedSpellingTests.Plan = .other
    }

    enum Plan: UInt8, SchemaEnum {
        case free
        case paid
        static let other = Plan.paid
        static var fallback: Plan { .free }
    }

    @Schema("all_gone", version: 2)
    struct AllGone {
        @Field(1, deprecated: 2, unwritten: 2) var name: String = "none"
        @Field(2, deprecated: 2, unwritten: 2) var `class`: String?
        @Field(3, deprecated: 2) let `default`: [UInt8]
        @Field(4, deprecated: 2, unwritten: 2) let maybe: UInt8?
        @Field(5, deprecated: 2) var value: UInt8
        @Field(6, deprecated: 2) var heap: String
        @Field(7, deprecated: 2) var stored: String
        @Field(8, deprecated: 2) var count: UInt16
        @Field(9, deprecated: 2) var `self`: UInt16
        @Field(10, deprecated: 2, unwritten: 2) var `init`: Double = 1
    }

    @Schema("nested", version: 1)
    struct Outer {
        @Field(1) var inner: DeprecatedSpellingTests.AllGone?
        @Field(2, deprecated: 1) var other: DeprecatedSpellingTests.AllGone
        @Field(3, deprecated: 1, unwritten: 1) var third: DeprecatedSpellingTests.SelfDefault =
            .init(
                name: "third")
    }

    @Test func `defaults are found where they are written`() throws {
        let store = Store()
        let table = try store.table("table", key: UInt64.self, row: SelfDefault.self)
        table[1] = SelfDefault(name: "a")
        #expect(
            try #require(table[1].map { SelfDefault.value(of: $0) })
                == .structure([.string("a"), .string("nowhere"), .uint(1)]))
    }
}

let internalDefault = "internal"

/// A row.
@Schema("public_row", version: 2)
public struct PublicRow: Hashable, Sendable {
    /// A field.
    @Field(1) public var name: String
    /// A field.
    @Field(2, deprecated: 2, unwritten: 2) public var country: String = internalDefault
    /// A field.
    @Field(3, deprecated: 2, unwritten: 2) public var size: UInt64 = UInt64(hiddenSize)
    /// A field.
    @Field(4, deprecated: 2) public var text: String = internalDefault
}

private let hiddenSize: UInt8 = 3

@Schema("private_row", version: 2)
private struct PrivateRow: Hashable {
    @Field(1) private var name: String
    @Field(2, deprecated: 2, unwritten: 2) private var country: String = "x"
    @Field(3, deprecated: 2) fileprivate var inner: PrivateInner
    @Field(4, deprecated: 2) fileprivate var plan: PrivatePlan
}

@Schema("private_inner", version: 2)
private struct PrivateInner: Hashable {
    @Field(1, deprecated: 1) var x: UInt8
}

private enum PrivatePlan: String, SchemaEnum { case a, b }

/// A row.
@Schema("mixed", version: 2)
public struct MixedRow {
    /// A field.
    @Field(1) public private(set) var name: String
    @Field(2, deprecated: 2) private var country: String = "x"
    @Field(3, deprecated: 2) var inner: UInt8?
    /// A field.
    @Field(4, deprecated: 2) public internal(set) var size: UInt8
}

/// A row that says itself what the macro would say.
@Schema("public_inner", version: 2)
public struct PublicInner: SchemaStruct {
    /// A field.
    @Field(1, deprecated: 1) public var x: UInt8
    /// A field.
    @Field(2, deprecated: 1) public let y: String
}
