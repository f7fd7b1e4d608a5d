/// The order rules of a stream and its totals, for writer and reader alike.
///
///     metadata ─► (table: partition ─► range ─► segment* core
///                 | log: position ─► segment* log
///                 | cell: segment* cell)* ─► end
///
/// See `docs/FORMAT.md`, "Streams". It sees headers only, never a body.
struct StreamOrder {
    /// What came so far.
    private(set) var totals: StreamEnd

    private let metadata: StreamMetadata
    private let fingerprints: [Fingerprint]
    /// For each region its index among the logs, or nil.
    private let logIndices: [Int?]
    /// Whether the heads of logs are known before their chunks.
    private let hasKnownHeads: Bool
    /// Region and partition of the last chunk.
    private var place: (region: Int, partition: Int)?
    private var nextSequence: UInt64 = 0
    /// The range of the last core chunk of this partition.
    private var lastRange: HashRange?
    /// The position behind the last log chunk of this region.
    private var nextPosition: UInt64?
    /// The range that segments came for and whose chunk of rows must follow.
    private var owedRange: HashRange?

    /// Begins with the metadata chunk.
    ///
    /// - Parameter heads: The heads of the logs in their order; nil when they are learned from what comes.
    init(metadata: StreamMetadata, header: ChunkHeader, heads: [UInt64]? = nil) {
        self.metadata = metadata
        fingerprints = metadata.regions.map(\.wireFingerprint)
        var logs = 0
        logIndices = metadata.regions.map { region in
            guard region.kind == .log else { return nil }
            defer { logs += 1 }
            return logs
        }
        precondition(heads == nil || heads?.count == logs, "a head for each log")
        totals = StreamEnd(regionCount: metadata.regions.count)
        totals.heads = heads ?? Array(repeating: 0, count: logs)
        hasKnownHeads = heads != nil
        totals.add(header)
    }

    /// Checks the next chunk and counts it, unless it is the end chunk.
    ///
    /// - Parameter offset: Where the chunk begins, for errors.
    mutating func accept(_ header: ChunkHeader, at offset: Int) throws(FormatError) {
        func problem(
            _ message: String, _ code: FormatError.Code = .malformed
        ) -> FormatError { FormatError(code, message, at: offset) }

        switch header.role {
        case .metadata: throw problem("a second metadata chunk")
        case .commit: throw problem("a commit chunk, which no stream has")
        case .delta: throw problem("a \(header.role) chunk is of a newer format", .unsupported)
        case .end:
            guard header.targetEpoch == metadata.epoch, header.baseEpoch == metadata.baseEpoch
            else { throw problem("an end chunk of another epoch") }
            guard owedRange == nil else { throw problem("segments without their core chunk") }
            return
        case .core, .log, .cell, .segment: break
        }
        guard header.region < fingerprints.count else {
            throw problem("a chunk of region \(header.region), which there is not")
        }
        let kind = metadata.regions[header.region].kind
        let (target, base) = kind == .log ? (0, 0) : (metadata.epoch, metadata.baseEpoch)
        guard header.targetEpoch == target, header.baseEpoch == base else {
            throw problem("a chunk of another epoch")
        }
        guard header.fingerprint == fingerprints[header.region] else {
            throw problem("a chunk was written with another schema", .schemaMismatch)
        }
        guard header.role == .segment || header.role == kind.rowRole else {
            throw problem("a \(header.role) chunk of a region that is a \(kind)")
        }
        let bits = kind == .table ? metadata.partitionBits : 0
        switch kind {
        case .log:
            guard header.partition == 0, header.range.prefixBits == 64 else {
                throw problem("a chunk of a log without a position")
            }
        case .cell:
            guard header.partition == 0, header.range == .all else {
                throw problem("a chunk of a cell with a range")
            }
        case .table:
            guard header.partition < 1 << bits,
                HashRange(partition: header.partition, bits: bits).contains(header.range)
            else { throw problem("a range outside its partition") }
        }
        try acceptPlace(header, problem)
        if let log = logIndices[header.region] { try acceptPosition(header, log, problem) }
        nextSequence = header.sequence &+ 1
        owedRange = header.role == .segment ? header.range : nil
        if header.role != .segment { lastRange = header.range }
        totals.add(header)
    }

    private mutating func acceptPlace(
        _ header: ChunkHeader, _ problem: (String, FormatError.Code) -> FormatError
    ) throws(FormatError) {
        let here = (header.region, header.partition)
        if let place, place == here {
            let isNewStretch =
                logIndices[header.region] != nil && header.range.first == nextPosition
                && header.range.first % Limits.positionsPerStretch == 0 && owedRange == nil
            let expected = isNewStretch ? 0 : nextSequence
            guard header.sequence == expected else {
                throw problem(
                    "chunk \(header.sequence) of a partition where \(expected) must be",
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
            nextPosition = nil
        }
        place = here
    }

    /// Checks that a log's rows leave no position out.
    private mutating func acceptPosition(
        _ header: ChunkHeader, _ log: Int,
        _ problem: (String, FormatError.Code) -> FormatError
    ) throws(FormatError) {
        let position = header.range.first
        let expected = nextPosition ?? (hasKnownHeads ? totals.heads[log] : position)
        guard position == expected, position < Limits.logPositions else {
            throw problem(
                "rows of a log from position \(position) on where \(expected) must be", .malformed)
        }
        totals.heads[log] = nextPosition == nil ? position : totals.heads[log]
        nextPosition = position + UInt64(header.rowCount)
    }

    /// Whether the logs of the stream that ends here can have these heads.
    func hasHeads(_ heads: [UInt64]) -> Bool {
        guard heads.count == totals.heads.count else { return false }
        return logIndices.indices.allSatisfy { region in
            guard let log = logIndices[region], totals.regions[region].rows > 0 else { return true }
            return heads[log] == totals.heads[log]
        }
    }
}
