/// What a checkpoint consists of: the JSON file that makes it exist, and that a person can read.
///
/// `docs/REPOSITORY.md` section 4 lays the file down. A manifest that has been read is *sound*: its
/// chunks tile its packs without gap or overlap, stand in stream order, cover disjoint hash ranges, and
/// add up to its totals. Whether the packs hold what it says is for ``Repository/verify(at:progress:)``.
public struct Manifest: Hashable, Sendable {
    /// The version of the file's layout that this library writes and reads.
    public static let version = 1

    /// The cut's epoch, which also names the file.
    public var epoch: UInt64
    /// The epoch of the newest checkpoint in the repository when this one was written.
    public var previousEpoch: UInt64?
    /// When the cut was taken, by the writer's clock.
    public var created: WallClock
    /// The library that wrote it, for people: `caesura 0.1.0`.
    public var writer: String
    /// The store's key for hashing table keys: 16 bytes.
    ///
    /// Not a secret from someone who has the data: it protects a running service from chosen keys.
    public var hashKey: [UInt8]
    /// Tables have 2 to the power of this many partitions.
    public var partitionBits: Int
    /// What chunk bodies are compressed with: `none` or `zstd`.
    public var codec: String
    /// How long the checkpoint took.
    public var timings = Timings()
    /// The regions, sorted by name.
    public var regions: [Region]
    /// The files that hold the chunks, in order.
    public var packs: [Pack] = []
    /// The chunks, in stream order: the packs, one after the other, are the stream.
    public var chunks: [Chunk] = []

    /// Creates the manifest of a checkpoint that has no chunks yet.
    public init(
        epoch: UInt64, previousEpoch: UInt64? = nil, created: WallClock, writer: String,
        hashKey: [UInt8], partitionBits: Int, codec: String, regions: [Region]
    ) {
        self.epoch = epoch
        self.previousEpoch = previousEpoch
        self.created = created
        self.writer = writer
        self.hashKey = hashKey
        self.partitionBits = partitionBits
        self.codec = codec
        self.regions = regions
    }

    /// Rows of all regions.
    public var rows: Int { regions.reduce(0) { $0 + $1.rows } }

    /// Bytes of all packs.
    public var storedBytes: Int { packs.reduce(0) { $0 + $1.bytes } }
}

extension Manifest {
    /// One region: its schema and how much of it there is.
    public struct Region: Hashable, Sendable {
        /// The region's name.
        public var name: String
        /// What it is.
        public var kind: Kind
        /// Its rows.
        public var rows = 0
        /// Bytes of its chunks in the packs.
        public var storedBytes = 0
        /// What the bytes mean, hashed.
        public var wireFingerprint: [UInt8]
        /// The same with defaults, aliases and retirements.
        public var resolutionFingerprint: [UInt8]
        /// The schema as people read it, a line each.
        public var schemaText: [String]
        /// The region's schema as the metadata chunk has it.
        public var schema: [UInt8]

        /// What a region is, by the words of the manifest.
        public enum Kind: String, Hashable, Sendable, CaseIterable {
            case table
            case log
            case cell
        }

        /// Creates a region that has no rows yet.
        public init(
            name: String, kind: Kind, wireFingerprint: [UInt8], resolutionFingerprint: [UInt8],
            schemaText: [String], schema: [UInt8]
        ) {
            self.name = name
            self.kind = kind
            self.wireFingerprint = wireFingerprint
            self.resolutionFingerprint = resolutionFingerprint
            self.schemaText = schemaText
            self.schema = schema
        }
    }

    /// One file of chunks, back to back.
    public struct Pack: Hashable, Sendable {
        /// The file's length.
        public var bytes: Int
        /// The digest of the whole file.
        public var digest: Digest

        /// Creates a pack.
        public init(bytes: Int, digest: Digest) {
            self.bytes = bytes
            self.digest = digest
        }
    }

    /// One chunk: where it is and what it holds.
    public struct Chunk: Hashable, Sendable {
        /// The pack that holds it, counted from 0.
        public var pack: Int
        /// Bytes from the start of the pack.
        public var offset: Int
        /// What it holds.
        public var facts: ChunkFacts

        /// Creates a chunk.
        public init(pack: Int, offset: Int, facts: ChunkFacts) {
            self.pack = pack
            self.offset = offset
            self.facts = facts
        }
    }

    /// How long the parts of a checkpoint took, in nanoseconds.
    public struct Timings: Hashable, Sendable {
        /// How long the cut held the store's locks.
        public var pause: UInt64 = 0
        /// Time spent encoding, all threads together.
        public var encode: UInt64 = 0
        /// Time spent in writing and syncing packs.
        public var write: UInt64 = 0
        /// From the cut to the moment before the manifest was written.
        public var total: UInt64 = 0

        /// Creates timings of zero.
        public init() {}
    }
}

/// What a chunk's own header says of it, as the manifest repeats it.
public struct ChunkFacts: Hashable, Sendable {
    /// What the chunk is for.
    public var role: Role
    /// The region, counted from 0 in the manifest's order; metadata and end chunks have none.
    public var region: Int?
    /// The partition; 0 where the region has none.
    public var partition = 0
    /// Bits of ``prefix`` that all its hashes share.
    public var prefixBits = 0
    /// The first of its hash range.
    public var prefix: UInt64 = 0
    /// Rows in it.
    public var rows = 0
    /// Bytes in the pack, header and body.
    public var length: Int
    /// The checksum of its header, which covers that of its body: the chunk's identity.
    public var checksum: UInt64

    /// What a chunk is for, by the words of the manifest.
    public enum Role: String, Hashable, Sendable, CaseIterable {
        case metadata
        case core
        case segment
        case log
        case cell
        case end
    }

    /// Creates the facts of a chunk.
    public init(
        role: Role, region: Int? = nil, partition: Int = 0, prefixBits: Int = 0, prefix: UInt64 = 0,
        rows: Int = 0, length: Int, checksum: UInt64
    ) {
        self.role = role
        self.region = region
        self.partition = partition
        self.prefixBits = prefixBits
        self.prefix = prefix
        self.rows = rows
        self.length = length
        self.checksum = checksum
    }

    /// The hashes it may hold.
    public var range: ClosedRange<UInt64> {
        // A shift by 64 gives 0, so a prefix of all 64 bits is a range of one.
        prefix...(prefix | (UInt64.max >> UInt64(prefixBits)))
    }
}
