struct DecimalDecoder: ~Copyable {
    mutating func decode(
        _ reader: inout ByteReader, count: Int, integers: inout IntegerDecoder,
        to target: UnsafeMutablePointer<Double>
    ) throws(FormatError) {
        throw reader.error(.unsupported, "decimal")
    }
    mutating func decode(
        _ reader: inout ByteReader, count: Int, integers: inout IntegerDecoder,
        to target: UnsafeMutablePointer<Float>
    ) throws(FormatError) {
        throw reader.error(.unsupported, "decimal")
    }
}
