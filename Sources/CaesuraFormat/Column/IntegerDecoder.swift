/// Reads integer streams; the counterpart of ``IntegerEncoder``.
///
/// Nobody vouches for the bytes: every count is compared with the number of values that the caller asked
/// for before memory is made, and arithmetic on values wraps.
@safe
struct IntegerDecoder: ~Copyable {
    private var values = Scratch()
    private var lengths = Scratch()
    private var codes = Scratch()

    /// Reads a stream of `count` values into memory that has room for them.
    mutating func decode<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ reader: inout ByteReader, count: Int, depth: IntegerEncoder.Depth = .full,
        to target: UnsafeMutablePointer<T>
    ) throws(FormatError) {
        guard count > 0 else { return }
        let place = reader
        let coding = try reader.byte("an integer coding")
        switch ColumnCoding(rawValue: coding) {
        case .raw:
            let size = T.bitWidth / 8
            guard count <= reader.remaining / size else {
                throw reader.error(.truncated, "raw integers end early")
            }
            let bytes = try unsafe reader.take(count * size, "raw integers")
            if let start = bytes.baseAddress {
                // SAFETY: `bytes` has `count` values and the caller vouches for `target`.
                unsafe UnsafeMutableRawPointer(target).copyMemory(
                    from: start, byteCount: count * size)
            }
        case .constant:
            let value: T = try reader.signed("a constant")
            unsafe target.update(repeating: value, count: count)
        case .packed:
            let base: T = try reader.signed("a frame's base")
            let bits = try Int(reader.byte("a frame's width"))
            guard bits > 0 else { throw place.error(.malformed, "a frame has no bits") }
            try unsafe reader.unpack(count, base: base, bits: bits, to: target)
        case .delta:
            let first: T = try reader.signed("a first value")
            let base: T = try reader.signed("a difference's base")
            let bits = try Int(reader.byte("a difference's width"))
            guard bits < T.bitWidth else {
                throw place.error(.malformed, "\(bits) bits for a difference of \(T.bitWidth)")
            }
            unsafe target[0] = first
            if count > 1 {
                try unsafe reader.unpack(count - 1, base: base, bits: bits, to: target + 1)
            }
            var value = first
            for i in 1..<max(count, 1) {
                value = unsafe value &+ target[i]
                unsafe target[i] = value
            }
        case .dictionary where depth == .full:
            try unsafe decodeDictionary(&reader, count: count, to: target)
        case .runs where depth == .full:
            try unsafe decodeRuns(&reader, count: count, to: target)
        case nil:
            throw place.error(.unsupported, "coding \(coding) is unknown")
        default:
            throw place.error(.malformed, "coding \(coding) cannot stand here")
        }
    }

    private mutating func decodeDictionary<
        T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable
    >(
        _ reader: inout ByteReader, count: Int, to target: UnsafeMutablePointer<T>
    ) throws(FormatError) {
        let size = try reader.dictionarySize(count)
        let keys = unsafe values.reserve(size, of: T.self)
        try unsafe decode(&reader, count: size, depth: .simple, to: keys)
        let codes = try unsafe decodeCodes(&reader, count: count, size: size)
        for i in 0..<count {
            // SAFETY: `decodeCodes` has compared all codes with `size`.
            unsafe target[i] = keys[Int(codes[i])]
        }
    }

    /// Reads the codes of a dictionary of `size` values, all less than `size`.
    mutating func decodeCodes(
        _ reader: inout ByteReader, count: Int, size: Int
    ) throws(FormatError) -> UnsafeMutablePointer<UInt16> {
        let place = reader
        let target = unsafe codes.reserve(count, of: UInt16.self)
        try unsafe reader.unpack(
            count, base: 0, bits: bitLength(UInt(size - 1)), to: target)
        var greatest: UInt16 = 0
        for i in 0..<count { greatest = unsafe max(greatest, target[i]) }
        guard Int(greatest) < size else {
            throw place.error(.malformed, "code \(greatest) in a dictionary of \(size)")
        }
        return unsafe target
    }

    private mutating func decodeRuns<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ reader: inout ByteReader, count: Int, to target: UnsafeMutablePointer<T>
    ) throws(FormatError) {
        let place = reader
        let runCount = try reader.varint("a number of runs")
        guard runCount > 0, runCount <= UInt64(count) else {
            throw place.error(.malformed, "\(runCount) runs for \(count) values")
        }
        let runs = Int(runCount)
        let keys = unsafe values.reserve(runs, of: T.self)
        try unsafe decode(&reader, count: runs, depth: .simple, to: keys)
        let repeats = unsafe lengths.reserve(runs, of: UInt32.self)
        try unsafe decode(&reader, count: runs, depth: .simple, to: repeats)
        var filled = 0
        for run in 0..<runs {
            let length = unsafe Int(repeats[run])
            guard length > 0, length <= count - filled else {
                throw place.error(.malformed, "runs do not add up to \(count) values")
            }
            // SAFETY: `filled + length <= count`, and the caller vouches for `count` values.
            unsafe (target + filled).update(repeating: keys[run], count: length)
            filled += length
        }
        guard filled == count else {
            throw place.error(.malformed, "runs do not add up to \(count) values")
        }
    }
}

extension ByteReader {
    /// Reads a number that ``ByteWriter/append(signed:_:)`` wrote, modulo 2^width.
    @inline(__always)
    mutating func signed<T: FixedWidthInteger & UnsignedInteger>(
        _ what: @autoclosure () -> String
    ) throws(FormatError) -> T {
        let zigzag = try varint(what())
        return T(truncatingIfNeeded: zigzag &>> 1 ^ (0 &- (zigzag & 1)))
    }

    /// Reads the number of values of a dictionary for `count` values.
    mutating func dictionarySize(_ count: Int) throws(FormatError) -> Int {
        let place = self
        let size = try varint("a dictionary's size")
        guard size > 0, size <= UInt64(count), size <= 32_768 else {
            throw place.error(.malformed, "a dictionary of \(size) for \(count) values")
        }
        return Int(size)
    }

    /// Reads `count` packed values of `bits` bits, which may be 0, and adds `base`.
    @inline(__always)
    mutating func unpack<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ count: Int, base: T, bits: Int, to target: UnsafeMutablePointer<T>
    ) throws(FormatError) {
        guard bits < T.bitWidth else {
            throw error(.malformed, "\(bits) bits for a value of \(T.bitWidth)")
        }
        guard bits > 0 else {
            unsafe target.update(repeating: base, count: count)
            return
        }
        let (total, overflow) = count.multipliedReportingOverflow(by: bits)
        guard !overflow, total / 8 <= remaining else {
            throw error(.truncated, "packed values end early")
        }
        let place = self
        let bytes = try unsafe take(BitPacking.byteCount(count, bits: bits), "packed values")
        let used = total & 7
        if used != 0, let last = unsafe bytes.last, last >> UInt8(used) != 0 {
            throw place.error(.malformed, "bits behind the last packed value are not zero")
        }
        unsafe BitPacking.unpack(bytes, count: count, base: base, bits: bits, to: target)
    }
}
