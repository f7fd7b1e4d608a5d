import CaesuraFormat
import CaesuraTesting

/// A history of a schema at random: each version follows from the one before by a change that ships.
struct RandomHistory {
    /// What was done to a field; numbers are unique in a history, in nested structs too.
    struct Step: Hashable {
        enum Kind: Hashable {
            case add, retire, rename, widen, optional, reorder, addCase, changeDefault
        }
        var kind: Kind
        var number: UInt16
        /// The version that has it.
        var version: UInt32
    }

    var random: RandomSchema
    private(set) var versions: [RegionSchema] = []
    private(set) var steps: [Step] = []
    private var nextNumber: UInt16 = 1

    init(seed: UInt64, length: Int) {
        random = RandomSchema(seed: seed)
        var first = RegionSchema(
            name: "region", kind: .table,
            key: Schema(
                name: "key", fields: [Field(number: 1, name: "key", type: .scalar(.uint64))]),
            row: Schema(name: "row", version: 1, fields: []))
        for _ in 0..<1 + random.below(5) { first.row.fields.append(field(depth: 1, since: 1)) }
        versions = [first]
        while versions.count < length { versions.append(next(versions[versions.count - 1])) }
    }

    /// A new field; nested ones get numbers that nothing else has.
    mutating func field(depth: Int, since: UInt32) -> Field {
        let type = renumbered(random.type(depth: depth, mayBeOptional: true))
        let number = takeNumber()
        let isOptional = if case .optional = type { true } else { false }
        return Field(
            number: number, name: "f\(number)", type: type,
            defaultValue: since > 1 && !isOptional || random.chance(2) ? random.value(type) : nil,
            since: since)
    }

    mutating func takeNumber() -> UInt16 {
        defer { nextNumber += 1 }
        return nextNumber
    }

    private mutating func renumbered(_ type: FieldType) -> FieldType {
        switch type {
        case .optional(let wrapped): return .optional(renumbered(wrapped))
        case .structure(let fields, _):
            return .structure(
                fields.map { field in
                    var field = field
                    field.number = takeNumber()
                    field.name = "f\(field.number)"
                    field.type = renumbered(field.type)
                    field.formerNames = []
                    field.defaultValue = random.chance(2) ? random.value(field.type) : nil
                    return field
                })
        default: return type
        }
    }

    private mutating func next(_ old: RegionSchema) -> RegionSchema {
        var new = old
        new.row.version += 1
        for _ in 0..<1 + random.below(3) {
            (new.row.fields, new.row.retired) = changed(
                new.row.fields, new.row.retired, depth: 1, version: new.row.version)
        }
        return new
    }

    private mutating func changed(
        _ fields: [Field], _ retired: [RetiredField], depth: Int, version: UInt32
    ) -> ([Field], [RetiredField]) {
        var (fields, retired) = (fields, retired)
        if !fields.isEmpty, random.chance(2) {
            // Into a struct, if the field is one.
            let index = random.below(fields.count)
            if let type = changedInside(fields[index].type, depth: depth + 1, version: version) {
                fields[index].type = type
                // A default is of the type as it is now.
                if fields[index].defaultValue != nil {
                    fields[index].defaultValue = random.value(type)
                }
                return (fields, retired)
            }
        }
        let kind = random.below(8)
        if kind == 0 || fields.isEmpty {
            let field = field(depth: depth, since: depth == 1 ? version : 2)
            fields.insert(field, at: random.below(fields.count + 1))
            note(.add, field.number, version)
            return (fields, retired)
        }
        let index = random.below(fields.count)
        var field = fields[index]
        switch kind {
        case 1 where depth == 1 || fields.count > 1:
            fields.remove(at: index)
            retired.append(.number(field.number))
            if random.chance(2) { retired.append(.name(field.name)) }
            note(.retire, field.number, version)
            return (fields, retired)
        case 2:
            field.formerNames.append(field.name)
            field.name = "g\(field.number)v\(version)n\(field.formerNames.count)"
            note(.rename, field.number, version)
        case 3:
            guard case .scalar(let scalar) = field.type,
                let wider = ScalarType.allCases.filter({ Self.widens(scalar, to: $0) })
                    .randomElement(using: &random.source)
            else { return (fields, retired) }
            field.type = .scalar(wider)
            field.defaultValue = field.defaultValue.map { ReadingModel.converted($0, to: wider) }
            note(.widen, field.number, version)
        case 4:
            if case .optional = field.type { return (fields, retired) }
            field.type = .optional(field.type)
            note(.optional, field.number, version)
        case 5:
            fields.shuffle(using: &random.source)
            note(.reorder, field.number, version)
            return (fields, retired)
        case 6:
            guard case .enumeration(let raw, var cases) = field.type else {
                return (fields, retired)
            }
            let value: Value =
                raw == .string
                ? .string("v\(version)c\(cases.count)")
                : raw == .scalar(.uint8)
                    ? .uint(UInt128(100 + cases.count)) : .int(Int128(1_000 + cases.count))
            cases.append(EnumerationCase(name: "v\(version)c\(cases.count)", raw: value))
            field.type = .enumeration(raw: raw, cases: cases)
            note(.addCase, field.number, version)
        default:
            if field.defaultValue == nil { return (fields, retired) }
            field.defaultValue = random.value(field.type)
            note(.changeDefault, field.number, version)
        }
        fields[index] = field
        return (fields, retired)
    }

    private mutating func changedInside(
        _ type: FieldType, depth: Int, version: UInt32
    ) -> FieldType? {
        switch type {
        case .optional(let wrapped):
            return changedInside(wrapped, depth: depth, version: version).map { .optional($0) }
        case .structure(let fields, let retired) where depth < Limits.schemaDepth:
            let (fields, retired) = changed(fields, retired, depth: depth, version: version)
            return .structure(fields, retired: retired)
        default: return nil
        }
    }

    private mutating func note(_ kind: Step.Kind, _ number: UInt16, _ version: UInt32) {
        steps.append(Step(kind: kind, number: number, version: version))
    }

    /// The conversions that are allowed, spelled out.
    static func widens(_ from: ScalarType, to: ScalarType) -> Bool {
        let chains: [[ScalarType]] = [
            [.int8, .int16, .int32, .int64, .int128],
            [.uint8, .uint16, .uint32, .uint64, .uint128],
            [.uint8, .int16, .int32, .int64, .int128], [.uint16, .int32, .int64, .int128],
            [.uint32, .int64, .int128], [.uint64, .int128], [.float16, .float32, .float64],
        ]
        return chains.contains { chain in
            guard let a = chain.firstIndex(of: from), let b = chain.firstIndex(of: to) else {
                return false
            }
            return a < b
        }
    }
}
