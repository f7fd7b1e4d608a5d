import CaesuraFormat

/// Walks the fields of two schemas side by side, and notes what differs.
struct FieldComparison {
    private(set) var changes: [SchemaDifference.Change] = []

    private typealias Members = (fields: [Field], retired: [RetiredField])

    private mutating func note(
        _ kind: SchemaDifference.Kind, _ field: String? = nil, _ number: UInt16? = nil,
        old: String? = nil, new: String? = nil
    ) {
        if old == new { return }
        changes.append(
            SchemaDifference.Change(kind: kind, field: field, number: number, old: old, new: new))
    }

    // MARK: Regions

    mutating func compare(_ old: RegionSchema, _ new: RegionSchema) {
        note(.kind, old: "\(old.kind)", new: "\(new.kind)")
        note(.version, old: "\(old.row.version)", new: "\(new.row.version)")
        note(.schema, old: old.row.name, new: new.row.name)
        if let before = old.key, let now = new.key {
            compare((before.fields, before.retired), (now.fields, now.retired), "key:")
        }
        compare((old.row.fields, old.row.retired), (new.row.fields, new.row.retired), "")
    }

    // MARK: Structs

    /// - Parameter path: The names that lead to the struct, with a full stop behind, if any.
    private mutating func compare(_ old: Members, _ new: Members, _ path: String) {
        if old == new { return }
        for field in new.fields {
            let name = path + field.name
            guard let other = old.fields.first(where: { $0.number == field.number }) else {
                note(.added, name, field.number, new: field.briefly)
                continue
            }
            if other != field { compare(other, field, name) }
        }
        var explained: [RetiredField] = []
        for field in old.fields where !new.fields.contains(where: { $0.number == field.number }) {
            let reasons = new.retired.filter { $0.names(field) }
            explained += reasons
            note(
                reasons.isEmpty ? .dropped : .retired, path + field.name, field.number,
                old: field.briefly)
        }
        compareRetired(old.retired, new.retired.filter { !explained.contains($0) }, path)
        let numbers = { (fields: [Field], others: [Field]) in
            fields.map(\.number).filter { number in others.contains { $0.number == number } }
        }
        if numbers(old.fields, new.fields) != numbers(new.fields, old.fields) {
            note(.order, Self.place(path), old: Self.names(old.fields), new: Self.names(new.fields))
        }
    }

    /// Those that were retired before, or in advance.
    private mutating func compareRetired(
        _ old: [RetiredField], _ new: [RetiredField], _ path: String
    ) {
        for field in new where !old.contains(field) {
            note(.retired, Self.place(path), field.number, new: field.text)
        }
        for field in old where !new.contains(field) {
            note(.revived, Self.place(path), field.number, old: field.text)
        }
    }

    /// The struct that a path leads to; nil for the row.
    private static func place(_ path: String) -> String? {
        path.isEmpty ? nil : String(path.dropLast())
    }

    private static func names(_ fields: [Field]) -> String {
        fields.map(\.name).joined(separator: ", ")
    }

    // MARK: Fields

    private mutating func compare(_ old: Field, _ new: Field, _ name: String) {
        let number = new.number
        note(.renamed, name, number, old: old.name, new: new.name)
        compare(old.type, new.type, name, number)
        note(
            .default, name, number, old: old.defaultValue.map { "\($0)" },
            new: new.defaultValue.map { "\($0)" })
        note(.since, name, number, old: "\(old.since)", new: "\(new.since)")
        note(.sensitive, name, number, old: old.visibility, new: new.visibility)
        note(.formerly, name, number, old: old.formerly, new: new.formerly)
        note(.deprecated, name, number, old: old.deprecation?.text, new: new.deprecation?.text)
    }

    private mutating func compare(
        _ old: FieldType, _ new: FieldType, _ name: String, _ number: UInt16
    ) {
        if old == new { return }
        note(.type, name, number, old: old.brief, new: new.brief)
        if let before = old.members, let now = new.members {
            compare(before, now, name + ".")
        } else if case .enumeration(_, let before) = old.required,
            case .enumeration(_, let now) = new.required
        {
            compareCases(before, now, name, number)
        }
    }

    private mutating func compareCases(
        _ old: [EnumerationCase], _ new: [EnumerationCase], _ name: String, _ number: UInt16
    ) {
        // As text: of a raw integer that was widened the value is still the same.
        func byRaw(_ cases: [EnumerationCase]) -> [String: EnumerationCase] {
            Dictionary(cases.map { ("\($0.raw)", $0) }) { first, _ in first }
        }
        let (before, now) = (byRaw(old), byRaw(new))
        for one in new {
            if let other = before["\(one.raw)"] {
                note(.caseRenamed, name, number, old: other.text, new: one.text)
            } else {
                note(.caseAdded, name, number, new: one.text)
            }
        }
        for one in old where now["\(one.raw)"] == nil {
            note(.caseRemoved, name, number, old: one.text)
        }
        note(
            .fallback, name, number, old: old.first(where: \.isFallback)?.name,
            new: new.first(where: \.isFallback)?.name)
    }
}

extension FieldType {
    /// The fields of a struct, optional or not, and those that it once had.
    var members: (fields: [Field], retired: [RetiredField])? {
        guard case .structure(let fields, let retired) = required else { return nil }
        return (fields, retired)
    }

    /// The type without its being optional.
    fileprivate var required: FieldType {
        if case .optional(let wrapped) = self { return wrapped }
        return self
    }

    /// The type in a word, without the fields and cases inside it.
    fileprivate var brief: String {
        switch self {
        case .optional(let wrapped): wrapped.brief + "?"
        case .structure: "struct"
        case .enumeration(let raw, _): "enum(\(raw))"
        default: "\(self)"
        }
    }
}

extension Field {
    /// The type in a word, and the default.
    fileprivate var briefly: String {
        type.brief + (defaultValue.map { " = \($0)" } ?? "")
    }

    fileprivate var visibility: String? { flags.contains(.sensitive) ? "sensitive" : nil }

    fileprivate var formerly: String? {
        formerNames.isEmpty ? nil : formerNames.sorted().joined(separator: ", ")
    }
}

extension Field.Deprecation {
    fileprivate var text: String {
        "since \(since)" + (unwritten.map { ", unwritten \($0)" } ?? "")
            + (gone.map { ", gone \($0)" } ?? "")
    }
}

extension EnumerationCase {
    fileprivate var text: String { "\(name) = \(raw)" }
}

extension RetiredField {
    /// Whether it stands for a field, by its number or one of its names.
    fileprivate func names(_ field: Field) -> Bool {
        switch self {
        case .number(let number): number == field.number
        case .name(let name): name == field.name || field.formerNames.contains(name)
        }
    }

    fileprivate var number: UInt16? {
        if case .number(let number) = self { return number }
        return nil
    }

    fileprivate var text: String {
        switch self {
        case .number(let number): "number \(number)"
        case .name(let name): "the name \(name)"
        }
    }
}
