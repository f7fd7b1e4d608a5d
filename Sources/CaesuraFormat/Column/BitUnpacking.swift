extension BitPacking {
    /// Reads `count` values and adds `base` to each; `source` has exactly the bytes that they take.
    @inline(__always)
    static func unpack<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ source: UnsafeRawBufferPointer, count: Int, base: T, bits: Int,
        to target: UnsafeMutablePointer<T>
    ) {
        guard count > 0, let start = source.baseAddress else { return }
        // A group loads at most 8 bytes behind its own last.
        let groups = max(0, min(count >> 3, (source.count &- 8) / bits))
        let whole = groups << 3
        if T.bitWidth == 8 {
            unsafe unpackBytes(
                start, count: whole, base: UInt8(truncatingIfNeeded: base), bits: bits,
                to: UnsafeMutableRawPointer(target))
        } else if bits == 8 {
            unsafe widen(start, count: whole, base: base, to: target, from: UInt8.self)
        } else if bits == 16 {
            unsafe widen(start, count: whole, base: base, to: target, from: UInt16.self)
        } else if bits == 32 {
            unsafe widen(start, count: whole, base: base, to: target, from: UInt32.self)
        } else if bits < 8 {
            unsafe unpackEights(start, count: whole, base: base, bits: bits, to: target)
        } else if bits <= 28 {
            unsafe unpackPairs(start, count: whole, base: base, bits: bits, to: target)
        } else {
            unsafe unpackSerially(start, count: whole, base: base, bits: bits, to: target)
        }
        guard whole < count else { return }
        // The rest, at most 8 + 2 * 63 bytes, from a copy that may be read over its end.
        let taken = groups &* bits
        let left = source.count &- taken
        unsafe withUnsafeTemporaryAllocation(byteCount: 192, alignment: 8) { copy in
            unsafe copy.initializeMemory(as: UInt8.self, repeating: 0)
            // SAFETY: left <= 8 + 8 * bits / 8 + bits < 192 - 16, and `copy` was just allocated.
            unsafe copy.baseAddress?.copyMemory(from: start + taken, byteCount: left)
            if let copied = copy.baseAddress {
                unsafe unpackSerially(
                    UnsafeRawPointer(copied), count: count &- whole, base: base, bits: bits,
                    to: target + whole)
            }
        }
    }

    @inline(__always)
    private static func widen<T, N>(
        _ source: UnsafeRawPointer, count: Int, base: T, to target: UnsafeMutablePointer<T>,
        from type: N.Type
    )
    where
        T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable,
        N: FixedWidthInteger & UnsignedInteger & BitwiseCopyable
    {
        for i in 0..<count {
            let code = unsafe N(
                littleEndian: source.loadUnaligned(
                    fromByteOffset: i &* (N.bitWidth >> 3), as: N.self))
            unsafe target[i] = T(truncatingIfNeeded: code) &+ base
        }
    }

    private static func unpackBytes(
        _ source: UnsafeRawPointer, count: Int, base: UInt8, bits: Int,
        to target: UnsafeMutableRawPointer
    ) {
        let high: UInt64 = 0x8080_8080_8080_8080
        let spread = UInt64(base) &* 0x0101_0101_0101_0101
        let even1 = ((1 as UInt64) << UInt64(bits) &- 1) &* 0x0001_0001_0001_0001
        let even2 = ((1 as UInt64) << UInt64(2 &* bits) &- 1) &* 0x0000_0001_0000_0001
        let even4 = (1 as UInt64) << UInt64(4 &* bits) &- 1
        let shift1 = UInt64(8 &- bits)
        let shift2 = shift1 &* 2
        let shift4 = shift1 &* 4
        var from = unsafe source
        var index = 0
        while index < count {
            var x = unsafe UInt64(littleEndian: from.loadUnaligned(as: UInt64.self))
            x = (x & even4) | ((x & (even4 &<< UInt64(4 &* bits))) &<< shift4)
            x = (x & even2) | ((x & (even2 &<< UInt64(2 &* bits))) &<< shift2)
            x = (x & even1) | ((x & (even1 &<< UInt64(bits))) &<< shift1)
            x = ((x & ~high) &+ (spread & ~high)) ^ ((x ^ spread) & high)
            unsafe target.storeBytes(of: x.littleEndian, toByteOffset: index, as: UInt64.self)
            unsafe from += bits
            index &+= 8
        }
    }

    @inline(__always)
    private static func unpackEights<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ source: UnsafeRawPointer, count: Int, base: T, bits: Int,
        to target: UnsafeMutablePointer<T>
    ) {
        let mask = (1 as UInt64) << UInt64(bits) &- 1
        let b = UInt64(bits)
        var from = unsafe source
        var index = 0
        while index < count {
            let out = unsafe target + index
            let w = unsafe UInt64(littleEndian: from.loadUnaligned(as: UInt64.self))
            let x = w &>> (4 &* b)
            unsafe out[0] = T(truncatingIfNeeded: w & mask) &+ base
            unsafe out[1] = T(truncatingIfNeeded: w &>> b & mask) &+ base
            unsafe out[2] = T(truncatingIfNeeded: w &>> (2 &* b) & mask) &+ base
            unsafe out[3] = T(truncatingIfNeeded: w &>> (3 &* b) & mask) &+ base
            unsafe out[4] = T(truncatingIfNeeded: x & mask) &+ base
            unsafe out[5] = T(truncatingIfNeeded: x &>> b & mask) &+ base
            unsafe out[6] = T(truncatingIfNeeded: x &>> (2 &* b) & mask) &+ base
            unsafe out[7] = T(truncatingIfNeeded: x &>> (3 &* b) & mask) &+ base
            unsafe from += bits
            index &+= 8
        }
    }

    /// 9 to 28 bits: two values and the bits before them fit a word.
    @inline(__always)
    private static func unpackPairs<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ source: UnsafeRawPointer, count: Int, base: T, bits: Int,
        to target: UnsafeMutablePointer<T>
    ) {
        let mask = (1 as UInt64) << UInt64(bits) &- 1
        let b = UInt64(bits)
        let o1 = (2 &* bits) >> 3
        let o2 = (4 &* bits) >> 3
        let o3 = (6 &* bits) >> 3
        let s1 = UInt64((2 &* bits) & 7)
        let s2 = UInt64((4 &* bits) & 7)
        let s3 = UInt64((6 &* bits) & 7)
        var from = unsafe source
        var index = 0
        while index < count {
            let out = unsafe target + index
            let w0 = unsafe UInt64(littleEndian: from.loadUnaligned(as: UInt64.self))
            let w1 =
                unsafe UInt64(
                    littleEndian: from.loadUnaligned(fromByteOffset: o1, as: UInt64.self)) &>> s1
            let w2 =
                unsafe UInt64(
                    littleEndian: from.loadUnaligned(fromByteOffset: o2, as: UInt64.self)) &>> s2
            let w3 =
                unsafe UInt64(
                    littleEndian: from.loadUnaligned(fromByteOffset: o3, as: UInt64.self)) &>> s3
            unsafe out[0] = T(truncatingIfNeeded: w0 & mask) &+ base
            unsafe out[1] = T(truncatingIfNeeded: w0 &>> b & mask) &+ base
            unsafe out[2] = T(truncatingIfNeeded: w1 & mask) &+ base
            unsafe out[3] = T(truncatingIfNeeded: w1 &>> b & mask) &+ base
            unsafe out[4] = T(truncatingIfNeeded: w2 & mask) &+ base
            unsafe out[5] = T(truncatingIfNeeded: w2 &>> b & mask) &+ base
            unsafe out[6] = T(truncatingIfNeeded: w3 & mask) &+ base
            unsafe out[7] = T(truncatingIfNeeded: w3 &>> b & mask) &+ base
            unsafe from += bits
            index &+= 8
        }
    }

    /// Any width and count; loads up to 16 bytes from the byte where a value starts.
    @inline(__always)
    private static func unpackSerially<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ source: UnsafeRawPointer, count: Int, base: T, bits: Int,
        to target: UnsafeMutablePointer<T>
    ) {
        let mask = (1 as UInt64) << UInt64(bits) &- 1
        var position = 0
        var index = 0
        if bits <= 57 {
            while index < count {
                let word = unsafe UInt64(
                    littleEndian: source.loadUnaligned(
                        fromByteOffset: position >> 3, as: UInt64.self))
                let code = word &>> UInt64(position & 7) & mask
                unsafe target[index] = T(truncatingIfNeeded: code) &+ base
                position &+= bits
                index &+= 1
            }
        } else {
            while index < count {
                let byte = position >> 3
                let shift = UInt64(position & 7)
                let low = unsafe UInt64(
                    littleEndian: source.loadUnaligned(fromByteOffset: byte, as: UInt64.self))
                let next = unsafe UInt64(
                    source.loadUnaligned(fromByteOffset: byte &+ 8, as: UInt8.self))
                let code = (low &>> shift | (next &<< 1) &<< (63 &- shift)) & mask
                unsafe target[index] = T(truncatingIfNeeded: code) &+ base
                position &+= bits
                index &+= 1
            }
        }
    }
}
