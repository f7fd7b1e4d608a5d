/// What a look at some values of an integer stream suggests.
///
/// The sample is 32 windows of 5 neighbours at a fixed stride, so the same values always give the same
/// answer. It only says which exact passes are worth their time: what is written in the end is decided by
/// exact sizes.
struct IntegerSample {
    /// Windows that are looked at.
    static let windows = 32
    /// Neighbouring pairs in a window.
    static let pairs = 4
    /// Streams shorter than this are looked at as a whole.
    static let smallest = windows * (pairs + 1)

    /// Pairs looked at.
    var pairCount = 0
    /// Pairs of equal neighbours.
    var equalPairs = 0
    /// The smallest and the largest difference between neighbours.
    var leastDelta: Int64 = 0
    var greatestDelta: Int64 = 0
    /// Values looked at for ``distinct``.
    var probed = 0
    /// Distinct values among the probed.
    var distinct = 0

    /// Looks at values.
    ///
    /// - Parameter table: room for 512 words; its content is lost.
    @inline(__always)
    init<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ source: UnsafePointer<T>, count: Int, probing: Bool,
        table: UnsafeMutablePointer<UInt64>
    ) {
        let windowCount = count < Self.smallest ? 1 : Self.windows
        let pairs = count < Self.smallest ? count &- 1 : Self.pairs
        let stride = count / windowCount
        var least = Int64.max
        var greatest = Int64.min
        for window in 0..<windowCount {
            let p = unsafe source + window &* stride
            var previous = unsafe p[0]
            for i in 0..<pairs {
                let value = unsafe p[i &+ 1]
                let difference = value &- previous
                if difference == 0 { equalPairs &+= 1 }
                let delta = Self.extended(difference)
                if delta < least { least = delta }
                if delta > greatest { greatest = delta }
                previous = value
            }
        }
        pairCount = windowCount &* pairs
        leastDelta = least
        greatestDelta = greatest
        if probing {
            unsafe probe(
                source, windows: windowCount, length: pairs &+ 1, stride: stride, table: table)
        }
    }

    /// Counts distinct values, and stops as soon as there are clearly too many of them.
    @inline(__always)
    private mutating func probe<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ source: UnsafePointer<T>, windows: Int, length: Int, stride: Int,
        table: UnsafeMutablePointer<UInt64>
    ) {
        unsafe table.initialize(repeating: 0, count: 512)
        // Zero marks an empty slot, so zero itself is counted apart.
        var zero = false
        for i in 0..<length {
            for window in 0..<windows {
                let value = unsafe UInt64(truncatingIfNeeded: source[window &* stride &+ i])
                if value == 0 {
                    zero = true
                    continue
                }
                var slot = Int(truncatingIfNeeded: (value &* 0x9E37_79B9_7F4A_7C15) &>> 55)
                while unsafe table[slot] != 0, unsafe table[slot] != value {
                    slot = (slot &+ 1) & 511
                }
                if unsafe table[slot] == 0 {
                    unsafe table[slot] = value
                    distinct &+= 1
                }
            }
            probed &+= windows
            if probed >= 32, distinct &* 4 > probed &* 3 { break }
        }
        if zero { distinct &+= 1 }
    }

    /// A difference modulo 2^width as a signed number.
    @inline(__always)
    static func extended<T: FixedWidthInteger & UnsignedInteger>(_ difference: T) -> Int64 {
        let unused = UInt64(64 &- T.bitWidth)
        return Int64(bitPattern: UInt64(truncatingIfNeeded: difference) &<< unused)
            &>> Int64(unused)
    }

    /// Bits that a frame of reference over the sampled differences would need.
    var deltaBits: Int {
        pairCount == 0
            ? 64
            : bitLength(UInt64(bitPattern: greatestDelta &- leastDelta))
    }

    /// Whether runs may be worth counting: three of four neighbours are equal.
    var hasRuns: Bool { equalPairs &* 4 >= pairCount &* 3 && pairCount > 0 }

    /// Whether there are few enough distinct values to try a dictionary.
    var hasFewDistinct: Bool { distinct > 0 && distinct &* 2 <= probed }
}

/// Bits up to and with the highest that is set.
@inline(__always)
func bitLength<T: FixedWidthInteger & UnsignedInteger>(_ value: T) -> Int {
    T.bitWidth &- value.leadingZeroBitCount
}
