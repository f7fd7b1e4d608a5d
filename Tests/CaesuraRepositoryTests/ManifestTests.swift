import CaesuraFormat
import Testing

@testable import CaesuraRepository

@Suite struct ManifestTests {
    private static let file = "manifests/7.json"

    private static func encoded() throws -> [UInt8] {
        try SampleCheckpoint(epoch: 7).encodedManifest()
    }

    /// Replaces text and makes the digest right again: what a hostile writer would send.
    private static func forged(_ old: String, _ new: String) throws -> [UInt8] {
        let text = String(decoding: try encoded(), as: UTF8.self)
        let place = try #require(text.firstRange(of: old), "the sample has no \(old)")
        let changed = text[..<place.lowerBound] + new + text[place.upperBound...]
        return redigested(Array(changed.utf8))
    }

    private static func redigested(_ bytes: [UInt8]) -> [UInt8] {
        let covered = bytes.count - 32 - SealedJSON.ending.count
        let digest = unsafe Digest(of: bytes.span.bytes.extracting(first: covered))
        return bytes[..<covered] + Array(digest.description.utf8) + SealedJSON.ending
    }

    @Test func `what is written reads back the same, and writes the same bytes again`() throws {
        let bytes = try Self.encoded()
        let manifest = try Manifest(parsing: bytes, path: Self.file, epoch: 7)
        #expect(manifest.encoded == bytes)
        #expect(manifest.rows == 12)
        #expect(manifest.chunks.count == 5)
        #expect(manifest.packs.count > 1)
        #expect(manifest.regions[0].schema == SampleCheckpoint.region)
        #expect(manifest.hashKey == HashKey(k0: 0x0706_0504_0302_0100, k1: 0x0F0E_0D0C_0B0A_0908))
    }

    @Test func `the file is laid out as the specification shows it`() throws {
        var manifest = try SampleCheckpoint(epoch: 7).manifest
        manifest.previousEpoch = 6
        manifest.regions[0].rows = 5
        manifest.regions[0].storedBytes = 90
        manifest.packs = [Manifest.Pack(bytes: 140, digest: Digest(high: 1, low: 2))]
        var core = ChunkFacts(role: .core, length: 90, identity: 11)
        core.region = 0
        core.partition = 1
        core.range = HashRange(partition: 1, bits: 1)
        core.rows = 5
        manifest.chunks = [
            Manifest.Chunk(
                pack: 0, offset: 0, facts: ChunkFacts(role: .metadata, length: 40, identity: 10)),
            Manifest.Chunk(pack: 0, offset: 40, facts: core),
            Manifest.Chunk(
                pack: 0, offset: 130, facts: ChunkFacts(role: .end, length: 10, identity: 12)),
        ]
        let text = String(decoding: manifest.encoded, as: UTF8.self)
        let specification = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let page = try DirectoryStorage("/" + specification + "/docs")
            .contents(of: "REPOSITORY.md", upTo: 1 << 20)
        let blocks = String(decoding: page, as: UTF8.self).split(separator: "```json\n")
        let example = try #require(blocks.dropFirst().first).split(separator: "```")[0]
        #expect(text == example)
        #expect(throws: Never.self) { try Manifest(parsing: Array(text.utf8), path: Self.file) }
    }

    @Test func `a flipped bit anywhere is noticed`() throws {
        let bytes = try Self.encoded()
        for index in bytes.indices {
            for bit in [0x01, 0x20, 0x80] as [UInt8] {
                var damaged = bytes
                damaged[index] ^= bit
                #expect(throws: RepositoryError(.damaged, ""), "byte \(index), bit \(bit)") {
                    try Manifest(parsing: damaged, path: Self.file)
                }
            }
        }
    }

    @Test func `a manifest cut short anywhere is noticed`() throws {
        let bytes = try Self.encoded()
        for length in 0..<bytes.count {
            #expect(throws: RepositoryError(.damaged, ""), "length \(length)") {
                try Manifest(parsing: Array(bytes[..<length]), path: Self.file)
            }
        }
    }

    @Test
    func `damage below a right digest never traps and reads as the writer meant or not at all`()
        throws
    {
        let bytes = try Self.encoded()
        for index in 0..<bytes.count - 36 {
            for byte in Array("\"\\},9".utf8) + [0xFF] {
                var forged = bytes
                forged[index] = byte
                forged = Self.redigested(forged)
                guard let manifest = try? Manifest(parsing: forged, path: Self.file) else {
                    continue
                }
                let again = try Manifest(parsing: manifest.encoded, path: Self.file)
                #expect(again == manifest, "byte \(index) as \(byte)")
            }
        }
    }

    @Test(arguments: [
        // Lies about the file itself.
        (#""format": "caesura-manifest""#, #""format": "other""#, "format is not"),
        (#""epoch": 7"#, #""epoch": 8"#, "epoch is 8, and the file's name says 7"),
        (#""epoch": 7"#, #""epoch": 7, "epoch": 7"#, "epoch occurs twice"),
        (#""epoch": 7"#, #""epoch": 7, "previous": 7"#, "previous is 7, not before"),
        (#""epoch": 7"#, #""epoch": -7"#, "epoch is not a whole number"),
        (#""epoch": 7"#, #""epoch": 7.0"#, "epoch is not a whole number"),
        (#""epoch": 7"#, #""epoch": 07"#, "epoch is not a whole number"),
        (#""epoch": 7"#, #""epoch": 18446744073709551616"#, "epoch is more than a UInt64"),
        (#""epoch": 7"#, #""epoch": "7""#, "epoch is not a whole number"),
        (#""epoch": 7,"#, "", "the manifest has no epoch"),
        (#""writer": "test""#, #""writer": "\ud800""#, "writer is not JSON"),
        (#""writer": "test""#, #""writer": "\x""#, "writer has an escape"),
        (#""writer": "test""#, #""writer": "\u+041""#, "writer has an escape that is not four"),
        (#""writer": "test""#, #""writer": "\u-000""#, "writer has an escape that is not four"),
        ("2026-04-24", "2026-02-30", "created is not a time"),
        ("2026-04-24", "2026-13-24", "created is not a time"),
        (#""partitionBits": 1"#, #""partitionBits": 17"#, "partitionBits is 17, more than 16"),
        (#""hashKey": "00"#, #""hashKey": ""#, "hashKey is not 16 bytes"),
        (#""hashKey": "00"#, #""hashKey": "0A"#, "hashKey is not an even number of lower-case"),
        // Regions.
        (#""kind": "table""#, #""kind": "heap""#, "regions[0].kind is a kind that"),
        (#""kind": "table""#, #""kind": "log""#, "regions[0] has a name, kind or fingerprint"),
        (#""rows": 12"#, #""rows": 13"#, "totals do not fit"),
        (#""rows": 5"#, #""rows": 0"#, "chunks[1].rows is 0, not 1 to 8192"),
        (#""rows": 5"#, #""rows": 8193"#, "chunks[1].rows is 8193, not 1 to 8192"),
        (#""rows": 5"#, #""rows": 6"#, "regions[0].rows is 12, and its chunks have 13"),
        (#""storedBytes": 180"#, #""storedBytes": 181"#, "regions[0].storedBytes is 181"),
        (#""name": "routes""#, #""name": "other""#, "regions[0] has a name, kind or fingerprint"),
        (#""schemaBytes": "06"#, #""schemaBytes": "07"#, "regions[0].schemaBytes is no schema"),
        (#""schemaBytes": "06"#, #""schemaBytes": "0606"#, "regions[0].schemaBytes is no schema"),
        (#""regions": ["#, #""regions": [], "old": ["#, "chunks[1].region is not one of the 0"),
        // Packs.
        ("00000000000000000007-0000.pack", "../../../../../etc/passwd", "packs[0].name is not"),
        ("00000000000000000007-0000.pack", "/etc/passwd", "packs[0].name is not"),
        (
            "00000000000000000007-0001.pack", "00000000000000000007-0000.pack",
            "packs[1].name is not"
        ),
        (
            "00000000000000000007-0000.pack", "00000000000000000006-0000.pack",
            "packs[0].name is not"
        ),
        (#""bytes": 150"#, #""bytes": 151"#, "chunks[3].pack is 1, which does not follow"),
        (#""bytes": 150"#, #""bytes": 9223372036854775807"#, "chunks[3].pack is 1"),
        (#""bytes": 150"#, #""bytes": 149"#, "chunks[2].length is 60, and the pack has 59 more"),
        // Chunks.
        (
            #""offset": 40"#, #""offset": 39"#,
            "chunks[1].offset is 39, and the chunk before ends at 40"
        ),
        (#""offset": 40"#, #""offset": 41"#, "chunks[1].offset is 41"),
        (
            #""offset": 40"#, #""offset": 9223372036854775807"#,
            "chunks[1].offset is 9223372036854775807"
        ),
        (#""length": 40"#, #""length": 0"#, "chunks[0].length is 0"),
        (
            #""length": 40"#, #""length": 9223372036854775807"#,
            "chunks[0].length is 9223372036854775807"
        ),
        (#""role": "metadata""#, #""role": "end""#, "chunks[0].role is end"),
        (#""role": "core""#, #""role": "end""#, "chunks[1].role is end"),
        (#""role": "core""#, #""role": "virus""#, "chunks[1].role is a role that"),
        (#""region": 0"#, #""region": 1"#, "chunks[1].region is not one of the 1"),
        (#""partition": 0"#, #""partition": 1"#, "chunks[1].partition is 1"),
        (#""prefixBits": 1"#, #""prefixBits": 0"#, "chunks[1].prefixBits is 0, less than 1"),
        (#""prefixBits": 1"#, #""prefixBits": 65"#, "chunks[1].prefixBits is 65, more than 64"),
        (#""prefix": "0000"#, #""prefix": "4000"#, "chunks[1] has a prefix with bits beyond"),
        (#""prefix": "0000"#, #""prefix": "8000"#, "chunks[1].partition is 0"),
        (
            #""partition": 0, "prefixBits": 1, "prefix": "0000"#,
            #""partition": 1, "prefixBits": 1, "prefix": "8000"#, "chunks[2].prefix overlaps"
        ),
        (
            #""rows": 0, "checksum""#, #""rows": 1, "checksum""#,
            "chunks[2].rows is 1, and a segment"
        ),
        (
            #""role": "segment", "region": 0, "partition": 1, "prefixBits": 1"#,
            #""role": "segment", "region": 0, "partition": 1, "prefixBits": 2"#,
            "chunks[3] does not have the region and range"
        ),
        (
            #""role": "core", "region": 0, "partition": 1"#,
            #""role": "core", "region": 0, "partition": 0"#, "chunks[3].partition is 0"
        ),
    ])
    func `a lie under a right digest is refused by name`(
        _ old: String, _ new: String, _ message: String
    ) throws {
        let forged = try Self.forged(old, new)
        let error = #expect(throws: RepositoryError.self) {
            try Manifest(parsing: forged, path: Self.file, epoch: 7)
        }
        #expect(error?.message.hasPrefix(message) == true, "\(error?.message ?? "")")
        #expect(error?.path == Self.file)
    }

    @Test(arguments: [
        (#""version": 1"#, #""version": 2"#, "version is 2, and this reader knows 1"),
        (#""epoch": 7"#, #""epoch": 7, "base": 6"#, "base says that this is a delta"),
    ])
    func `what only a newer reader knows is refused as such`(
        _ old: String, _ new: String, _ message: String
    ) throws {
        let forged = try Self.forged(old, new)
        let error = #expect(throws: RepositoryError(.unsupported, "")) {
            try Manifest(parsing: forged, path: Self.file, epoch: 7)
        }
        #expect(error?.message.hasPrefix(message) == true)
    }

    @Test func `inputs that a fuzzer once found are read or refused`() throws {
        let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let regressions = try DirectoryStorage(root + "/Fuzz/Regressions/manifest")
        let names = try regressions.list("")
        #expect(names.contains("example.json"))
        for name in names {
            let bytes = try regressions.contents(of: name, upTo: 1 << 20)
            let ending = bytes.suffix(36)
            let covered =
                bytes.count < 36 || !ending.suffix(4).elementsEqual(SealedJSON.ending)
                ? bytes + Array("\"digest\": \"".utf8) : Array(bytes.dropLast(36))
            let fitted = Self.redigested(covered + Array(repeating: 0, count: 36))
            guard let manifest = try? Manifest(parsing: fitted, path: name) else { continue }
            #expect(try Manifest(parsing: manifest.encoded, path: name) == manifest, "\(name)")
        }
    }

    @Test func `regions that no metadata chunk holds are refused`() throws {
        let regions = StreamLimitTests.largeRegions(200).map { Manifest.Region(schema: $0) }
        var manifest = try SampleCheckpoint(epoch: 7).manifest
        manifest.regions = regions.sorted { $0.name < $1.name }
        let error = #expect(throws: RepositoryError(.damaged, "")) {
            try Manifest(parsing: manifest.encoded, path: Self.file)
        }
        #expect(error?.message.hasPrefix("regions are not those of a stream") == true)
    }

    @Test func `members a reader does not know are skipped`() throws {
        let extra =
            #""epoch": 7, "new": {"a": [1, -2.5e+3, true, false, null, "\u00e9\ud83d\ude00"]}"#
        let forged = try Self.forged(#""epoch": 7"#, extra)
        #expect(try Manifest(parsing: forged, path: Self.file).rows == 12)
    }

    @Test func `nesting without end is refused, not followed`() throws {
        let deep = String(repeating: "[", count: 1_000_000)
        let forged = try Self.forged(#""epoch": 7"#, #""epoch": 7, "new": \#(deep)"#)
        #expect(throws: RepositoryError(.damaged, "")) {
            try Manifest(parsing: forged, path: Self.file)
        }
    }
}
