/// How rows of one schema are read under another, worked out once before the first row: `docs/SCHEMAS.md`.
///
///     writer    1 user   2 token   3 visits: uint32   5 country       what the data has
///     reader    1 user   2 token   3 visits: uint64   4 plan = 0      what the program's type has
///     stored    1 user   2 token   3 visits: uint64   4 plan   5 country     (5: if the program is the older one)
///     sources   leaf 0   leaf 1    widened 2          constant leaf 3
public struct SchemaResolution: Hashable, Sendable {
    /// The schema that came with the data.
    public let writer: RegionSchema
    /// The schema of the program.
    public let reader: RegionSchema
    /// What a store keeps the rows under: the reader's fields, and behind them those of the writer that must not be
    /// lost.
    public let stored: RegionSchema
    /// For each leaf of ``stored`` where its values come from.
    public let sources: [LeafSource]

    /// Where the values of a leaf come from.
    public enum LeafSource: Hashable, Sendable {
        /// A leaf of the writer's, as it is.
        case leaf(Int)
        /// A leaf of the writer's, whose scalars become wider ones.
        case widened(Int, from: ScalarType)
        /// The same value for all rows: as it lies in memory, for text, bytes and arrays without the length.
        case constant([UInt8])
    }

    /// Whether the data is stored as it comes.
    public var isIdentity: Bool {
        sources.count == writer.leafCount
            && sources.indices.allSatisfy { sources[$0] == .leaf($0) }
    }

    /// Compares two schemas, which keep the rules of ``RegionSchema/validate()``.
    ///
    /// - Throws: All differences that are in the way.
    /// - Complexity: O(fields, names and cases).
    public init(writer: RegionSchema, reader: RegionSchema) throws(SchemaConflicts) {
        self.writer = writer
        self.reader = reader
        if writer == reader {
            stored = reader
            sources = reader.leaves.indices.map(LeafSource.leaf)
            return
        }
        var comparison = SchemaComparison(writer, reader)
        comparison.compareKinds()
        comparison.compareKeys()
        let keyLeafCount = writer.key.map { FieldType.structure($0.fields).leafCount } ?? 0
        let row = comparison.resolve(
            (writer.row.fields, writer.row.retired), at: keyLeafCount,
            (reader.row.fields, reader.row.retired), path: "")
        guard comparison.conflicts.isEmpty else {
            throw SchemaConflicts(conflicts: comparison.conflicts)
        }
        var stored = reader
        stored.row.fields = row.fields
        stored.row.retired = row.retired
        if row.fields != reader.row.fields {
            stored.row.version = max(writer.row.version, reader.row.version)
        }
        self.stored = stored
        sources = (0..<keyLeafCount).map(LeafSource.leaf) + row.sources
    }
}

/// Walks two schemas side by side.
private struct SchemaComparison {
    private let writer: RegionSchema
    private let reader: RegionSchema
    private(set) var conflicts: [SchemaConflict] = []
    /// Whether the data is of a version that the program came before.
    private var isNewer: Bool { writer.row.version > reader.row.version }

    typealias LeafSource = SchemaResolution.LeafSource
    typealias Members = (fields: [Field], retired: [RetiredField])

    init(_ writer: RegionSchema, _ reader: RegionSchema) {
        self.writer = writer
        self.reader = reader
    }

    private mutating func note(
        _ rule: SchemaConflict.Rule, path: String = "", number: UInt16? = nil, data: String,
        program: String, hint: String
    ) {
        conflicts.append(
            SchemaConflict(
                rule: rule, region: reader.name, path: path, number: number, data: data,
                program: program, dataVersion: writer.row.version,
                programVersion: reader.row.version, hint: hint))
    }

    // MARK: The region

    mutating func compareKinds() {
        guard writer.kind != reader.kind else { return }
        note(
            .otherKind, data: "a \(writer.kind)", program: "a \(reader.kind)",
            hint: "give the \(reader.kind) another name")
    }

    mutating func compareKeys() {
        guard let data = writer.key, let program = reader.key else { return }
        // A row's place follows from its key's bytes.
        func form(_ key: Schema) -> RegionSchema {
            RegionSchema(name: "", kind: .table, key: key, row: Schema(name: "", fields: []))
        }
        let knowsCases = zip(form(data).leaves, form(program).leaves).allSatisfy { data, program in
            guard case .enumeration(_, let dataCases) = data.type,
                case .enumeration(_, let programCases) = program.type
            else { return true }
            let known = RawValues(programCases)
            return dataCases.allSatisfy { known.contains($0.raw) }
        }
        guard form(data).wireFingerprint == form(program).wireFingerprint, knowsCases else {
            let text = { (key: Schema) in "the key \(FieldType.structure(key.fields))" }
            return note(
                .otherKey, data: text(data), program: text(program),
                hint: "a key never changes: declare a table of another name, and copy the rows")
        }
    }

    // MARK: Structs

    /// The fields to store of a struct, and where their leaves come from.
    ///
    /// - Parameters:
    ///   - data: The writer's struct.
    ///   - first: The number of its first leaf.
    ///   - program: The reader's struct.
    ///   - path: The names that lead to it, with a full stop behind, if any.
    mutating func resolve(
        _ data: Members, at first: Int, _ program: Members, path: String
    ) -> (fields: [Field], retired: [RetiredField], sources: [LeafSource]) {
        var starts: [Int] = []
        var next = first
        for field in data.fields {
            starts.append(next)
            next += field.type.leafCount
        }
        let places = Dictionary(
            data.fields.indices.map { (data.fields[$0].number, $0) }, uniquingKeysWith: min)
        let known = Set(program.fields.map(\.number))
        let retired = RetiredFields(program.retired)
        var fields: [Field] = []
        var sources: [LeafSource] = []
        for field in program.fields {
            let name = path + field.name
            var stored = field
            if let index = places[field.number] {
                compareNames(data.fields[index], field, name)
                let type = resolve(
                    data.fields[index].type, at: starts[index], field.type, name, field.number)
                stored.type = type.type
                stored.defaultValue = field.defaultValue?.extended(to: type.type)
                sources += type.sources
            } else if let value = field.effectiveDefault {
                value.appendLeaves(as: field.type, to: &sources)
            } else {
                note(
                    .missingDefault, path: name, number: field.number, data: "no such field",
                    program: "\(field.type) without a default", hint: "give it a default")
            }
            fields.append(stored)
        }
        var names = TakenNames(program.fields.map(\.name))
        var isKept = false
        for (index, field) in data.fields.enumerated() where !known.contains(field.number) {
            if retired.has(field) { continue }
            guard isNewer else {
                note(
                    .droppedField, path: path + field.name, number: field.number,
                    data: "\(field.type)", program: "neither such a field nor a retired one",
                    hint: writer.row.version == reader.row.version
                        ? "raise the version with each change that ships"
                        : "write 'retired: [\(field.number), \"\(field.name)\"]'")
                continue
            }
            isKept = true
            var stored = field
            stored.name = names.take(field.name, or: "#\(field.number)")
            fields.append(stored)
            sources += (starts[index]..<starts[index] + field.type.leafCount).map(LeafSource.leaf)
        }
        guard isKept else { return (fields, program.retired, sources) }
        let (numbers, present) = (
            Set(fields.map(\.number)), Set(fields.flatMap { [$0.name] + $0.formerNames })
        )
        let others = data.retired.filter { field in
            if retired.has(field) { return false }
            return switch field {
            case .number(let number): !numbers.contains(number)
            case .name(let name): !present.contains(name)
            }
        }
        return (fields, program.retired + others, sources)
    }

    private mutating func compareNames(_ data: Field, _ program: Field, _ name: String) {
        guard data.name != program.name, !program.formerNames.contains(data.name),
            !data.formerNames.contains(program.name)
        else { return }
        note(
            .otherName, path: name, number: program.number, data: "the name \(data.name)",
            program: "another one",
            hint:
                "write 'formerly: [\"\(data.name)\"]' if it is the same field, or take another number"
        )
    }

    // MARK: Types

    /// The type to store a field as, and where its leaves come from.
    private mutating func resolve(
        _ data: FieldType, at leaf: Int, _ program: FieldType, _ name: String, _ number: UInt16
    ) -> (type: FieldType, sources: [LeafSource]) {
        switch (data, program) {
        case (.scalar(let from), .scalar(let to)) where from == to: return (program, [.leaf(leaf)])
        case (.scalar(let from), .scalar(let to)) where from.widens(to: to):
            return (program, [.widened(leaf, from: from)])
        case (.string, .string), (.bytes, .bytes): return (program, [.leaf(leaf)])
        case (.array(let from), .array(let to)) where from == to: return (program, [.leaf(leaf)])
        case (.enumeration(let from, let dataCases), .enumeration(let to, let cases)):
            guard let source = Self.source(from, at: leaf, to) else { break }
            let known = RawValues(cases)
            let unknown = dataCases.filter { !known.contains($0.raw) }
            if !unknown.isEmpty, !cases.contains(where: \.isFallback) {
                let texts = unknown.map(\.name).joined(separator: ", ")
                note(
                    .unknownCases, path: name, number: number, data: "the cases \(texts)",
                    program: "neither them nor a fallback", hint: "declare 'static var fallback'")
            }
            let names = TakenNames(cases.map(\.name))
            let kept = unknown.map { $0.named(apartFrom: names, raw: to) }
            return (.enumeration(raw: to, cases: cases + kept), [source])
        case (.optional(let from), .optional(let to)):
            let wrapped = resolve(from, at: leaf + 1, to, name, number)
            return (.optional(wrapped.type), [.leaf(leaf)] + wrapped.sources)
        case (.optional, _): break
        case (_, .optional(let to)):
            let wrapped = resolve(data, at: leaf, to, name, number)
            return (.optional(wrapped.type), [.constant([1])] + wrapped.sources)
        case (.structure(let from, let fromRetired), .structure(let to, let toRetired)):
            let members = resolve(
                (from, fromRetired), at: leaf, (to, toRetired), path: name + ".")
            return (.structure(members.fields, retired: members.retired), members.sources)
        default: break
        }
        note(
            .otherType, path: name, number: number, data: "\(data)", program: "\(program)",
            hint: "give the field of the new type a new number and retire this one")
        return (program, Array(repeating: .leaf(leaf), count: program.leafCount))
    }

    /// Where raw values come from; nil if they cannot.
    private static func source(
        _ from: FieldType, at leaf: Int, _ to: FieldType
    ) -> LeafSource? {
        if from == to { return .leaf(leaf) }
        guard case .scalar(let from) = from, case .scalar(let to) = to, from.widens(to: to) else {
            return nil
        }
        return .widened(leaf, from: from)
    }
}

extension ScalarType {
    /// Whether every value is one of a type of more bits, too.
    func widens(to wider: ScalarType) -> Bool {
        func isSigned(_ type: ScalarType) -> Bool? {
            switch type {
            case .int8, .int16, .int32, .int64, .int128: true
            case .uint8, .uint16, .uint32, .uint64, .uint128: false
            default: nil
            }
        }
        guard width < wider.width else { return false }
        switch (isSigned(self), isSigned(wider)) {
        case (true?, true?), (false?, false?), (false?, true?): return true
        case (nil, nil):
            return (self == .float16 || self == .float32)
                && (wider == .float32 || wider == .float64)
        default: return false
        }
    }
}

extension FieldType {
    /// Appends what the type's leaves have in a row with a value, if one is given.
    fileprivate func appendInitialLeaves(
        _ value: Value?, to sources: inout [SchemaResolution.LeafSource]
    ) {
        switch (self, value) {
        case (.optional(let wrapped), let value):
            let isPresent = value != nil && value != Value.none
            sources.append(.constant([isPresent ? 1 : 0]))
            wrapped.appendInitialLeaves(isPresent ? value : nil, to: &sources)
        case (.structure(let fields, _), .structure(let values)?):
            for (field, value) in zip(fields, values) {
                field.type.appendInitialLeaves(value, to: &sources)
            }
        case (.structure(let fields, _), _):
            for field in fields {
                field.type.appendInitialLeaves(field.effectiveDefault, to: &sources)
            }
        default: (value ?? initialValue).appendLeaves(as: self, to: &sources)
        }
    }

    /// Zero, empty, none; of an enumeration the fallback or the first case, because zero need not be one.
    fileprivate var initialValue: Value {
        switch self {
        case .scalar(let scalar):
            switch scalar {
            case .bool: .bool(false)
            case .int8, .int16, .int32, .int64, .int128, .timestamp: .int(0)
            case .uint8, .uint16, .uint32, .uint64, .uint128: .uint(0)
            case .float16, .float32, .float64: .float(bits: 0)
            case .uuid: .uuid(Array(repeating: 0, count: 16))
            }
        case .string: .string("")
        case .bytes: .bytes([])
        case .enumeration(_, let cases): (cases.first(where: \.isFallback) ?? cases[0]).raw
        case .optional: .none
        case .array: .array([])
        case .structure(let fields, _): .structure(fields.map(\.initialValue))
        }
    }

    /// The number of leaves.
    package var leafCount: Int {
        switch self {
        case .optional(let wrapped): 1 + wrapped.leafCount
        case .structure(let fields, _): fields.reduce(0) { $0 + $1.type.leafCount }
        default: 1
        }
    }
}

extension RegionSchema {
    /// For each leaf what it has in a row that knows no better: the default of its field, or zero, empty or none, as it
    /// lies in memory, of text, bytes and arrays the content; inside an optional that is none, what it has once that is
    /// not.
    package var initialLeaves: [[UInt8]] {
        var sources: [SchemaResolution.LeafSource] = []
        for field in (key?.fields ?? []) + row.fields {
            field.type.appendInitialLeaves(field.effectiveDefault, to: &sources)
        }
        return sources.map { source in
            guard case .constant(let bytes) = source else {
                preconditionFailure("a default is a constant")
            }
            return bytes
        }
    }
}

extension Field {
    /// The default, or a value that stands for none.
    fileprivate var initialValue: Value { effectiveDefault ?? type.initialValue }

    /// What rows have that were written without the field: an optional one that says nothing else has none.
    var effectiveDefault: Value? {
        if let defaultValue { return defaultValue }
        if case .optional = type { return Value.none }
        return nil
    }
}

/// Names that are taken, by their bytes.
private struct TakenNames {
    private var names: Set<[UInt8]>

    init(_ names: [String]) { self.names = Set(names.map { Array($0.utf8) }) }

    func has(_ name: String) -> Bool { names.contains(Array(name.utf8)) }

    /// A name, with something behind it if another one has it.
    func free(_ name: String, or ending: String) -> String {
        has(name) ? "\(name.prefix(200))\(ending)" : name
    }

    /// As ``free(_:or:)``, and takes it.
    mutating func take(_ name: String, or ending: String) -> String {
        let free = free(name, or: ending)
        names.insert(Array(free.utf8))
        return free
    }
}

/// The raw values of some cases: numbers as numbers, in whatever integer type, and strings by their bytes.
private struct RawValues {
    private let values: Set<Value>

    init(_ cases: [EnumerationCase]) { values = Set(cases.map { Self.form(of: $0.raw) }) }

    func contains(_ raw: Value) -> Bool { values.contains(Self.form(of: raw)) }

    private static func form(of raw: Value) -> Value {
        if case .uint(let uint) = raw, let int = Int128(exactly: uint) { return .int(int) }
        return raw.inUTF8
    }
}

/// Fields that are retired, by their numbers and names.
private struct RetiredFields {
    private var numbers: Set<UInt16> = []
    private var names: Set<String> = []

    init(_ fields: [RetiredField]) {
        for field in fields {
            switch field {
            case .number(let number): numbers.insert(number)
            case .name(let name): names.insert(name)
            }
        }
    }

    /// Whether the same number or name is among them.
    func has(_ field: RetiredField) -> Bool {
        switch field {
        case .number(let number): numbers.contains(number)
        case .name(let name): names.contains(name)
        }
    }

    /// Whether a field is among them, by its number or one of its names.
    func has(_ field: Field) -> Bool {
        numbers.contains(field.number) || names.contains(field.name)
            || field.formerNames.contains { names.contains($0) }
    }
}

extension EnumerationCase {
    /// The case with a name that no other one has, and no fallback; its raw value as one of a type.
    fileprivate func named(apartFrom others: TakenNames, raw type: FieldType) -> Self {
        var other = self
        other.isFallback = false
        if case .scalar(let scalar) = type { other.raw = raw.integer(as: scalar) }
        other.name = others.free(name, or: "#\(raw)")
        return other
    }
}

extension Value {
    /// The value with those of the fields behind its own that a struct of a type has.
    fileprivate func extended(to type: FieldType) -> Value {
        switch (type, self) {
        case (.optional, .none): self
        case (.optional(let wrapped), _): extended(to: wrapped)
        case (.structure(let fields, _), .structure(let values)):
            .structure(
                fields.enumerated().map { index, field in
                    index < values.count
                        ? values[index].extended(to: field.type) : field.initialValue
                })
        default: self
        }
    }

    /// An integer of another type that has it, too.
    fileprivate func integer(as scalar: ScalarType) -> Value {
        switch (self, scalar) {
        case (.uint(let uint), .int8), (.uint(let uint), .int16), (.uint(let uint), .int32),
            (.uint(let uint), .int64), (.uint(let uint), .int128):
            .int(Int128(uint))
        default: self
        }
    }

    /// Appends the constants of a type's leaves; the value is one of the type.
    func appendLeaves(as type: FieldType, to sources: inout [SchemaResolution.LeafSource]) {
        switch (type, self) {
        case (.scalar(let scalar), _), (.enumeration(.scalar(let scalar), _), _):
            sources.append(.constant(bytes(as: scalar)))
        case (.string, .string(let string)), (.enumeration, .string(let string)):
            sources.append(.constant(Array(string.utf8)))
        case (.bytes, .bytes(let bytes)): sources.append(.constant(bytes))
        case (.array(let element), .array(let values)):
            sources.append(.constant(values.flatMap { $0.bytes(as: element) }))
        case (.optional(let wrapped), .none):
            sources.append(.constant([0]))
            // There are no rows for them.
            for _ in 0..<wrapped.leafCount { sources.append(.constant([])) }
        case (.optional(let wrapped), _):
            sources.append(.constant([1]))
            appendLeaves(as: wrapped, to: &sources)
        case (.structure(let fields, _), .structure(let values)):
            for (field, value) in zip(fields, values) {
                value.appendLeaves(as: field.type, to: &sources)
            }
        default: preconditionFailure("a default that is not of its field's type")
        }
    }

    /// A scalar as it lies in a column.
    func bytes(as scalar: ScalarType) -> [UInt8] {
        func bytes(of integer: some FixedWidthInteger) -> [UInt8] {
            (0..<scalar.width).map { UInt8(truncatingIfNeeded: integer >> (8 * $0)) }
        }
        switch self {
        case .bool(let bool): return [bool ? 1 : 0]
        case .int(let int): return bytes(of: int)
        case .uint(let uint): return bytes(of: uint)
        case .uuid(let uuid): return uuid
        case .float(let bits):
            let double = Double(bitPattern: bits)
            switch scalar {
            case .float32: return bytes(of: Float(double).bitPattern)
            #if !(os(macOS) && arch(x86_64))
                case .float16: return bytes(of: Float16(double).bitPattern)
            #endif
            default: return bytes(of: bits)
            }
        default: preconditionFailure("a default that is not of its field's type")
        }
    }
}
