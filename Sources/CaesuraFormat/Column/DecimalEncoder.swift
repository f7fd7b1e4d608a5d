/// Writes floats that are short decimals as integers over a power of ten.
///
/// A value belongs if the integer nearest to `value * 10^k`, divided by `10^k` as doubles divide, gives the
/// value back bit by bit; anything else (negative zero, NaNs, infinities, more digits) is an exception.
/// After ALP (Afroozeh, Kuffo, Boncz: "ALP: Adaptive Lossless floating-Point Compression", SIGMOD 2023),
/// with a division where ALP multiplies: it takes longer and leaves no exception to rounding.
@safe
struct DecimalEncoder: ~Copyable {
    private var scaled = Scratch()
    private var positions = Scratch()

    /// Writes doubles; false, with nothing written, if they are not decimals.
    mutating func encode(
        _ source: UnsafePointer<Double>, count: Int, integers: inout IntegerEncoder,
        into writer: inout ByteWriter
    ) -> Bool {
        unsafe write(source, count: count, integers: &integers, into: &writer) {
            unsafe Decimal.scale(source, $0, from: $1, count: $2, $3)
        }
    }

    /// Writes floats; false, with nothing written, if they are not decimals.
    mutating func encode(
        _ source: UnsafePointer<Float>, count: Int, integers: inout IntegerEncoder,
        into writer: inout ByteWriter
    ) -> Bool {
        unsafe write(source, count: count, integers: &integers, into: &writer) {
            unsafe Decimal.scale(source, $0, from: $1, count: $2, $3)
        }
    }

    @inline(__always)
    private mutating func write<Value: BinaryFloatingPoint & BitwiseCopyable>(
        _ source: UnsafePointer<Value>, count: Int, integers: inout IntegerEncoder,
        into writer: inout ByteWriter,
        scaling: (UnsafeMutablePointer<UInt64>, Int, Int, Double) -> Bool
    ) -> Bool {
        guard let found = unsafe Self.exponent(source, count: count) else { return false }
        let power = Decimal.power(found.exponent)
        let target = unsafe scaled.reserve(count, of: UInt64.self)
        let positions = unsafe positions.reserve(count / 8 + Decimal.block, of: UInt32.self)
        var exceptions = 0
        // An exception takes the place of the integer before it, so that it does not widen the frame.
        var filler = found.first
        var start = 0
        while start < count {
            let length = min(Decimal.block, count &- start)
            if unsafe !scaling(target, start, length, power) {
                for i in start..<start &+ length {
                    if let number = unsafe Decimal.number(source[i], power) {
                        filler = number
                    } else {
                        unsafe positions[exceptions] = UInt32(truncatingIfNeeded: i)
                        exceptions &+= 1
                    }
                    unsafe target[i] = UInt64(bitPattern: filler)
                }
                if exceptions > count / 8 { return false }
            } else {
                filler = unsafe Int64(bitPattern: target[start &+ length &- 1])
            }
            start &+= length
        }
        let before = writer.count
        writer.append(ColumnCoding.decimal.rawValue)
        writer.append(UInt8(truncatingIfNeeded: found.exponent))
        unsafe integers.encode(target, count: count, signed: true, into: &writer)
        writer.append(varint: UInt64(exceptions))
        unsafe integers.encode(
            positions, count: exceptions, signed: false, depth: .simple, into: &writer)
        for i in 0..<exceptions {
            // SAFETY: positions are indices of values.
            unsafe writer.append(
                UnsafeRawBufferPointer(
                    start: source + Int(positions[i]), count: MemoryLayout<Value>.size))
        }
        if writer.count - before <= count * MemoryLayout<Value>.size { return true }
        writer.truncate(to: before)
        return false
    }

    /// The exponent that up to 32 values at a fixed stride need, and the integer of the first that has
    /// one; nil if more than a quarter of them need more digits than there are.
    @inline(__always)
    private static func exponent<Value: BinaryFloatingPoint & BitwiseCopyable>(
        _ source: UnsafePointer<Value>, count: Int
    ) -> (exponent: Int, first: Int64)? {
        let samples = min(count, 32)
        let stride = count / samples
        let most = MemoryLayout<Value>.size == 8 ? 14 : 9
        var exponent = 0
        var first: Value?
        var failures = 0
        for i in 0..<samples {
            let value = unsafe source[i &* stride]
            var needed = 0
            // Most values need as many digits as the one before.
            if Decimal.number(value, Decimal.power(exponent)) != nil {
                if first == nil { first = value }
                continue
            }
            needed = exponent + 1
            while needed <= most, Decimal.number(value, Decimal.power(needed)) == nil {
                needed += 1
            }
            if needed > most {
                failures &+= 1
                if failures &* 4 > samples { return nil }
            } else {
                exponent = needed
                if first == nil { first = value }
            }
        }
        guard let first else { return nil }
        return (exponent, Decimal.number(first, Decimal.power(exponent)) ?? 0)
    }
}
