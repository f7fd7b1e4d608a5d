/// The order rules of a stream and its totals, for writer and reader alike.
///
///     metadata ─► (table ─► partition ─► range ─► segment* core | log ─► segment* log)* ─► end
///
/// See `docs/FORMAT.md`, "Streams". It sees headers only, never a body.
struct StreamOrder {
    /// What came so far.
    private(set) var totals: StreamEnd

    private let metadata: StreamMetadata
    private let fingerprints: [Fingerprint]
    /// Region and partition of the last chunk.
    private var place: (region: Int, partition: Int)?
    private var nextSequence: UInt64 = 0
    /// The range of the last core chunk of this partition.
    private var lastRange: HashRange?
    /// The range that segments came for and whose core chunk must follow.
    private var owedRange: HashRange?

    /// Begins with the metadata chunk.
    init(metadata: StreamMetadata, header: ChunkHeader) {
        self.metadata = metadata
        fingerprints = metadata.regions.map(\.wireFingerprint)
        totals = StreamEnd(regionCount: metadata.regions.count)
        totals.add(header)
    }

    /// Checks the next chunk and counts it, unless it is the end chunk.
    ///
    /// - Parameter offset: Where the chunk begins, for errors.
    mutating func accept(_ header: ChunkHeader, at offset: Int) throws(FormatError) {
        func problem(
            _ message: String, _ code: FormatError.Code = .malformed
        ) -> FormatError { FormatError(code, message, at: offset) }

        guard header.targetEpoch == metadata.epoch, header.baseEpoch == metadata.baseEpoch else {
            throw problem("a chunk of another epoch")
        }
        switch header.role {
        case .metadata: throw problem("a second metadata chunk")
        case .commit: throw problem("a commit chunk, which no stream has")
        case .delta, .cell:
            throw problem("a \(header.role) chunk is of a newer format", .unsupported)
        case .end:
            guard owedRange == nil else { throw problem("segments without their core chunk") }
            return
        case .core, .log, .segment: break
        }
        guard header.region < fingerprints.count else {
            throw problem("a chunk of region \(header.region), which there is not")
        }
        guard header.fingerprint == fingerprints[header.region] else {
            throw problem("a chunk was written with another schema", .schemaMismatch)
        }
        let kind = metadata.regions[header.region].kind
        guard kind == .table && header.role != .log || kind == .log && header.role != .core else {
            throw problem("a \(header.role) chunk of a region that is a \(kind)")
        }
        if kind == .log {
            guard header.partition == 0, header.range == .all else {
                throw problem("a chunk of a log with a range")
            }
        } else {
            guard header.partition < 1 << metadata.partitionBits,
                HashRange(partition: header.partition, bits: metadata.partitionBits)
                    .contains(header.range)
            else { throw problem("a range outside its partition") }
        }
        try acceptPlace(header, problem)
        owedRange = header.role == .segment ? header.range : nil
        if header.role == .core { lastRange = header.range }
        totals.add(header)
    }

    private mutating func acceptPlace(
        _ header: ChunkHeader, _ problem: (String, FormatError.Code) -> FormatError
    ) throws(FormatError) {
        let here = (header.region, header.partition)
        if let place, place == here {
            guard header.sequence == nextSequence else {
                throw problem(
                    "chunk \(header.sequence) of a partition where \(nextSequence) must be",
                    .malformed)
            }
            if let lastRange, header.range.first <= lastRange.last {
                throw problem("ranges overlap or are not in order", .malformed)
            }
            if let owedRange, owedRange != header.range {
                throw problem("segments without their core chunk", .malformed)
            }
        } else {
            if let place, place > here {
                throw problem("regions and partitions are not in order", .malformed)
            }
            guard owedRange == nil else {
                throw problem("segments without their core chunk", .malformed)
            }
            guard header.sequence == 0 else {
                throw problem("the first chunks of a partition are missing", .malformed)
            }
            lastRange = nil
        }
        place = here
        nextSequence = header.sequence &+ 1
    }
}
