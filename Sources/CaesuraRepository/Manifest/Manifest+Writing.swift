internal import CaesuraFormat

extension Manifest {
    /// The file: JSON whose last member is the digest of every byte before the digest's own digits.
    public var encoded: [UInt8] {
        var json = JSONWriter()
        json.openDocument()
        json.string("format", Self.format)
        json.number("version", Self.version)
        json.number("epoch", epoch)
        if let state { json.string("state", Hexadecimal.text(state)) }
        if let previousEpoch { json.number("previous", previousEpoch) }
        json.string("created", created.description)
        json.string("writer", writer)
        json.number("partitionBits", partitionBits)
        json.string("hashKey", Hexadecimal.text(Self.bytes(of: hashKey)))
        json.string("codec", codec)
        json.object("totals") { json in
            json.number("rows", rows)
            json.number("chunks", chunks.count)
            json.number("storedBytes", storedBytes)
        }
        json.object("nanoseconds") { json in
            json.number("pause", timings.pause)
            json.number("encode", timings.encode)
            json.number("write", timings.write)
            json.number("total", timings.total)
        }
        json.array("regions") { json in
            for region in regions { json.object { region.write(to: &$0) } }
        }
        json.array("packs") { json in
            for (index, pack) in packs.enumerated() {
                json.object(compact: true) { json in
                    json.string("name", Layout.packName(epoch, index))
                    json.number("bytes", pack.bytes)
                    json.string("digest", pack.digest.description)
                }
            }
        }
        json.array("chunks") { json in
            for chunk in chunks { json.object(compact: true) { chunk.write(to: &$0) } }
        }
        return SealedJSON.seal(json)
    }

    /// The key's two numbers as the metadata chunk has them.
    private static func bytes(of key: HashKey) -> [UInt8] {
        [key.k0, key.k1].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * $0)) }
        }
    }

    /// What the member `format` says.
    static let format = "caesura-manifest"
}

extension Manifest.Region {
    fileprivate func write(to json: inout JSONWriter) {
        json.string("name", name)
        json.string("kind", schema.kind.word)
        json.number("rows", rows)
        json.number("storedBytes", storedBytes)
        if schema.kind == .log { json.number("head", head) }
        json.string("wireFingerprint", schema.wireFingerprint.description)
        json.string("resolutionFingerprint", schema.resolutionFingerprint.description)
        json.array("schema") { json in
            for line in schema.description.split(separator: "\n", omittingEmptySubsequences: false)
            {
                json.string(nil, String(line))
            }
        }
        var coding = ByteWriter()
        schema.encode(into: &coding)
        json.string("schemaBytes", Hexadecimal.text(coding.array))
    }
}

extension Manifest.Chunk {
    fileprivate func write(to json: inout JSONWriter) {
        json.number("pack", pack)
        json.number("offset", offset)
        json.number("length", facts.length)
        json.string("role", facts.role.word)
        if let region = facts.region {
            json.number("region", region)
            json.number("partition", facts.partition)
            json.number("prefixBits", facts.range.prefixBits)
            json.string("prefix", Hexadecimal.text(facts.range.first))
            json.number("rows", facts.rows)
        }
        json.string("checksum", Hexadecimal.text(facts.identity))
    }
}

extension RegionKind {
    /// The word that manifests use for it.
    var word: String { "\(self)" }

    /// The kind that a manifest's word stands for.
    init?(word: String) {
        let known: [RegionKind] = [.table, .log, .cell]
        guard let kind = known.first(where: { $0.word == word }) else { return nil }
        self = kind
    }
}
