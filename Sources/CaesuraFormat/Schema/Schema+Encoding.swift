// The binary coding of schemas: `docs/FORMAT.md`, "Coding of a region".

extension RegionSchema {
    /// Appends the region's coding.
    ///
    /// - Precondition: ``validate()`` accepts the region.
    public func encode(into writer: inout ByteWriter) {
        writer.append(string: name)
        writer.append(kind.rawValue)
        writer.append((key == nil ? 0 : Parts.key) | (row.retired.isEmpty ? 0 : Parts.retired))
        key?.encode(into: &writer)
        row.encode(into: &writer)
        if !row.retired.isEmpty { RetiredField.encode(row.retired, into: &writer) }
    }

    /// The bits of the byte that says what a region's coding has beside name, kind and row.
    enum Parts {
        static let key: UInt8 = 1
        static let retired: UInt8 = 2
    }
}

extension Schema {
    func encode(into writer: inout ByteWriter) {
        writer.append(string: name)
        writer.append(varint: UInt64(version))
        Field.encode(fields, into: &writer)
    }
}

extension Field {
    static func encode(_ fields: [Field], into writer: inout ByteWriter) {
        writer.append(varint: UInt64(fields.count))
        for field in fields {
            writer.append(varint: UInt64(field.number))
            writer.append(string: field.name)
            writer.append(varint: UInt64(field.since))
            writer.append(
                field.flags.rawValue | (field.formerNames.isEmpty ? 0 : Flags.formerNames)
                    | (field.deprecation == nil ? 0 : Flags.deprecation))
            field.type.encode(into: &writer)
            writer.append(field.defaultValue == nil ? 0 : 1)
            field.defaultValue?.encode(as: field.type, into: &writer)
            if !field.formerNames.isEmpty {
                writer.append(varint: UInt64(field.formerNames.count))
                for name in field.formerNames { writer.append(string: name) }
            }
            if let deprecation = field.deprecation {
                writer.append(varint: UInt64(deprecation.since))
                writer.append(varint: UInt64(deprecation.unwritten ?? 0))
                writer.append(varint: UInt64(deprecation.gone ?? 0))
            }
        }
    }
}

extension Field.Flags {
    /// The bit that says that former names follow the field.
    static let formerNames: UInt8 = 2
    /// The bit that says that a deprecation follows the field.
    static let deprecation: UInt8 = 4
}

extension RetiredField {
    static func encode(_ retired: [RetiredField], into writer: inout ByteWriter) {
        writer.append(varint: UInt64(retired.count))
        for field in retired {
            switch field {
            case .number(let number): writer.append(varint: UInt64(number))
            case .name(let name):
                writer.append(varint: 0)
                writer.append(string: name)
            }
        }
    }
}

extension FieldType {
    /// The byte that says which type follows: 1...16 are the scalars' raw values.
    enum Tag {
        static let string: UInt8 = 32
        static let bytes: UInt8 = 33
        static let enumeration: UInt8 = 34
        static let optional: UInt8 = 35
        static let array: UInt8 = 36
        static let structure: UInt8 = 37
        static let enumerationWithFallback: UInt8 = 38
        static let structureWithRetired: UInt8 = 39
    }

    func encode(into writer: inout ByteWriter) {
        switch self {
        case .scalar(let scalar): writer.append(scalar.rawValue)
        case .string: writer.append(Tag.string)
        case .bytes: writer.append(Tag.bytes)
        case .enumeration(let raw, let cases):
            let fallback = cases.firstIndex(where: \.isFallback)
            writer.append(fallback == nil ? Tag.enumeration : Tag.enumerationWithFallback)
            raw.encode(into: &writer)
            writer.append(varint: UInt64(cases.count))
            for enumerationCase in cases {
                writer.append(string: enumerationCase.name)
                enumerationCase.raw.encode(as: raw, into: &writer)
            }
            if let fallback { writer.append(varint: UInt64(fallback)) }
        case .optional(let wrapped):
            writer.append(Tag.optional)
            wrapped.encode(into: &writer)
        case .array(let element):
            writer.append(Tag.array)
            writer.append(element.rawValue)
        case .structure(let fields, let retired):
            writer.append(retired.isEmpty ? Tag.structure : Tag.structureWithRetired)
            Field.encode(fields, into: &writer)
            if !retired.isEmpty { RetiredField.encode(retired, into: &writer) }
        }
    }
}

extension Value {
    /// Appends the value as its type says.
    ///
    /// - Precondition: ``problem(as:)`` finds none.
    func encode(as type: FieldType, into writer: inout ByteWriter) {
        switch (type, self) {
        case (.scalar(let scalar), _): encode(as: scalar, into: &writer)
        case (.string, .string(let string)): writer.append(string: string)
        case (.bytes, .bytes(let bytes)):
            writer.append(varint: UInt64(bytes.count))
            writer.append(contentsOf: bytes)
        case (.enumeration(let raw, _), _): encode(as: raw, into: &writer)
        case (.optional, .none): writer.append(0)
        case (.optional(let wrapped), _):
            writer.append(1)
            encode(as: wrapped, into: &writer)
        case (.array(let element), .array(let values)):
            writer.append(varint: UInt64(values.count))
            for value in values { value.encode(as: element, into: &writer) }
        case (.structure(let fields, _), .structure(let values)):
            for (field, value) in zip(fields, values) {
                value.encode(as: field.type, into: &writer)
            }
        default: preconditionFailure("a value that is not of its field's type")
        }
    }

    private func encode(as scalar: ScalarType, into writer: inout ByteWriter) {
        switch (scalar, self) {
        case (.bool, .bool(let bool)): writer.append(bool ? 1 : 0)
        case (.int8, .int(let int)): writer.append(littleEndian: Int8(int))
        case (.int16, .int(let int)): writer.append(littleEndian: Int16(int))
        case (.int32, .int(let int)): writer.append(littleEndian: Int32(int))
        case (.int64, .int(let int)), (.timestamp, .int(let int)):
            writer.append(littleEndian: Int64(int))
        case (.int128, .int(let int)): writer.append(littleEndian: int)
        case (.uint8, .uint(let uint)): writer.append(littleEndian: UInt8(uint))
        case (.uint16, .uint(let uint)): writer.append(littleEndian: UInt16(uint))
        case (.uint32, .uint(let uint)): writer.append(littleEndian: UInt32(uint))
        case (.uint64, .uint(let uint)): writer.append(littleEndian: UInt64(uint))
        case (.uint128, .uint(let uint)): writer.append(littleEndian: uint)
        case (.float16, .float(let bits)), (.float32, .float(let bits)),
            (.float64, .float(let bits)):
            writer.append(littleEndian: bits)
        case (.uuid, .uuid(let bytes)): writer.append(contentsOf: bytes)
        default: preconditionFailure("a value that is not of its field's type")
        }
    }
}
