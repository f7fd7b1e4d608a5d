/// The extension that `@Schema` writes.
///
///     extension Session: Caesura.SchemaStruct {
///         Stored                       the row in a page
///         schema, describe             fields for the stream, offsets for the columns
///         place, replace, load, discard, stage
///                                      between the Swift value and the page
///         Reader, Editor               fields of a row in a page, one at a time
///     }
///
/// It is written for the type checker as much as for people: statements instead of long
/// expressions, no calls for fields whose type needs none. A type of the library is named through
/// its module, since the struct may have its own `Field` or `Value`. Only following a pointer into a
/// page is marked `unsafe`: a mark where nothing is unsafe is a warning in every language mode.
struct SchemaExpansion {
    let schema: SchemaDeclaration
    /// The access modifier of the struct's members.
    let access: String
    /// `@inlinable`, for public structs of public fields.
    let inlinable: String

    init(_ schema: SchemaDeclaration) {
        self.schema = schema
        access = schema.access.modifier
        inlinable = schema.isInlinable ? "@inlinable " : ""
    }

    var source: String {
        var protocols = schema.isConforming ? ["Caesura.SchemaStruct"] : []
        if !schema.deprecatedFields.isEmpty { protocols.append("Caesura.DeprecatingSchemaStruct") }
        let conformance = protocols.isEmpty ? "" : ": " + protocols.joined(separator: ", ")
        var members = [
            stored, fields, isInline, describe, heapByteCount, place, replacementByteCount, replace,
            load, discard, stage, value, deprecatedFields, unwrittenDefaults,
        ]
        if schema.isKey { members += [hash, absorb, matches] }
        members += [reader, editor]
        return """
            extension \(schema.type)\(conformance) {
            \(members.compactMap(\.self).joined(separator: "\n\n").indented)
            }
            """
    }

    // MARK: - The row in a page

    private var stored: String {
        let attributes = schema.isInlinable ? "@frozen " : ""
        let usable = schema.isInlinable ? "@usableFromInline " : ""
        let variables = schema.storedFields.map { field in
            let access = field.access == .fileprivate ? "fileprivate " : ""
            let type = field.type.storedType
            return "\(usable)\(access)var \(field.identifier): \(type)"
        }
        let assignments = schema.storedFields.map { field in
            "self.\(field.identifier) = "
                + "\(field.type.expression).place(\(written(field)), in: &heap)"
        }
        return """
            \(attributes)\(access)nonisolated struct Stored: BitwiseCopyable, Sendable {
            \(variables.lines.indented)

                \(inlinable)init(_ value: borrowing \(schema.type), in heap: inout Caesura.HeapWriter) {
            \(assignments.lines.indented.indented)
                }
            }
            """
    }

    private var describe: String {
        let calls = schema.fields.map { field in
            """
            \(field.type.expression).describe(
                at: offset + MemoryLayout<Stored>.offset(of: \\.\(field.identifier))!, in: &layout)
            """
        }
        return """
            \(access)static func describe(at offset: Int, in layout: inout Caesura.RowLayout.Builder) {
            \(calls.lines.indented)
            }
            """
    }

    // MARK: - The schema

    private var fields: String {
        let fields = schema.fields.map { field in
            let identity =
                "number: \(field.number), name: \"\(field.name)\","
                + " type: \(field.type.expression).fieldType"
            var arguments: [String] = []
            if let value = field.defaultValue {
                arguments.append("defaultValue: \(field.type.expression).value(of: \(value))")
            }
            if field.since > 1 { arguments.append("since: \(field.since)") }
            if !field.flags.isEmpty {
                arguments.append("flags: [\(field.flags.joined(separator: ", "))]")
            }
            if let names = field.formerNames { arguments.append("formerNames: \(names)") }
            if let deprecation = field.deprecation {
                let versions = [
                    "since: \(deprecation.since)", deprecation.unwritten.map { "unwritten: \($0)" },
                    deprecation.gone.map { "gone: \($0)" },
                ]
                arguments.append(
                    "deprecation: .init(\(versions.compactMap(\.self).joined(separator: ", ")))")
            }
            if arguments.isEmpty { return "Caesura.Field(\(identity))," }
            return """
                Caesura.Field(
                    \(identity),
                    \(arguments.joined(separator: ", "))),
                """
        }
        return """
            \(access)static let schema = Caesura.Schema(
                name: "\(schema.name)", version: \(schema.version),
                fields: [
            \(fields.lines.indented.indented)
                ]\(schema.retired.map { ", retired: \($0)" } ?? ""))
            """
    }

    private var value: String {
        let values = schema.fields.map { field in
            "\(field.type.expression).value(of: \(written(field))),"
        }
        return """
            \(access)static func value(of value: Self) -> Caesura.Value {
                .structure([
            \(values.lines.indented.indented)
                ])
            }
            """
    }

    // MARK: - Between the value and the page

    /// The fields that may have something outside `Stored`.
    private var heapFields: [FieldDeclaration] { schema.storedFields.filter { !$0.type.isScalar } }

    private var isInline: String {
        var types: [String] = []
        for field in heapFields where !types.contains(field.type.expression) {
            types.append(field.type.expression)
        }
        let conditions = types.map { "\($0).isInline" }.joined(separator: " && ")
        return
            "\(inlinable)\(access)static var isInline: Bool { \(types.isEmpty ? "true" : conditions) }"
    }

    private var heapByteCount: String {
        let additions = heapFields.map { field in
            "count += \(field.type.expression).heapByteCount(of: \(written(field)), upTo: limit)"
        }
        let body = additions.isEmpty ? ["0"] : ["var count = 0"] + additions + ["return count"]
        return """
            \(inlinable)\(access)static func heapByteCount(of value: Self, upTo limit: Int) -> Int {
            \(body.lines.indented)
            }
            """
    }

    private var place: String {
        """
        \(inlinable)\(access)static func place(_ value: Self, in heap: inout Caesura.HeapWriter) -> Stored {
            Stored(value, in: &heap)
        }
        """
    }

    private var replacementByteCount: String? {
        if heapFields.isEmpty { return nil }
        let additions = heapFields.map { field in
            """
            count += \(field.type.expression).heapByteCount(
                of: \(written(field)), replacing: stored.\(field.identifier), upTo: limit)
            """
        }
        let body = ["var count = 0"] + additions + ["return count"]
        return """
            \(inlinable)\(access)static func heapByteCount(
                of value: Self, replacing stored: Stored, upTo limit: Int
            ) -> Int {
            \(body.lines.indented)
            }
            """
    }

    private var replace: String? {
        if heapFields.isEmpty { return nil }
        let calls = schema.storedFields.map { field in
            let (type, name) = (field.type.expression, field.identifier)
            return field.type.isScalar
                ? "stored.\(name) = \(type).place(\(written(field)), in: &heap)"
                : "\(type).replace(&stored.\(name), with: \(written(field)), in: &heap)"
        }
        return """
            \(inlinable)\(access)static func replace(
                _ stored: inout Stored, with value: Self, in heap: inout Caesura.HeapWriter
            ) {
            \(calls.lines.indented)
            }
            """
    }

    private var load: String {
        let assignments = schema.fields.map { field in
            "self.\(field.identifier) = "
                + "\(field.type.expression).load(_stored.\(field.identifier), from: heap)"
        }
        let isDeprecating = !schema.deprecatedFields.isEmpty
        return """
            \(isDeprecating ? "@available(*, deprecated)\n" : "")\
            \(inlinable)\(access)init(_stored: Stored, heap: Caesura.HeapView) {
            \(assignments.lines.indented)
            }

            \(inlinable)\(access)static func load(_ stored: Stored, from heap: Caesura.HeapView) -> Self {
                \(isDeprecating ? "_load(stored, from: heap)" : "Self(_stored: stored, heap: heap)")
            }
            """
    }

    private var discard: String? {
        if heapFields.isEmpty { return nil }
        let calls = heapFields.map { field in
            "\(field.type.expression).discard(stored.\(field.identifier), from: &heap)"
        }
        return """
            \(inlinable)\(access)static func discard(_ stored: Stored, from heap: inout Caesura.HeapWriter) {
            \(calls.lines.indented)
            }
            """
    }

    private var stage: String? {
        if heapFields.isEmpty { return nil }
        let calls = heapFields.map { field in
            "\(field.type.expression).stage(\(written(field)), upTo: limit, in: &staged)"
        }
        return """
            \(inlinable)\(access)static func stage(
                _ value: Self, upTo limit: Int, in staged: inout Caesura.StagedValues
            ) {
            \(calls.lines.indented)
            }
            """
    }

    // MARK: - Deprecated fields

    /// What is written for a field of `value`.
    private func written(_ field: FieldDeclaration) -> String {
        guard field.deprecation != nil else { return "value.\(field.identifier)" }
        if field.isUnwritten(in: schema.version), let value = field.defaultValue {
            return field.isDefaultLiteral ? value : "\(schema.type).\(defaultName(of: field))"
        }
        return "\(schema.type)._deprecatedFields(of: value).\(field.identifier)"
    }

    private func defaultName(of field: FieldDeclaration) -> String {
        "_default\(field.name.capitalized)"
    }

    /// The defaults that are written instead of fields and are no literals.
    ///
    /// `Self` means the struct here, as where the field is declared, and what is inlined need not see what they name.
    private var unwrittenDefaults: String? {
        let members = schema.fields.compactMap { field -> String? in
            guard field.isUnwritten(in: schema.version), !field.isDefaultLiteral,
                let value = field.defaultValue
            else { return nil }
            let access = field.access == .fileprivate ? "fileprivate " : ""
            return """
                \(schema.isInlinable ? "@usableFromInline " : "")\(access)static var \
                \(defaultName(of: field)): \(field.type.written) { \(value) }
                """
        }
        return members.isEmpty ? nil : members.joined(separator: "\n\n")
    }

    /// The deprecated fields of a value, in a struct of their own that may be used without a warning.
    private var deprecatedFields: String? {
        let fields = schema.deprecatedFields
        if fields.isEmpty { return nil }
        let attributes = schema.isInlinable ? "@frozen " : ""
        let usable = schema.isInlinable ? "@usableFromInline " : ""
        let variables = fields.map { field in
            let access = field.access == .fileprivate ? "fileprivate " : ""
            return "\(usable)\(access)let \(field.identifier): \(field.type.written)"
        }
        let assignments = fields.map {
            "self.\($0.identifier) = value.\($0.identifier)"
        }
        return """
            \(attributes)\(access)nonisolated struct _DeprecatedFields {
            \(variables.lines.indented)

                @available(*, deprecated)
                \(inlinable)init(_ value: borrowing \(schema.type)) {
            \(assignments.lines.indented.indented)
                }
            }

            @available(*, deprecated)
            \(inlinable)\(access)var _deprecatedFields: _DeprecatedFields { _DeprecatedFields(self) }
            """
    }

    // MARK: - Keys

    /// A key of several fields hashes what it absorbs, which is `TableKey`'s own way.
    ///
    /// A single string or array goes in without its length, as `docs/FORMAT.md` wants of the only leaf.
    private var hash: String? {
        guard schema.fields.count == 1, let field = schema.fields.first else { return nil }
        return """
            \(inlinable)\(access)func hash(with hashKey: Caesura.HashKey) -> UInt64 {
                self.\(field.identifier).hash(with: hashKey)
            }
            """
    }

    private var absorb: String {
        let calls = schema.fields.map { "self.\($0.identifier).absorb(into: &hasher)" }
        return """
            \(inlinable)\(access)func absorb(into hasher: inout Caesura.KeyHasher) {
            \(calls.lines.indented)
            }
            """
    }

    private var matches: String {
        let guards = schema.fields.map { field in
            """
            guard \(field.type.expression).matches(
                stored.\(field.identifier), key.\(field.identifier), in: heap
            ) else { return false }
            """
        }
        return """
            \(inlinable)\(access)static func matches(
                _ stored: Stored, _ key: Self, in heap: Caesura.HeapView
            ) -> Bool {
            \(guards.lines.indented)
                return true
            }
            """
    }
}

extension String {
    /// The text with every line four columns to the right.
    var indented: String {
        split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.isEmpty ? "" : "    \($0)" }
            .joined(separator: "\n")
    }
}

extension Sequence<String> {
    /// The strings as lines of a text.
    var lines: String { joined(separator: "\n") }
}
