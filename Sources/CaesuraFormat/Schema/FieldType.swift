/// The type of a field: what its bytes mean.
public indirect enum FieldType: Hashable, Sendable {
    /// A value of fixed width: an integer, a float, a Bool, a UUID or a timestamp.
    case scalar(ScalarType)
    /// Well-formed UTF-8 of any length.
    case string
    /// Bytes of any length.
    case bytes
    /// A closed set of raw values. `raw` is an integer scalar or `.string`.
    case enumeration(raw: FieldType, cases: [EnumerationCase])
    /// A value that may be absent. Optionals do not nest directly.
    case optional(FieldType)
    /// A sequence of scalars.
    case array(ScalarType)
    /// A nested struct with fields of its own, and those that it once had.
    case structure([Field], retired: [RetiredField] = [])
}

/// A value type of fixed width, stored little-endian.
public enum ScalarType: UInt8, Hashable, Sendable, CaseIterable {
    case bool = 1
    case int8 = 2
    case int16 = 3
    case int32 = 4
    case int64 = 5
    case int128 = 6
    case uint8 = 7
    case uint16 = 8
    case uint32 = 9
    case uint64 = 10
    case uint128 = 11
    case float16 = 12
    case float32 = 13
    case float64 = 14
    /// 16 bytes in RFC 9562 order.
    case uuid = 15
    /// Microseconds since 1970-01-01T00:00:00Z, as a signed 64-bit integer.
    case timestamp = 16

    /// The width in bytes: 1, 2, 4, 8 or 16.
    public var width: Int {
        switch self {
        case .bool, .int8, .uint8: 1
        case .int16, .uint16, .float16: 2
        case .int32, .uint32, .float32: 4
        case .int64, .uint64, .float64, .timestamp: 8
        case .int128, .uint128, .uuid: 16
        }
    }
}

/// One case of an enumeration: its name and its raw value.
public struct EnumerationCase: Hashable, Sendable {
    /// The case's name, for people.
    public var name: String
    /// The raw value that is stored.
    public var raw: Value
    /// Whether a program reads this case where the data has one that it does not know; at most one of a type is.
    public var isFallback: Bool

    /// Creates a case.
    public init(name: String, raw: Value, isFallback: Bool = false) {
        self.name = name
        self.raw = raw
        self.isFallback = isFallback
    }
}
