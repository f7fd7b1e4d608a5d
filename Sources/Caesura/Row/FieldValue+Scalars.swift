public import CaesuraFormat
public import FoundationEssentials

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A field value of fixed width that is stored as it is.
public protocol ScalarValue: FieldValue {
    /// The type in the schema.
    static var scalarType: ScalarType { get }
}

/// A scalar that arrays may hold: its memory is its stored form, and copying its bytes copies it.
///
/// That is more than `BitwiseCopyable` says, which ``UUID``, a struct of 16 bytes, does not declare.
public protocol ArrayElement: ScalarValue {}

extension ScalarValue {
    /// The scalar.
    public static var fieldType: FieldType { .scalar(scalarType) }

    /// Scalars lie in the row.
    @inlinable public static var isInline: Bool { true }

    /// Adds one leaf.
    public static func describe(at offset: Int, in layout: inout RowLayout.Builder) {
        layout.add(.fixed(scalarType), at: offset)
    }

    /// None.
    @inlinable public static func heapByteCount(of value: Self, upTo limit: Int) -> Int { 0 }
}

extension ScalarValue where Stored == Self {
    /// The value itself.
    @inlinable public static func place(_ value: Self, in heap: inout HeapWriter) -> Self { value }

    /// The value itself.
    @inlinable public static func load(_ stored: Self, from heap: HeapView) -> Self { stored }
}

extension FixedWidthInteger
where Self: ScalarValue & TableKey & BitwiseCopyable, Stored == Self {
    /// The hash of the integer's little-endian bytes.
    @inlinable public func hash(with hashKey: HashKey) -> UInt64 {
        switch MemoryLayout<Self>.size {
        case 8: return hashKey.hash(UInt64(truncatingIfNeeded: self))
        case 16:
            return hashKey.hash(
                UInt64(truncatingIfNeeded: self), UInt64(truncatingIfNeeded: self >> 64))
        default:
            return unsafe withUnsafeBytes(of: littleEndian) { unsafe hashKey.hash(bytes: $0) }
        }
    }

    /// Feeds the integer's little-endian bytes.
    @inlinable public func absorb(into hasher: inout KeyHasher) {
        hasher.absorb(littleEndian: self)
    }

    /// Whether the integers are the same.
    @inlinable public static func matches(_ stored: Self, _ key: Self, in heap: HeapView) -> Bool {
        stored == key
    }

    /// A signed or an unsigned integer.
    public static func value(of value: Self) -> Value {
        isSigned ? .int(Int128(value)) : .uint(UInt128(value))
    }
}

extension Int8: ArrayElement, TableKey {
    /// The value itself.
    public typealias Stored = Int8
    /// The type in the schema.
    public static var scalarType: ScalarType { .int8 }
}
extension Int16: ArrayElement, TableKey {
    /// The value itself.
    public typealias Stored = Int16
    /// The type in the schema.
    public static var scalarType: ScalarType { .int16 }
}
extension Int32: ArrayElement, TableKey {
    /// The value itself.
    public typealias Stored = Int32
    /// The type in the schema.
    public static var scalarType: ScalarType { .int32 }
}
extension Int64: ArrayElement, TableKey {
    /// The value itself.
    public typealias Stored = Int64
    /// The type in the schema.
    public static var scalarType: ScalarType { .int64 }
}
extension Int128: ArrayElement, TableKey {
    /// The value itself.
    public typealias Stored = Int128
    /// The type in the schema.
    public static var scalarType: ScalarType { .int128 }
}
extension UInt8: ArrayElement, TableKey {
    /// The value itself.
    public typealias Stored = UInt8
    /// The type in the schema.
    public static var scalarType: ScalarType { .uint8 }
}
extension UInt16: ArrayElement, TableKey {
    /// The value itself.
    public typealias Stored = UInt16
    /// The type in the schema.
    public static var scalarType: ScalarType { .uint16 }
}
extension UInt32: ArrayElement, TableKey {
    /// The value itself.
    public typealias Stored = UInt32
    /// The type in the schema.
    public static var scalarType: ScalarType { .uint32 }
}
extension UInt64: ArrayElement, TableKey {
    /// The value itself.
    public typealias Stored = UInt64
    /// The type in the schema.
    public static var scalarType: ScalarType { .uint64 }
}
extension UInt128: ArrayElement, TableKey {
    /// The value itself.
    public typealias Stored = UInt128
    /// The type in the schema.
    public static var scalarType: ScalarType { .uint128 }
}

extension Float16: ArrayElement {
    /// The value itself.
    public typealias Stored = Float16
    /// The type in the schema.
    public static var scalarType: ScalarType { .float16 }
    /// The float, widened.
    public static func value(of value: Float16) -> Value { .float(bits: Double(value).bitPattern) }
}
extension Float: ArrayElement {
    /// The value itself.
    public typealias Stored = Float
    /// The type in the schema.
    public static var scalarType: ScalarType { .float32 }
    /// The float, widened.
    public static func value(of value: Float) -> Value { .float(bits: Double(value).bitPattern) }
}
extension Double: ArrayElement {
    /// The value itself.
    public typealias Stored = Double
    /// The type in the schema.
    public static var scalarType: ScalarType { .float64 }
    /// The float.
    public static func value(of value: Double) -> Value { .float(bits: value.bitPattern) }
}

extension Bool: ArrayElement, TableKey {
    /// A byte, 0 or 1.
    public typealias Stored = UInt8
    /// The type in the schema.
    public static var scalarType: ScalarType { .bool }
    /// 1 for true.
    @inlinable public static func place(_ value: Bool, in heap: inout HeapWriter) -> UInt8 {
        value ? 1 : 0
    }
    /// Whether the byte is not 0.
    @inlinable public static func load(_ stored: UInt8, from heap: HeapView) -> Bool { stored != 0 }
    /// The hash of one byte, 0 or 1.
    @inlinable public func hash(with hashKey: HashKey) -> UInt64 {
        (self ? 1 as UInt8 : 0).hash(with: hashKey)
    }
    /// Feeds one byte, 0 or 1.
    @inlinable public func absorb(into hasher: inout KeyHasher) {
        hasher.absorb(littleEndian: self ? 1 as UInt8 : 0)
    }
    /// Whether the byte is that of the key.
    @inlinable public static func matches(_ stored: UInt8, _ key: Bool, in heap: HeapView) -> Bool {
        (stored != 0) == key
    }
    /// The Bool.
    public static func value(of value: Bool) -> Value { .bool(value) }
}

/// An instant: microseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
@frozen
public struct Timestamp: Hashable, Comparable, Sendable, BitwiseCopyable {
    /// Microseconds since 1970.
    public var microseconds: Int64

    /// Creates an instant.
    @inlinable public init(microseconds: Int64) { self.microseconds = microseconds }

    /// The present, by the system's clock.
    public static var now: Timestamp {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(
            microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000)
    }

    /// Whether `a` is earlier.
    @inlinable public static func < (a: Timestamp, b: Timestamp) -> Bool {
        a.microseconds < b.microseconds
    }
}

extension Timestamp: ArrayElement, TableKey {
    /// The value itself.
    public typealias Stored = Timestamp
    /// The type in the schema.
    public static var scalarType: ScalarType { .timestamp }
    /// The hash of the 8 bytes.
    @inlinable public func hash(with hashKey: HashKey) -> UInt64 {
        microseconds.hash(with: hashKey)
    }
    /// Feeds the 8 bytes.
    @inlinable public func absorb(into hasher: inout KeyHasher) {
        microseconds.absorb(into: &hasher)
    }
    /// Whether the instants are the same.
    @inlinable public static func matches(
        _ stored: Timestamp, _ key: Timestamp, in heap: HeapView
    ) -> Bool { stored == key }
    /// Microseconds.
    public static func value(of value: Timestamp) -> Value { .int(Int128(value.microseconds)) }
}

extension UUID: ArrayElement, TableKey {
    /// The 16 bytes in the order of RFC 9562, as two words.
    @frozen
    public struct Stored: BitwiseCopyable, Sendable, Hashable {
        @usableFromInline var first: UInt64
        @usableFromInline var second: UInt64
    }

    /// The type in the schema.
    public static var scalarType: ScalarType { .uuid }

    @inlinable var words: Stored { unsafe unsafeBitCast(uuid, to: Stored.self) }

    /// The 16 bytes.
    @inlinable public static func place(_ value: UUID, in heap: inout HeapWriter) -> Stored {
        value.words
    }
    /// The UUID of the 16 bytes.
    @inlinable public static func load(_ stored: Stored, from heap: HeapView) -> UUID {
        unsafe UUID(uuid: unsafeBitCast(stored, to: uuid_t.self))
    }
    /// The hash of the 16 bytes.
    @inlinable public func hash(with hashKey: HashKey) -> UInt64 {
        let words = words
        return hashKey.hash(UInt64(littleEndian: words.first), UInt64(littleEndian: words.second))
    }
    /// Feeds the 16 bytes.
    @inlinable public func absorb(into hasher: inout KeyHasher) {
        unsafe withUnsafeBytes(of: words) { unsafe hasher.absorb($0) }
    }
    /// Whether the bytes are the same.
    @inlinable public static func matches(_ stored: Stored, _ key: UUID, in heap: HeapView) -> Bool
    {
        stored == key.words
    }
    /// The 16 bytes.
    public static func value(of value: UUID) -> Value {
        unsafe .uuid(withUnsafeBytes(of: value.words) { unsafe Array($0) })
    }
}
