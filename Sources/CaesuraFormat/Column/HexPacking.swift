/// Hexadecimal digits of one case, packed to four bits, least significant first.
///
/// Sixteen at a time. Invariants: sources have 16 readable and targets 16 writable bytes behind their
/// last (``ColumnBuffer/padding``).
enum HexPacking {
    /// From the byte behind `9` to the byte before `a`, or `A`.
    static let lowerGap: UInt8 = 0x61 - 0x3A
    static let upperGap: UInt8 = 0x41 - 0x3A

    /// Packs `count` digits to `count / 2` bytes rounded up; false, with anything written, if one is not
    /// a digit.
    static func pack(
        _ source: UnsafeRawPointer, count: Int, gap: UInt8, to target: UnsafeMutableRawPointer
    ) -> Bool {
        let whole = count & ~31
        var index = 0
        while index < whole {
            // Looked at every 4 KiB, so that other text is given up soon.
            let end = min(index &+ 4096, whole)
            var wrong = Wrong()
            while index < end {
                let a = unsafe nibbles(source + index, gap, &wrong)
                let b = unsafe nibbles(source + index + 16, gap, &wrong)
                unsafe (target + index >> 1).storeBytes(
                    of: SIMD32(lowHalf: a, highHalf: b).evenHalf, as: SIMD16<UInt8>.self)
                index &+= 32
            }
            if wrong.isSet { return false }
        }
        while index < count {
            guard let low = unsafe digit(source.load(fromByteOffset: index, as: UInt8.self), gap)
            else { return false }
            var byte = low
            if index + 1 < count {
                guard
                    let high = unsafe digit(
                        source.load(fromByteOffset: index + 1, as: UInt8.self), gap)
                else { return false }
                byte |= high << 4
            }
            unsafe target.storeBytes(of: byte, toByteOffset: index >> 1, as: UInt8.self)
            index &+= 2
        }
        return true
    }

    /// What is wrong with some bytes, as bits that are looked at once for many of them.
    private struct Wrong {
        /// Bits 4 to 7 are set where a value is above 15.
        var above = SIMD16<Int8>()
        /// Bit 4 is set where a byte is above `9` and its value is not.
        var between = SIMD16<Int8>()

        var isSet: Bool {
            let bits = (above & SIMD16(repeating: -16)) | (between & SIMD16(repeating: 16))
            let words = unsafe unsafeBitCast(bits, to: SIMD2<UInt64>.self)
            return words[0] | words[1] != 0
        }
    }

    /// The values of sixteen digits, two to an even byte; the odd bytes are left over.
    @inline(__always)
    private static func nibbles(
        _ source: UnsafeRawPointer, _ gap: UInt8, _ wrong: inout Wrong
    ) -> SIMD16<UInt8> {
        let text = unsafe source.loadUnaligned(as: SIMD16<Int8>.self)
        let isLetter = mask(text, above: 0x39)
        let gaps = SIMD16<Int8>(repeating: Int8(truncatingIfNeeded: gap))
        let value = (text &- SIMD16(repeating: 0x30)) &- (isLetter & gaps)
        wrong.above |= value
        wrong.between |= isLetter & ~(value &+ SIMD16(repeating: 6))
        let pairs = unsafe unsafeBitCast(value, to: SIMD8<UInt16>.self)
        return unsafe unsafeBitCast(
            (pairs | pairs &>> 4) & SIMD8(repeating: 0x00FF), to: SIMD16<UInt8>.self)
    }

    /// All bits of a lane where a value is above `bound`.
    ///
    /// Spelled so that Swift 6.3 takes the vector comparison: with a scalar on the right, or a type that is
    /// inferred from outside, it takes the generic one, which goes lane by lane through memory.
    @inline(__always)
    private static func mask(_ values: SIMD16<Int8>, above bound: Int8) -> SIMD16<Int8> {
        let isAbove = values .> SIMD16<Int8>(repeating: bound)
        return unsafe unsafeBitCast(isAbove, to: SIMD16<Int8>.self)
    }

    private static func digit(_ byte: UInt8, _ gap: UInt8) -> UInt8? {
        let value = byte > 0x39 ? byte &- 0x30 &- gap : byte &- 0x30
        return value < 16 && (value > 9) == (byte > 0x39) ? value : nil
    }

    /// Unpacks `count` digits; `source` has `count / 2` bytes, rounded up, and the unused half of the last
    /// is not looked at.
    static func unpack(
        _ source: UnsafeRawBufferPointer, count: Int, gap: UInt8, to target: UnsafeMutableRawPointer
    ) {
        guard let start = source.baseAddress else { return }
        let whole = count & ~15
        var index = 0
        while index < whole {
            let packed = unsafe (start + index >> 1).loadUnaligned(as: SIMD8<UInt8>.self)
            var spread = SIMD16<UInt8>()
            spread.evenHalf = packed
            let pairs = unsafe unsafeBitCast(spread, to: SIMD8<UInt16>.self)
            let value = unsafe unsafeBitCast(
                (pairs | pairs &<< 4) & SIMD8(repeating: 0x0F0F), to: SIMD16<Int8>.self)
            let gaps = SIMD16<Int8>(repeating: Int8(truncatingIfNeeded: gap))
            let text = value &+ SIMD16(repeating: 0x30) &+ (mask(value, above: 9) & gaps)
            unsafe (target + index).storeBytes(of: text, as: SIMD16<Int8>.self)
            index &+= 16
        }
        while index < count {
            let byte = unsafe source[index >> 1]
            let value = index & 1 == 0 ? byte & 15 : byte >> 4
            unsafe target.storeBytes(
                of: value > 9 ? value + 0x30 + gap : value + 0x30, toByteOffset: index,
                as: UInt8.self)
            index &+= 1
        }
    }
}
