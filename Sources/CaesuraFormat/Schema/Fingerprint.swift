/// A 64-bit name of a schema: equal schemas have equal fingerprints, and different ones differ but for
/// accidents of 2⁻⁶⁴.
///
/// It is XXH3-64 of a canonical byte string (`docs/FORMAT.md`, "Fingerprints") and not cryptographic: it
/// finds mistakes, not attacks.
public struct Fingerprint: Hashable, Sendable, CustomStringConvertible {
    /// The 64 bits as they stand in a chunk's header.
    public let rawValue: UInt64

    /// Takes the bits of a fingerprint.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Sixteen hexadecimal digits.
    public var description: String {
        let digits = String(rawValue, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    fileprivate init(of writer: borrowing ByteWriter) {
        rawValue = unsafe Checksum.of(writer.bytes)
    }
}

extension RegionSchema {
    /// What the bytes of the region's chunks mean: kind, numbers, types, order, key.
    ///
    /// - Complexity: O(fields), with an allocation: keep it, do not compute it for each chunk.
    public var wireFingerprint: Fingerprint {
        var writer = ByteWriter()
        writer.append(UInt8(ascii: "W"))
        writer.append(kind.rawValue)
        writer.append(key == nil ? 0 : 1)
        if let key { Field.encodeWireForm(key.fields, into: &writer) }
        Field.encodeWireForm(row.fields, into: &writer)
        return Fingerprint(of: writer)
    }

    /// Everything about the region: names, defaults, versions and flags too.
    ///
    /// - Complexity: O(fields), with an allocation.
    public var resolutionFingerprint: Fingerprint {
        var writer = ByteWriter()
        writer.append(UInt8(ascii: "R"))
        encode(into: &writer)
        return Fingerprint(of: writer)
    }
}

extension Field {
    fileprivate static func encodeWireForm(_ fields: [Field], into writer: inout ByteWriter) {
        writer.append(varint: UInt64(fields.count))
        for field in fields {
            writer.append(varint: UInt64(field.number))
            field.type.encodeWireForm(into: &writer)
        }
    }
}

extension FieldType {
    fileprivate func encodeWireForm(into writer: inout ByteWriter) {
        switch self {
        case .scalar, .string, .bytes, .array: encode(into: &writer)
        case .enumeration(let raw, _):
            writer.append(Tag.enumeration)
            raw.encode(into: &writer)
        case .optional(let wrapped):
            writer.append(Tag.optional)
            wrapped.encodeWireForm(into: &writer)
        case .structure(let fields, _):
            writer.append(Tag.structure)
            Field.encodeWireForm(fields, into: &writer)
        }
    }
}
