import CaesuraFormat
import Testing

/// The worked examples of `docs/FORMAT.md`, "Columns", in both directions.
///
/// Derived by hand from that text; never regenerated.
@Suite struct ColumnVectorTests {
    struct Vector: CustomTestStringConvertible {
        var name: String
        var column: PlainColumn
        var hex: String
        var testDescription: String { name }

        init(_ name: String, _ column: PlainColumn, _ hex: String) {
            self.name = name
            self.column = column
            self.hex = hex
        }

        var bytes: [UInt8] { hex.split(separator: " ").map { UInt8($0, radix: 16)! } }
    }

    static let longValue: PlainColumn = {
        var column = PlainColumn(strings: [""])
        column.segmented[0] = 70_000
        return column
    }()

    static let vectors = [
        Vector("raw", PlainColumn(.uint8, integers: [0, 255] as [UInt8]), "00 00 FF"),
        Vector("constant", PlainColumn(.int32, integers: [7, 7, 7] as [Int32]), "01 0E"),
        Vector("constant Bool", PlainColumn(.fixed(.bool), [[1], [1], [1]]), "01 02"),
        Vector(
            "packed", PlainColumn(.uint16, integers: [5, 8, 12, 5, 6] as [UInt16]), "02 0A 03 D8 11"
        ),
        Vector(
            "packed, negative", PlainColumn(.int32, integers: [-3, 4] as [Int32]), "02 05 03 38"),
        Vector("presence", PlainColumn(.presence, [[1], [0], [1], [1]]), "02 00 01 0D"),
        Vector(
            "delta",
            PlainColumn(
                .int64, integers: [100, 103, 107, 110, 114, 117, 121, 124, 128, 131] as [Int64]),
            "03 C8 01 06 01 AA 00"),
        Vector(
            "delta without a remainder",
            PlainColumn(.timestamp, integers: (0..<20).map { Int64($0 * 1000) }), "03 00 D0 0F 00"),
        Vector(
            "dictionary",
            PlainColumn(.uint32, integers: (0..<16).map { $0 % 2 == 0 ? 1_000_000 : 7 as UInt32 }),
            "04 02 02 0E 14 39 42 0F 00 00 AA AA"),
        Vector(
            "runs", PlainColumn(.uint32, integers: (0..<100).map { $0 < 50 ? 5 : 9 as UInt32 }),
            "05 02 02 0A 03 20 01 64"),
        Vector(
            "decimal", PlainColumn(doubles: [1.25, 2.5, 3.75]), "06 02 02 FA 01 08 00 7D FA 00"),
        Vector(
            "decimal with an exception",
            PlainColumn(doubles: [1.25, 2.5, 3.75, -0.0, 1.25, 1.25, 1.25, 1.25]),
            "06 02 02 FA 01 08 00 7D FA FA 00 00 00 00 01 01 06 00 00 00 00 00 00 00 80"),
        Vector("decimal Float", PlainColumn(floats: [0.5, 0.25]), "06 02 02 32 05 19 00 00"),
        Vector(
            "lanes", PlainColumn(.uint128, integers: [1, 1 << 64 | 3] as [UInt128]),
            "07 02 02 02 08 02 00 01 02"),
        Vector(
            "lanes of a UUID",
            PlainColumn(
                .fixed(.uuid),
                [[0, 0, 0, 0, 0, 0, 0, 5, 0x80, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF, 0x11]]),
            "07 00 11 FF EE DD CC BB AA 80 01 0A"),
        Vector("strings", PlainColumn(strings: ["ab", "", "c"]), "00 02 00 02 12 61 62 63"),
        Vector("a segmented string", longValue, "00 01 E0 C5 08"),
        Vector(
            "hexadecimal digits", PlainColumn(strings: ["0123456789abcdef"]),
            "08 01 20 00 10 32 54 76 98 BA DC FE"),
        Vector(
            "listed symbols", PlainColumn(strings: ["aabbccaa", "bbbbaaaa"]),
            "08 01 10 02 03 61 62 63 50 0A 55 00"),
        Vector(
            "dictionary of strings",
            PlainColumn(strings: (0..<12).map { $0 % 2 == 0 ? "yes" : "no" }),
            "04 02 00 02 04 01 01 79 65 73 6E 6F AA 0A"),
        Vector(
            "front", PlainColumn(strings: (0..<8).map { "/a/b/c/x\($0)" }),
            """
            09 02 00 04 80 88 88 88 00 02 02 04 08 00 00 00 \
            2F 61 2F 62 2F 63 2F 78 30 31 32 33 34 35 36 37
            """),
        Vector(
            "array",
            PlainColumn(.array(.uint16), [[1, 0, 2, 0], [], [3, 0]]), "02 00 02 12 02 02 02 24"),
    ]

    @Test(arguments: Self.vectors)
    func `a worked example is written and read as the page says`(vector: Vector) throws {
        var coder = ColumnCoder()
        #expect(coder.encode(vector.column) == vector.bytes)
        let back = try coder.decode(
            vector.bytes, vector.column.kind, count: vector.column.values.count)
        #expect(back == vector.column)
    }

    /// Bytes that break one rule each, and the answer the page gives.
    static let wrong: [(String, LeafColumn.Kind, Int, FormatError.Code)] = [
        ("", .fixed(.uint8), 1, .truncated),
        ("0A", .fixed(.uint8), 1, .unsupported),
        ("08", .fixed(.uint8), 1, .malformed),
        ("01 0E 00", .fixed(.uint8), 1, .malformed),
        ("01 8E 00", .fixed(.uint8), 1, .malformed),
        ("00 01", .fixed(.uint16), 1, .truncated),
        ("02 00 00", .fixed(.uint8), 2, .malformed),
        ("02 00 08 00 00", .fixed(.uint8), 2, .malformed),
        ("02 00 03 40", .fixed(.uint8), 2, .malformed),
        ("02 00 03", .fixed(.uint8), 2, .truncated),
        ("04 00", .fixed(.uint8), 2, .malformed),
        ("04 03 01 00", .fixed(.uint8), 2, .malformed),
        ("04 03 02 00 02 24 03", .fixed(.uint8), 3, .malformed),
        ("04 01 05 01 01 00 01 02", .fixed(.uint8), 1, .malformed),
        ("05 01 01 00 01 02", .fixed(.uint8), 2, .malformed),
        ("05 02 02 00 01 02 01 00", .fixed(.uint8), 2, .malformed),
        ("06 13 01 00 00", .fixed(.float64), 2, .malformed),
        ("06 00 01 00 03", .fixed(.float64), 2, .malformed),
        ("06 00 01 00 01 01 04 00 00 00 00", .fixed(.float32), 2, .malformed),
        ("00 01 00", .fixed(.uint128), 1, .malformed),
        ("01 04", .presence, 1, .malformed),
        ("00 01 02 FF", .bytes(utf8: true), 1, .malformed),
        ("00 01 02 C3 A9", .bytes(utf8: true), 2, .malformed),
        ("08 01 02 03", .bytes(utf8: false), 1, .unsupported),
        ("08 01 02 00 1F", .bytes(utf8: false), 1, .malformed),
        ("08 01 02 02 00", .bytes(utf8: false), 1, .malformed),
        ("08 01 02 02 02 62 61 00", .bytes(utf8: false), 1, .malformed),
        ("08 01 02 02 03 61 62 63 03", .bytes(utf8: false), 1, .malformed),
        ("09 01 02 00 01 02 61", .bytes(utf8: false), 1, .malformed),
        ("01 80 80 02 01 00", .array(.uint16), 8192, .limitExceeded),
    ]

    @Test(arguments: Self.wrong.indices)
    func `bytes that break a rule get the answer of the page`(index: Int) {
        let (hex, kind, count, code) = Self.wrong[index]
        let bytes = hex.split(separator: " ").map { UInt8($0, radix: 16)! }
        var coder = ColumnCoder()
        do {
            let column = try coder.decode(bytes, kind, count: count)
            Issue.record("\(hex) decodes to \(column)")
        } catch {
            if error.code != code { Issue.record("\(hex): \(error)") }
        }
    }
}
