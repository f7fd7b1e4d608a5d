internal import CaesuraFormat

extension Manifest {
    /// The largest number of chunks: a chunk holds up to 1 MiB of state, so this is 1 TiB of it.
    public static let chunkLimit = 1 << 20
    /// The largest file: a chunk takes less than 256 bytes of it.
    public static let byteLimit = 256 << 20
    /// The largest number of packs: their numbers have four digits.
    public static let packLimit = 10_000

    /// Reads a manifest and checks that it is sound.
    ///
    /// - Parameters:
    ///   - bytes: the file.
    ///   - path: what errors call it.
    ///   - epoch: the epoch that the file's name gives, if it is known.
    /// - Throws: `damaged`, naming the member and the byte, or `unsupported`.
    /// - Complexity: linear in the bytes, and so is the memory, however they were made.
    public init(
        parsing bytes: [UInt8], path: String, epoch: UInt64? = nil
    ) throws(RepositoryError) {
        try SealedJSON.check(bytes, "manifest", path)
        var parts = ManifestParts()
        var reader = JSONReader(bytes, file: path)
        try reader.object { (json, name) throws(RepositoryError) in
            try parts.read(name, from: &json)
        }
        try reader.end()
        self = try parts.manifest(path)
        if let epoch, epoch != self.epoch {
            throw RepositoryError(
                .damaged, "epoch is \(self.epoch), and the file's name says \(epoch)", path: path)
        }
        try checkSoundness(parts, path)
    }
}

/// The members of a manifest as they turn up, in any order.
struct ManifestParts {
    var format: String?
    var epoch: UInt64?
    var state: UInt64?
    var previousEpoch: UInt64?
    var created: WallClock?
    var writer: String?
    var partitionBits: Int?
    var hashKey: HashKey?
    var codec: String?
    var totals: (rows: Int, chunks: Int, storedBytes: Int)?
    var timings: Manifest.Timings?
    var regions: [Manifest.Region]?
    var packs: [(name: String, pack: Manifest.Pack)]?
    var chunks: [Manifest.Chunk]?

    mutating func read(
        _ name: String, from json: inout JSONReader
    ) throws(RepositoryError) {
        switch name {
        case "format": format = try json.string(upTo: 64)
        case "version":
            let version = try json.unsigned()
            guard version == Manifest.version else {
                throw json.error(
                    "is \(version), and this reader knows \(Manifest.version)", code: .unsupported)
            }
        case "base":
            throw json.error(
                "says that this is a delta, which this reader cannot apply", code: .unsupported)
        case "epoch": epoch = try json.unsigned()
        case "state": state = try json.hexadecimalNumber()
        case "previous": previousEpoch = try json.unsigned()
        case "created":
            guard let moment = WallClock(try json.string(upTo: 64)) else {
                throw json.error("is not a time like 2026-05-01T12:00:00.000000Z")
            }
            created = moment
        case "writer": writer = try json.string(upTo: 256)
        case "partitionBits": partitionBits = try json.integer(upTo: Limits.partitionBits)
        case "hashKey":
            let bytes = try json.hexadecimal(upTo: 16)
            guard bytes.count == 16 else { throw json.error("is not 16 bytes") }
            let words = [bytes[..<8], bytes[8...]].map { half in
                half.reversed().reduce(0) { $0 << 8 | UInt64($1) }
            }
            hashKey = HashKey(k0: words[0], k1: words[1])
        case "codec": codec = try json.string(upTo: 64)
        case "totals": try readTotals(&json)
        case "nanoseconds": timings = try Manifest.Timings(&json)
        case "regions":
            var all: [Manifest.Region] = []
            try json.array(upTo: Limits().regions) { (json, _) throws(RepositoryError) in
                all.append(try Manifest.Region(&json))
            }
            regions = all
        case "packs":
            var all: [(name: String, pack: Manifest.Pack)] = []
            try json.array(upTo: Manifest.packLimit) { (json, _) throws(RepositoryError) in
                all.append(try Manifest.Pack.read(&json))
            }
            packs = all
        case "chunks":
            var all: [Manifest.Chunk] = []
            try json.array(upTo: Manifest.chunkLimit) { (json, _) throws(RepositoryError) in
                all.append(try Manifest.Chunk(&json))
            }
            chunks = all
        default: try json.skip()
        }
    }

    private mutating func readTotals(_ json: inout JSONReader) throws(RepositoryError) {
        var rows: Int?
        var chunks: Int?
        var storedBytes: Int?
        try json.object { (json, name) throws(RepositoryError) in
            switch name {
            case "rows": rows = try json.integer(upTo: .max)
            case "chunks": chunks = try json.integer(upTo: Manifest.chunkLimit)
            case "storedBytes": storedBytes = try json.integer(upTo: .max)
            default: try json.skip()
            }
        }
        totals = (
            try json.require(rows, "rows"), try json.require(chunks, "chunks"),
            try json.require(storedBytes, "storedBytes")
        )
    }

    /// The manifest, once all its members have been there.
    func manifest(_ path: String) throws(RepositoryError) -> Manifest {
        func require<Member>(
            _ member: Member?, _ name: String
        ) throws(RepositoryError) -> Member {
            guard let member else {
                throw RepositoryError(.damaged, "the manifest has no \(name)", path: path)
            }
            return member
        }
        guard format == Manifest.format else {
            throw RepositoryError(
                .damaged, "format is not \(Manifest.format): this is no manifest", path: path)
        }
        var manifest = Manifest(
            epoch: try require(epoch, "epoch"), created: try require(created, "created"),
            writer: try require(writer, "writer"), hashKey: try require(hashKey, "hashKey"),
            partitionBits: try require(partitionBits, "partitionBits"),
            codec: try require(codec, "codec"), regions: try require(regions, "regions"))
        manifest.previousEpoch = previousEpoch
        manifest.state = state
        _ = try require(totals, "totals")
        manifest.timings = try require(timings, "nanoseconds")
        manifest.packs = try require(packs, "packs").map(\.pack)
        manifest.chunks = try require(chunks, "chunks")
        return manifest
    }
}

extension JSONReader {
    /// A member that the object just read must have.
    fileprivate func require<Member>(
        _ member: Member?, _ name: String
    ) throws(RepositoryError) -> Member {
        guard let member else { throw error("has no \(name)") }
        return member
    }
}

extension Manifest.Timings {
    fileprivate init(_ json: inout JSONReader) throws(RepositoryError) {
        var timings = Manifest.Timings()
        try json.object { (json, name) throws(RepositoryError) in
            switch name {
            case "pause": timings.pause = try json.unsigned()
            case "encode": timings.encode = try json.unsigned()
            case "write": timings.write = try json.unsigned()
            case "total": timings.total = try json.unsigned()
            default: try json.skip()
            }
        }
        self = timings
    }
}

extension Manifest.Region {
    fileprivate init(_ json: inout JSONReader) throws(RepositoryError) {
        var name: String?
        var kind: RegionKind?
        var rows: Int?
        var storedBytes: Int?
        var head: UInt64?
        var wire: UInt64?
        var resolution: UInt64?
        var schema: RegionSchema?
        try json.object { (json, member) throws(RepositoryError) in
            switch member {
            case "name": name = try json.string(upTo: Limits.nameBytes)
            case "kind":
                kind = RegionKind(word: try json.string(upTo: 64))
                guard kind != nil else {
                    throw json.error("is a kind that this reader does not know", code: .unsupported)
                }
            case "rows": rows = try json.integer(upTo: .max)
            case "storedBytes": storedBytes = try json.integer(upTo: .max)
            case "head": head = try json.unsigned(upTo: Limits.logPositions)
            case "wireFingerprint": wire = try json.hexadecimalNumber()
            case "resolutionFingerprint": resolution = try json.hexadecimalNumber()
            case "schemaBytes": schema = try Self.schema(&json)
            default: try json.skip()  // "schema" is for people
            }
        }
        let known = try json.require(schema, "schemaBytes")
        guard try json.require(name, "name") == known.name,
            try json.require(kind, "kind") == known.kind,
            try json.require(wire, "wireFingerprint") == known.wireFingerprint.rawValue,
            try json.require(resolution, "resolutionFingerprint")
                == known.resolutionFingerprint.rawValue
        else { throw json.error("has a name, kind or fingerprint that is not its schema's") }
        self.init(schema: known)
        self.rows = try json.require(rows, "rows")
        self.storedBytes = try json.require(storedBytes, "storedBytes")
        if known.kind == .log { self.head = try json.require(head, "head") }
    }

    private static func schema(_ json: inout JSONReader) throws(RepositoryError) -> RegionSchema {
        let coding = try json.hexadecimal(upTo: Limits().metadataBytes)
        do throws(FormatError) {
            return try unsafe coding.withUnsafeBufferPointer { (bytes) throws(FormatError) in
                var reader = unsafe ByteReader(UnsafeRawBufferPointer(bytes))
                let schema = try RegionSchema(reading: &reader)
                guard reader.remaining == 0 else {
                    throw reader.error(.malformed, "bytes follow the schema")
                }
                return schema
            }
        } catch {
            throw json.error("is no schema: \(error)")
        }
    }
}

extension Manifest.Pack {
    fileprivate static func read(
        _ json: inout JSONReader
    ) throws(RepositoryError) -> (name: String, pack: Manifest.Pack) {
        var name: String?
        var bytes: Int?
        var digest: Digest?
        try json.object { (json, member) throws(RepositoryError) in
            switch member {
            case "name": name = try json.string(upTo: 256)
            case "bytes": bytes = try json.integer(upTo: .max)
            case "digest":
                digest = Digest(try json.string(upTo: 32))
                guard digest != nil else {
                    throw json.error("is not 32 lower-case hexadecimal digits")
                }
            default: try json.skip()
            }
        }
        let pack = Manifest.Pack(
            bytes: try json.require(bytes, "bytes"), digest: try json.require(digest, "digest"))
        return (try json.require(name, "name"), pack)
    }
}

extension Manifest.Chunk {
    fileprivate init(_ json: inout JSONReader) throws(RepositoryError) {
        var pack: Int?
        var offset: Int?
        var length: Int?
        var role: ChunkRole?
        var identity: UInt64?
        var region: Int?
        var partition = 0
        var prefixBits = 0
        var prefix: UInt64 = 0
        var rows = 0
        try json.object { (json, member) throws(RepositoryError) in
            switch member {
            case "pack": pack = try json.integer(upTo: Manifest.packLimit)
            case "offset": offset = try json.integer(upTo: .max)
            case "length": length = try json.integer(upTo: Manifest.chunkByteLimit)
            case "role":
                role = ChunkRole(word: try json.string(upTo: 64))
                guard role != nil else {
                    throw json.error("is a role that this reader does not know", code: .unsupported)
                }
            case "region": region = try json.integer(upTo: Limits().regions)
            case "partition": partition = try json.integer(upTo: 1 << Limits.partitionBits)
            case "prefixBits": prefixBits = try json.integer(upTo: 64)
            case "prefix": prefix = try json.hexadecimalNumber()
            case "rows": rows = try json.integer(upTo: Int(Int32.max))
            case "checksum": identity = try json.hexadecimalNumber()
            default: try json.skip()
            }
        }
        guard prefix & (UInt64.max >> UInt64(prefixBits)) == 0 else {
            throw json.error("has a prefix with bits beyond its prefixBits")
        }
        var facts = ChunkFacts(
            role: try json.require(role, "role"), length: try json.require(length, "length"),
            identity: try json.require(identity, "checksum"))
        facts.region = region
        facts.partition = partition
        facts.range = HashRange(prefixBits: prefixBits, prefix: prefix)
        facts.rows = rows
        self.init(
            pack: try json.require(pack, "pack"), offset: try json.require(offset, "offset"),
            facts: facts)
    }
}
