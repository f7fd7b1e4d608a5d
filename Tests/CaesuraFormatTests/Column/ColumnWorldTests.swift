import CaesuraFormat
import Testing

/// Small worlds: every column of up to four values over a few values of each kind.
@Suite struct ColumnWorldTests {
    static func scalars(_ scalar: ScalarType) -> [[UInt8]] {
        let top = [UInt8](repeating: 0, count: scalar.width - 1)
        switch scalar {
        case .bool: return [[0], [1]]
        case .float32:
            return [0, -0.0, 1.5, .nan, .infinity, .greatestFiniteMagnitude, 0.1].map {
                (value: Float) in littleEndianBytes(value.bitPattern)
            }
        case .float64:
            return [0, -0.0, 1.5, -.infinity, .leastNonzeroMagnitude, 0.1].map {
                (value: Double) in littleEndianBytes(value.bitPattern)
            } + [littleEndianBytes(0x7FF4_0000_0000_BEEF as UInt64)]
        default:
            return [
                [UInt8](repeating: 0, count: scalar.width), [1] + top, top + [0x80],
                [UInt8](repeating: 255, count: scalar.width), [254] + top.map { _ in 255 },
                top.map { _ in 255 } + [0x7F],
            ]
        }
    }

    static func check(_ kind: LeafColumn.Kind, _ values: [[UInt8]]) throws {
        var coder = ColumnCoder()
        var columns: [[[UInt8]]] = [[]]
        for _ in 0...4 {
            for column in columns {
                let bytes = try ColumnRoundTripTests.check(PlainColumn(kind, column), &coder)
                #expect(column.isEmpty == bytes.isEmpty)
            }
            columns = columns.flatMap { column in values.map { column + [$0] } }
        }
        // The same values many times over, so that blocks and their rests meet.
        for a in values {
            for b in values {
                for count in [5, 8, 63, 64, 65, 129] {
                    let column = (0..<count).map { $0 % 3 == 2 ? b : a }
                    _ = try ColumnRoundTripTests.check(PlainColumn(kind, column), &coder)
                }
            }
        }
    }

    @Test(arguments: ScalarType.allCases)
    func `every small column of scalars comes back`(scalar: ScalarType) throws {
        try Self.check(.fixed(scalar), Self.scalars(scalar))
    }

    @Test func `every small column of presence, strings, bytes and arrays comes back`() throws {
        try Self.check(.presence, [[0], [1]])
        try Self.check(
            .bytes(utf8: true),
            ["", "a", "0123456789abcdef", "0123456789abcdeg", "é"].map { Array($0.utf8) })
        try Self.check(
            .bytes(utf8: false), [[], [0], [255], [0x80, 0], Array("ABCDEF0123456789".utf8)])
        try Self.check(.array(.bool), [[], [1], [0, 1, 1]])
        try Self.check(.array(.int16), [[], [255, 255], [0, 0, 0, 0x80]])
        try Self.check(.array(.float64), [[], littleEndianBytes((0.25).bitPattern)])
    }

    @Test func `alternating extremes come back`() throws {
        var coder = ColumnCoder()
        for scalar in ScalarType.allCases where scalar != .bool {
            let low = [UInt8](repeating: 0, count: scalar.width - 1) + [0x80]
            let high = [UInt8](repeating: 255, count: scalar.width - 1) + [0x7F]
            for count in [2, 9, 64, 700] {
                let column = (0..<count).map { $0 % 2 == 0 ? low : high }
                _ = try ColumnRoundTripTests.check(PlainColumn(.fixed(scalar), column), &coder)
            }
        }
    }
}
