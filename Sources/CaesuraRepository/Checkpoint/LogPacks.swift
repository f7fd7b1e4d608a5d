internal import CaesuraFormat

/// Packs of an earlier checkpoint that hold nothing but sealed rows of logs: the next one takes them over as they are,
/// `docs/REPOSITORY.md` section 6, "Write", W3.
///
///     positions   0        131,072      262,144   end
///     packs       ├─ pack ──┼─── pack ───┼─ pack … with what comes next in the stream
///                 └── linked by the next ┘
///
/// A log's rows never change, and the chunks of its full stretches are the same in every checkpoint, to the byte.
struct LogPacks {
    /// A log's rows get packs of their own in runs of so many positions, once the whole run is there.
    ///
    /// 3 MB of small rows; what a checkpoint writes again of a log is less than a run at each end.
    static let positionsPerRun: UInt64 = 1 << 17

    /// A pack to take over.
    struct Pack {
        var path: String
        var region: Int
        var positions: Range<UInt64>
        var facts: Manifest.Pack
        var chunks: [(chunk: Manifest.Chunk, header: ChunkHeader)]
    }

    /// In the order of the stream.
    private(set) var packs: [Pack] = []

    /// None.
    init() {}

    /// Looks for packs that a checkpoint can take over.
    ///
    /// - Parameters:
    ///   - earlier: The earlier checkpoint, from whose state the store goes on.
    ///   - later: The later one, without chunks.
    init(
        of earlier: Manifest, for later: Manifest, in storage: any Storage
    ) throws(RepositoryError) {
        guard earlier.codec == later.codec else { return }
        let reader = CheckpointReader(storage: storage, manifest: earlier)
        var next = 0
        for (index, facts) in earlier.packs.enumerated() {
            let start = next
            while next < earlier.chunks.count, earlier.chunks[next].pack == index { next += 1 }
            let chunks = earlier.chunks[start..<next]
            guard let first = chunks.first?.facts, let last = chunks.last?.facts,
                let region = first.region, region < later.regions.count,
                earlier.regions[region].schema == later.regions[region].schema,
                later.regions[region].schema.kind == .log,
                last.region == region, last.role == .log
            else { continue }
            // What was trimmed must go, and what begins inside a stretch must be what comes first.
            let (head, begin) = (later.regions[region].head, first.range.first)
            let end = last.range.first + UInt64(last.rows)
            let stretch = Limits.positionsPerStretch
            let follows = packs.last?.region == region && packs.last?.positions.upperBound == begin
            guard begin >= head, begin % stretch == 0 || begin == head, end % stretch == 0,
                follows || packs.last?.region != region
            else { continue }
            guard let headers = try reader.headers(of: start..<next, ofPack: index),
                headers.first?.sequence == 0
            else { continue }
            packs.append(
                Pack(
                    path: Layout.pack(earlier.epoch, index), region: region,
                    positions: begin..<end, facts: facts, chunks: Array(zip(chunks, headers))))
        }
    }

    /// The positions of each log that need not be encoded.
    func positions(in regions: [Manifest.Region]) -> [String: Range<UInt64>] {
        var positions: [String: Range<UInt64>] = [:]
        for pack in packs {
            let name = regions[pack.region].name
            let begin = positions[name]?.lowerBound ?? pack.positions.lowerBound
            positions[name] = begin..<pack.positions.upperBound
        }
        return positions
    }

    /// Takes out the next pack, if it belongs before a chunk; at the end of the stream, whatever is left.
    mutating func popFirst(before header: ChunkHeader?) -> Pack? {
        guard let first = packs.first else { return nil }
        if let header {
            let place = (header.region, header.range.first)
            guard (first.region, first.positions.lowerBound) < place else { return nil }
        }
        return packs.removeFirst()
    }
}

extension CheckpointReader {
    /// The headers of all chunks of a pack; nil if the pack is not there, or not what the manifest says.
    fileprivate func headers(
        of chunks: Range<Int>, ofPack pack: Int
    ) throws(RepositoryError) -> [ChunkHeader]? {
        do throws(RepositoryError) {
            try checkPack(pack)
            var headers: [ChunkHeader] = []
            headers.reserveCapacity(chunks.count)
            for index in chunks { headers.append(try header(of: index)) }
            return headers
        } catch  where error.code == .damaged || error.code == .unsupported {
            return nil
        }
    }
}
