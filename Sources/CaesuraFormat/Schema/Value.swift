/// One value of any field type, for defaults, for tools that know no Swift types, and for tests.
///
/// Rows in pages and chunks never take this form; it is for the paths where clarity beats speed.
public indirect enum Value: Hashable, Sendable {
    /// An absent optional.
    case none
    case bool(Bool)
    /// Any signed integer, and timestamps in microseconds.
    case int(Int128)
    /// Any unsigned integer.
    case uint(UInt128)
    /// Any float, by its value as a Double (every Float16 and Float is one exactly); equality is by bits.
    case float(bits: UInt64)
    case string(String)
    case bytes([UInt8])
    /// 16 bytes.
    case uuid([UInt8])
    case array([Value])
    /// A nested struct's values, in field order.
    case structure([Value])
}
