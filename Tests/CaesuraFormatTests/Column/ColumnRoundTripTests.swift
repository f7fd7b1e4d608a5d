import CaesuraFormat
import Testing

/// Columns of many shapes, coded and read back.
@Suite struct ColumnRoundTripTests {
    /// A column comes back, is coded the same way twice, and is not much larger than its values.
    static func check(_ column: PlainColumn, _ coder: inout ColumnCoder) throws -> [UInt8] {
        let bytes = coder.encode(column)
        let back = try coder.decode(bytes, column.kind, count: column.values.count)
        if back != column { Issue.record("\(column) came back as \(back) from \(bytes)") }
        #expect(bytes == coder.encode(column))
        if bytes.count > column.plainSize + 12 {
            Issue.record("\(column) took \(bytes.count) bytes for \(column.plainSize)")
        }
        return bytes
    }

    @Test(arguments: [0, 1, 2, 3, 7, 8, 9, 17, 100, 1000])
    func `integers of every width in bits come back`(count: Int) throws {
        var coder = ColumnCoder()
        var random = SplitMix(seed: UInt64(count))
        for bits in count < 100 ? Array(0...64) : [1, 3, 8, 11, 16, 27, 29, 32, 33, 57, 58, 63] {
            let mask = bits == 0 ? 0 : UInt64.max >> UInt64(64 - bits)
            for base in [0, 1_000, UInt64.max / 2, UInt64.max] {
                let values = (0..<count).map { _ in base &+ random.next() & mask }
                func check<T: FixedWidthInteger>(_ scalar: ScalarType, _ type: T.Type) throws {
                    _ = try Self.check(
                        PlainColumn(scalar, integers: values.map(T.init(truncatingIfNeeded:))),
                        &coder)
                }
                try check(.uint64, UInt64.self)
                try check(.int64, Int64.self)
                if bits <= 32 {
                    try check(.uint32, UInt32.self)
                    try check(.int32, Int32.self)
                }
                if bits <= 16 {
                    try check(.uint16, UInt16.self)
                    try check(.int16, Int16.self)
                }
                if bits <= 8 {
                    try check(.uint8, UInt8.self)
                    try check(.int8, Int8.self)
                }
            }
        }
    }

    @Test(arguments: [1, 2, 5, 50, 160, 1000, 5000])
    func `ordered, repeated and rare values come back and are small`(count: Int) throws {
        var coder = ColumnCoder()
        var random = SplitMix(seed: UInt64(count))
        var value: Int64 = -5
        let ordered = (0..<count).map { _ in
            value += Int64.random(in: 0...100, using: &random)
            return value
        }
        let runs = (0..<count).map { Int32($0 / 37) &* 1_000_003 }
        let few = (0..<count).map { _ in
            [UInt64.max, 0, 12_345_678_901_234, 77][Int.random(in: 0..<4, using: &random)]
        }
        let a = try Self.check(PlainColumn(.timestamp, integers: ordered), &coder)
        let b = try Self.check(PlainColumn(.int32, integers: runs), &coder)
        let c = try Self.check(PlainColumn(.uint64, integers: few), &coder)
        if count >= 1000 {
            #expect(a.count <= count * 7 / 8 + 16 && a[0] == ColumnCoding.delta.rawValue)
            #expect(b.count <= count / 37 * 4 + 64 && b[0] == ColumnCoding.runs.rawValue)
            #expect(c.count <= count / 4 + 64 && c[0] == ColumnCoding.dictionary.rawValue)
        }
    }

    @Test(arguments: [1, 2, 9, 33, 300])
    func `strings of many kinds come back`(count: Int) throws {
        var coder = ColumnCoder()
        var random = SplitMix(seed: UInt64(count))
        func text(_ symbols: String, _ lengths: ClosedRange<Int>) -> [String] {
            let symbols = Array(symbols)
            return (0..<count).map { _ in
                String(
                    (0..<Int.random(in: lengths, using: &random)).map { _ in
                        symbols.randomElement(using: &random)!
                    })
            }
        }
        for lengths in [0...0, 1...1, 0...5, 3...40, 32...32, 0...200] {
            for symbols in [
                "x", "01", "0123456789", "0123456789abcdef", "0123456789ABCDEF",
                "0123456789abcdefg", "abcdefghijklmnopqrstuvwxyz ",
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
                " !#$%&'()*+,-./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
                "aé漢𝄞",
            ] {
                _ = try Self.check(PlainColumn(strings: text(symbols, lengths)), &coder)
            }
        }
        let countries = (0..<count).map { _ in
            ["US", "DE", "IN", "BR", "JP", "", "elsewhere, far away"].randomElement(using: &random)!
        }
        let a = try Self.check(PlainColumn(strings: countries), &coder)
        let ordered = (0..<count).map { "https://example.net/user/\(100_000 + $0 * 7)" }
        let b = try Self.check(PlainColumn(strings: ordered), &coder)
        if count >= 300 {
            #expect(a.count <= count * 3 / 8 + 80 && a[0] == ColumnCoding.dictionary.rawValue)
            #expect(b.count <= count * 3 && b[0] == ColumnCoding.front.rawValue)
        }
        let blobs = (0..<count).map { _ in
            (0..<Int.random(in: 0...20, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
        }
        _ = try Self.check(PlainColumn(.bytes(utf8: false), blobs), &coder)
    }

    @Test func `arrays, halves and presence come back`() throws {
        var coder = ColumnCoder()
        var random = SplitMix(seed: 1)
        for count in [1, 2, 40, 700] {
            for scalar in ScalarType.allCases {
                let wide = (0..<count).map { _ in
                    (0..<Int.random(in: 0...4, using: &random)).flatMap { _ in
                        (0..<scalar.width).map { byte in
                            UInt8.random(
                                in: 0...(scalar == .bool || byte > 0 ? 1 : 255), using: &random)
                                & (scalar == .bool ? 1 : 255)
                        }
                    }
                }
                _ = try Self.check(PlainColumn(.array(scalar), wide), &coder)
                let one = (0..<count).map { _ in
                    (0..<scalar.width).map { _ in
                        UInt8.random(in: 0...(scalar == .bool ? 1 : 255), using: &random)
                    }
                }
                _ = try Self.check(PlainColumn(.fixed(scalar), one), &coder)
            }
            _ = try Self.check(
                PlainColumn(.presence, (0..<count).map { _ in [UInt8.random(in: 0...1)] }), &coder)
        }
        let small = (0..<1000).map { Int128($0 % 7) - 3 }
        let bytes = try Self.check(PlainColumn(.int128, integers: small), &coder)
        #expect(bytes.count < 1000 * 4 / 8 + 32)
    }

    @Test func `a segmented value leaves its length and no content`() throws {
        var coder = ColumnCoder()
        for kind in [LeafColumn.Kind.bytes(utf8: true), .array(.uint32)] {
            var column = PlainColumn(
                kind, (0..<20).map { [UInt8](repeating: UInt8($0) + 0x30, count: $0 * 4) })
            column.values[3] = []
            column.segmented[3] = 70_000_000
            column.values[19] = []
            column.segmented[19] = 65_537
            _ = try Self.check(column, &coder)
        }
    }
}
