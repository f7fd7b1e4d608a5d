// The rules a schema keeps: `docs/FORMAT.md`, "Coding of a region". One place for schemas that were read and
// schemas that were written in Swift.

extension RegionSchema {
    /// Checks the rules that make the schema a schema.
    ///
    /// - Throws: `malformed` or `limitExceeded` with a sentence that names the struct and the field.
    public func validate() throws(FormatError) {
        try Self.checkName(name, of: "a region")
        switch (kind, key) {
        case (.table, nil): throw Self.problem("table \(name) has no key")
        case (.log, _?), (.cell, _?): throw Self.problem("\(name) has a key and is no table")
        default: break
        }
        if let key {
            guard !key.fields.isEmpty else {
                throw Self.problem("the key of \(name) has no fields")
            }
            try Self.check(key)
        }
        try Self.check(row)
        let count = leafCount
        guard count <= Limits.leavesPerRegion else {
            throw FormatError(
                .limitExceeded,
                "region \(name) has \(count) columns, more than \(Limits.leavesPerRegion)", at: 0)
        }
    }

    /// The number of ``leaves``, without building them.
    var leafCount: Int {
        ((key?.fields ?? []) + row.fields).reduce(0) { $0 + $1.type.leafCount }
    }

    private static func problem(_ message: String) -> FormatError {
        FormatError(.malformed, message, at: 0)
    }

    private static func checkName(_ name: String, of what: String) throws(FormatError) {
        let length = name.utf8.count
        guard (1...Limits.nameBytes).contains(length) else {
            throw FormatError(
                length == 0 ? .malformed : .limitExceeded,
                "the name of \(what) has \(length) bytes, not 1 to \(Limits.nameBytes)", at: 0)
        }
        for scalar in name.unicodeScalars {
            guard scalar.value >= 0x20, !(0x7F...0x9F).contains(scalar.value) else {
                throw problem("the name of \(what) has a control character")
            }
        }
    }

    private static func check(_ schema: Schema) throws(FormatError) {
        try checkName(schema.name, of: "a schema")
        guard schema.version > 0 else { throw problem("schema \(schema.name) has version 0") }
        try check(
            schema.fields, schema.retired, of: schema.name, version: schema.version, depth: 1)
    }

    private static func check(
        _ fields: [Field], _ retired: [RetiredField], of owner: String, version: UInt32, depth: Int
    ) throws(FormatError) {
        guard depth <= Limits.schemaDepth else {
            throw FormatError(
                .limitExceeded, "\(owner) nests deeper than \(Limits.schemaDepth)", at: 0)
        }
        var numbers: Set<UInt16> = []
        var names: Set<[UInt8]> = []
        for field in fields {
            try checkName(field.name, of: "a field of \(owner)")
            let place = "\(owner).\(field.name)"
            guard !field.name.utf8.contains(UInt8(ascii: ".")) else {
                throw problem("\(place) has a full stop in its name")
            }
            guard field.number > 0 else { throw problem("\(place) has number 0") }
            guard numbers.insert(field.number).inserted else {
                throw problem("\(place) has number \(field.number), as another field has")
            }
            guard names.insert(Array(field.name.utf8)).inserted else {
                throw problem("\(place) has the name of another field")
            }
            guard field.since > 0, field.since <= version else {
                throw problem("\(place) is since version \(field.since) of \(version)")
            }
            guard field.flags.subtracting(.sensitive).isEmpty else {
                throw problem("\(place) has unknown flags")
            }
            try checkFormerNames(of: field, at: place)
            if let problem = field.deprecationProblem(in: depth == 1 ? version : nil) {
                throw Self.problem("\(place) \(problem)")
            }
            try check(field.type, at: place, depth: depth)
            if let problem = field.defaultValue?.problem(as: field.type) {
                throw Self.problem("the default of \(place) \(problem)")
            }
        }
        try check(retired, of: owner, numbers, names)
    }

    private static func checkFormerNames(
        of field: Field, at place: String
    ) throws(FormatError) {
        guard field.formerNames.count <= Limits.formerNames else {
            throw FormatError(
                .limitExceeded,
                "\(place) has \(field.formerNames.count) former names, more than \(Limits.formerNames)",
                at: 0)
        }
        var names: Set = [Array(field.name.utf8)]
        for name in field.formerNames {
            try checkName(name, of: "a former field of \(place)")
            guard !name.utf8.contains(UInt8(ascii: ".")) else {
                throw problem("\(place) has a full stop in a former name")
            }
            guard names.insert(Array(name.utf8)).inserted else {
                throw problem("\(place) has one name twice, present or former")
            }
        }
    }

    private static func check(
        _ retired: [RetiredField], of owner: String, _ numbers: Set<UInt16>, _ names: Set<[UInt8]>
    ) throws(FormatError) {
        guard retired.count <= Limits.retiredFields else {
            throw FormatError(
                .limitExceeded,
                "\(owner) has \(retired.count) retired fields, more than \(Limits.retiredFields)",
                at: 0)
        }
        var (numbers, names) = (numbers, names)
        for field in retired {
            switch field {
            case .number(let number):
                guard number > 0 else { throw problem("\(owner) has retired number 0") }
                guard numbers.insert(number).inserted else {
                    throw problem("\(owner) has number \(number) and has retired it, or twice")
                }
            case .name(let name):
                try checkName(name, of: "a retired field of \(owner)")
                guard names.insert(Array(name.utf8)).inserted else {
                    throw problem("\(owner) has a field of a name that it has retired, or twice")
                }
            }
        }
    }

    private static func check(
        _ type: FieldType, at place: String, depth: Int
    ) throws(FormatError) {
        switch type {
        case .scalar, .string, .bytes, .array: break
        case .optional(.optional): throw problem("\(place) is an optional of an optional")
        case .optional(let wrapped): try check(wrapped, at: place, depth: depth)
        case .structure(let fields, let retired):
            guard !fields.isEmpty else { throw problem("\(place) is a struct without fields") }
            try check(fields, retired, of: place, version: .max, depth: depth + 1)
        case .enumeration(let raw, let cases): try check(cases, raw: raw, at: place)
        }
    }

    private static func check(
        _ cases: [EnumerationCase], raw: FieldType, at place: String
    ) throws(FormatError) {
        switch raw {
        case .string: break
        case .scalar(let scalar) where scalar.isEnumerationRaw: break
        default:
            throw problem(
                "\(place) has raw values that are not integers of 8 to 64 bits or strings")
        }
        guard !cases.isEmpty else { throw problem("\(place) has no cases") }
        guard cases.count <= Limits.enumerationCases else {
            throw FormatError(
                .limitExceeded,
                "\(place) has \(cases.count) cases, more than \(Limits.enumerationCases)", at: 0)
        }
        guard cases.count(where: \.isFallback) <= 1 else {
            throw problem("\(place) has two fallbacks")
        }
        var names: Set<[UInt8]> = []
        var raws: Set<Value> = []
        for enumerationCase in cases {
            try checkName(enumerationCase.name, of: "a case of \(place)")
            guard names.insert(Array(enumerationCase.name.utf8)).inserted else {
                throw problem("\(place) has two cases of one name")
            }
            if let problem = enumerationCase.raw.problem(as: raw) {
                throw Self.problem("case \(enumerationCase.name) of \(place) \(problem)")
            }
            guard raws.insert(enumerationCase.raw.inUTF8).inserted else {
                throw problem("\(place) has two cases of one raw value")
            }
        }
    }
}

extension Field {
    /// Why the field cannot go as it says, as the end of a sentence.
    ///
    /// - Parameter version: The version of its schema; nil if that is not known.
    fileprivate func deprecationProblem(in version: UInt32?) -> String? {
        guard let deprecation else { return nil }
        let unwritten = deprecation.unwritten ?? deprecation.since
        if deprecation.since == 0 || unwritten < deprecation.since {
            return
                "is deprecated since version \(deprecation.since) and not written from \(unwritten) on"
        }
        if let gone = deprecation.gone, gone <= unwritten {
            return
                "is gone in version \(gone), and deprecated or not written only from \(unwritten) on"
        }
        if deprecation.unwritten != nil, effectiveDefault == nil {
            return "is not written some day, and has no default"
        }
        guard let version, deprecation.since > version else { return nil }
        return "is deprecated since version \(deprecation.since) of \(version)"
    }
}

extension ScalarType {
    /// Whether an enumeration may have raw values of this type.
    var isEnumerationRaw: Bool {
        switch self {
        case .int8, .int16, .int32, .int64, .uint8, .uint16, .uint32, .uint64: true
        default: false
        }
    }
}

extension Value {
    /// Why this is no value of a type, as the end of a sentence; nil when it is one.
    ///
    /// Recursion follows the type, whose depth is bounded.
    public func problem(as type: FieldType) -> String? {
        switch (type, self) {
        case (.scalar(let scalar), _): return problem(as: scalar)
        case (.string, .string(let string)): return Self.sizeProblem(string.utf8.count)
        case (.bytes, .bytes(let bytes)): return Self.sizeProblem(bytes.count)
        case (.enumeration(let raw, let cases), _):
            return problem(as: raw)
                ?? (cases.contains { $0.raw.inUTF8 == inUTF8 } ? nil : "is no case")
        case (.optional, .none): return nil
        case (.optional(let wrapped), _): return problem(as: wrapped)
        case (.array(let element), .array(let values)):
            return Self.sizeProblem(values.count * element.width)
                ?? values.lazy.compactMap { $0.problem(as: element) }.first
        case (.structure(let fields, _), .structure(let values)):
            guard fields.count == values.count else { return "has another number of fields" }
            return zip(fields, values).lazy.compactMap { $1.problem(as: $0.type) }.first
        default: return "is of another type"
        }
    }

    /// The value with a string as its UTF-8, because Swift's strings are equal when they look the same
    /// and the format's when their bytes are.
    var inUTF8: Value {
        if case .string(let string) = self { .bytes(Array(string.utf8)) } else { self }
    }

    private static func sizeProblem(_ bytes: Int) -> String? {
        bytes <= Limits.defaultValueBytes ? nil : "is longer than \(Limits.defaultValueBytes) bytes"
    }

    private func problem(as scalar: ScalarType) -> String? {
        let fits: Bool
        switch (scalar, self) {
        case (.bool, .bool): fits = true
        case (.int8, .int(let int)): fits = Int8(exactly: int) != nil
        case (.int16, .int(let int)): fits = Int16(exactly: int) != nil
        case (.int32, .int(let int)): fits = Int32(exactly: int) != nil
        case (.int64, .int(let int)), (.timestamp, .int(let int)): fits = Int64(exactly: int) != nil
        case (.int128, .int): fits = true
        case (.uint8, .uint(let uint)): fits = UInt8(exactly: uint) != nil
        case (.uint16, .uint(let uint)): fits = UInt16(exactly: uint) != nil
        case (.uint32, .uint(let uint)): fits = UInt32(exactly: uint) != nil
        case (.uint64, .uint(let uint)): fits = UInt64(exactly: uint) != nil
        case (.uint128, .uint): fits = true
        case (.float16, .float(let bits)), (.float32, .float(let bits)),
            (.float64, .float(let bits)):
            fits = Self.isExact(bits, scalar)
        case (.uuid, .uuid(let bytes)): fits = bytes.count == 16
        default: return "is of another type"
        }
        return fits ? nil : "does not fit its type"
    }

    /// Whether a Double's bits are those of a value of a float type; of the NaNs only the quiet one
    /// without payload is.
    private static func isExact(_ bits: UInt64, _ scalar: ScalarType) -> Bool {
        let double = Double(bitPattern: bits)
        if double.isNaN { return bits == Double.nan.bitPattern }
        return switch scalar {
        case .float32: Double(Float(double)).bitPattern == bits
        #if !(os(macOS) && arch(x86_64))
            case .float16: Double(Float16(double)).bitPattern == bits
        #endif
        default: true
        }
    }
}
