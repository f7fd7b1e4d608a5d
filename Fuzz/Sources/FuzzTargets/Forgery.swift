import CaesuraFormat

/// Makes checksums fit, so that a fuzzer gets past them.
enum Forgery {
    /// Fits the checksums of the chunks that `bytes` consists of, as far as they look like chunks, and
    /// the digest of an end chunk.
    static func fitChecksums(_ bytes: inout [UInt8]) {
        var digest: UInt64 = 0
        fitChecksums(&bytes, &digest)
    }

    /// The same of some of the chunks of a stream; `digest` is that of those before, and then with these.
    static func fitChecksums(_ bytes: inout [UInt8], _ digest: inout UInt64) {
        var start = 0
        while start + 44 <= bytes.count {
            let length = Int(bytes[start + 5])
            guard length >= 44, start + length <= bytes.count else { return }
            var position = start + 25
            let stored = varint(bytes, at: &position, end: start + length) ?? 0
            let bodyStart = start + length
            guard stored <= UInt64(bytes.count - bodyStart) else { return }
            let bodyEnd = bodyStart + Int(stored)
            if bytes[start + 6] == 7, bytes[start + 8] == 0 {
                var place = bodyStart
                if varint(bytes, at: &place, end: bodyEnd) != nil,
                    varint(bytes, at: &place, end: bodyEnd) != nil, place + 8 <= bodyEnd
                {
                    store(digest, in: &bytes, at: place)
                }
            }
            store(checksum(bytes[bodyStart..<bodyEnd]), in: &bytes, at: start + 17)
            let identity = checksum(bytes[start..<bodyStart - 8])
            store(identity, in: &bytes, at: bodyStart - 8)
            digest = checksum(littleEndian(digest)[...] + littleEndian(identity)[...])
            start = bodyEnd
        }
    }

    private static func varint(_ bytes: [UInt8], at position: inout Int, end: Int) -> UInt64? {
        var value: UInt64 = 0
        for index in 0..<9 where position < end {
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) << (7 * index)
            if byte < 0x80 { return value }
        }
        return nil
    }

    static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        unsafe bytes.withUnsafeBytes { unsafe Checksum.of($0) }
    }

    private static func littleEndian(_ word: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
    }

    static func store(_ word: UInt64, in bytes: inout [UInt8], at position: Int) {
        bytes.replaceSubrange(position..<position + 8, with: littleEndian(word))
    }
}
