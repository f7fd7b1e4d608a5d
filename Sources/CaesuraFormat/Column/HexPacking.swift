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
            var wrong = SIMD16<UInt8>()
            while index < end {
                let a = unsafe nibbles(source + index, gap, &wrong)
                let b = unsafe nibbles(source + index + 16, gap, &wrong)
                unsafe (target + index >> 1).storeBytes(of: a, as: SIMD8<UInt8>.self)
                unsafe (target + index >> 1 + 8).storeBytes(of: b, as: SIMD8<UInt8>.self)
                index &+= 32
            }
            let words = unsafe unsafeBitCast(wrong, to: SIMD2<UInt64>.self)
            if words[0] | words[1] != 0 { return false }
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

    /// Sixteen digits as eight bytes; sets bits in `wrong` where a byte is not a digit.
    @inline(__always)
    private static func nibbles(
        _ source: UnsafeRawPointer, _ gap: UInt8, _ wrong: inout SIMD16<UInt8>
    ) -> SIMD8<UInt8> {
        let text = unsafe source.loadUnaligned(as: SIMD16<Int8>.self)
        let isLetter = text .> 0x39
        let zero = SIMD16<Int8>(repeating: 0x30)
        let offset = zero.replacing(
            with: SIMD16<Int8>(repeating: 0x30 &+ Int8(truncatingIfNeeded: gap)), where: isLetter)
        let value = text &- offset
        let isLarge = value .> 9
        // A letter must have come out above 9 and a figure below 10, and nothing above 15.
        wrong |= unsafe unsafeBitCast(value & -16, to: SIMD16<UInt8>.self)
        wrong |= SIMD16<UInt8>().replacing(
            with: SIMD16<UInt8>(repeating: 1), where: isLetter .^ isLarge)
        let pairs = unsafe unsafeBitCast(value, to: SIMD8<UInt16>.self)
        return SIMD8<UInt8>(truncatingIfNeeded: pairs | pairs &>> 4)
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
        guard let start = unsafe source.baseAddress else { return }
        let whole = count & ~15
        var index = 0
        while index < whole {
            let packed = unsafe (start + index >> 1).loadUnaligned(as: SIMD8<UInt8>.self)
            let pairs = SIMD8<UInt16>(truncatingIfNeeded: packed)
            let value = unsafe unsafeBitCast(
                (pairs | pairs &<< 4) & 0x0F0F, to: SIMD16<Int8>.self)
            let zero = SIMD16<Int8>(repeating: 0x30)
            let text =
                value
                &+ zero.replacing(
                    with: SIMD16<Int8>(repeating: 0x30 &+ Int8(truncatingIfNeeded: gap)),
                    where: value .> 9)
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
