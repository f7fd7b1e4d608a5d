import CaesuraFormat
import Foundation
import Testing

@testable import CaesuraTool

@Suite struct RowPrinterTests {
    /// A region with every shape a field can have.
    static let region = RegionSchema(
        name: "things", kind: .table,
        key: Schema(
            name: "key",
            fields: [
                Field(number: 1, name: "host", type: .string),
                Field(number: 2, name: "port", type: .scalar(.uint16)),
            ]),
        row: Schema(
            name: "thing",
            fields: [
                Field(number: 1, name: "total", type: .scalar(.uint64)),
                Field(number: 2, name: "secret", type: .string, flags: .sensitive),
                Field(
                    number: 3, name: "owner",
                    type: .optional(
                        .structure([
                            Field(number: 1, name: "id", type: .scalar(.uuid)),
                            Field(number: 2, name: "nick", type: .optional(.string)),
                        ]))),
                Field(
                    number: 4, name: "state",
                    type: .enumeration(
                        raw: .scalar(.uint8),
                        cases: [
                            EnumerationCase(name: "open", raw: .uint(1)),
                            EnumerationCase(name: "shut", raw: .uint(2)),
                        ])),
                Field(number: 5, name: "path", type: .array(.int32)),
                Field(number: 6, name: "ratio", type: .scalar(.float64)),
                Field(number: 7, name: "blob", type: .bytes),
                Field(number: 8, name: "seen", type: .scalar(.timestamp)),
                Field(number: 9, name: "live", type: .scalar(.bool)),
            ]))

    /// Two rows: one with everything, one with everything empty or absent.
    static func makeBatch() -> ColumnBatch {
        let batch = ColumnBatch(leaves: region.leaves)
        batch.rowCount = 2
        let names = Dictionary(
            uniqueKeysWithValues: region.leaves.enumerated().map {
                ("\($1.name)\($1.kind == .presence ? "?" : "")", $0)
            })
        func column(_ name: String) -> ColumnBuffer { batch.columns[names[name]!] }
        column("host").append("a,\"b\"")
        column("host").append("")
        column("port").append(UInt16(80))
        column("port").append(UInt16(0))
        column("total").append(UInt64.max)
        column("total").append(UInt64(0))
        column("secret").append("hush")
        column("secret").append("quiet")
        column("owner?").append(UInt8(1))
        column("owner?").append(UInt8(0))
        column("owner.id").append(
            UInt128(bigEndian: 0x0011_2233_4455_6677_8899_AABB_CCDD_EEFF))
        column("owner.nick?").append(UInt8(1))
        column("owner.nick").append("tab\there \u{1} ü")
        column("state").append(UInt8(2))
        column("state").append(UInt8(1))
        column("path").append(elements: [-1, 2] as [Int32])
        column("path").append(elements: [] as [Int32])
        column("ratio").append(0.1)
        column("ratio").append(Double.infinity)
        column("blob").append(bytes: [0xCA, 0xFE])
        column("blob").append(bytes: [])
        column("seen").append(Int64(1_277_971_199_000_001))
        column("seen").append(Int64(-1))
        column("live").append(UInt8(1))
        column("live").append(UInt8(0))
        return batch
    }

    @Test func `a row is a line of JSON without its sensitive fields`() {
        #expect(
            printed(.jsonl) == """
                {"key":{"host":"a,\\"b\\"","port":80},"row":{"total":18446744073709551615,"owner":\
                {"id":"00112233-4455-6677-8899-aabbccddeeff","nick":"tab\\there \\u0001 ü"},\
                "state":"shut","path":[-1,2],"ratio":0.1,"blob":"cafe",\
                "seen":"2010-07-01T07:59:59.000001Z","live":true}}
                {"key":{"host":"","port":0},"row":{"total":0,"owner":null,"state":"open","path":[],\
                "ratio":"inf","blob":"","seen":"1969-12-31T23:59:59.999999Z","live":false}}

                """)
    }

    @Test func `every line of JSON is what a JSON reader takes`() throws {
        for line in printed(.jsonl, sensitive: true).split(separator: "\n") {
            #expect(throws: Never.self) {
                try JSONSerialization.jsonObject(with: Data(line.utf8))
            }
        }
    }

    @Test func `a row is a line of CSV below a heading`() {
        #expect(
            printed(.csv) == """
                key.host,key.port,total,owner.id,owner.nick,state,path,ratio,blob,seen,live
                "a,""b""\",80,18446744073709551615,00112233-4455-6677-8899-aabbccddeeff,\
                tab\there \u{1} ü,shut,-1 2,0.1,cafe,2010-07-01T07:59:59.000001Z,true
                "",0,0,,,open,"",inf,"",1969-12-31T23:59:59.999999Z,false

                """)
    }

    @Test func `sensitive fields are printed when they are asked for`() {
        #expect(!printed(.jsonl).contains("hush"))
        #expect(!printed(.csv).contains("quiet"))
        #expect(printed(.jsonl, sensitive: true).contains("\"secret\":\"hush\""))
        #expect(printed(.csv, sensitive: true).contains(",quiet,"))
    }

    @Test func `a large value comes from its segments`() {
        let region = RegionSchema(
            name: "values", kind: .table,
            key: Schema(
                name: "key", fields: [Field(number: 1, name: "key", type: .scalar(.uint8))]),
            row: Schema(name: "value", fields: [Field(number: 1, name: "text", type: .string)]))
        let batch = ColumnBatch(leaves: region.leaves)
        batch.rowCount = 2
        batch.columns[0].append(UInt8(1))
        batch.columns[0].append(UInt8(2))
        batch.columns[1].append(length: 70_000)
        batch.columns[1].append("small")
        var printer = RowPrinter(region, format: .jsonl, includingSensitive: false)
        printer.append(
            RowCursor(
                batch,
                large: [.init(row: 0, leaf: 1): Array(repeating: UInt8(ascii: "x"), count: 70_000)]
            ))
        let lines = String(decoding: printer.bytes, as: UTF8.self).split(separator: "\n")
        #expect(lines[0].count == 70_000 + #"{"key":1,"row":{"text":""}}"#.count)
        #expect(lines[1] == #"{"key":2,"row":{"text":"small"}}"#)
    }

    @Test func `what is hidden or no case of its type keeps its place`() {
        let region = RegionSchema(
            name: "odd", kind: .table,
            key: Schema(
                name: "key", fields: [Field(number: 1, name: "key", type: .scalar(.uint8))]),
            row: Schema(
                name: "odd",
                fields: [
                    Field(
                        number: 1, name: "mask",
                        type: .optional(
                            .structure([
                                Field(
                                    number: 1, name: "secret", type: .scalar(.uint8),
                                    flags: .sensitive)
                            ]))),
                    Field(
                        number: 2, name: "level",
                        type: .enumeration(
                            raw: .scalar(.int8),
                            cases: [
                                EnumerationCase(name: "high", raw: .int(1)),
                                EnumerationCase(name: "low", raw: .int(-1)),
                            ])),
                    Field(
                        number: 3, name: "mode",
                        type: .enumeration(
                            raw: .string, cases: [EnumerationCase(name: "fast", raw: .string("f"))])
                    ),
                    Field(
                        number: 4, name: "hidden", type: .optional(.scalar(.uint8)),
                        flags: .sensitive),
                    Field(
                        number: 5, name: "pair",
                        type: .optional(
                            .structure([
                                Field(number: 1, name: "a", type: .scalar(.uint8)),
                                Field(number: 2, name: "b", type: .scalar(.float32)),
                            ]))),
                ]))
        let batch = ColumnBatch(leaves: region.leaves)
        batch.rowCount = 2
        let columns = batch.columns
        for key in [1, 2] as [UInt8] { columns[0].append(key) }
        for present in [1, 0] as [UInt8] {
            for presence in [1, 5, 7] { columns[presence].append(present) }
        }
        columns[2].append(9 as UInt8)
        columns[3].append(-1 as Int8)
        columns[3].append(7 as Int8)
        columns[4].append("f")
        columns[4].append("x\"y")
        columns[6].append(9 as UInt8)
        columns[8].append(2 as UInt8)
        columns[9].append(Float.nan)
        func printed(_ format: RowPrinter.Format) -> String {
            var printer = RowPrinter(region, format: format, includingSensitive: false)
            printer.appendHeading()
            printer.append(RowCursor(batch, large: [:]))
            return String(decoding: printer.bytes, as: UTF8.self)
        }
        #expect(
            printed(.jsonl) == """
                {"key":1,"row":{"mask":{},"level":"low","mode":"fast","pair":{"a":2,"b":"nan"}}}
                {"key":2,"row":{"mask":null,"level":"7","mode":"x\\"y","pair":null}}

                """)
        #expect(
            printed(.csv) == """
                key,level,mode,pair.a,pair.b
                1,low,fast,2,nan
                2,7,"x""y",,

                """)
    }

    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (-62_135_596_800_000_000, "0001-01-01T00:00:00.000000Z"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
        ] as [(Int64, String)])
    func `a time is printed in UTC`(microseconds: Int64, text: String) {
        var bytes: [UInt8] = []
        ScalarText.appendTime(microseconds, to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == text)
    }

    private func printed(_ format: RowPrinter.Format, sensitive: Bool = false) -> String {
        var printer = RowPrinter(Self.region, format: format, includingSensitive: sensitive)
        printer.appendHeading()
        printer.append(RowCursor(Self.makeBatch(), large: [:]))
        return String(decoding: printer.bytes, as: UTF8.self)
    }
}

extension ColumnBuffer {
    fileprivate func append<Value: BitwiseCopyable>(_ value: Value) {
        reserveCapacity(count + 1)
        unsafe values.storeBytes(of: value, toByteOffset: count * width, as: Value.self)
        count += 1
    }

    fileprivate func append(_ text: String) { append(bytes: Array(text.utf8)) }

    fileprivate func append(bytes: [UInt8]) { append(elements: bytes) }

    fileprivate func append<Element: BitwiseCopyable>(elements: [Element]) {
        append(length: elements.count)
        let size = elements.count * width
        reserveContent(contentByteCount + size)
        unsafe elements.withUnsafeBytes { source in
            guard let start = source.baseAddress else { return }
            unsafe (content + contentByteCount).copyMemory(from: start, byteCount: size)
        }
        contentByteCount += size
    }

    fileprivate func append(length: Int) {
        reserveCapacity(count + 1)
        unsafe lengths[count] = UInt32(length)
        count += 1
    }
}
