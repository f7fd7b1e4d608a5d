import SwiftSyntax

/// A field's type as far as its spelling tells.
///
/// A macro sees names, not types. Names of the standard library are taken at their word, which
/// only decides the order of `Stored` and which calls are left out; any other name is passed
/// through, and the compiler says whether it is a `FieldValue`.
struct FieldSpelling {
    /// What the name stands for.
    enum Kind: Equatable {
        /// A number or a Bool of this many bytes: nothing of it lies in the heap.
        case scalar(width: Int)
        /// String or `[UInt8]`, whose bytes can be lent without building the value.
        case bytes
        /// Another array.
        case array
        /// A name that says nothing.
        case other
    }

    /// The type as it was written.
    let written: String
    /// The type in a form that a member can follow: `Optional<T>` for `T?`, `Array<T>` for `[T]`.
    let expression: String
    /// What the type is, or what the optional wraps.
    let kind: Kind
    /// Whether the type is an optional.
    let isOptional: Bool

    /// A reason why a type cannot be a field, and what to write instead.
    struct Refusal: Error {
        /// The part of the type that is refused.
        let node: TypeSyntax
        /// The reason, as a clause that follows the type's name.
        let reason: String
        /// The type that would do, if there is one that means the same.
        var replacement: String?
    }

    /// Reads a type.
    init(_ type: TypeSyntax) throws(Refusal) {
        written = type.trimmedDescription
        if let wrapped = Self.wrapped(in: type) {
            if let inner = Self.wrapped(in: wrapped) {
                throw Refusal(
                    node: type, reason: "is an optional of an optional, which cannot be a field",
                    replacement: "\(inner.trimmedDescription)?")
            }
            expression = "Optional<\(Self.unsugared(wrapped))>"
            kind = try Self.kind(of: wrapped)
            isOptional = true
        } else {
            expression = Self.unsugared(type)
            kind = try Self.kind(of: type)
            isOptional = false
        }
    }

    /// The type's form in `Stored`.
    ///
    /// A name that says nothing goes through `StoredForm`, so that the compiler's first complaint
    /// about a type that cannot be a field is that it does not conform to `FieldValue`.
    var storedType: String {
        kind == .other ? "Caesura.StoredForm<\(expression)>" : "\(expression).Stored"
    }

    /// Whether nothing of a value lies in the page's heap, whoever compiles it.
    var isScalar: Bool {
        if case .scalar = kind { true } else { false }
    }

    /// The place in `Stored`, lowest first.
    ///
    /// Types of wider alignment come first, so that there is no padding between fields. Optionals
    /// have a presence byte beside the value, so they come last among their equals.
    var rank: Int {
        let alignment =
            switch kind {
            case .scalar(let width): width
            case .bytes, .array: 2
            case .other: Self.alignments[expression] ?? Self.alignments[wrappedName] ?? 4
            }
        return -2 * alignment + (isOptional ? 1 : 0)
    }

    /// A default that can be written for an added field.
    var placeholder: String {
        if isOptional { return "nil" }
        return switch (kind, written) {
        case (.scalar, "Bool"): "false"
        case (.scalar, _): "0"
        case (.bytes, "String"), (.bytes, "Swift.String"): "\"\""
        case (.bytes, _), (.array, _): "[]"
        case (.other, _): "<#default#>"
        }
    }

    private var wrappedName: String {
        isOptional ? String(expression.dropFirst("Optional<".count).dropLast()) : expression
    }

    /// Types of module Caesura with a known alignment.
    private static let alignments = ["Timestamp": 8, "UUID": 8]

    /// Scalars of the standard library by name, with their width in bytes.
    private static let scalars = [
        "Bool": 1, "Int8": 1, "UInt8": 1, "Int16": 2, "UInt16": 2, "Float16": 2, "Int32": 4,
        "UInt32": 4, "Float": 4, "Float32": 4, "Int64": 8, "UInt64": 8, "Double": 8, "Float64": 8,
        "Int128": 16, "UInt128": 16,
    ]

    private static func kind(of type: TypeSyntax) throws(Refusal) -> Kind {
        if let element = element(of: type) {
            try check(element: element, of: type)
            return name(of: element) == "UInt8" ? .bytes : .array
        }
        if let refusal = refusal(of: type) { throw refusal }
        let name = name(of: type)
        if let width = scalars[name] { return .scalar(width: width) }
        return name == "String" ? .bytes : .other
    }

    /// Arrays hold scalars and nothing else.
    private static func check(
        element: TypeSyntax, of type: TypeSyntax
    ) throws(Refusal) {
        let isNested =
            wrapped(in: element) != nil || Self.element(of: element) != nil
            || name(of: element) == "String"
        if isNested {
            throw Refusal(
                node: type,
                reason: "cannot be a field, arrays hold scalars: give each element a row of its own"
            )
        }
        if let refusal = refusal(of: element) { throw refusal }
    }

    /// Types that are refused by name or form.
    private static func refusal(of type: TypeSyntax) -> Refusal? {
        func refuse(_ reason: String, replacement: String? = nil) -> Refusal {
            Refusal(node: type, reason: reason, replacement: replacement)
        }
        let rows = "give each element a row of its own, in another table"
        switch type.as(TypeSyntaxEnum.self) {
        case .functionType: return refuse("is a function, which cannot be stored")
        case .tupleType: return refuse("is a tuple: declare a struct with '@Schema' instead")
        case .dictionaryType: return refuse("is a dictionary: \(rows)")
        case .inlineArrayType(let array):
            let element = array.element.trimmedDescription
            return refuse(
                "is an array of fixed length: write '[\(element)]'", replacement: "[\(element)]")
        case .someOrAnyType, .compositionType, .classRestrictionType:
            return refuse("has no layout of its own: name a concrete type")
        case .metatypeType: return refuse("is a metatype, which cannot be stored")
        case .implicitlyUnwrappedOptionalType(let type):
            let wrapped = type.wrappedType.trimmedDescription
            return refuse(
                "is implicitly unwrapped: write '\(wrapped)?'", replacement: "\(wrapped)?")
        case .attributedType: return refuse("has attributes, which cannot be stored")
        case .suppressedType: return refuse("is a constraint: name a concrete type")
        default: break
        }
        let name = name(of: type)
        switch name {
        case "Int", "UInt":
            return refuse(
                "has a width that differs by platform: write '\(name)64'",
                replacement: "\(name)64")
        case "Any", "AnyObject", "AnyHashable":
            return refuse("has no layout of its own: name a concrete type")
        case "Dictionary": return refuse("is a dictionary: \(rows)")
        case "Set":
            return refuse("is a set: \(rows)")
        case "ContiguousArray", "ArraySlice":
            let element = arguments(of: type).first?.trimmedDescription ?? "Element"
            return refuse(
                "is not stored as such: write '[\(element)]'", replacement: "[\(element)]")
        case "Character", "Substring", "StaticString":
            return refuse("is not stored as such: write 'String'", replacement: "String")
        case "Float80": return refuse("differs by platform: write 'Double'", replacement: "Double")
        default: return nil
        }
    }

    /// The name without `Swift.` and generic arguments, or nothing for a type without a name.
    private static func name(of type: TypeSyntax) -> String {
        if let type = type.as(IdentifierTypeSyntax.self) { return type.name.text }
        if let type = type.as(MemberTypeSyntax.self),
            type.baseType.as(IdentifierTypeSyntax.self)?.name.text == "Swift"
        {
            return type.name.text
        }
        return ""
    }

    private static func arguments(of type: TypeSyntax) -> [TypeSyntax] {
        let clause =
            type.as(IdentifierTypeSyntax.self)?.genericArgumentClause
            ?? type.as(MemberTypeSyntax.self)?.genericArgumentClause
        return clause?.arguments.compactMap { TypeSyntax($0.argument) } ?? []
    }

    private static func wrapped(in type: TypeSyntax) -> TypeSyntax? {
        if let type = type.as(OptionalTypeSyntax.self) { return unparenthesized(type.wrappedType) }
        return name(of: type) == "Optional" ? arguments(of: type).first : nil
    }

    private static func element(of type: TypeSyntax) -> TypeSyntax? {
        if let type = type.as(ArrayTypeSyntax.self) { return type.element }
        return name(of: type) == "Array" ? arguments(of: type).first : nil
    }

    private static func unsugared(_ type: TypeSyntax) -> String {
        if let type = type.as(ArrayTypeSyntax.self) {
            return "Array<\(type.element.trimmedDescription)>"
        }
        return type.trimmedDescription
    }

    /// `(T)` is `T`.
    private static func unparenthesized(_ type: TypeSyntax) -> TypeSyntax {
        guard let tuple = type.as(TupleTypeSyntax.self), tuple.elements.count == 1,
            let element = tuple.elements.first, element.firstName == nil
        else { return type }
        return unparenthesized(element.type)
    }
}
