public import CaesuraFormat

/// What a checkpoint consists of: the JSON file that makes it exist, and that a person can read.
///
/// `docs/REPOSITORY.md` section 4 lays the file down. A manifest that has been read is *sound*: its
/// chunks tile its packs without gap or overlap, stand in stream order, cover disjoint hash ranges, and
/// add up to its totals. Whether the packs hold what it says is for ``Repository/verify(at:progress:)``.
public struct Manifest: Hashable, Sendable {
    /// The version of the file's layout that this library writes and reads.
    public static let version = 1
    /// What this library calls itself in manifests.
    static let thisWriter = "caesura 0.1.0"

    /// The cut's epoch, which also names the file.
    public var epoch: UInt64
    /// The identity by which deltas know the state, where it is not the digest of the checkpoint's own stream:
    /// it was a delta before.
    public var state: UInt64?
    /// The epoch of the newest checkpoint in the repository when this one was written.
    public var previousEpoch: UInt64?
    /// When the checkpoint was begun, by the writer's clock.
    public var created: WallClock
    /// The library that wrote it, for people: `caesura 0.1.0`.
    public var writer: String
    /// The store's key for hashing table keys.
    ///
    /// Not a secret from someone who has the data: it protects a running service from chosen keys.
    public var hashKey: HashKey
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
    public init(metadata: StreamMetadata, created: WallClock, writer: String) {
        epoch = metadata.epoch
        self.created = created
        self.writer = writer
        hashKey = metadata.hashKey
        partitionBits = metadata.partitionBits
        codec = metadata.compression == .none ? "none" : "zstd"
        regions = metadata.regions.map { Region(schema: $0) }
    }

    /// A manifest of members that have been read, in doubt until its soundness is checked.
    init(
        epoch: UInt64, created: WallClock, writer: String, hashKey: HashKey, partitionBits: Int,
        codec: String, regions: [Region]
    ) {
        self.epoch = epoch
        self.created = created
        self.writer = writer
        self.hashKey = hashKey
        self.partitionBits = partitionBits
        self.codec = codec
        self.regions = regions
    }

    /// What the stream's metadata chunk says, but for the compression, which is each chunk's own affair.
    public var metadata: StreamMetadata {
        do throws(FormatError) {
            return try StreamMetadata(
                epoch: epoch, hashKey: hashKey, partitionBits: partitionBits,
                regions: regions.map(\.schema))
        } catch {
            preconditionFailure("a sound manifest has sound regions: \(error)")
        }
    }

    /// The target epoch of the chunks of a region: those of a log are the same in all checkpoints and have none.
    func epoch(of region: Int?) -> UInt64 {
        if let region, regions[region].schema.kind == .log { 0 } else { epoch }
    }

    /// Rows of all regions.
    public var rows: Int { regions.reduce(0) { $0 + $1.rows } }

    /// Bytes of all packs.
    public var storedBytes: Int { packs.reduce(0) { $0 + $1.bytes } }
}

extension Manifest {
    /// One region: its schema and how much of it there is.
    public struct Region: Hashable, Sendable {
        /// The region's name, kind and fields.
        public var schema: RegionSchema
        /// Its rows.
        public var rows = 0
        /// Bytes of its chunks in the packs.
        public var storedBytes = 0
        /// Of a log, the position of its first row; if it has none, that of the next one.
        public var head: UInt64 = 0

        /// Creates a region that has no rows yet.
        public init(schema: RegionSchema) { self.schema = schema }

        /// The region's name.
        public var name: String { schema.name }
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
        /// From the flip of the epoch until the last write of the epoch before had ended.
        public var pause: UInt64 = 0
        /// Time spent encoding, all threads together.
        public var encode: UInt64 = 0
        /// Time spent in writing and syncing packs.
        public var write: UInt64 = 0
        /// From the beginning of the checkpoint to the moment before its manifest was written.
        public var total: UInt64 = 0

        /// Creates timings of zero.
        public init() {}
    }
}
