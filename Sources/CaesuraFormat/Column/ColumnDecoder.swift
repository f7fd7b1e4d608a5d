/// Reads columns from bytes that nobody vouches for; the counterpart of ``ColumnEncoder``.
///
/// Whatever the bytes are, it throws or fills the column with as many values as it was asked for. Memory
/// grows only to sizes that were compared with the limits before. It keeps its working memory from
/// column to column. Not thread-safe: one worker, one decoder.
public struct ColumnDecoder: ~Copyable {
    private var integers = IntegerDecoder()
    private var strings = StringDecoder()
    private var decimals = DecimalDecoder()
    private var lanes = Scratch()
    private let contentLimit: Int

    /// Creates a decoder.
    public init(limits: Limits) {
        contentLimit = min(Limits.rowBytesPerChunk, limits.decodedBytes)
    }

    /// Reads all of `bytes` as a column and replaces what `column` holds.
    ///
    /// - Parameters:
    ///   - bytes: what ``ColumnEncoder/encode(_:into:)`` wrote.
    ///   - kind: the leaf's kind, which is also `column`'s.
    ///   - count: number of values: the caller has bounded it, memory is made for so many.
    ///   - origin: where `bytes` starts, for the offsets of errors.
    ///   - column: has no values if an error is thrown.
    /// - Throws: `truncated`, `malformed`, `unsupported` or `limitExceeded`.
    public mutating func decode(
        _ bytes: UnsafeRawBufferPointer, kind: LeafColumn.Kind, count: Int, origin: Int,
        into column: ColumnBuffer
    ) throws(FormatError) {
        precondition(column.kind == kind, "the buffer is of another kind")
        precondition(count >= 0, "a negative number of values")
        column.removeAll()
        var reader = unsafe ByteReader(bytes, origin: origin)
        if count > 0 {
            do {
                try decode(&reader, count: count, into: column)
            } catch {
                column.removeAll()
                throw error
            }
        }
        guard reader.remaining == 0 else {
            column.removeAll()
            throw reader.error(.malformed, "\(reader.remaining) bytes behind a column")
        }
        column.count = count
    }

    /// Reads a column that other bytes follow.
    ///
    /// - Parameter count: At least 1, and bounded: memory is made for so many.
    mutating func decode(
        _ reader: inout ByteReader, count: Int, into column: ColumnBuffer
    ) throws(FormatError) {
        column.removeAll()
        column.reserveCapacity(count)
        try decodeValues(&reader, count: count, into: column)
        column.count = count
    }

    /// Reads an integer stream into a column of values of that width, whatever they stand for.
    mutating func decodeWords(
        _ reader: inout ByteReader, count: Int, width: Int, into column: ColumnBuffer
    ) throws(FormatError) {
        column.removeAll()
        column.reserveCapacity(count)
        switch width {
        case 1: try unsafe decodeIntegers(&reader, count, UInt8.self, to: column.values)
        case 2: try unsafe decodeIntegers(&reader, count, UInt16.self, to: column.values)
        case 4: try unsafe decodeIntegers(&reader, count, UInt32.self, to: column.values)
        default: try unsafe decodeIntegers(&reader, count, UInt64.self, to: column.values)
        }
        column.count = count
    }

    private mutating func decodeValues(
        _ reader: inout ByteReader, count: Int, into column: ColumnBuffer
    ) throws(FormatError) {
        switch column.kind {
        case .presence:
            try unsafe decodeScalars(&reader, count: count, .bool, to: column.values)
        case .fixed(let scalar):
            try unsafe decodeScalars(&reader, count: count, scalar, to: column.values)
        case .bytes(let utf8):
            try strings.decode(
                &reader, count: count, utf8: utf8, limit: contentLimit, integers: &integers,
                into: column)
        case .array(let scalar):
            let place = reader
            let lengths = unsafe column.lengths
            try unsafe integers.decode(&reader, count: count, to: lengths)
            let longest = Limits.inlineValueBytes / column.width
            var total = 0
            for i in 0..<count {
                let length = unsafe Int(lengths[i])
                total &+= length <= longest ? length : 0
            }
            guard total <= contentLimit / column.width else {
                throw place.error(.limitExceeded, "a column has \(total) elements")
            }
            column.reserveContent(total * column.width)
            try unsafe decodeScalars(&reader, count: total, scalar, to: column.content)
            column.contentByteCount = total * column.width
        }
    }

    private mutating func decodeScalars(
        _ reader: inout ByteReader, count: Int, _ scalar: ScalarType,
        to target: UnsafeMutableRawPointer
    ) throws(FormatError) {
        guard count > 0 else { return }
        switch scalar {
        case .bool:
            let place = reader
            try unsafe decodeIntegers(&reader, count, UInt8.self, to: target)
            let bytes = unsafe target.assumingMemoryBound(to: UInt8.self)
            var all: UInt8 = 0
            for i in 0..<count { unsafe all |= bytes[i] }
            guard all <= 1 else {
                throw place.error(.malformed, "a Bool that is neither 0 nor 1")
            }
        case .int8, .uint8:
            try unsafe decodeIntegers(&reader, count, UInt8.self, to: target)
        case .int16, .uint16, .float16:
            try unsafe decodeIntegers(&reader, count, UInt16.self, to: target)
        case .int32, .uint32:
            try unsafe decodeIntegers(&reader, count, UInt32.self, to: target)
        case .int64, .uint64, .timestamp:
            try unsafe decodeIntegers(&reader, count, UInt64.self, to: target)
        case .float32:
            if reader.isNext(.decimal) {
                try unsafe decimals.decode(
                    &reader, count: count, integers: &integers,
                    to: target.assumingMemoryBound(to: Float.self))
            } else {
                try unsafe decodeIntegers(&reader, count, UInt32.self, to: target)
            }
        case .float64:
            if reader.isNext(.decimal) {
                try unsafe decimals.decode(
                    &reader, count: count, integers: &integers,
                    to: target.assumingMemoryBound(to: Double.self))
            } else {
                try unsafe decodeIntegers(&reader, count, UInt64.self, to: target)
            }
        case .int128, .uint128:
            try unsafe decodeHalves(&reader, count: count, low: 0, swapped: false, to: target)
        case .uuid:
            try unsafe decodeHalves(&reader, count: count, low: 1, swapped: true, to: target)
        }
    }

    @inline(__always)
    private mutating func decodeIntegers<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ reader: inout ByteReader, _ count: Int, _ type: T.Type, to target: UnsafeMutableRawPointer
    ) throws(FormatError) {
        try unsafe integers.decode(
            &reader, count: count, to: target.assumingMemoryBound(to: T.self))
    }

    private mutating func decodeHalves(
        _ reader: inout ByteReader, count: Int, low: Int, swapped: Bool,
        to target: UnsafeMutableRawPointer
    ) throws(FormatError) {
        let place = reader
        let coding = try reader.byte("a coding of 16-byte values")
        guard coding == ColumnCoding.lanes.rawValue else {
            throw place.error(
                ColumnCoding(rawValue: coding) == nil ? .unsupported : .malformed,
                "coding \(coding) cannot stand here")
        }
        let words = unsafe target.assumingMemoryBound(to: UInt64.self)
        let lane = unsafe lanes.reserve(count, of: UInt64.self)
        for word in [low, 1 - low] {
            try unsafe integers.decode(&reader, count: count, to: lane)
            for i in 0..<count {
                let value = unsafe lane[i]
                unsafe words[2 &* i &+ word] = swapped ? value.byteSwapped : value
            }
        }
    }
}

extension ByteReader {
    /// Whether the next byte, if there is one, is this coding.
    func isNext(_ coding: ColumnCoding) -> Bool {
        unsafe remaining > 0 && bytes[position] == coding.rawValue
    }
}
