/// What a pass over the lengths of a string column finds.
struct LengthSummary {
    /// Places whose offsets are kept.
    static let windows = 32

    /// The least length and the distance to the greatest.
    var bounds: Bounds<UInt32>
    /// Bytes of all values that the column holds itself.
    var inlineTotal = 0
    /// Whether a value travels in segments.
    var hasSegmented = false

    /// Sums lengths; `starts` gets the offset of value `count / windows * w` for each window `w`.
    init(_ lengths: UnsafePointer<UInt32>, count: Int, starts: UnsafeMutablePointer<Int>) {
        let stride = count / Self.windows
        var least = UInt32.max
        var greatest: UInt32 = 0
        var total: UInt64 = 0
        var from = 0
        for window in 0..<Self.windows {
            unsafe starts[window] = Int(truncatingIfNeeded: total)
            let to = window == Self.windows - 1 ? count : from + stride
            for i in from..<to {
                let length = unsafe lengths[i]
                least = min(least, length)
                greatest = max(greatest, length)
                total &+= UInt64(length)
            }
            from = to
        }
        bounds = Bounds(least: least, span: greatest &- least)
        inlineTotal = Int(truncatingIfNeeded: total)
        if greatest > Limits.inlineValueBytes {
            hasSegmented = true
            inlineTotal = 0
            for i in 0..<count {
                let length = unsafe Int(lengths[i])
                if length <= Limits.inlineValueBytes { inlineTotal &+= length }
            }
        }
    }
}

extension Bounds {
    init(least: T, span: T) {
        self.least = least
        self.span = span
    }
}

/// What a look at some values of a string column suggests: 32 windows of 4 values, or all of few.
struct StringSample {
    /// Slots of the table that counts distinct values.
    static let slots = 512

    private var probed = 0
    private var distinct = 0
    private var pairs = 0
    private var shared = 0

    /// Looks at values, none of which is segmented.
    init(
        _ lengths: UnsafePointer<UInt32>, _ content: UnsafeRawPointer, count: Int,
        starts: UnsafePointer<Int>, table: UnsafeMutablePointer<UInt64>
    ) {
        unsafe table.initialize(repeating: 0, count: Self.slots)
        let windows = count < 128 ? 1 : LengthSummary.windows
        let length = count < 128 ? count : 4
        let stride = count / windows
        for window in 0..<windows {
            var offset = windows == 1 ? 0 : unsafe starts[window]
            var previous = offset
            for i in 0..<length {
                let size = unsafe Int(lengths[window &* stride &+ i])
                if i > 0 {
                    let most = unsafe min(size, Int(lengths[window &* stride &+ i &- 1]))
                    unsafe shared &+= commonPrefix(
                        content + previous, content + offset, atMost: min(most, 64))
                    pairs &+= 1
                }
                let key = unsafe ValueDictionary.key(content + offset, min(size, 64))
                var slot = Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) &>> 55)
                // Never full: at most 128 values are looked at.
                while unsafe table[slot] != 0, unsafe table[slot] != key {
                    slot = (slot &+ 1) & (Self.slots - 1)
                }
                if unsafe table[slot] == 0 {
                    unsafe table[slot] = key
                    distinct &+= 1
                }
                probed &+= 1
                previous = offset
                offset &+= size
            }
        }
    }

    /// Whether there are few enough distinct values to try a dictionary.
    var hasFewDistinct: Bool { distinct &* 2 <= probed }

    /// Bits that an average value shares with the one before.
    func sharedBits(_ byteBits: Int) -> Int { pairs == 0 ? 0 : shared * byteBits / pairs }
}

/// The set of bytes that occur in some content.
struct Symbols {
    /// Number of distinct bytes.
    var count = 0
    /// Whether all are in `0123456789abcdef`.
    var isLowerHex = true
    /// Whether all are in `0123456789ABCDEF`.
    var isUpperHex = true

    /// Looks at all bytes, or at 512 of them; `seen` gets 1 for each byte that occurs and 0 for others.
    init(
        _ content: UnsafeRawPointer, count total: Int, sampling: Bool,
        seen: UnsafeMutablePointer<UInt8>
    ) {
        unsafe seen.initialize(repeating: 0, count: 256)
        let bytes = unsafe content.assumingMemoryBound(to: UInt8.self)
        if sampling, total > 512 {
            let stride = (total - 16) / 31
            for place in 0..<32 {
                let p = unsafe bytes + place &* stride
                for i in 0..<16 { unsafe seen[Int(p[i])] = 1 }
            }
        } else {
            for i in 0..<total { unsafe seen[Int(bytes[i])] = 1 }
        }
        for byte in 0..<256 where unsafe seen[byte] != 0 {
            count += 1
            let isFigure = byte >= 0x30 && byte <= 0x39
            if !isFigure, byte < 0x61 || byte > 0x66 { isLowerHex = false }
            if !isFigure, byte < 0x41 || byte > 0x46 { isUpperHex = false }
        }
    }

    /// Whether to pack all as hexadecimal digits, which is quicker than as listed symbols and as small.
    var packsAsHex: Bool { count > 8 && (isLowerHex || isUpperHex) }

    /// Bits that a byte takes: 8 if there are too many to pack.
    var bits: Int {
        count > 64 ? 8 : bitLength(UInt(max(count, 1) - 1))
    }
}
