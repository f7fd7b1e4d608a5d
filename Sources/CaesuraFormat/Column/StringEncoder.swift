/// Writes columns of strings and bytes: lengths, and content in the coding that suits it.
@safe
struct StringEncoder: ~Copyable {
    private var seen = Scratch()
    private var symbolCodes = Scratch()
    private var starts = Scratch()
    private var prefixes = Scratch()
    private var suffixLengths = Scratch()
    private var suffixes = Scratch()
    private var entryLengths = Scratch()
    private var entries = Scratch()
    private var sampled = Scratch()
    private var dictionary = ValueDictionary()

    /// Writes a column.
    mutating func encode(
        _ lengths: UnsafePointer<UInt32>, _ content: UnsafeRawPointer, count: Int,
        contentByteCount total: Int, integers: inout IntegerEncoder, into writer: inout ByteWriter
    ) {
        precondition(total <= Limits.rowBytesPerChunk, "a column's content exceeds 1 MiB")
        let starts = unsafe starts.reserve(LengthSummary.windows, of: Int.self)
        let summary = unsafe LengthSummary(lengths, count: count, starts: starts)
        assert(summary.inlineTotal == total, "lengths and content differ")
        if count >= 8, total >= 16, !summary.hasSegmented {
            let sample = unsafe StringSample(
                lengths, content, count: count, starts: starts,
                table: sampled.reserve(StringSample.slots, of: UInt64.self))
            let byteBits = unsafe Symbols(
                content, count: total, sampling: true, seen: seen.reserve(256, of: UInt8.self)
            ).bits
            let plain = total * byteBits + count * bitLength(summary.bounds.span)
            if sample.hasFewDistinct,
                unsafe encodeDictionary(
                    lengths, content, count: count, byteBits: byteBits, limit: plain,
                    integers: &integers, into: &writer)
            {
                return
            }
            if sample.sharedBits(byteBits) >= 12,
                unsafe encodeFront(
                    lengths, content, count: count, byteBits: byteBits, limit: plain,
                    integers: &integers, into: &writer)
            {
                return
            }
        }
        unsafe encodeSimple(
            lengths, content, count: count, total: total, bounds: summary.bounds, depth: .full,
            integers: &integers, into: &writer)
    }

    /// Writes lengths and content, packed if its alphabet is small.
    private mutating func encodeSimple(
        _ lengths: UnsafePointer<UInt32>, _ content: UnsafeRawPointer, count: Int, total: Int,
        bounds: Bounds<UInt32>, depth: IntegerEncoder.Depth, integers: inout IntegerEncoder,
        into writer: inout ByteWriter
    ) {
        let before = writer.count
        let seen = unsafe seen.reserve(256, of: UInt8.self)
        var symbols = unsafe Symbols(content, count: total, sampling: true, seen: seen)
        if total >= 8, symbols.bits < 8 {
            writer.append(ColumnCoding.alphabet.rawValue)
            unsafe integers.encode(
                lengths, count: count, bounds: bounds, signed: false, depth: depth, into: &writer)
            if symbols.packsAsHex {
                let gap = symbols.isLowerHex ? HexPacking.lowerGap : HexPacking.upperGap
                let size = (total + 1) / 2
                writer.append(
                    symbols.isLowerHex ? Alphabet.lowerHex.rawValue : Alphabet.upperHex.rawValue)
                let target = unsafe writer.reserve(size)
                if unsafe HexPacking.pack(content, count: total, gap: gap, to: target) {
                    writer.advance(by: size)
                    return
                }
                writer.truncate(to: writer.count - 1)
            }
            unsafe symbols = Symbols(content, count: total, sampling: false, seen: seen)
            let bits = symbols.bits
            if bits < 8, BitPacking.byteCount(total, bits: 8 - bits) > symbols.count + 3 {
                unsafe encodeSymbols(
                    content, count: total, seen: seen, symbols: symbols, into: &writer)
                return
            }
            writer.truncate(to: before)
        }
        writer.append(ColumnCoding.raw.rawValue)
        unsafe integers.encode(
            lengths, count: count, bounds: bounds, signed: false, depth: depth, into: &writer)
        unsafe writer.append(UnsafeRawBufferPointer(start: content, count: total))
    }

    /// Writes an alphabet and content as indices into it.
    private mutating func encodeSymbols(
        _ content: UnsafeRawPointer, count: Int, seen: UnsafeMutablePointer<UInt8>,
        symbols: Symbols, into writer: inout ByteWriter
    ) {
        writer.append(Alphabet.listed.rawValue)
        writer.append(UInt8(truncatingIfNeeded: symbols.count))
        var code: UInt8 = 0
        for byte in 0..<256 where unsafe seen[byte] != 0 {
            writer.append(UInt8(truncatingIfNeeded: byte))
            unsafe seen[byte] = code
            code += 1
        }
        let codes = unsafe symbolCodes.reserve(count, of: UInt8.self)
        let bytes = unsafe content.assumingMemoryBound(to: UInt8.self)
        for i in 0..<count {
            unsafe codes[i] = seen[Int(bytes[i])]
        }
        unsafe writer.append(codes: codes, count: count, base: 0, bits: symbols.bits)
    }

    /// Tries a dictionary: true if it was written.
    private mutating func encodeDictionary(
        _ lengths: UnsafePointer<UInt32>, _ content: UnsafeRawPointer, count: Int, byteBits: Int,
        limit: Int, integers: inout IntegerEncoder, into writer: inout ByteWriter
    ) -> Bool {
        guard unsafe dictionary.build(lengths, content, count: count) else { return false }
        let size = dictionary.count
        let entryLengths = unsafe entryLengths.reserve(size, of: UInt32.self)
        var total = 0
        for code in 0..<size {
            let length = unsafe lengths[Int(dictionary.firsts[code].index)]
            unsafe entryLengths[code] = length
            total += Int(length)
        }
        let codeBits = bitLength(UInt(size - 1))
        guard total * byteBits + size * 8 + count * codeBits < limit else { return false }
        let entries = unsafe UnsafeMutableRawPointer(entries.reserve(total, of: UInt8.self))
        var offset = 0
        for code in 0..<size {
            let length = unsafe Int(entryLengths[code])
            // SAFETY: `firsts` says where a value of that length is, and `total` is their sum.
            unsafe (entries + offset).copyMemory(
                from: content + Int(dictionary.firsts[code].offset), byteCount: length)
            offset += length
        }
        writer.append(ColumnCoding.dictionary.rawValue)
        writer.append(varint: UInt64(size))
        unsafe encodeSimple(
            entryLengths, entries, count: size, total: total,
            bounds: Bounds(entryLengths, count: size, signed: false), depth: .simple,
            integers: &integers, into: &writer)
        unsafe integers.encodeCodes(dictionary.codes, count: count, size: size, into: &writer)
        return true
    }

    /// Tries prefixes shared with the value before: true if they were written.
    private mutating func encodeFront(
        _ lengths: UnsafePointer<UInt32>, _ content: UnsafeRawPointer, count: Int, byteBits: Int,
        limit: Int, integers: inout IntegerEncoder, into writer: inout ByteWriter
    ) -> Bool {
        let prefixes = unsafe prefixes.reserve(count, of: UInt32.self)
        let rests = unsafe suffixLengths.reserve(count, of: UInt32.self)
        var offset = 0
        var previous = 0
        var total = 0
        for i in 0..<count {
            let length = unsafe Int(lengths[i])
            let most = i == 0 ? 0 : unsafe min(length, Int(lengths[i - 1]))
            let shared = unsafe commonPrefix(content + previous, content + offset, atMost: most)
            unsafe prefixes[i] = UInt32(truncatingIfNeeded: shared)
            unsafe rests[i] = UInt32(truncatingIfNeeded: length - shared)
            total += length - shared
            previous = offset
            offset += length
        }
        let prefixBounds = unsafe Bounds(prefixes, count: count, signed: false)
        let restBounds = unsafe Bounds(rests, count: count, signed: false)
        let needed =
            total * byteBits
            + count * (bitLength(prefixBounds.span) + bitLength(restBounds.span))
        guard needed + 64 < limit else { return false }
        let suffixes = unsafe UnsafeMutableRawPointer(suffixes.reserve(total, of: UInt8.self))
        var from = 0
        var to = 0
        for i in 0..<count {
            let prefix = unsafe Int(prefixes[i])
            let length = unsafe Int(rests[i])
            // SAFETY: the lengths' sum is the content's size, the rests' sum is `total`.
            unsafe (suffixes + to).copyMemory(from: content + from + prefix, byteCount: length)
            from += prefix + length
            to += length
        }
        writer.append(ColumnCoding.front.rawValue)
        unsafe integers.encode(
            prefixes, count: count, bounds: prefixBounds, signed: false, depth: .simple,
            into: &writer)
        unsafe encodeSimple(
            rests, suffixes, count: count, total: total, bounds: restBounds, depth: .simple,
            integers: &integers, into: &writer)
        return true
    }
}

/// Number of equal bytes at the start of two values, which both have 8 readable bytes behind them.
@inline(__always)
func commonPrefix(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, atMost most: Int) -> Int {
    var index = 0
    while index < most {
        let x = unsafe a.loadUnaligned(fromByteOffset: index, as: UInt64.self)
        let y = unsafe b.loadUnaligned(fromByteOffset: index, as: UInt64.self)
        if x != y {
            return min(most, index + (x ^ y).littleEndian.trailingZeroBitCount >> 3)
        }
        index += 8
    }
    return most
}

/// Which symbols a packed string column uses.
enum Alphabet: UInt8 {
    /// `0123456789abcdef`
    case lowerHex = 0
    /// `0123456789ABCDEF`
    case upperHex = 1
    /// A list follows.
    case listed = 2
}
