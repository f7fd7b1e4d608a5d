/// Reads floats that ``DecimalEncoder`` wrote.
@safe
struct DecimalDecoder: ~Copyable {
    private var scaled = Scratch()
    private var positions = Scratch()

    /// Reads `count` doubles, of which there is at least one.
    mutating func decode(
        _ reader: inout ByteReader, count: Int, integers: inout IntegerDecoder,
        to target: UnsafeMutablePointer<Double>
    ) throws(FormatError) {
        let power = try decodeNumbers(&reader, count: count, integers: &integers)
        let numbers = unsafe scaled.reserve(count, of: UInt64.self)
        unsafe Decimal.unscale(numbers, count: count, power, to: target)
        try unsafe decodeExceptions(
            &reader, count: count, size: 8, integers: &integers,
            to: UnsafeMutableRawPointer(target))
    }

    /// Reads `count` floats, of which there is at least one.
    mutating func decode(
        _ reader: inout ByteReader, count: Int, integers: inout IntegerDecoder,
        to target: UnsafeMutablePointer<Float>
    ) throws(FormatError) {
        let power = try decodeNumbers(&reader, count: count, integers: &integers)
        let numbers = unsafe scaled.reserve(count, of: UInt64.self)
        for i in 0..<count {
            unsafe target[i] = Float(Double(Int64(bitPattern: numbers[i])) / power)
        }
        try unsafe decodeExceptions(
            &reader, count: count, size: 4, integers: &integers,
            to: UnsafeMutableRawPointer(target))
    }

    /// Reads the exponent and, into `scaled`, the integers; returns the power of ten.
    private mutating func decodeNumbers(
        _ reader: inout ByteReader, count: Int, integers: inout IntegerDecoder
    ) throws(FormatError) -> Double {
        _ = try reader.byte("a decimal coding")
        let place = reader
        let exponent = try Int(reader.byte("an exponent"))
        guard exponent <= Decimal.largestExponent else {
            throw place.error(.malformed, "exponent \(exponent)")
        }
        try unsafe integers.decode(
            &reader, count: count, to: scaled.reserve(count, of: UInt64.self))
        return Decimal.power(exponent)
    }

    /// Reads the values that are not decimals over those that stand in their place.
    private mutating func decodeExceptions(
        _ reader: inout ByteReader, count: Int, size: Int, integers: inout IntegerDecoder,
        to target: UnsafeMutableRawPointer
    ) throws(FormatError) {
        let place = reader
        let number = try reader.varint("a number of exceptions")
        guard number <= UInt64(count) else {
            throw place.error(.malformed, "\(number) exceptions in \(count) values")
        }
        let exceptions = Int(number)
        let positions = unsafe positions.reserve(exceptions, of: UInt32.self)
        try unsafe integers.decode(&reader, count: exceptions, depth: .simple, to: positions)
        let bits = try unsafe reader.take(exceptions * size, "exceptions")
        guard let start = bits.baseAddress, exceptions > 0 else { return }
        var next = 0
        for i in 0..<exceptions {
            let position = unsafe Int(positions[i])
            guard position >= next, position < count else {
                throw place.error(.malformed, "exceptions are not in ascending order")
            }
            next = position + 1
            // SAFETY: `position < count`, and `bits` has `size` bytes for each exception.
            unsafe (target + position * size).copyMemory(from: start + i * size, byteCount: size)
        }
    }
}
