/// The totals of a stream: the content of its end chunk.
public struct StreamEnd: Hashable, Sendable {
    /// What a region had.
    public struct Totals: Hashable, Sendable {
        /// Rows in the region's chunks.
        public var rows: UInt64 = 0
        /// The region's chunks.
        public var chunks: UInt64 = 0

        /// Creates totals of nothing.
        public init() {}
    }

    /// Chunks before the end chunk.
    public var chunkCount: UInt64
    /// Bytes before the end chunk.
    public var byteCount: UInt64
    /// A chain of XXH3-64 over the identities of those chunks in their order.
    public var digest: UInt64
    /// What each region had, in the order of the metadata.
    public var regions: [Totals]
    /// The position of the first row of each region that is a log, in the order of the metadata; of an empty
    /// log, that of the next row.
    public var heads: [UInt64] = []
    /// The same at the base of a delta; empty in a snapshot.
    public var baseHeads: [UInt64] = []

    /// The totals of a stream without chunks.
    ///
    /// - Parameters:
    ///   - regionCount: The number of regions.
    ///   - baseDigest: The identity of the state that a delta builds on; 0 for a snapshot.
    public init(regionCount: Int, baseDigest: UInt64 = 0) {
        chunkCount = 0
        byteCount = 0
        digest = baseDigest
        regions = Array(repeating: Totals(), count: regionCount)
    }

    /// Counts a chunk.
    public mutating func add(_ header: ChunkHeader) {
        chunkCount += 1
        byteCount += UInt64(header.chunkLength)
        digest = Checksum.of(digest, header.identity)
        guard header.role != .metadata, header.role != .end else { return }
        regions[header.region].rows += UInt64(header.rowCount)
        regions[header.region].chunks += 1
    }

    /// Counts chunks that were not counted in the order of the stream: the digest is then that of these headers.
    ///
    /// - Parameters:
    ///   - headers: Those of all chunks of a delta.
    ///   - baseDigest: The identity of the state that the delta builds on.
    package mutating func settleDigest(of headers: [ChunkHeader], from baseDigest: UInt64) {
        digest = headers.inStreamOrder.reduce(baseDigest) { Checksum.of($0, $1.identity) }
    }

    /// Appends the body of the end chunk: `docs/FORMAT.md`, "End body".
    func encode(into writer: inout ByteWriter) {
        writer.append(varint: chunkCount)
        writer.append(varint: byteCount)
        writer.append(littleEndian: digest)
        writer.append(varint: UInt64(regions.count))
        for region in regions {
            writer.append(varint: region.rows)
            writer.append(varint: region.chunks)
        }
        for head in heads + baseHeads { writer.append(varint: head) }
    }

    /// Reads the body of an end chunk.
    init(
        reading reader: inout ByteReader, isDelta: Bool, limits: Limits
    ) throws(FormatError) {
        chunkCount = try reader.varint("a stream's chunk count")
        byteCount = try reader.varint("a stream's byte count")
        digest = try reader.integer(UInt64.self, "a stream's digest")
        let count = try reader.varint(upTo: limits.regions, "the number of regions")
        var regions: [Totals] = []
        for _ in 0..<count {
            var totals = Totals()
            totals.rows = try reader.varint("a region's row count")
            totals.chunks = try reader.varint("a region's chunk count")
            regions.append(totals)
        }
        self.regions = regions
        // How many there must be is known to who has the metadata.
        while reader.remaining > 0 {
            let head = try reader.varint("the head of a log")
            guard head <= Limits.logPositions, heads.count < 2 * regions.count else {
                throw reader.error(.malformed, "the head of a log is \(head)")
            }
            heads.append(head)
        }
        if isDelta {
            guard heads.count % 2 == 0 else {
                throw reader.error(.malformed, "a delta with \(heads.count) heads of logs")
            }
            baseHeads = Array(heads[(heads.count / 2)...])
            heads.removeLast(baseHeads.count)
        }
    }
}

extension [ChunkHeader] {
    /// Chunks of a delta as its stream has them: by region, then range, then the number among those of the range.
    package var inStreamOrder: [ChunkHeader] {
        // A log's are counted anew in each stretch.
        sorted {
            ($0.region, $0.range.first, $0.sequence) < ($1.region, $1.range.first, $1.sequence)
        }
    }
}
