import CaesuraFormat

/// Values of any type from a seed, with those at the edges often among them.
struct RandomValues {
    /// SplitMix64 (Steele, Lea, Flood, *Fast splittable pseudorandom number generators*, 2014).
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    private mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    private mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

    mutating func value(_ type: FieldType) -> Value {
        switch type {
        case .scalar(let scalar): return value(scalar)
        case .string:
            // The last one is kept outside a page's row.
            let word = ["", "a", "é漢🙂", " \"\\\n", "caesura"][below(5)]
            return .string(String(repeating: word, count: [1, 1, 3, 400][below(4)]))
        case .bytes:
            return .bytes(
                (0..<[0, 1, 16, 2_000][below(4)]).map { _ in UInt8(truncatingIfNeeded: next()) })
        case .enumeration(_, let cases): return cases[below(cases.count)].raw
        case .optional(let wrapped): return below(3) == 0 ? .none : value(wrapped)
        case .array(let element): return .array((0..<below(6)).map { _ in value(element) })
        case .structure(let fields, _): return .structure(fields.map { value($0.type) })
        }
    }

    private mutating func value(_ scalar: ScalarType) -> Value {
        func signed<Integer: FixedWidthInteger & SignedInteger>(_ type: Integer.Type) -> Value {
            let edges: [Integer] = [0, 1, -1, .min, .max]
            let any = Integer(truncatingIfNeeded: next())
            return .int(Int128(below(2) == 0 ? edges[below(edges.count)] : any))
        }
        func unsigned<Integer: FixedWidthInteger & UnsignedInteger>(_ type: Integer.Type) -> Value {
            let edges: [Integer] = [0, 1, .max]
            let any = Integer(truncatingIfNeeded: next())
            return .uint(UInt128(below(2) == 0 ? edges[below(edges.count)] : any))
        }
        switch scalar {
        case .bool: return .bool(next() & 1 == 1)
        case .int8: return signed(Int8.self)
        case .int16: return signed(Int16.self)
        case .int32: return signed(Int32.self)
        case .int64, .timestamp: return signed(Int64.self)
        case .int128: return signed(Int128.self)
        case .uint8: return unsigned(UInt8.self)
        case .uint16: return unsigned(UInt16.self)
        case .uint32: return unsigned(UInt32.self)
        case .uint64: return unsigned(UInt64.self)
        case .uint128: return unsigned(UInt128.self)
        case .float16: return .float(bits: Double(Int8(truncatingIfNeeded: next())).bitPattern)
        case .float32: return .float(bits: Double(Float(next())).bitPattern)
        case .float64: return .float(bits: Double(next()).bitPattern)
        case .uuid: return .uuid((0..<16).map { _ in UInt8(truncatingIfNeeded: next()) })
        }
    }
}
