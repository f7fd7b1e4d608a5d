import CaesuraFormat
import CaesuraTesting
import Foundation
import Testing

/// Bytes that were written once and are never regenerated: this version writes the same, and every later
/// one reads them.
@Suite struct GoldenTests {
    /// The region of the worked example.
    static let pets = RegionSchema(
        name: "pets", kind: .table,
        key: Schema(
            name: "key", fields: [Field(number: 1, name: "key", type: .scalar(.uint64))]),
        row: Schema(
            name: "pet", version: 2,
            fields: [
                Field(number: 1, name: "name", type: .string),
                Field(
                    number: 2, name: "age", type: .optional(.scalar(.uint8)),
                    defaultValue: Value.none, since: 2),
            ]))

    /// The stream of the worked example in `docs/FORMAT.md`.
    static func example() throws -> [UInt8] {
        let hashKey = HashKey(k0: 0x0706_0504_0302_0100, k1: 0x0F0E_0D0C_0B0A_0908)
        let rows: [(key: UInt64, name: String, age: Value)] = [
            (1, "Ada", .uint(3)), (2, "Bo", .none), (3, "Cy", .uint(11)),
        ]
        let sorted = rows.sorted { hashKey.hash($0.key) < hashKey.hash($1.key) }
        let layout = try RegionLayout(pets)
        var encoder = ChunkEncoder()
        encoder.encode(
            core: ColumnBatch(
                layout,
                rows: sorted.map { [.uint(UInt128($0.key)), .string($0.name), $0.age] }),
            header: ChunkHeader(
                role: .core, region: 0, fingerprint: layout.wireFingerprint, partition: 0,
                range: .all, sequence: 0, targetEpoch: 300))
        var writer = StreamWriter(
            metadata: try StreamMetadata(
                epoch: 300, hashKey: hashKey, partitionBits: 0, regions: [pets]),
            to: ByteArraySink())
        unsafe writer.append(encoder.bytes)
        return writer.finish().bytes
    }

    static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent()

    /// The bytes of a golden file: hexadecimal digits and white space.
    static func golden(_ name: String) throws -> [UInt8] {
        bytes(
            ofHex: try String(
                contentsOf: root.appending(path: "Golden/\(name).hex"), encoding: .utf8))
    }

    static func bytes(ofHex text: String) -> [UInt8] {
        let digits = text.compactMap(\.hexDigitValue)
        return stride(from: 0, to: digits.count - 1, by: 2).map {
            UInt8(digits[$0] << 4 | digits[$0 + 1])
        }
    }

    @Test func `the worked example is what this version writes`() throws {
        #expect(try Self.example() == Self.golden("example"))
    }

    @Test func `the worked example stands in the specification, byte by byte`() throws {
        #expect(try Self.listing("## Worked example") == Self.golden("example"))
    }

    /// The bytes of the first listing behind a heading of `docs/FORMAT.md`, whose offsets are checked.
    static func listing(_ heading: String) throws -> [UInt8] {
        let page = try String(
            contentsOf: root.appending(path: "../../docs/FORMAT.md"), encoding: .utf8)
        let section = try #require(page.components(separatedBy: "\n\(heading)\n").last)
        let block = try #require(section.components(separatedBy: "```").dropFirst().first)
        var bytes: [UInt8] = []
        for line in block.split(separator: "\n") {
            let columns = line.components(separatedBy: "|")
            guard columns.count == 3 else { continue }
            let offset = try #require(Int(columns[0].filter { $0 != " " }, radix: 16))
            #expect(offset == bytes.count, "the line \(line)")
            bytes += self.bytes(ofHex: columns[1])
        }
        return bytes
    }

    @Test func `a stream of two regions is what it was`() throws {
        let sample = try SampleStream(withLargeValue: false)
        #expect(try sample.bytes == Self.golden("stream"))
    }

    /// A log whose rows begin in one stretch and end in the next, a cell, and an empty log that was trimmed.
    static func logs() throws -> [UInt8] {
        let layouts = try LogStreamTests.regions.map { try RegionLayout($0) }
        var encoder = ChunkEncoder()
        var writer = StreamWriter(
            metadata: try StreamMetadata(
                epoch: 300, hashKey: HashKey(k0: 1, k1: 2), partitionBits: 1,
                regions: LogStreamTests.regions),
            heads: [8_191, 7], to: ByteArraySink())
        for (position, pages) in [(8_191, ["/"]), (8_192, ["/a", "/b", "/a"])]
            as [(UInt64, [String])]
        {
            encoder.encode(
                core: ColumnBatch(layouts[0], rows: pages.map { [.string($0)] }),
                header: ChunkHeader(
                    role: .log, region: 0, fingerprint: layouts[0].wireFingerprint,
                    position: position, sequence: 0))
            unsafe writer.append(encoder.bytes)
        }
        encoder.encode(
            core: ColumnBatch(layouts[1], rows: [[.string("/latest")]]),
            header: ChunkHeader(
                role: .cell, region: 1, fingerprint: layouts[1].wireFingerprint, partition: 0,
                range: .all, sequence: 0, targetEpoch: 300))
        unsafe writer.append(encoder.bytes)
        return writer.finish().bytes
    }

    /// The new rows of a log as a chunk of a delta, and the end of the delta.
    static func logDelta() throws -> [UInt8] {
        let layout = try RegionLayout(LogStreamTests.regions[0])
        var encoder = ChunkEncoder()
        var header = ChunkHeader(
            role: .log, region: 0, fingerprint: layout.wireFingerprint, position: 8_195,
            sequence: 0)
        header.baseEpoch = 300
        header.targetEpoch = 301
        encoder.encode(
            core: ColumnBatch(layout, rows: [[.string("/c")]]), header: header,
            baseDigest: 0x0102_0304_0506_0708)
        var bytes = unsafe [UInt8](encoder.bytes)
        var end = StreamEnd(regionCount: 3, baseDigest: 0x0102_0304_0506_0708)
        end.add(encoder.header)
        end.heads = [8_192, 7]
        end.baseHeads = [8_191, 7]
        encoder.encode(end: end, epoch: 301, baseEpoch: 300)
        bytes += unsafe [UInt8](encoder.bytes)
        return bytes
    }

    @Test func `logs and cells in a stream and in a delta are what they were`() throws {
        #expect(try Self.logs() == Self.golden("logs"))
        #expect(try Self.logDelta() == Self.golden("log-delta"))
        let contents = try StreamContents(Self.golden("logs"), pieces: { _ in 1 })
        #expect(contents.end?.heads == [8_191, 7])
        #expect(contents.end?.regions.map(\.rows) == [4, 1, 0])
    }

    @Test func `a compressed stream of an older library can be read`() throws {
        // Only read: other versions of zstd may compress to other bytes.
        let contents = try StreamContents(Self.golden("stream-zstd"), pieces: { _ in 1000 })
        let plain = try StreamContents(Self.golden("stream"), pieces: { _ in 1000 })
        #expect(contents.metadata?.compression == .zstd(level: 3))
        #expect(contents.metadata?.regions == plain.metadata?.regions)
        #expect(contents.end?.regions == plain.end?.regions)
    }

    @Test func `a schema with every type is what it was, and has its fingerprints`() throws {
        let region = Self.everyType
        try region.validate()
        #expect(try coding(of: region) == Self.golden("schema"))
        #expect(try CaesuraFormatTests.region(reading: Self.golden("schema")) == region)
        #expect(region.wireFingerprint.description == "24cc421db14f05c3")
        #expect(region.resolutionFingerprint.description == "daab8820646779df")
    }

    @Test func `a schema that has changed is coded as on file`() throws {
        let status = FieldType.enumeration(
            raw: .scalar(.uint8),
            cases: [
                EnumerationCase(name: "active", raw: .uint(1)),
                EnumerationCase(name: "other", raw: .uint(0), isFallback: true),
            ])
        let address = FieldType.structure(
            [Field(number: 1, name: "city", type: .string)], retired: [2, "zip"])
        let region = RegionSchema(
            name: "sessions", kind: .log, key: nil,
            row: Schema(
                name: "session", version: 3,
                fields: [
                    Field(
                        number: 1, name: "visits", type: .scalar(.uint64), defaultValue: .uint(0),
                        since: 2, flags: .sensitive, formerNames: ["hits", "count"]),
                    Field(number: 4, name: "status", type: status),
                    Field(number: 6, name: "address", type: .optional(address)),
                ], retired: [5, "country"]))
        #expect(try coding(of: region) == Self.golden("schema-changed"))
        #expect(try CaesuraFormatTests.region(reading: Self.golden("schema-changed")) == region)
        // Nothing of that shows in the bytes of rows.
        var plain = region
        plain.row.retired = []
        plain.row.fields[0].formerNames = []
        #expect(plain.wireFingerprint == region.wireFingerprint)
        #expect(plain.resolutionFingerprint != region.resolutionFingerprint)
    }

    @Test func `a schema whose fields go is coded as on file`() throws {
        let region = RegionSchema(
            name: "status", kind: .cell, key: nil,
            row: Schema(
                name: "s", version: 5,
                fields: [
                    Field(
                        number: 1, name: "old", type: .string, defaultValue: .string(""),
                        deprecation: .init(since: 4, unwritten: 5, gone: 9)),
                    Field(
                        number: 2, name: "count", type: .scalar(.uint32), flags: .sensitive,
                        formerNames: ["n"], deprecation: .init(since: 3)),
                ]))
        #expect(try coding(of: region) == Self.golden("schema-deprecated"))
        #expect(try CaesuraFormatTests.region(reading: Self.golden("schema-deprecated")) == region)
        var plain = region
        for index in plain.row.fields.indices { plain.row.fields[index].deprecation = nil }
        #expect(plain.wireFingerprint == region.wireFingerprint)
        #expect(plain.resolutionFingerprint != region.resolutionFingerprint)
    }

    static let everyType: RegionSchema = {
        var fields: [Field] = []
        func add(_ type: FieldType, _ defaultValue: Value? = nil) {
            let number = UInt16(fields.count + 1) * 100
            fields.append(
                Field(
                    number: number, name: "f\(number)", type: type, defaultValue: defaultValue,
                    since: defaultValue == nil ? 1 : 300, flags: number % 300 == 0 ? .sensitive : []
                ))
        }
        add(.scalar(.bool), .bool(true))
        add(.scalar(.int8), .int(-128))
        add(.scalar(.int16), .int(-2))
        add(.scalar(.int32), .int(1 << 20))
        add(.scalar(.int64), .int(-1 << 40))
        add(.scalar(.int128), .int(-1 << 100))
        add(.scalar(.uint8), .uint(255))
        add(.scalar(.uint16), .uint(256))
        add(.scalar(.uint32), .uint(1 << 31))
        add(.scalar(.uint64), .uint(1 << 63))
        add(.scalar(.uint128), .uint(1 << 127))
        add(.scalar(.float16), .float(bits: (1.5).bitPattern))
        add(.scalar(.float32), .float(bits: (-0.25).bitPattern))
        add(.scalar(.float64), .float(bits: Double.nan.bitPattern))
        add(.scalar(.uuid), .uuid(Array(0..<16)))
        add(.scalar(.timestamp), .int(1_700_000_000_000_000))
        add(.string, .string("é"))
        add(.bytes, .bytes([0, 255]))
        add(.array(.uint16), .array([.uint(1), .uint(2)]))
        add(
            .enumeration(
                raw: .scalar(.int8),
                cases: [
                    EnumerationCase(name: "low", raw: .int(-1)),
                    EnumerationCase(name: "high", raw: .int(1)),
                ]), .int(1))
        add(
            .enumeration(
                raw: .string, cases: [EnumerationCase(name: "only", raw: .string("ONLY"))]))
        add(.optional(.scalar(.uint32)), Value.none)
        add(
            .optional(
                .structure([
                    Field(number: 1, name: "a", type: .string),
                    Field(number: 2, name: "b", type: .optional(.bytes)),
                ])), .structure([.string("x"), .bytes([7])]))
        return RegionSchema(
            name: "every type", kind: .table,
            key: Schema(
                name: "key",
                fields: [
                    Field(number: 1, name: "peer", type: .string),
                    Field(number: 2, name: "id", type: .scalar(.uint32)),
                ]),
            row: Schema(name: "row", version: 300, fields: fields))
    }()
}
