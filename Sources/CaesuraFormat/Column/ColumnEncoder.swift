/// Writes columns as bytes; the layout is in `docs/FORMAT.md`, "Columns".
///
/// It looks at a sample of each column, picks the coding that promises the fewest bytes, and falls back
/// where the promise does not hold, so that the result is never more than a few bytes larger than the
/// values themselves. The same values give the same bytes. It keeps its working memory from column to
/// column. Not thread-safe: one worker, one encoder.
public struct ColumnEncoder: ~Copyable {
    var integers = IntegerEncoder()
    var halves = Scratch()
    var strings = StringEncoder()
    var decimals = DecimalEncoder()

    /// Creates an encoder.
    public init() {}

    /// Appends a column's bytes; none for a column without values.
    ///
    /// - Complexity: O(values + content bytes).
    public mutating func encode(_ column: ColumnBuffer, into writer: inout ByteWriter) {
        let count = column.count
        guard count > 0 else { return }
        switch column.kind {
        case .presence:
            unsafe encodeIntegers(column.values, count, UInt8.self, signed: false, into: &writer)
        case .fixed(let scalar):
            unsafe encodeScalars(column.values, count: count, scalar, into: &writer)
        case .bytes:
            unsafe strings.encode(
                column.lengths, column.content, count: count,
                contentByteCount: column.contentByteCount, integers: &integers, into: &writer)
        case .array(let scalar):
            unsafe integers.encode(column.lengths, count: count, signed: false, into: &writer)
            unsafe encodeScalars(
                column.content, count: column.contentByteCount / column.width, scalar, into: &writer
            )
        }
    }

    private mutating func encodeScalars(
        _ values: UnsafeMutableRawPointer, count: Int, _ scalar: ScalarType,
        into writer: inout ByteWriter
    ) {
        guard count > 0 else { return }
        switch scalar {
        case .bool, .uint8:
            unsafe encodeIntegers(values, count, UInt8.self, signed: false, into: &writer)
        case .int8:
            unsafe encodeIntegers(values, count, UInt8.self, signed: true, into: &writer)
        case .uint16, .float16:
            unsafe encodeIntegers(values, count, UInt16.self, signed: false, into: &writer)
        case .int16:
            unsafe encodeIntegers(values, count, UInt16.self, signed: true, into: &writer)
        case .uint32:
            unsafe encodeIntegers(values, count, UInt32.self, signed: false, into: &writer)
        case .int32:
            unsafe encodeIntegers(values, count, UInt32.self, signed: true, into: &writer)
        case .uint64:
            unsafe encodeIntegers(values, count, UInt64.self, signed: false, into: &writer)
        case .int64, .timestamp:
            unsafe encodeIntegers(values, count, UInt64.self, signed: true, into: &writer)
        case .float32:
            if unsafe decimals.encode(
                values.assumingMemoryBound(to: Float.self), count: count, integers: &integers,
                into: &writer)
            {
                return
            }
            unsafe encodeIntegers(values, count, UInt32.self, signed: false, into: &writer)
        case .float64:
            if unsafe decimals.encode(
                values.assumingMemoryBound(to: Double.self), count: count, integers: &integers,
                into: &writer)
            {
                return
            }
            unsafe encodeIntegers(values, count, UInt64.self, signed: false, into: &writer)
        case .int128:
            unsafe encodeHalves(values, count, low: 0, swapped: false, signed: true, into: &writer)
        case .uint128:
            unsafe encodeHalves(values, count, low: 0, swapped: false, signed: false, into: &writer)
        case .uuid:
            unsafe encodeHalves(values, count, low: 1, swapped: true, signed: false, into: &writer)
        }
    }

    @inline(__always)
    private mutating func encodeIntegers<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ values: UnsafeMutableRawPointer, _ count: Int, _ type: T.Type, signed: Bool,
        into writer: inout ByteWriter
    ) {
        unsafe integers.encode(
            values.assumingMemoryBound(to: T.self), count: count, signed: signed, into: &writer)
    }

    /// Writes 16-byte values as two streams, low halves first.
    ///
    /// - Parameters:
    ///   - low: which of the two words of a value is its low half.
    ///   - swapped: whether a word's first byte is its most significant.
    private mutating func encodeHalves(
        _ values: UnsafeMutableRawPointer, _ count: Int, low: Int, swapped: Bool, signed: Bool,
        into writer: inout ByteWriter
    ) {
        writer.append(ColumnCoding.lanes.rawValue)
        let words = unsafe values.assumingMemoryBound(to: UInt64.self)
        let lane = unsafe halves.reserve(count, of: UInt64.self)
        for word in [low, 1 - low] {
            for i in 0..<count {
                let value = unsafe words[2 &* i &+ word]
                unsafe lane[i] = swapped ? value.byteSwapped : value
            }
            unsafe integers.encode(lane, count: count, signed: signed, into: &writer)
        }
    }
}
