/// Integers in as few bits as they need, least significant bit first.
///
/// Value `i` of width `bits` occupies the bits `i * bits ..< (i + 1) * bits` of the output, where bit
/// `j` is bit `j % 8` of byte `j / 8`. Eight values fill exactly `bits` bytes, so groups of eight start
/// on a byte and do not depend on one another: that is what lets the processor overlap them.
///
/// Invariants: 1 <= bits < T.bitWidth; targets of `pack` have 8 spare bytes behind the last; `unpack`
/// reads no byte outside its source and writes none behind the last value.
enum BitPacking {
    /// Bytes that `count` values take.
    @inline(__always)
    static func byteCount(_ count: Int, bits: Int) -> Int { (count &* bits &+ 7) >> 3 }

    /// Writes `value - base` of each value.
    @inline(__always)
    static func pack<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ source: UnsafePointer<T>, count: Int, base: T, bits: Int,
        to target: UnsafeMutableRawPointer
    ) {
        let whole = count & ~7
        if T.bitWidth == 8 {
            unsafe packBytes(
                UnsafeRawPointer(source), count: whole, base: UInt8(truncatingIfNeeded: base),
                bits: bits, to: target)
        } else if bits == 8 {
            unsafe narrow(source, count: whole, base: base, to: target, as: UInt8.self)
        } else if bits == 16 {
            unsafe narrow(source, count: whole, base: base, to: target, as: UInt16.self)
        } else if bits == 32 {
            unsafe narrow(source, count: whole, base: base, to: target, as: UInt32.self)
        } else if bits < 8 {
            unsafe packEights(source, count: whole, base: base, bits: bits, to: target)
        } else if bits < 16 {
            unsafe packFours(source, count: whole, base: base, bits: bits, to: target)
        } else if bits <= 28 {
            unsafe packPairs(source, count: whole, base: base, bits: bits, to: target)
        } else {
            unsafe packSerially(source, count: whole, base: base, bits: bits, to: target)
        }
        if whole < count {
            unsafe packSerially(
                source + whole, count: count &- whole, base: base, bits: bits,
                to: target + (whole >> 3) &* bits)
        }
    }

    @inline(__always)
    private static func narrow<T, N>(
        _ source: UnsafePointer<T>, count: Int, base: T, to target: UnsafeMutableRawPointer,
        as type: N.Type
    )
    where
        T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable,
        N: FixedWidthInteger & UnsignedInteger & BitwiseCopyable
    {
        for i in 0..<count {
            unsafe target.storeBytes(
                of: N(truncatingIfNeeded: source[i] &- base).littleEndian,
                toByteOffset: i &* (N.bitWidth >> 3), as: N.self)
        }
    }

    /// Eight values of one byte at a time, as one word: neighbours move together in three steps.
    private static func packBytes(
        _ source: UnsafeRawPointer, count: Int, base: UInt8, bits: Int,
        to target: UnsafeMutableRawPointer
    ) {
        let high: UInt64 = 0x8080_8080_8080_8080
        let spread = UInt64(base) &* 0x0101_0101_0101_0101
        let one = (1 as UInt64) << UInt64(bits) &- 1
        let even1 = one &* 0x0001_0001_0001_0001
        let even2 = ((1 as UInt64) << UInt64(2 &* bits) &- 1) &* 0x0000_0001_0000_0001
        let even4 = (1 as UInt64) << UInt64(4 &* bits) &- 1
        let shift1 = UInt64(8 &- bits)
        let shift2 = shift1 &* 2
        let shift4 = shift1 &* 4
        var out = unsafe target
        var index = 0
        while index < count {
            var x = unsafe UInt64(
                littleEndian: source.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            x = ((x | high) &- (spread & ~high)) ^ ((x ^ ~spread) & high)
            x = (x & even1) | ((x &>> shift1) & (even1 &<< UInt64(bits)))
            x = (x & even2) | ((x &>> shift2) & (even2 &<< UInt64(2 &* bits)))
            x = (x & even4) | ((x &>> shift4) & (even4 &<< UInt64(4 &* bits)))
            unsafe out.storeBytes(of: x.littleEndian, as: UInt64.self)
            unsafe out += bits
            index &+= 8
        }
    }

    /// Up to 7 bits: a group is one word.
    @inline(__always)
    private static func packEights<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ source: UnsafePointer<T>, count: Int, base: T, bits: Int,
        to target: UnsafeMutableRawPointer
    ) {
        let b1 = UInt64(bits)
        let b2 = b1 &* 2
        let b4 = b1 &* 4
        var out = unsafe target
        var index = 0
        while index < count {
            let p = unsafe source + index
            let q0 = unsafe four(p, base, b1, b2)
            let q1 = unsafe four(p + 4, base, b1, b2)
            unsafe out.storeBytes(of: (q0 | q1 &<< b4).littleEndian, as: UInt64.self)
            unsafe out += bits
            index &+= 8
        }
    }

    /// 9 to 15 bits: a group is two words of four values.
    @inline(__always)
    private static func packFours<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ source: UnsafePointer<T>, count: Int, base: T, bits: Int,
        to target: UnsafeMutableRawPointer
    ) {
        let b1 = UInt64(bits)
        let b2 = b1 &* 2
        let offset = (4 &* bits) >> 3
        let shift = UInt64((4 &* bits) & 7)
        let carried = UInt64(offset &* 8)
        var out = unsafe target
        var index = 0
        while index < count {
            let p = unsafe source + index
            let q0 = unsafe four(p, base, b1, b2)
            let q1 = unsafe four(p + 4, base, b1, b2)
            unsafe out.storeBytes(of: q0.littleEndian, as: UInt64.self)
            unsafe out.storeBytes(
                of: (q1 &<< shift | q0 &>> carried).littleEndian, toByteOffset: offset,
                as: UInt64.self)
            unsafe out += bits
            index &+= 8
        }
    }

    /// 17 to 28 bits: a group is four words of two values.
    ///
    /// Each starts at the byte where the one before ends and takes over its last, partial byte.
    @inline(__always)
    private static func packPairs<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ source: UnsafePointer<T>, count: Int, base: T, bits: Int,
        to target: UnsafeMutableRawPointer
    ) {
        let b = UInt64(bits)
        let o1 = (2 &* bits) >> 3
        let o2 = (4 &* bits) >> 3
        let o3 = (6 &* bits) >> 3
        let s1 = UInt64((2 &* bits) & 7)
        let s2 = UInt64((4 &* bits) & 7)
        let s3 = UInt64((6 &* bits) & 7)
        let c1 = UInt64(o1 &* 8)
        let c2 = UInt64((o2 &- o1) &* 8)
        let c3 = UInt64((o3 &- o2) &* 8)
        var out = unsafe target
        var index = 0
        while index < count {
            let p = unsafe source + index
            let w0 = unsafe pair(p, base, b)
            let w1 = unsafe pair(p + 2, base, b) &<< s1 | w0 &>> c1
            let w2 = unsafe pair(p + 4, base, b) &<< s2 | w1 &>> c2
            let w3 = unsafe pair(p + 6, base, b) &<< s3 | w2 &>> c3
            unsafe out.storeBytes(of: w0.littleEndian, as: UInt64.self)
            unsafe out.storeBytes(of: w1.littleEndian, toByteOffset: o1, as: UInt64.self)
            unsafe out.storeBytes(of: w2.littleEndian, toByteOffset: o2, as: UInt64.self)
            unsafe out.storeBytes(of: w3.littleEndian, toByteOffset: o3, as: UInt64.self)
            unsafe out += bits
            index &+= 8
        }
    }

    /// Any width and count, one value after the other.
    @inline(__always)
    private static func packSerially<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ source: UnsafePointer<T>, count: Int, base: T, bits: Int,
        to target: UnsafeMutableRawPointer
    ) {
        let b = UInt64(bits)
        var out = unsafe target
        var word: UInt64 = 0
        var used: UInt64 = 0
        var index = 0
        while index < count {
            let value = unsafe UInt64(truncatingIfNeeded: source[index] &- base)
            word |= value &<< used
            used &+= b
            if used >= 64 {
                unsafe out.storeBytes(of: word.littleEndian, as: UInt64.self)
                unsafe out += 8
                used &-= 64
                word = value &>> (b &- used)
            }
            index &+= 1
        }
        unsafe out.storeBytes(of: word.littleEndian, as: UInt64.self)
    }

    @inline(__always)
    private static func pair<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ p: UnsafePointer<T>, _ base: T, _ bits: UInt64
    ) -> UInt64 {
        unsafe UInt64(truncatingIfNeeded: p[0] &- base)
            | UInt64(truncatingIfNeeded: p[1] &- base) &<< bits
    }

    @inline(__always)
    private static func four<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ p: UnsafePointer<T>, _ base: T, _ bits: UInt64, _ twice: UInt64
    ) -> UInt64 {
        unsafe pair(p, base, bits) | pair(p + 2, base, bits) &<< twice
    }
}
