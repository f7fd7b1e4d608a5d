import CaesuraFormat
import CaesuraMigration

/// Makes the checksums of frames fit, and what rounds and handovers say of each other.
struct FrameForgery {
    /// Whether digests and epochs are made to fit, too: what builds on a round then builds on the one that came.
    let fitsDigests: Bool
    /// The digest of the chunks of the present round so far.
    private var digest: UInt64 = 0
    /// The epoch of the last round.
    private var epoch: UInt64 = 0

    init(fitsDigests: Bool) { self.fitsDigests = fitsDigests }

    /// Fits frames one behind the other, as far as bytes look like them.
    mutating func fit(_ bytes: inout [UInt8]) {
        var start = 0
        while start + FrameHeader.byteCount <= bytes.count {
            let length = Int(Self.word(bytes, at: start) & 0xFFFF_FFFF)
            let bodyStart = start + FrameHeader.byteCount
            let isWhole = length <= bytes.count - bodyStart
            let body = bodyStart..<(isWhole ? bodyStart + length : bytes.count)
            let isChunk = bytes[start + 4] == 19
            if isWhole { fitBody(&bytes, body, kind: bytes[start + 4]) }
            let identity = Forgery.checksum(bytes[start..<start + 16])
            Self.store(half: identity, in: &bytes, at: start + 16)
            Self.store(
                half: isChunk ? 0 : Forgery.checksum(bytes[body]), in: &bytes, at: start + 20)
            start = body.upperBound
        }
    }

    private mutating func fitBody(_ bytes: inout [UInt8], _ body: Range<Int>, kind: UInt8) {
        switch kind {
        case 18 where body.count == 28:
            let base = body.lowerBound + 12
            let isDelta = Self.word(bytes, at: base) != 0
            if fitsDigests, isDelta {
                Forgery.store(epoch, in: &bytes, at: base)
                Forgery.store(digest, in: &bytes, at: base + 8)
            }
            digest = isDelta ? Self.word(bytes, at: base + 8) : 0
            epoch = Self.word(bytes, at: body.lowerBound + 4)
        case 19:
            var chunk = Array(bytes[body])
            var end = digest
            // The body of a delta begins with what it builds on, and so does its round.
            Forgery.fitChecksums(&chunk, &end)
            if fitsDigests { digest = end }
            bytes.replaceSubrange(body, with: chunk)
        case 22 where body.count == 16 && fitsDigests:
            Forgery.store(epoch, in: &bytes, at: body.lowerBound)
            Forgery.store(digest, in: &bytes, at: body.lowerBound + 8)
        default: break
        }
    }

    private static func word(_ bytes: [UInt8], at position: Int) -> UInt64 {
        bytes[position..<min(position + 8, bytes.count)].reversed().reduce(0) {
            $0 << 8 | UInt64($1)
        }
    }

    private static func store(half checksum: UInt64, in bytes: inout [UInt8], at position: Int) {
        for index in 0..<4 {
            bytes[position + index] = UInt8(truncatingIfNeeded: checksum >> (UInt64(index) * 8))
        }
    }
}
