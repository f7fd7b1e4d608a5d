import CaesuraFormat

/// Schemas and values at random from a seed, for round trips.
struct RandomSchema {
    /// SplitMix64 (Steele, Lea, Flood, 2014).
    struct Source: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    var source: Source
    let seed: UInt64

    init(seed: UInt64) {
        self.seed = seed
        source = Source(state: seed)
    }

    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &source) }
    mutating func chance(_ oneIn: Int) -> Bool { below(oneIn) == 0 }

    mutating func region(name: String = "region") -> RegionSchema {
        RegionSchema(
            name: name, kind: .table, key: schema("key", atLeast: 1, simple: true),
            row: schema("row", atLeast: 0, simple: false))
    }

    mutating func schema(_ name: String, atLeast: Int, simple: Bool) -> Schema {
        let version = UInt32(1 + below(5))
        return Schema(
            name: name, version: version,
            fields: fields(
                atLeast + below(simple ? 2 : 7), version: version, depth: simple ? 7 : 1,
                defaults: !simple), retired: simple ? [] : retired())
    }

    /// Fields that no struct here has.
    mutating func retired() -> [RetiredField] {
        if !chance(3) { return [] }
        return (0..<1 + below(3)).map { index in
            chance(2) ? .number(50_000 + UInt16(index)) : .name("gone\(index)")
        }
    }

    mutating func fields(
        _ count: Int, version: UInt32, depth: Int, defaults: Bool = true
    ) -> [Field] {
        var numbers: Set<UInt16> = []
        while numbers.count < count {
            numbers.insert(
                chance(4) ? .random(in: 1..<50_000, using: &source) : UInt16(1 + below(40)))
        }
        return numbers.sorted().shuffled(using: &source).map { number in
            let type = type(depth: depth, mayBeOptional: true)
            return Field(
                number: number, name: "f\(number)", type: type,
                defaultValue: defaults && chance(2) ? value(type) : nil,
                since: 1 + UInt32(below(Int(version))), flags: chance(4) ? .sensitive : [],
                formerNames: chance(5) ? ["g\(number)", "h\(number)"] : [],
                deprecation: chance(5) ? .init(since: 1, gone: chance(2) ? 9 : nil) : nil)
        }
    }

    mutating func type(depth: Int, mayBeOptional: Bool) -> FieldType {
        switch below(mayBeOptional ? 12 : 10) {
        case 0...3: return .scalar(scalar())
        case 4, 5: return .string
        case 6: return .bytes
        case 7: return .array(scalar())
        case 8:
            let raw: FieldType = chance(3) ? .string : .scalar(chance(2) ? .uint8 : .int32)
            let count = 1 + below(5)
            let fallback = chance(2) ? below(count) : -1
            return .enumeration(
                raw: raw,
                cases: (0..<count).map { index in
                    EnumerationCase(
                        name: "case\(index)",
                        raw: raw == .string
                            ? .string("c\(index)")
                            : raw == .scalar(.uint8)
                                ? .uint(UInt128(index * 3)) : .int(Int128(index - 2)),
                        isFallback: index == fallback)
                })
        case 9 where depth < Limits.schemaDepth:
            return .structure(
                fields(1 + below(3), version: 9, depth: depth + 1), retired: retired())
        case 9: return .string
        default: return .optional(type(depth: depth, mayBeOptional: false))
        }
    }

    mutating func scalar() -> ScalarType { ScalarType.allCases.randomElement(using: &source)! }

    mutating func value(_ type: FieldType) -> Value {
        switch type {
        case .scalar(let scalar): return value(scalar)
        case .string:
            return .string(
                String((0..<below(9)).map { _ in "aé漢🙂\"\\".randomElement(using: &source)! }))
        case .bytes:
            return .bytes((0..<below(20)).map { _ in .random(in: 0...255, using: &source) })
        case .enumeration(_, let cases): return cases.randomElement(using: &source)!.raw
        case .optional(let wrapped): return chance(2) ? .none : value(wrapped)
        case .array(let element): return .array((0..<below(4)).map { _ in value(element) })
        case .structure(let fields, _): return .structure(fields.map { value($0.type) })
        }
    }

    mutating func value(_ scalar: ScalarType) -> Value {
        let word = UInt64.random(in: 0 ... .max, using: &source)
        return switch scalar {
        case .bool: .bool(word & 1 == 1)
        case .int8: .int(Int128(Int8(truncatingIfNeeded: word)))
        case .int16: .int(Int128(Int16(truncatingIfNeeded: word)))
        case .int32: .int(Int128(Int32(truncatingIfNeeded: word)))
        case .int64, .timestamp: .int(Int128(Int64(truncatingIfNeeded: word)))
        case .int128: .int(Int128(Int64(truncatingIfNeeded: word)) << 60)
        case .uint8: .uint(UInt128(UInt8(truncatingIfNeeded: word)))
        case .uint16: .uint(UInt128(UInt16(truncatingIfNeeded: word)))
        case .uint32: .uint(UInt128(UInt32(truncatingIfNeeded: word)))
        case .uint64: .uint(UInt128(word))
        case .uint128: .uint(UInt128(word) << 60)
        case .float16: .float(bits: Double(Int8(truncatingIfNeeded: word)).bitPattern)
        case .float32: .float(bits: Double(Float(word)).bitPattern)
        case .float64: .float(bits: chance(9) ? Double.nan.bitPattern : Double(word).bitPattern)
        case .uuid: .uuid((0..<16).map { UInt8(truncatingIfNeeded: word >> ($0 * 4)) })
        }
    }
}

extension RandomSchema {
    /// A seed for this run; to repeat a failure put its seed here.
    static let seed = UInt64.random(in: 0 ... .max)
}
