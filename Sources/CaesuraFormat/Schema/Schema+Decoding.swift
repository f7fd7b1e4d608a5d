// Reading schemas that nobody vouches for: `docs/FORMAT.md`, "Coding of a region".

extension RegionSchema {
    /// Reads a region's coding and checks every rule of the format.
    ///
    /// - Throws: `truncated`, `malformed`, `unsupported` or `limitExceeded`, with the offset of the wrong
    ///   value; for a rule over several values, with the offset of the region.
    public init(reading reader: inout ByteReader) throws(FormatError) {
        let start = reader.origin + reader.position
        var source = SchemaSource(reader: reader)
        name = try source.name("a region's name")
        let kind = try source.reader.byte("a region's kind")
        guard let kind = RegionKind(rawValue: kind) else {
            throw source.reader.error(.malformed, "a region's kind is \(kind)")
        }
        self.kind = kind
        let parts = try source.reader.byte("whether a key follows")
        guard parts & ~(Parts.key | Parts.retired) == 0 else {
            throw source.reader.error(
                .unsupported, "a region has parts \(parts), of a newer format")
        }
        key = parts & Parts.key != 0 ? try source.schema() : nil
        row = try source.schema()
        if parts & Parts.retired != 0 { row.retired = try source.retired() }
        reader = source.reader
        do throws(FormatError) {
            try validate()
        } catch {
            throw FormatError(error.code, error.message, at: start)
        }
    }
}

/// A reader of schema parts that bounds recursion and the number of fields as it goes.
private struct SchemaSource {
    var reader: ByteReader
    /// Fields read so far; each becomes at least one leaf.
    var fieldCount = 0

    init(reader: ByteReader) { self.reader = reader }

    mutating func name(_ what: @autoclosure () -> String) throws(FormatError) -> String {
        try reader.string(upTo: Limits.nameBytes, what())
    }

    mutating func flag(_ what: @autoclosure () -> String) throws(FormatError) -> Bool {
        let byte = try reader.byte(what())
        guard byte <= 1 else { throw reader.error(.malformed, "\(what()) is \(byte)") }
        return byte == 1
    }

    mutating func number32(_ what: @autoclosure () -> String) throws(FormatError) -> UInt32 {
        UInt32(try reader.varint(upTo: Int(UInt32.max), what(), beyond: .malformed))
    }

    mutating func schema() throws(FormatError) -> Schema {
        let name = try name("a schema's name")
        let version = try number32("a schema's version")
        return Schema(name: name, version: version, fields: try fields(depth: 1))
    }

    mutating func fields(depth: Int) throws(FormatError) -> [Field] {
        guard depth <= Limits.schemaDepth else {
            throw reader.error(
                .limitExceeded, "structs nest deeper than \(Limits.schemaDepth)")
        }
        let count = try reader.varint(upTo: Limits.leavesPerRegion, "the number of fields")
        fieldCount += count
        guard fieldCount <= Limits.leavesPerRegion else {
            throw reader.error(.limitExceeded, "a region has more fields than leaves may be")
        }
        var fields: [Field] = []
        for _ in 0..<count { fields.append(try field(depth: depth)) }
        return fields
    }

    mutating func field(depth: Int) throws(FormatError) -> Field {
        let number = try reader.varint(
            upTo: Int(UInt16.max), "a field's number", beyond: .malformed)
        let name = try name("a field's name")
        let since = try number32("the version that added a field")
        let flags = try reader.byte("a field's flags")
        let parts = Field.Flags.formerNames | Field.Flags.deprecation
        guard flags & ~(Field.Flags.sensitive.rawValue | parts) == 0 else {
            throw reader.error(.unsupported, "a field has flags \(flags), of a newer format")
        }
        let type = try type(depth: depth)
        let value = try flag("whether a default follows") ? value(of: type) : nil
        let formerNames = flags & Field.Flags.formerNames != 0 ? try formerNames() : []
        return Field(
            number: UInt16(number), name: name, type: type, defaultValue: value, since: since,
            flags: Field.Flags(rawValue: flags & ~parts), formerNames: formerNames,
            deprecation: flags & Field.Flags.deprecation != 0 ? try deprecation() : nil)
    }

    private mutating func deprecation() throws(FormatError) -> Field.Deprecation {
        let since = try number32("the version that deprecated a field")
        let unwritten = try number32("the version that does not write a field")
        let gone = try number32("the version in which a field is gone")
        return Field.Deprecation(
            since: since, unwritten: unwritten == 0 ? nil : unwritten,
            gone: gone == 0 ? nil : gone)
    }

    private mutating func formerNames() throws(FormatError) -> [String] {
        let count = try reader.varint(upTo: Limits.formerNames, "the number of former names")
        guard count > 0 else { throw reader.error(.malformed, "former names that are none") }
        var names: [String] = []
        for _ in 0..<count { names.append(try name("a field's former name")) }
        return names
    }

    mutating func retired() throws(FormatError) -> [RetiredField] {
        let count = try reader.varint(upTo: Limits.retiredFields, "the number of retired fields")
        guard count > 0 else { throw reader.error(.malformed, "retired fields that are none") }
        var retired: [RetiredField] = []
        for _ in 0..<count {
            let number = try reader.varint(
                upTo: Int(UInt16.max), "a retired field's number", beyond: .malformed)
            retired.append(
                number == 0
                    ? .name(try name("a retired field's name")) : .number(UInt16(number)))
        }
        return retired
    }

    mutating func type(depth: Int) throws(FormatError) -> FieldType {
        let tag = try reader.byte("a type")
        switch tag {
        case FieldType.Tag.string: return .string
        case FieldType.Tag.bytes: return .bytes
        case FieldType.Tag.enumeration: return try enumeration(hasFallback: false)
        case FieldType.Tag.enumerationWithFallback: return try enumeration(hasFallback: true)
        case FieldType.Tag.optional:
            guard reader.nextByte != FieldType.Tag.optional else {
                throw reader.error(.malformed, "an optional wraps an optional")
            }
            return .optional(try type(depth: depth))
        case FieldType.Tag.array:
            let element = try reader.byte("an array's element type")
            guard let element = ScalarType(rawValue: element) else {
                throw reader.error(.malformed, "an array's element has type \(element)")
            }
            return .array(element)
        case FieldType.Tag.structure: return .structure(try fields(depth: depth + 1))
        case FieldType.Tag.structureWithRetired:
            return .structure(try fields(depth: depth + 1), retired: try retired())
        default:
            guard let scalar = ScalarType(rawValue: tag) else {
                throw reader.error(.unsupported, "type \(tag) is not of this format")
            }
            return .scalar(scalar)
        }
    }

    mutating func enumeration(hasFallback: Bool) throws(FormatError) -> FieldType {
        let tag = try reader.byte("an enumeration's raw type")
        let raw: FieldType
        if tag == FieldType.Tag.string {
            raw = .string
        } else if let scalar = ScalarType(rawValue: tag), scalar.isEnumerationRaw {
            raw = .scalar(scalar)
        } else {
            throw reader.error(.malformed, "an enumeration has raw type \(tag)")
        }
        let count = try reader.varint(upTo: Limits.enumerationCases, "the number of cases")
        var cases: [EnumerationCase] = []
        for _ in 0..<count {
            let name = try name("a case's name")
            cases.append(EnumerationCase(name: name, raw: try value(of: raw)))
        }
        if hasFallback {
            let fallback = try reader.varint(
                upTo: Limits.enumerationCases, "the place of the fallback", beyond: .malformed)
            guard fallback < cases.count else {
                throw reader.error(.malformed, "the fallback of an enumeration is no case")
            }
            cases[fallback].isFallback = true
        }
        return .enumeration(raw: raw, cases: cases)
    }

    mutating func value(of type: FieldType) throws(FormatError) -> Value {
        switch type {
        case .scalar(let scalar): return try value(of: scalar)
        case .string:
            return .string(try reader.string(upTo: Limits.defaultValueBytes, "a default value"))
        case .bytes:
            let count = try reader.varint(upTo: Limits.defaultValueBytes, "a default's length")
            return .bytes(unsafe [UInt8](try reader.take(count, "a default value")))
        case .enumeration(let raw, _): return try value(of: raw)
        case .optional(let wrapped):
            return try flag("whether a default is there") ? value(of: wrapped) : .none
        case .array(let element):
            let count = try reader.varint(
                upTo: Limits.defaultValueBytes / element.width, "a default's length")
            var values: [Value] = []
            for _ in 0..<count { values.append(try value(of: element)) }
            return .array(values)
        case .structure(let fields, _):
            var values: [Value] = []
            for field in fields { values.append(try value(of: field.type)) }
            return .structure(values)
        }
    }

    mutating func value(of scalar: ScalarType) throws(FormatError) -> Value {
        let what = "a default value"
        switch scalar {
        case .bool: return .bool(try flag(what))
        case .int8: return .int(Int128(try reader.integer(Int8.self, what)))
        case .int16: return .int(Int128(try reader.integer(Int16.self, what)))
        case .int32: return .int(Int128(try reader.integer(Int32.self, what)))
        case .int64, .timestamp: return .int(Int128(try reader.integer(Int64.self, what)))
        case .int128: return .int(try reader.integer(Int128.self, what))
        case .uint8: return .uint(UInt128(try reader.integer(UInt8.self, what)))
        case .uint16: return .uint(UInt128(try reader.integer(UInt16.self, what)))
        case .uint32: return .uint(UInt128(try reader.integer(UInt32.self, what)))
        case .uint64: return .uint(UInt128(try reader.integer(UInt64.self, what)))
        case .uint128: return .uint(try reader.integer(UInt128.self, what))
        case .float16, .float32, .float64:
            return .float(bits: try reader.integer(UInt64.self, what))
        case .uuid: return .uuid(unsafe [UInt8](try reader.take(16, what)))
        }
    }
}
