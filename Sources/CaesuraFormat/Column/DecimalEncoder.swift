/// Writes floats that are short decimals as integers over a power of ten.
@safe
struct DecimalEncoder: ~Copyable {
    mutating func encode(
        _ source: UnsafePointer<Double>, count: Int, integers: inout IntegerEncoder,
        into writer: inout ByteWriter
    ) -> Bool { false }
    mutating func encode(
        _ source: UnsafePointer<Float>, count: Int, integers: inout IntegerEncoder,
        into writer: inout ByteWriter
    ) -> Bool { false }
}
