/// Writes and reads a set of positions among *n* rows in about as many bits as choosing it takes.
///
/// The gaps between the positions are Rice codes (R. F. Rice, *Some practical universal noiseless coding
/// techniques*, JPL 79-22, 1979): of each gap the low *b* bits as they are, and the rest in unary, in two
/// areas so that both are read a word at a time. Elias-Fano does the same to the positions instead of the
/// gaps and takes as many low bits; its unary part has ⌊n/2^b⌋ zeros, this one the sum of all ⌊gap/2^b⌋,
/// which is never more. With b = 0 the unary area *is* a bitmap. So one coding does for what would be
/// three: see `docs/FORMAT.md`, "Position sets".
enum PositionSet {
    /// The largest number of low bits: positions have 48 bits at most.
    static let lowBits = 47
    /// The most rows that positions can be among.
    static let rowLimit: UInt64 = 1 << 48
    /// Set where the positions listed are those that are *not* in the set.
    private static let complement: UInt8 = 0x80

    /// Appends a set.
    ///
    /// - Parameters:
    ///   - positions: Ascending and distinct, each less than `count`.
    ///   - count: Rows that positions are among.
    ///   - scratch: Memory to use.
    /// - Complexity: O(positions), or O(count) when more than half of the rows are in the set.
    static func encode(
        _ positions: [UInt64], of count: UInt64, scratch: inout Scratch,
        into writer: inout ByteWriter
    ) {
        precondition(count <= rowLimit, "more rows than a position can tell apart")
        let isComplement = UInt64(positions.count) > count - count / 2
        let listed = isComplement ? inverse(positions, of: count) : positions
        let gaps = unsafe scratch.reserve(listed.count, of: UInt64.self)
        var next: UInt64 = 0
        for (index, position) in listed.enumerated() {
            precondition(position >= next && position < count, "positions that do not ascend")
            unsafe gaps[index] = position - next
            next = position + 1
        }
        let bits = unsafe bestBits(gaps, listed.count, of: count)
        writer.append(UInt8(bits) | (isComplement ? complement : 0))
        writer.append(varint: UInt64(listed.count))
        unsafe appendUnary(gaps, listed.count, shift: bits, into: &writer)
        guard bits > 0, !listed.isEmpty else { return }
        let mask = (1 as UInt64) << UInt64(bits) - 1
        for index in listed.indices { unsafe gaps[index] &= mask }
        unsafe writer.append(codes: gaps, count: listed.count, base: 0, bits: bits)
    }

    /// Reads a set.
    ///
    /// - Parameters:
    ///   - count: Rows that positions are among.
    ///   - limit: The most positions that may be in the set or listed.
    /// - Returns: The positions in the set, ascending.
    static func decode(
        _ reader: inout ByteReader, of count: UInt64, limit: Int, scratch: inout Scratch,
        _ what: String
    ) throws(FormatError) -> [UInt64] {
        let place = reader
        let first = try reader.byte(what)
        let bits = Int(first & ~complement)
        guard bits <= lowBits else { throw place.error(.malformed, "\(what) of \(bits) low bits") }
        let listedCount = try reader.varint(upTo: limit, what)
        let isComplement = first & complement != 0
        guard UInt64(listedCount) <= count else {
            throw place.error(.malformed, "\(what) has \(listedCount) of \(count) rows")
        }
        if isComplement, count - UInt64(listedCount) > UInt64(limit) {
            throw place.error(.limitExceeded, "\(what) has more than \(limit) rows")
        }
        let gaps = unsafe scratch.reserve(listedCount, of: UInt64.self)
        var listed = try unsafe readUnary(&reader, listedCount, to: gaps, what)
        if bits > 0, listedCount > 0 {
            let lows = unsafe scratch.reserve(listedCount, of: UInt64.self)
            try unsafe reader.unpack(listedCount, base: 0, bits: bits, to: lows)
            for index in listed.indices {
                guard listed[index] <= count >> UInt64(bits) else {
                    throw place.error(.malformed, "\(what) goes beyond \(count) rows")
                }
                listed[index] = unsafe listed[index] << UInt64(bits) | lows[index]
            }
        }
        var next: UInt64 = 0
        for index in listed.indices {
            guard listed[index] < count - next else {
                throw place.error(.malformed, "\(what) goes beyond \(count) rows")
            }
            listed[index] += next
            next = listed[index] + 1
        }
        return isComplement ? inverse(listed, of: count) : listed
    }

    /// The positions that are not among these.
    private static func inverse(_ positions: [UInt64], of count: UInt64) -> [UInt64] {
        var inverse: [UInt64] = []
        inverse.reserveCapacity(Int(count) - positions.count)
        var next: UInt64 = 0
        for position in positions {
            while next < position {
                inverse.append(next)
                next += 1
            }
            next += 1
        }
        while next < count {
            inverse.append(next)
            next += 1
        }
        return inverse
    }

    /// The number of low bits that takes the fewest bytes, by exact cost.
    private static func bestBits(
        _ gaps: UnsafePointer<UInt64>, _ listedCount: Int, of count: UInt64
    ) -> Int {
        guard listedCount > 0 else { return 0 }
        func cost(_ bits: Int) -> UInt64 {
            var unary = UInt64(listedCount)
            for index in 0..<listedCount { unsafe unary += gaps[index] >> UInt64(bits) }
            return (unary + 7) / 8 + UInt64(BitPacking.byteCount(listedCount, bits: bits))
        }
        // For gaps of mean m, the best is near log2(m ln 2).
        let guess = bitLength(count / UInt64(listedCount))
        var best = (bits: 0, cost: cost(0))
        for bits in max(1, guess - 2)...max(1, min(lowBits, guess + 1)) {
            let cost = cost(bits)
            if cost < best.cost { best = (bits, cost) }
        }
        return best.bits
    }

    private static func appendUnary(
        _ gaps: UnsafePointer<UInt64>, _ listedCount: Int, shift: Int, into writer: inout ByteWriter
    ) {
        var bitCount = listedCount
        for index in 0..<listedCount { unsafe bitCount += Int(gaps[index] >> UInt64(shift)) }
        let byteCount = (bitCount + 7) / 8
        let bytes = unsafe writer.reserve(byteCount)
        unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        var bit = 0
        for index in 0..<listedCount {
            unsafe bit += Int(gaps[index] >> UInt64(shift))
            // SAFETY: the last bit is bit `bitCount - 1` of the bytes just zeroed.
            let byte = unsafe bytes.load(fromByteOffset: bit >> 3, as: UInt8.self)
            unsafe bytes.storeBytes(
                of: byte | 1 << UInt8(bit & 7), toByteOffset: bit >> 3, as: UInt8.self)
            bit += 1
        }
        writer.advance(by: byteCount)
    }

    private static func readUnary(
        _ reader: inout ByteReader, _ listedCount: Int, to gaps: UnsafeMutablePointer<UInt64>,
        _ what: String
    ) throws(FormatError) -> [UInt64] {
        var found = 0
        var zeros: UInt64 = 0
        while found < listedCount {
            let place = reader
            var byte = try reader.byte(what)
            var left = 8
            while byte != 0, found < listedCount {
                let run = byte.trailingZeroBitCount
                unsafe gaps[found] = zeros + UInt64(run)
                found += 1
                zeros = 0
                byte = run == 7 ? 0 : byte >> UInt8(run + 1)
                left -= run + 1
            }
            guard byte == 0 || found < listedCount else {
                throw place.error(.malformed, "\(what) has bits behind its last row")
            }
            zeros += UInt64(left)
        }
        return unsafe Array(UnsafeBufferPointer(start: gaps, count: listedCount))
    }
}
