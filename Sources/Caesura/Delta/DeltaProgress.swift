import CaesuraFormat

/// What has come of a log's delta.
struct LogProgress {
    /// The positions of the new rows that came; nil while none has.
    var rows: Range<UInt64>?
    /// Segments that wait for their chunk of rows.
    var segments = PendingSegments()
    /// The headers of these.
    var headers: [ChunkHeader] = []
}

/// What has come of a delta.
struct DeltaProgress {
    /// The epoch that the delta leads to, once it is known.
    private(set) var otherEpoch: UInt64?
    /// The same, if it was known before a chunk came.
    private let givenEpoch: UInt64?
    /// Backwards, the identity of the base as the chunks state it.
    var baseDigest: UInt64?
    /// The chunks that came.
    private(set) var headers: [ChunkHeader] = []
    /// Segments that wait for their delta chunk.
    private(set) var pending: [Place: DeltaPieces] = [:]
    /// What came of logs, by region.
    var logs: [Int: LogProgress] = [:]
    /// How often writers have had a lock: those before, and whoever applies the delta.
    var writeCount: Int
    private var identities: Set<UInt64> = []
    /// For each region the ranges of its delta chunks, ascending.
    private var ranges: [Int: [HashRange]] = [:]

    /// A range of a region.
    struct Place: Hashable {
        var region: Int
        var range: HashRange

        init(_ header: ChunkHeader) {
            region = header.region
            range = header.range
        }
    }

    init(otherEpoch: UInt64?, writeCount: Int) {
        self.otherEpoch = otherEpoch
        givenEpoch = otherEpoch
        self.writeCount = writeCount
    }

    /// The chunks in the order of the stream.
    var headersInOrder: [ChunkHeader] { headers.inStreamOrder }

    /// Notes a chunk; false when it was noted before.
    mutating func note(_ header: ChunkHeader, at offset: Int) throws -> Bool {
        let epoch = otherEpoch ?? header.targetEpoch
        guard epoch == header.targetEpoch || epoch == header.baseEpoch else {
            throw StoreError(
                .wrongBase,
                "the delta was not applied: it leads to another epoch than the chunks before",
                epoch: Epoch(rawValue: epoch))
        }
        if identities.contains(header.identity) { return false }
        let others = ranges[header.region] ?? []
        let place = others.firstIndex { $0.first > header.range.first } ?? others.count
        // Ranges are nested or apart: one that overlaps this one is a neighbour.
        for other in others[max(0, place - 1)..<min(place + 1, others.count)]
        where other.contains(header.range) || header.range.contains(other) {
            throw FormatError(.malformed, "a chunk's hash range overlaps another's", at: offset)
        }
        otherEpoch = epoch
        if header.role == .delta {
            ranges[header.region, default: []].insert(header.range, at: place)
        }
        identities.insert(header.identity)
        headers.append(header)
        return true
    }

    /// Takes a chunk back that was noted.
    mutating func forget(_ header: ChunkHeader) {
        identities.remove(header.identity)
        headers.removeAll { $0.identity == header.identity }
        if header.role == .delta { ranges[header.region]?.removeAll { $0 == header.range } }
        if headers.isEmpty { otherEpoch = givenEpoch }
    }

    /// The segments of a segment chunk's range.
    mutating func pieces(for header: ChunkHeader) -> DeltaPieces {
        let pieces = pending[Place(header)] ?? DeltaPieces()
        pending[Place(header)] = pieces
        return pieces
    }

    /// Takes the segments of a delta chunk's range.
    mutating func takePieces(for header: ChunkHeader) -> DeltaPieces {
        pending.removeValue(forKey: Place(header)) ?? DeltaPieces()
    }
}
