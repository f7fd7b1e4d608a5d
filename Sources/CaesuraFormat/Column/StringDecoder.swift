/// Reads columns of strings and bytes; the counterpart of ``StringEncoder``.
///
/// Content is made room for only when its size is known and within the limit.
@safe
struct StringDecoder: ~Copyable {
    private var entryLengths = Scratch()
    private var entries = Scratch()
    private var places = Scratch()
    private var prefixes = Scratch()

    /// Reads a column of `count` values, of which there is at least one.
    ///
    /// - Parameter limit: bytes of content at most.
    mutating func decode(
        _ reader: inout ByteReader, count: Int, utf8: Bool, limit: Int,
        integers: inout IntegerDecoder, into column: ColumnBuffer
    ) throws(FormatError) {
        let place = reader
        let coding = try reader.byte("a string coding")
        switch ColumnCoding(rawValue: coding) {
        case .raw, .alphabet:
            let total = try unsafe decodeLengths(
                &reader, count: count, depth: .full, limit: limit, integers: &integers,
                to: column.lengths)
            if coding == ColumnCoding.raw.rawValue, total > reader.remaining {
                throw reader.error(.truncated, "content ends early")
            }
            column.reserveContent(total)
            let mayBeText = try unsafe decodeContent(
                &reader, packed: coding == ColumnCoding.alphabet.rawValue, total: total,
                to: column.content)
            column.contentByteCount = total
            if utf8, !mayBeText {
                try unsafe checkText(place, column.lengths, column.content, count, total)
            }
        case .dictionary:
            try decodeDictionary(
                &reader, count: count, utf8: utf8, limit: limit, integers: &integers, into: column)
        case .front:
            try decodeFront(
                &reader, count: count, limit: limit, integers: &integers, into: column)
            if utf8 {
                try unsafe checkText(
                    place, column.lengths, column.content, count, column.contentByteCount)
            }
        case nil:
            throw place.error(.unsupported, "coding \(coding) is unknown")
        default:
            throw place.error(.malformed, "coding \(coding) cannot stand here")
        }
    }

    private func checkText(
        _ place: ByteReader, _ lengths: UnsafePointer<UInt32>, _ content: UnsafeRawPointer,
        _ count: Int, _ total: Int
    ) throws(FormatError) {
        guard unsafe UTF8Validation.areValid(lengths, content, count: count, total: total) else {
            throw place.error(.malformed, "a string is not UTF-8")
        }
    }

    /// Reads lengths and returns the bytes of content that belong to them.
    private func decodeLengths(
        _ reader: inout ByteReader, count: Int, depth: IntegerEncoder.Depth, limit: Int,
        integers: inout IntegerDecoder, to target: UnsafeMutablePointer<UInt32>
    ) throws(FormatError) -> Int {
        let place = reader
        try unsafe integers.decode(&reader, count: count, depth: depth, to: target)
        var total = 0
        for i in 0..<count {
            let length = unsafe Int(target[i])
            total &+= length <= Limits.inlineValueBytes ? length : 0
        }
        guard total <= limit else {
            throw place.error(.limitExceeded, "a column has \(total) bytes of content")
        }
        return total
    }

    /// Reads content into memory with room for `total` bytes and padding; true if it is surely ASCII.
    private func decodeContent(
        _ reader: inout ByteReader, packed: Bool, total: Int, to target: UnsafeMutableRawPointer
    ) throws(FormatError) -> Bool {
        guard packed else {
            let bytes = try unsafe reader.take(total, "content")
            if let start = bytes.baseAddress {
                // SAFETY: the caller made room for `total` bytes.
                unsafe target.copyMemory(from: start, byteCount: total)
            }
            return false
        }
        let place = reader
        let alphabet = try reader.byte("an alphabet")
        switch Alphabet(rawValue: alphabet) {
        case .lowerHex, .upperHex:
            let bytes = try unsafe reader.take((total + 1) / 2, "packed digits")
            if total & 1 == 1, let last = unsafe bytes.last, last > 15 {
                throw place.error(.malformed, "bits behind the last packed value are not zero")
            }
            let gap =
                alphabet == Alphabet.lowerHex.rawValue ? HexPacking.lowerGap : HexPacking.upperGap
            unsafe HexPacking.unpack(bytes, count: total, gap: gap, to: target)
            return true
        case .listed:
            return try unsafe decodeSymbols(&reader, count: total, to: target)
        case nil:
            throw place.error(.unsupported, "alphabet \(alphabet) is unknown")
        }
    }

    private func decodeSymbols(
        _ reader: inout ByteReader, count: Int, to target: UnsafeMutableRawPointer
    ) throws(FormatError) -> Bool {
        let place = reader
        let size = try Int(reader.byte("an alphabet's size"))
        guard size > 0, size <= 64 else {
            throw place.error(.malformed, "an alphabet of \(size) symbols")
        }
        let listed = try unsafe reader.take(size, "an alphabet")
        for i in 1..<max(size, 1) where unsafe listed[i] <= listed[i - 1] {
            throw place.error(.malformed, "an alphabet is not in ascending order")
        }
        let bytes = unsafe target.assumingMemoryBound(to: UInt8.self)
        try unsafe reader.unpack(count, base: 0, bits: bitLength(UInt(size - 1)), to: bytes)
        let isASCII = unsafe listed[size - 1] < 0x80
        var greatest: UInt8 = 0
        unsafe withUnsafeTemporaryAllocation(byteCount: 64, alignment: 8) { symbols in
            unsafe symbols.initializeMemory(as: UInt8.self, repeating: 0)
            unsafe symbols.copyMemory(from: listed)
            for i in 0..<count {
                let code = unsafe bytes[i]
                greatest = max(greatest, code)
                // SAFETY: a code has at most 6 bits.
                unsafe bytes[i] = symbols[Int(code & 63)]
            }
        }
        guard Int(greatest) < size else {
            throw place.error(.malformed, "code \(greatest) in an alphabet of \(size)")
        }
        return isASCII
    }

    /// Reads a column inside a column into memory of this decoder, with its total size.
    private mutating func decodeSimple(
        _ reader: inout ByteReader, count: Int, limit: Int, integers: inout IntegerDecoder
    ) throws(FormatError) -> (
        lengths: UnsafeMutablePointer<UInt32>, content: UnsafeMutableRawPointer, total: Int
    ) {
        let place = reader
        let coding = try reader.byte("a string coding")
        guard coding == ColumnCoding.raw.rawValue || coding == ColumnCoding.alphabet.rawValue else {
            throw place.error(
                ColumnCoding(rawValue: coding) == nil ? .unsupported : .malformed,
                "coding \(coding) cannot stand here")
        }
        let packed = coding == ColumnCoding.alphabet.rawValue
        let lengths = unsafe entryLengths.reserve(count, of: UInt32.self)
        let total = try unsafe decodeLengths(
            &reader, count: count, depth: .simple, limit: limit, integers: &integers, to: lengths)
        for i in 0..<count where unsafe lengths[i] > UInt32(Limits.inlineValueBytes) {
            throw place.error(
                .malformed, "a segmented value inside a dictionary or a shared prefix")
        }
        if !packed, total > reader.remaining {
            throw reader.error(.truncated, "content ends early")
        }
        let content = unsafe UnsafeMutableRawPointer(entries.reserve(total, of: UInt8.self))
        _ = try unsafe decodeContent(&reader, packed: packed, total: total, to: content)
        return unsafe (lengths, content, total)
    }

    private mutating func decodeDictionary(
        _ reader: inout ByteReader, count: Int, utf8: Bool, limit: Int,
        integers: inout IntegerDecoder, into column: ColumnBuffer
    ) throws(FormatError) {
        let place = reader
        let size = try reader.dictionarySize(count)
        let entry = try unsafe decodeSimple(
            &reader, count: size, limit: limit, integers: &integers)
        if utf8 { try unsafe checkText(place, entry.lengths, entry.content, size, entry.total) }
        let codes = try unsafe integers.decodeCodes(&reader, count: count, size: size)
        let places = unsafe places.reserve(size, of: UInt32.self)
        var offset: UInt32 = 0
        var longest: UInt32 = 0
        for code in 0..<size {
            unsafe places[code] = offset
            unsafe offset &+= entry.lengths[code]
            unsafe longest = max(longest, entry.lengths[code])
        }
        let lengths = unsafe column.lengths
        var total = 0
        for i in 0..<count {
            // SAFETY: `decodeCodes` has compared all codes with `size`.
            let length = unsafe entry.lengths[Int(codes[i])]
            unsafe lengths[i] = length
            total &+= Int(length)
        }
        guard total <= limit else {
            throw place.error(.limitExceeded, "a column has \(total) bytes of content")
        }
        column.reserveContent(total)
        var target = unsafe column.content
        for i in 0..<count {
            let from = unsafe entry.content + Int(places[Int(codes[i])])
            // SAFETY: the lengths' sum is `total`; 16 bytes fit the padding of both.
            if longest <= 16 {
                unsafe target.storeBytes(
                    of: from.loadUnaligned(as: SIMD2<UInt64>.self), as: SIMD2<UInt64>.self)
            } else {
                unsafe target.copyMemory(from: from, byteCount: Int(lengths[i]))
            }
            unsafe target += Int(lengths[i])
        }
        column.contentByteCount = total
    }

    private mutating func decodeFront(
        _ reader: inout ByteReader, count: Int, limit: Int, integers: inout IntegerDecoder,
        into column: ColumnBuffer
    ) throws(FormatError) {
        let place = reader
        let prefixes = unsafe prefixes.reserve(count, of: UInt32.self)
        try unsafe integers.decode(&reader, count: count, depth: .simple, to: prefixes)
        let rest = try unsafe decodeSimple(
            &reader, count: count, limit: limit, integers: &integers)
        let lengths = unsafe column.lengths
        var previous = 0
        var total = 0
        for i in 0..<count {
            let prefix = unsafe Int(prefixes[i])
            guard prefix <= previous else {
                throw place.error(.malformed, "a prefix is longer than the value before")
            }
            previous = unsafe prefix + Int(rest.lengths[i])
            guard previous <= Limits.inlineValueBytes else {
                throw place.error(.malformed, "a segmented value behind a shared prefix")
            }
            unsafe lengths[i] = UInt32(truncatingIfNeeded: previous)
            total &+= previous
        }
        guard total <= limit else {
            throw place.error(.limitExceeded, "a column has \(total) bytes of content")
        }
        column.reserveContent(total)
        var target = unsafe column.content
        var before = unsafe target
        var from = unsafe rest.content
        for i in 0..<count {
            // SAFETY: a prefix is not longer than the value before, and the sum of all is `total`.
            let prefix = unsafe Int(prefixes[i])
            let length = unsafe Int(rest.lengths[i])
            unsafe target.copyMemory(from: before, byteCount: prefix)
            unsafe (target + prefix).copyMemory(from: from, byteCount: length)
            unsafe before = target
            unsafe target += prefix &+ length
            unsafe from += length
        }
        column.contentByteCount = total
    }
}
