/// Floats as integers over a power of ten: the arithmetic that writer and reader share.
///
/// All of it is IEEE 754 double arithmetic, rounding to nearest, so every machine agrees.
enum Decimal {
    /// The largest exponent: 10^18 fits a signed 64-bit integer, and 10^22 is the last exact double.
    static let largestExponent = 18

    /// Values that are checked together.
    static let block = 64

    /// 1.5 * 2^52: added to a double below 2^51 it leaves the nearest integer in the low bits, ties to
    /// even.
    private static let magic = 0x1.8p52
    private static let magicBits: UInt64 = 0x4338_0000_0000_0000

    /// 10^exponent, exact.
    @inline(__always)
    static func power(_ exponent: Int) -> Double {
        var power = 1.0
        for _ in 0..<exponent { power *= 10 }
        return power
    }

    /// The integer that stands for a value, if there is one.
    @inline(__always)
    static func number<Value: BinaryFloatingPoint>(_ value: Value, _ power: Double) -> Int64? {
        let moved = Double(value) * power + magic
        let number = Int64(bitPattern: moved.bitPattern &- magicBits)
        guard number >= -1 << 51, number < 1 << 51 else { return nil }
        let back = Value((moved - magic) / power)
        return back == value && back.sign == value.sign ? number : nil
    }

    /// Writes the integers of a block of doubles; false if a value of it has none.
    @inline(__always)
    static func scale(
        _ source: UnsafePointer<Double>, _ target: UnsafeMutablePointer<UInt64>, from start: Int,
        count: Int, _ power: Double
    ) -> Bool {
        let powers = SIMD2<Double>(repeating: power)
        let magics = SIMD2<Double>(repeating: magic)
        let zeros = SIMD2<UInt64>(repeating: magicBits)
        var wrong = SIMD2<UInt64>()
        let values = unsafe UnsafeRawPointer(source + start)
        let numbers = unsafe UnsafeMutableRawPointer(target + start)
        var i = 0
        while i &+ 2 <= count {
            let value = unsafe values.loadUnaligned(
                fromByteOffset: i &* 8, as: SIMD2<Double>.self)
            let moved = value * powers + magics
            let number = unsafe unsafeBitCast(moved, to: SIMD2<UInt64>.self) &- zeros
            let back = (moved - magics) / powers
            unsafe wrong |=
                unsafeBitCast(back, to: SIMD2<UInt64>.self)
                ^ unsafeBitCast(value, to: SIMD2<UInt64>.self)
            wrong |= (number &+ (1 << 51)) &>> 52
            unsafe numbers.storeBytes(of: number, toByteOffset: i &* 8, as: SIMD2<UInt64>.self)
            i &+= 2
        }
        if i < count {
            guard let number = unsafe Decimal.number(source[start &+ i], power) else {
                return false
            }
            unsafe target[start &+ i] = UInt64(bitPattern: number)
        }
        return wrong[0] | wrong[1] == 0
    }

    /// Writes the integers of a block of floats; false if a value of it has none.
    @inline(__always)
    static func scale(
        _ source: UnsafePointer<Float>, _ target: UnsafeMutablePointer<UInt64>, from start: Int,
        count: Int, _ power: Double
    ) -> Bool {
        for i in start..<start &+ count {
            guard let number = unsafe Decimal.number(source[i], power) else { return false }
            unsafe target[i] = UInt64(bitPattern: number)
        }
        return true
    }

    /// Turns integers into the doubles they stand for.
    static func unscale(
        _ source: UnsafePointer<UInt64>, count: Int, _ power: Double,
        to target: UnsafeMutablePointer<Double>
    ) {
        let powers = SIMD2<Double>(repeating: power)
        let magics = SIMD2<Double>(repeating: magic)
        let zeros = SIMD2<UInt64>(repeating: magicBits)
        let numbers = unsafe UnsafeRawPointer(source)
        let values = UnsafeMutableRawPointer(target)
        var i = 0
        while i &+ 2 <= count {
            let number = unsafe numbers.loadUnaligned(
                fromByteOffset: i &* 8, as: SIMD2<UInt64>.self)
            let far = (number &+ (1 << 51)) &>> 52
            if far[0] | far[1] == 0 {
                let moved = unsafe unsafeBitCast(number &+ zeros, to: SIMD2<Double>.self)
                unsafe values.storeBytes(
                    of: (moved - magics) / powers, toByteOffset: i &* 8, as: SIMD2<Double>.self)
            } else {
                unsafe target[i] = Double(Int64(bitPattern: number[0])) / power
                unsafe target[i &+ 1] = Double(Int64(bitPattern: number[1])) / power
            }
            i &+= 2
        }
        if i < count { unsafe target[i] = Double(Int64(bitPattern: source[i])) / power }
    }
}
