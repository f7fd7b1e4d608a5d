/// Writes integer streams: values of 1, 2, 4 or 8 bytes, of which the reader knows number and width.
///
/// Columns of integers are one; lengths, codes, run lengths and halves of wide values are others inside
/// a column. The layout is in `docs/FORMAT.md`, "Integer streams".
@safe
struct IntegerEncoder: ~Copyable {
    /// Which codings may be used: a stream inside a dictionary or inside runs is simple, so that streams
    /// nest two deep at most.
    enum Depth { case full, simple }

    private var deltas = Scratch()
    private var runValues = Scratch()
    private var runLengths = Scratch()
    private var sampled = Scratch()
    private var dictionary = ValueDictionary()

    /// Writes a stream.
    ///
    /// - Parameters:
    ///   - source: `count` values, aligned to their width, with readable padding behind.
    ///   - signed: whether the top bit of a value is a sign; it decides where the frame starts.
    @inline(__always)
    mutating func encode<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ source: UnsafePointer<T>, count: Int, signed: Bool, depth: Depth = .full,
        into writer: inout ByteWriter
    ) {
        guard count > 0 else { return }
        let bounds = unsafe Bounds(source, count: count, signed: signed)
        unsafe encode(
            source, count: count, bounds: bounds, signed: signed, depth: depth, into: &writer)
    }

    /// Writes a stream whose bounds are already known.
    mutating func encode<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ source: UnsafePointer<T>, count: Int, bounds: Bounds<T>, signed: Bool,
        depth: Depth = .full, into writer: inout ByteWriter
    ) {
        guard count > 0 else { return }
        let bits = bitLength(bounds.span)
        if bits == 0, count > 1 || ByteWriter.size(signed: bounds.least, signed) <= T.bitWidth / 8 {
            writer.append(ColumnCoding.constant.rawValue)
            writer.append(signed: bounds.least, signed)
            return
        }
        if count >= 4, bits > 1 || count >= 64 {
            let sample = unsafe IntegerSample(
                source, count: count, probing: depth == .full && bits > 4 && count >= 16,
                table: sampled.reserve(512, of: UInt64.self))
            if depth == .full, sample.hasRuns,
                unsafe encodeRuns(
                    source, count: count, bits: bits, signed: signed, into: &writer)
            {
                return
            }
            // A frame over the deltas holds at least what the sample has seen.
            let deltaBits = sample.deltaBits
            if sample.hasFewDistinct, bitLength(UInt(sample.distinct)) < min(bits, deltaBits),
                unsafe encodeDictionary(
                    source, count: count, bits: min(bits, deltaBits), signed: signed, into: &writer)
            {
                return
            }
            if deltaBits &+ 1 < bits, count > 8,
                unsafe encodeDeltas(
                    source, count: count, bits: bits, signed: signed, into: &writer)
            {
                return
            }
        }
        unsafe encodeFrame(
            source, count: count, least: bounds.least, bits: bits, signed: signed, into: &writer)
    }

    private func encodeFrame<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ source: UnsafePointer<T>, count: Int, least: T, bits: Int, signed: Bool,
        into writer: inout ByteWriter
    ) {
        let framed =
            1 + ByteWriter.size(signed: least, signed) + BitPacking.byteCount(count, bits: bits)
        if bits == T.bitWidth || framed > count * (T.bitWidth / 8) {
            writer.append(ColumnCoding.raw.rawValue)
            unsafe writer.append(
                UnsafeRawBufferPointer(start: source, count: count * (T.bitWidth / 8)))
            return
        }
        writer.append(ColumnCoding.packed.rawValue)
        writer.append(signed: least, signed)
        unsafe writer.append(packed: source, count: count, base: least, bits: bits)
    }

    /// Tries differences: true if they were written, which takes that they are smaller.
    private mutating func encodeDeltas<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ source: UnsafePointer<T>, count: Int, bits: Int, signed: Bool,
        into writer: inout ByteWriter
    ) -> Bool {
        let differences = unsafe deltas.reserve(count, of: T.self)
        for i in 1..<count {
            unsafe differences[i &- 1] = source[i] &- source[i &- 1]
        }
        let bounds = unsafe Bounds(differences, count: count - 1, signed: true)
        let deltaBits = bitLength(bounds.span)
        guard deltaBits < bits, BitPacking.byteCount(count, bits: bits - deltaBits) > 4 else {
            return false
        }
        writer.append(ColumnCoding.delta.rawValue)
        writer.append(signed: unsafe source[0], signed)
        writer.append(signed: bounds.least, true)
        unsafe writer.append(
            packed: differences, count: count - 1, base: bounds.least, bits: deltaBits)
        return true
    }

    /// Tries runs: true if they were written, which takes that they are smaller than a frame.
    private mutating func encodeRuns<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ source: UnsafePointer<T>, count: Int, bits: Int, signed: Bool,
        into writer: inout ByteWriter
    ) -> Bool {
        var runCount = 1
        for i in 1..<count where unsafe source[i] != source[i &- 1] { runCount &+= 1 }
        let frame = BitPacking.byteCount(count, bits: bits) + 4
        guard runCount <= count / 2 else { return false }
        let values = unsafe runValues.reserve(runCount, of: T.self)
        let lengths = unsafe runLengths.reserve(runCount, of: UInt32.self)
        var run = 0
        var start = 0
        for i in 1..<count where unsafe source[i] != source[i &- 1] {
            unsafe values[run] = source[start]
            unsafe lengths[run] = UInt32(truncatingIfNeeded: i &- start)
            run &+= 1
            start = i
        }
        unsafe values[run] = source[start]
        unsafe lengths[run] = UInt32(truncatingIfNeeded: count &- start)
        let before = writer.count
        writer.append(ColumnCoding.runs.rawValue)
        writer.append(varint: UInt64(runCount))
        unsafe encode(values, count: runCount, signed: signed, depth: .simple, into: &writer)
        unsafe encode(lengths, count: runCount, signed: false, depth: .simple, into: &writer)
        if writer.count - before < frame { return true }
        writer.truncate(to: before)
        return false
    }

    /// Tries a dictionary: true if it was written, which takes that it is smaller than a frame.
    private mutating func encodeDictionary<
        T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable
    >(
        _ source: UnsafePointer<T>, count: Int, bits: Int, signed: Bool,
        into writer: inout ByteWriter
    ) -> Bool {
        guard unsafe dictionary.build(source, count: count, bits: bits) else { return false }
        let size = dictionary.count
        let values = unsafe runValues.reserve(size, of: T.self)
        for code in 0..<size {
            unsafe values[code] = T(truncatingIfNeeded: dictionary.keys[code])
        }
        let frame = BitPacking.byteCount(count, bits: bits) + 4
        let before = writer.count
        writer.append(ColumnCoding.dictionary.rawValue)
        writer.append(varint: UInt64(size))
        unsafe encode(values, count: size, signed: signed, depth: .simple, into: &writer)
        unsafe encodeCodes(dictionary.codes, count: count, size: size, into: &writer)
        if writer.count - before < frame { return true }
        writer.truncate(to: before)
        return false
    }

    /// Writes the codes of a dictionary of `size` values.
    ///
    /// Every code up to `size` occurs, so the width is known without a look.
    func encodeCodes(
        _ codes: UnsafePointer<UInt16>, count: Int, size: Int, into writer: inout ByteWriter
    ) {
        unsafe writer.append(
            codes: codes, count: count, base: 0, bits: bitLength(UInt(size - 1)))
    }
}

/// The least value of a stream and the distance to its greatest.
struct Bounds<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable> {
    var least: T
    var span: T

    /// Looks at all values, of which there is at least one.
    @inline(__always)
    init(_ source: UnsafePointer<T>, count: Int, signed: Bool) {
        // With the sign flipped, signed order is unsigned order.
        let flip: T = signed ? 1 << (T.bitWidth - 1) : 0
        var low0 = unsafe source[0] ^ flip
        var high0 = low0
        if T.bitWidth < 64 {
            for i in 1..<max(count, 1) {
                let a = unsafe source[i] ^ flip
                low0 = min(low0, a)
                high0 = max(high0, a)
            }
            least = low0 ^ flip
            span = high0 &- low0
            return
        }
        // Words are quickest one by one, in two chains.
        var low1 = low0
        var high1 = low0
        var i = 0
        while i &+ 1 < count {
            let a = unsafe source[i] ^ flip
            let b = unsafe source[i &+ 1] ^ flip
            low0 = a < low0 ? a : low0
            high0 = a > high0 ? a : high0
            low1 = b < low1 ? b : low1
            high1 = b > high1 ? b : high1
            i &+= 2
        }
        if i < count {
            let a = unsafe source[i] ^ flip
            low0 = a < low0 ? a : low0
            high0 = a > high0 ? a : high0
        }
        let low = min(low0, low1)
        least = low ^ flip
        span = max(high0, high1) &- low
    }
}

extension ByteWriter {
    /// Bytes that ``append(signed:_:)`` takes.
    static func size<T: FixedWidthInteger & UnsignedInteger>(signed value: T, _ signed: Bool) -> Int
    {
        max(1, (bitLength(zigzag(value, signed)) + 6) / 7)
    }

    @inline(__always)
    private static func zigzag<T: FixedWidthInteger & UnsignedInteger>(
        _ value: T, _ signed: Bool
    ) -> UInt64 {
        let number =
            signed ? IntegerSample.extended(value) : Int64(truncatingIfNeeded: value)
        return UInt64(bitPattern: number &<< 1 ^ number &>> 63)
    }

    /// Appends a number that is `value` modulo 2^width: zigzag, then a varint.
    @inline(__always)
    mutating func append<T: FixedWidthInteger & UnsignedInteger>(signed value: T, _ signed: Bool) {
        append(varint: Self.zigzag(value, signed))
    }

    /// Appends a width in bits and, if it is not zero, `value - base` of each value in so many bits.
    @inline(__always)
    mutating func append<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        packed source: UnsafePointer<T>, count: Int, base: T, bits: Int
    ) {
        append(UInt8(truncatingIfNeeded: bits))
        unsafe append(codes: source, count: count, base: base, bits: bits)
    }

    /// Appends `value - base` of each value in `bits` bits: nothing where that is zero.
    @inline(__always)
    mutating func append<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        codes source: UnsafePointer<T>, count: Int, base: T, bits: Int
    ) {
        guard bits > 0, count > 0 else { return }
        let size = BitPacking.byteCount(count, bits: bits)
        unsafe BitPacking.pack(source, count: count, base: base, bits: bits, to: reserve(size))
        advance(by: size)
    }
}
