public import CaesuraFormat

/// Brings a store from one saved state to a later one.
///
///     let applier = try DeltaApplier(store)
///     // for each chunk of the delta, in any order:
///     try applier.apply(chunk, with: worker)
///     try applier.finish(end)
///
/// The store must hold exactly the base: what a restore or another delta has brought, with nothing written
/// since. A chunk is applied whole or not at all. After an error the store holds the chunks applied so far,
/// which is no state that ever was, until ``Store/removeAll()`` empties it.
public final class DeltaApplier: Sendable {
    /// What became of a chunk.
    public enum Outcome: Hashable, Sendable {
        /// Its changes are in the store.
        case applied
        /// They were there before: nothing was changed.
        case alreadyApplied
    }

    /// The memory that decoding reuses.
    ///
    /// One a thread. It serves one applier after the other, so that a chain of small deltas does not begin anew with
    /// each.
    public final class Worker {
        var decoder: ChunkDecoder
        private var batches: [(table: TableCore, batch: DeltaBatch)?]

        /// Creates a worker.
        ///
        /// - Parameter limits: What a chunk may ask for.
        public init(for applier: DeltaApplier, limits: Limits = Limits()) {
            decoder = ChunkDecoder(limits: limits)
            batches = Array(repeating: nil, count: applier.tables.count)
        }

        /// The batch of a region.
        fileprivate func batch(of region: Int, _ applier: DeltaApplier) -> DeltaBatch {
            if region >= batches.count {
                batches += Array(repeating: nil, count: region + 1 - batches.count)
            }
            let table = applier.tables[region]
            if let kept = batches[region], kept.table === table { return kept.batch }
            let batch = DeltaBatch(leaves: applier.layouts[region].leaves)
            batches[region] = (table, batch)
            return batch
        }
    }

    private let store: Store
    private let base: Ancestor
    private let tables: [TableCore]
    private let layouts: [RegionLayout]
    private let progress: Guarded<Progress>

    private struct Progress {
        var targetEpoch: UInt64?
        var chunks: [ChunkHeader] = []
        /// How often writers have had a lock: those before, and this applier.
        var writeCount: Int
    }

    /// Prepares a store.
    ///
    /// - Throws: `wrongBase` when the store was not restored, or was written to since.
    public init(_ store: Store) throws(StoreError) {
        self.store = store
        guard let ancestor = store.ancestor else {
            throw StoreError(
                .wrongBase, "a delta changes what a restore has brought; restore its base first")
        }
        guard ancestor.isExact else {
            throw StoreError(
                .wrongBase,
                "the store is not exactly what it was restored from: rows were lost, or something wrote meanwhile; "
                    + "restore the base into an empty store", epoch: Epoch(rawValue: ancestor.epoch)
            )
        }
        base = ancestor
        var tables: [TableCore] = []
        var layouts: [RegionLayout] = []
        var writeCount = 0
        for name in ancestor.regions {
            guard let table = store.core.table(named: name) else {
                preconditionFailure("a restored table stays declared")
            }
            tables.append(table)
            layouts.append(try table.chunkLayout())
            guard let writes = table.writeCount(notSince: ancestor.writeMark) else {
                throw StoreError(
                    .wrongBase,
                    "the store was written to since it was restored; restore the base into an empty store",
                    region: table.schema.name, epoch: Epoch(rawValue: ancestor.epoch))
            }
            writeCount &+= writes
        }
        self.tables = tables
        self.layouts = layouts
        progress = Guarded(Progress(writeCount: writeCount))
    }

    /// Applies a delta chunk whose checksums were verified.
    ///
    /// - Returns: Whether it was new. A chunk of a delta to an epoch that the store has reached changes nothing.
    /// - Throws: ``StoreError``, `wrongBase` when the chunk builds on another state, with the epoch that is
    ///   missing; `inconsistentData` when it contradicts the store. ``FormatError`` when its bytes break the
    ///   format's rules.
    public func apply(_ chunk: VerifiedChunk, with worker: Worker) throws -> Outcome {
        let header = chunk.header
        guard header.targetEpoch > base.epoch else { return .alreadyApplied }
        guard header.baseEpoch == base.epoch else {
            throw wrongBase(
                "it builds on epoch \(header.baseEpoch), and the store is at \(base.epoch): apply what leads "
                    + "there first", header.baseEpoch)
        }
        guard header.region < tables.count else {
            throw FormatError(.malformed, "a chunk of a region there is not", at: chunk.offset)
        }
        if try !note(header) { return .alreadyApplied }
        do {
            let batch = worker.batch(of: header.region, self)
            try worker.decoder.decode(delta: chunk, layout: layouts[header.region], into: batch)
            guard batch.baseDigest == base.digest else {
                throw wrongBase(
                    "it builds on another state of epoch \(base.epoch)", header.baseEpoch)
            }
            let application = Application(
                RowPatcher(table: tables[header.region]), layouts[header.region], batch,
                header.range, chunk.offset)
            var writes = 0
            defer { progress.withLock { $0.writeCount &+= writes } }
            try application.run(hashKey: store.core.hashKey, writeCount: &writes)
        } catch {
            progress.withLock { $0.chunks.removeAll { $0.identity == header.identity } }
            throw error
        }
        return .applied
    }

    /// Notes a chunk; false when it was noted before.
    private func note(_ header: ChunkHeader) throws -> Bool {
        try progress.withLock { progress in
            if let epoch = progress.targetEpoch, epoch != header.targetEpoch {
                throw wrongBase("it leads to another epoch than the chunks before", epoch)
            }
            progress.targetEpoch = header.targetEpoch
            for other in progress.chunks where other.region == header.region {
                if other.identity == header.identity { return false }
                guard !other.range.contains(header.range), !header.range.contains(other.range)
                else {
                    throw FormatError(
                        .malformed, "a chunk's hash range overlaps another's", at: 0)
                }
            }
            progress.chunks.append(header)
            return true
        }
    }

    private func wrongBase(_ message: String, _ epoch: UInt64) -> StoreError {
        StoreError(
            .wrongBase, "the delta was not applied: " + message, epoch: Epoch(rawValue: epoch))
    }

    /// Ends the delta: the store is at its target epoch.
    ///
    /// - Parameters:
    ///   - end: What the stream's end chunk says.
    ///   - epoch: The target epoch, which the end chunk's header states.
    /// - Throws: ``StoreError``: `inconsistentData` when chunks are missing; `wrongBase` when something else wrote to
    ///   the store, or tried to, while the delta was applied: the delta is in the store then, and so is what was
    ///   written, and the store takes no further delta.
    public func finish(_ end: StreamEnd, at epoch: UInt64) throws(StoreError) {
        let (chunks, expected) = progress.withLock { progress in
            let chunks = progress.chunks.sorted {
                ($0.region, $0.range.first) < ($1.region, $1.range.first)
            }
            return (chunks, progress.writeCount)
        }
        let digest = chunks.reduce(base.digest) { Checksum.of($0, $1.identity) }
        guard epoch > base.epoch, UInt64(chunks.count) == end.chunkCount, digest == end.digest
        else {
            throw StoreError(
                .inconsistentData,
                "the delta has \(end.chunkCount) chunks, and \(chunks.count) of them came; send it again",
                epoch: Epoch(rawValue: epoch))
        }
        store.adoptAncestor(
            place: base.place, epoch: epoch, digest: digest, regions: base.regions,
            isRestored: false)
        // Counted once a new epoch has begun: what is written in that shows when the next delta comes.
        if tables.reduce(0, { $0 &+ $1.writeCount }) != expected {
            store.core.ancestor.withLock { $0?.isExact = false }
            throw StoreError(
                .wrongBase,
                "something else wrote to the store while the delta was applied, so it is no longer exactly what "
                    + "was saved; restore into an empty store while nothing writes",
                epoch: Epoch(rawValue: epoch))
        }
    }
}

extension TableCore {
    /// How chunks hold the table's rows.
    func chunkLayout() throws(StoreError) -> RegionLayout {
        guard let regionLayout else {
            throw StoreError(
                .unsupportedSchema, "the format has no place for its fields", region: schema.name)
        }
        return regionLayout
    }

    /// How often writers have had a partition's lock; nil when one has written in this epoch or later.
    fileprivate func writeCount(notSince epoch: UInt64) -> Int? {
        var count = 0
        for index in 0..<partitionCount {
            let partition = unsafe partition(index)
            let (written, writes) = unsafe partition.withLock {
                unsafe (partition.pointee.root.epoch, partition.pointee.writeCount)
            }
            if written >= epoch { return nil }
            count &+= writes
        }
        return count
    }
}
