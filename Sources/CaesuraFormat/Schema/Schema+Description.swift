// Schemas for people: Swift-like text. It is not read back; `docs/FORMAT.md` has the binary coding.

extension RegionSchema: CustomStringConvertible {
    /// The region as Swift-like text.
    ///
    ///     table "sessions", key: uuid
    ///     @Schema("session", version: 2)
    ///     struct {
    ///         @Field(1) var user: uint64
    ///         @Field(2, .sensitive) var token: string
    ///         @Field(4, since: 2) var visits: uint32 = 0
    ///     }
    public var description: String {
        var text = "\(kind) \(quoted(name))"
        if let key {
            if key.fields.count == 1, key.fields[0].number == 1, key.fields[0].name == "key" {
                text += ", key: \(key.fields[0].type)"
            } else {
                text += ", key:\n\(key)"
            }
        }
        return text + "\n\(row)"
    }
}

extension Schema: CustomStringConvertible {
    /// The schema as Swift-like text.
    public var description: String {
        "@Schema(\(quoted(name)), version: \(version)\(Field.text(of: retired)))\nstruct "
            + Field.block(fields, indent: "")
    }
}

extension Field: CustomStringConvertible {
    /// The field as Swift-like text.
    public var description: String { text(indent: "") }

    fileprivate func text(indent: String) -> String {
        var attribute = "\(number)"
        if since > 1 { attribute += ", since: \(since)" }
        if flags.contains(.sensitive) { attribute += ", .sensitive" }
        if !formerNames.isEmpty {
            attribute += ", formerly: [\(formerNames.map(quoted).joined(separator: ", "))]"
        }
        if let deprecation {
            attribute += ", deprecated: \(deprecation.since)"
            if let version = deprecation.unwritten { attribute += ", unwritten: \(version)" }
            if let version = deprecation.gone { attribute += ", gone: \(version)" }
        }
        var text = "@Field(\(attribute)) var \(name): \(type.text(indent: indent))"
        if let defaultValue { text += " = \(defaultValue)" }
        return text
    }

    /// The fields that are gone, as an argument; nothing if there are none.
    fileprivate static func text(of retired: [RetiredField]) -> String {
        if retired.isEmpty { return "" }
        let list = retired.map { field in
            switch field {
            case .number(let number): "\(number)"
            case .name(let name): quoted(name)
            }
        }
        return ", retired: [\(list.joined(separator: ", "))]"
    }

    fileprivate static func block(_ fields: [Field], indent: String) -> String {
        let inner = indent + "    "
        return "{\n" + fields.map { inner + $0.text(indent: inner) + "\n" }.joined() + indent + "}"
    }
}

extension FieldType: CustomStringConvertible {
    /// The type as Swift-like text.
    public var description: String { text(indent: "") }

    fileprivate func text(indent: String) -> String {
        switch self {
        case .scalar(let scalar): "\(scalar)"
        case .string: "string"
        case .bytes: "bytes"
        case .enumeration(let raw, let cases):
            "enum(\(raw)) { "
                + cases.map { "\($0.name) = \($0.raw)\($0.isFallback ? " fallback" : "")" }
                .joined(separator: ", ") + " }"
        case .optional(let wrapped): wrapped.text(indent: indent) + "?"
        case .array(let element): "[\(element)]"
        case .structure(let fields, let retired):
            "struct\(Field.text(of: retired)) " + Field.block(fields, indent: indent)
        }
    }
}

extension Value: CustomStringConvertible {
    /// The value as a Swift literal; bytes and UUIDs in hexadecimal.
    public var description: String {
        switch self {
        case .none: "nil"
        case .bool(let bool): "\(bool)"
        case .int(let int): "\(int)"
        case .uint(let uint): "\(uint)"
        case .float(let bits): "\(Double(bitPattern: bits))"
        case .string(let string): quoted(string)
        case .bytes(let bytes): "0x" + hexadecimal(bytes[...])
        case .uuid(let bytes):
            bytes.count != 16
                ? "0x" + hexadecimal(bytes[...])
                : [bytes[0..<4], bytes[4..<6], bytes[6..<8], bytes[8..<10], bytes[10..<16]]
                    .map(hexadecimal).joined(separator: "-")
        case .array(let values): "[\(values.map(\.description).joined(separator: ", "))]"
        case .structure(let values): "(\(values.map(\.description).joined(separator: ", ")))"
        }
    }
}

private func hexadecimal(_ bytes: ArraySlice<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

/// A string literal without anything that a terminal might take for a command.
private func quoted(_ string: String) -> String {
    var text = "\""
    for scalar in string.unicodeScalars {
        switch scalar {
        case "\"", "\\": text += "\\" + String(scalar)
        case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value):
            text += "\\u{" + String(scalar.value, radix: 16) + "}"
        default: text.unicodeScalars.append(scalar)
        }
    }
    return text + "\""
}
