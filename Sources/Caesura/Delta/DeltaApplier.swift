public import CaesuraFormat

/// Brings a store from one saved state to a later one, or back.
///
///     let applier = try DeltaApplier(store)
///     // for each chunk of the delta, the delta chunks in any order, each behind its segments, those of a log in theirs:
///     try applier.apply(chunk, with: worker)
///     try applier.finish(end, at: epoch)
///
/// The store must hold exactly the base (to go back: the target): what a restore or another delta has brought, with
/// nothing written since. A delta chunk is applied whole or not at all, with its segments, which wait for it; a
/// chunk that was refused has to come again with them. After an error the store holds the chunks applied so far,
/// which is no state that ever was, until ``Store/removeAll()`` empties it.
///
/// Readers of a chunk's partitions wait while it is applied; a value of more than 64 KiB that changed is copied
/// meanwhile.
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
        private var changes: [Changes?]

        /// The memory for changes of a table.
        private struct Changes {
            let table: TableCore
            let data: RegionSchema
            let batch: DeltaBatch
            let resolver: DeltaResolver?
        }

        /// Creates a worker.
        ///
        /// - Parameter limits: What a chunk may ask for.
        public init(for applier: DeltaApplier, limits: Limits = Limits()) {
            decoder = ChunkDecoder(limits: limits)
            changes = Array(repeating: nil, count: applier.regions.count)
        }

        /// The batch of a region, and what makes it the store's columns, if something must.
        fileprivate func batch(
            of index: Int, _ table: TableCore, _ region: DeltaRegion
        ) -> (DeltaBatch, DeltaResolver?) {
            if index >= changes.count {
                changes += Array(repeating: nil, count: index + 1 - changes.count)
            }
            if let kept = changes[index], kept.table === table, kept.data == region.layout.schema {
                return (kept.batch, kept.resolver)
            }
            let made = Changes(
                table: table, data: region.layout.schema,
                batch: DeltaBatch(leaves: region.layout.leaves),
                resolver: region.plan?.resolution.map(DeltaResolver.init))
            changes[index] = made
            return (made.batch, made.resolver)
        }
    }

    private let store: Store
    private let direction: LeafChanges.Direction
    /// What the store holds.
    private let origin: Ancestor
    private let regions: [DeltaRegion]
    private let progress: Guarded<DeltaProgress>

    /// Prepares a store to go on.
    ///
    /// - Throws: `wrongBase` when the store was not restored, or was written to since.
    public convenience init(_ store: Store) throws(StoreError) {
        try self.init(store, .forwards, otherEpoch: nil)
    }

    /// Prepares a store to go back, by a reversible delta that leads to the state that it holds.
    ///
    /// - Parameters:
    ///   - store: The store.
    ///   - end: What the delta's end chunk says: its digest is the identity of that state, and is compared before
    ///     anything changes.
    ///   - epoch: The delta's target epoch.
    ///   - baseEpoch: Its base epoch: where the store is to be.
    /// - Throws: `wrongBase` when the store does not hold exactly that state; `noDelta` when the delta has trimmed a
    ///   log, whose rows it cannot bring back.
    public convenience init(
        _ store: Store, undoing end: StreamEnd, at epoch: UInt64, backTo baseEpoch: UInt64
    ) throws(StoreError) {
        try self.init(store, .backwards, otherEpoch: baseEpoch)
        guard origin.epoch == epoch, origin.digest == end.digest, baseEpoch < epoch else {
            throw StoreError(
                .wrongBase,
                "the delta to undo leads to another state of epoch \(epoch) than the store's, of epoch "
                    + "\(origin.epoch); undo what leads there first", epoch: Epoch(rawValue: epoch))
        }
        try checkHeads(end)
    }

    private init(
        _ store: Store, _ direction: LeafChanges.Direction, otherEpoch: UInt64?
    ) throws(StoreError) {
        self.store = store
        self.direction = direction
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
        // What a delta undoes of a log is whole rows.
        let hasItsColumns = ancestor.resolved.values.allSatisfy { $0.kind == .log }
        guard direction == .forwards || hasItsColumns else {
            throw StoreError(
                .schemaMismatch,
                "the store has its state under another version of a schema, and a delta that is undone gives back columns "
                    + "of its own; restore its base",
                epoch: Epoch(rawValue: ancestor.epoch))
        }
        origin = ancestor
        var regions: [DeltaRegion] = []
        var writeCount = 0
        for name in ancestor.regions {
            guard let region = store.core.region(named: name) else {
                preconditionFailure("a restored region stays declared")
            }
            regions.append(try DeltaRegion(region, resolving: ancestor.resolved[name]))
            let writes: Int? =
                switch region {
                case .table(let table): table.writeCount(notSince: ancestor.writeMark)
                case .log(let log): log.isWritten(since: ancestor.writeMark) ? nil : 0
                }
            guard let writes else {
                throw StoreError(
                    .wrongBase,
                    "the store was written to since it was restored; restore the base into an empty store",
                    region: region.schema.name, epoch: Epoch(rawValue: ancestor.epoch))
            }
            writeCount &+= writes
        }
        self.regions = regions
        progress = Guarded(DeltaProgress(otherEpoch: otherEpoch, writeCount: writeCount))
    }

    deinit {
        progress.withLock { progress in
            for pieces in progress.pending.values { pieces.discard() }
            for log in progress.logs.values { log.segments.discard() }
        }
    }

    /// Applies a delta chunk, or keeps a segment chunk of one, whose checksums were verified.
    ///
    /// - Returns: Whether it was new. A chunk of a delta to an epoch that the store has reached (backwards: one that
    ///   the store has left) changes nothing.
    /// - Throws: ``StoreError``, `wrongBase` when the chunk builds on another state, with the epoch that is
    ///   missing; `inconsistentData` when it contradicts the store. ``FormatError`` when its bytes break the
    ///   format's rules; `unsupported` when a delta to undo is not reversible.
    public func apply(_ chunk: VerifiedChunk, with worker: Worker) throws -> Outcome {
        let header = chunk.header
        guard try isNext(header) else { return .alreadyApplied }
        guard header.region < regions.count else {
            throw FormatError(.malformed, "a chunk of a region there is not", at: chunk.offset)
        }
        guard try progress.withLock({ try $0.note(header, at: chunk.offset) }) else {
            return .alreadyApplied
        }
        do {
            switch (regions[header.region].core, header.role) {
            case (.log(let log), .segment): try keep(chunk, of: log, worker)
            case (.log(let log), _): try applyRows(of: chunk, to: log, worker)
            case (.table, .segment): try keep(chunk, worker)
            case (.table(let table), _): try applyChanges(of: chunk, to: table, worker)
            }
        } catch {
            progress.withLock { $0.forget(header) }
            throw error
        }
        return .applied
    }

    /// Whether a chunk leads on from what the store holds; false when the store is past it.
    private func isNext(_ header: ChunkHeader) throws(StoreError) -> Bool {
        let (from, to) =
            direction == .forwards
            ? (header.baseEpoch, header.targetEpoch) : (header.targetEpoch, header.baseEpoch)
        let isPassed = direction == .forwards ? to <= origin.epoch : to >= origin.epoch
        if isPassed { return false }
        guard from == origin.epoch else {
            throw wrongBase(
                "it builds on epoch \(from), and the store is at \(origin.epoch): apply what leads "
                    + "there first", from)
        }
        return true
    }

    private func keep(_ chunk: VerifiedChunk, _ worker: Worker) throws(FormatError) {
        let segment = try worker.decoder.decode(
            deltaSegment: chunk, layout: regions[chunk.header.region].layout)
        let pieces = progress.withLock { $0.pieces(for: chunk.header) }
        try pieces.append(segment, chunk.header, at: chunk.offset)
    }

    private func applyChanges(
        of chunk: VerifiedChunk, to table: TableCore, _ worker: Worker
    ) throws {
        let header = chunk.header
        let pieces = progress.withLock { $0.takePieces(for: header) }
        defer { pieces.discard() }
        do {
            let region = regions[header.region]
            let (batch, resolver) = worker.batch(of: header.region, table, region)
            try worker.decoder.decode(delta: chunk, layout: region.layout, into: batch)
            if direction == .backwards, !batch.isReversible {
                throw FormatError(
                    .unsupported, "the delta does not carry the way back", at: chunk.offset)
            }
            try check(batch.baseDigest, header)
            let application = Application(
                RowPatcher(table: table), try region.core.chunkLayout(), batch, resolver, direction,
                pieces, header.range, chunk.offset)
            var writes = 0
            defer { progress.withLock { $0.writeCount &+= writes } }
            try application.run(hashKey: store.core.hashKey, writeCount: &writes)
        } catch {
            progress.withLock { progress in
                for header in pieces.headers { progress.forget(header) }
            }
            throw error
        }
    }

    /// Checks that a chunk builds on the state that the others build on.
    private func check(_ baseDigest: UInt64, _ header: ChunkHeader) throws(StoreError) {
        guard direction == .backwards else {
            guard baseDigest == origin.digest else {
                throw wrongBase(
                    "it builds on another state of epoch \(origin.epoch)", header.baseEpoch)
            }
            return
        }
        let isOne = progress.withLock { progress in
            defer { progress.baseDigest = progress.baseDigest ?? baseDigest }
            return progress.baseDigest ?? baseDigest == baseDigest
        }
        guard isOne else {
            throw wrongBase(
                "its chunks build on two states of epoch \(header.baseEpoch)", header.baseEpoch)
        }
    }

    /// Notes that rows which are complete were taken out of partitions of the store, so many times.
    ///
    /// Whoever has taken them must see to it that no further chunk is about them.
    func noteRemovals(_ count: Int) { progress.withLock { $0.writeCount &+= count } }

    // MARK: Logs

    private func keep(
        _ chunk: VerifiedChunk, of log: LogCore, _ worker: Worker
    ) throws(FormatError) {
        let region = chunk.header.region
        let segment = try worker.decoder.decode(segment: chunk, layout: regions[region].layout)
        let segments = progress.withLock { progress in
            progress.logs[region, default: LogProgress()].headers.append(chunk.header)
            return progress.logs[region, default: LogProgress()].segments
        }
        try segments.append(segment, at: chunk.offset)
    }

    /// Appends new rows of a log; backwards, notes them: they go when all chunks have come.
    private func applyRows(
        of chunk: VerifiedChunk, to log: LogCore, _ worker: Worker
    ) throws {
        let header = chunk.header
        var came = progress.withLock { $0.logs[header.region] ?? LogProgress() }
        defer { came.segments.discard() }
        do {
            let region = regions[header.region]
            let batch = ColumnBatch(leaves: region.layout.leaves)
            try worker.decoder.decode(core: chunk, layout: region.layout, into: batch)
            guard let baseDigest = worker.decoder.baseDigest else {
                throw FormatError(
                    .malformed, "a chunk of a snapshot in a delta", at: chunk.offset)
            }
            try check(baseDigest, header)
            try came.segments.settle(batch, at: chunk.offset)
            let position = header.range.first
            let end = position + UInt64(batch.rowCount)
            let expected = came.rows?.upperBound ?? position
            guard position == expected else {
                throw StoreError(
                    .inconsistentData,
                    "rows of a log from position \(position) on where \(expected) must be",
                    region: log.schema.name)
            }
            if direction == .forwards {
                let rows = region.plan.map { RowPipeline($0).run(batch, came.segments) } ?? batch
                try log.bring(
                    LogPages(log, rows, came.segments, epoch: origin.epoch).build(),
                    at: position, isFirst: came.rows == nil)
            }
            came.rows = (came.rows?.lowerBound ?? position)..<end
            came.headers = []
            let rows = came.rows
            progress.withLock { $0.logs[header.region] = LogProgress(rows: rows) }
        } catch {
            let rows = came.rows
            progress.withLock { progress in
                for header in came.headers { progress.forget(header) }
                progress.logs[header.region] = LogProgress(rows: rows)
            }
            throw error
        }
    }

    /// Makes logs begin, or backwards end, where the delta leads to.
    private func settleLogs(
        _ progress: DeltaProgress, _ end: StreamEnd
    ) throws(StoreError) {
        let logs = regions.enumerated().compactMap { index, region in
            if case .log(let log) = region.core { (index, log) } else { nil }
        }
        guard end.heads.count == logs.count, end.baseHeads.count == logs.count else {
            throw StoreError(
                .inconsistentData,
                "the delta has \(end.heads.count) logs, and the store \(logs.count)")
        }
        for (place, (index, log)) in logs.enumerated() {
            let (extent, rows) = (log.extent, progress.logs[index]?.rows)
            let (head, baseHead) = (end.heads[place], end.baseHeads[place])
            let isGood =
                direction == .forwards
                ? (extent.head == baseHead || extent.head == rows?.lowerBound)
                    && head >= extent.head
                    && (head <= extent.end || rows == nil)
                : head == baseHead && head == extent.head
                    && (rows.map { $0.lowerBound >= head && $0.upperBound == extent.end } ?? true)
            guard isGood else {
                throw StoreError(
                    .inconsistentData,
                    "the delta has a log from position \(baseHead) on, then from \(head) on, and the store's rows "
                        + "are at \(extent.head) to \(extent.end)", region: log.schema.name)
            }
        }
        for (place, (index, log)) in logs.enumerated() {
            if direction == .forwards {
                log.trim(before: end.heads[place], isBrought: true)
            } else if let rows = progress.logs[index]?.rows {
                log.truncate(at: rows.lowerBound)
            }
        }
    }

    /// Checks, before anything changes, that logs begin where the delta has them begin.
    private func checkHeads(_ end: StreamEnd) throws(StoreError) {
        for (head, baseHead) in zip(end.heads, end.baseHeads) where head != baseHead {
            throw StoreError(
                .noDelta, "a log was trimmed, and the delta does not have the rows that went",
                epoch: Epoch(rawValue: origin.epoch))
        }
    }

    private func wrongBase(_ message: String, _ epoch: UInt64) -> StoreError {
        StoreError(
            .wrongBase, "the delta was not applied: " + message, epoch: Epoch(rawValue: epoch))
    }

    /// Ends the delta: the store is at its target epoch, or backwards at its base epoch.
    ///
    /// - Parameters:
    ///   - end: What the stream's end chunk says.
    ///   - epoch: The epoch that the store is at then.
    /// - Throws: ``StoreError``: `inconsistentData` when chunks are missing; `wrongBase` when something else wrote to
    ///   the store, or tried to, while the delta was applied: the delta is in the store then, and so is what was
    ///   written, and the store takes no further delta.
    public func finish(_ end: StreamEnd, at epoch: UInt64) throws(StoreError) {
        let progress = progress.withLock { $0 }
        // The base's identity; a delta of no chunks changes nothing, not even that.
        let base = direction == .forwards ? origin.digest : progress.baseDigest ?? origin.digest
        let digest = progress.headersInOrder.reduce(base) { Checksum.of($0, $1.identity) }
        let isRightEpoch =
            direction == .forwards
            ? epoch > origin.epoch && epoch == progress.otherEpoch ?? epoch
            : epoch == progress.otherEpoch
        guard isRightEpoch, UInt64(progress.headers.count) == end.chunkCount,
            progress.pending.isEmpty, progress.logs.values.allSatisfy(\.headers.isEmpty),
            digest == end.digest
        else {
            throw StoreError(
                .inconsistentData,
                "the delta has \(end.chunkCount) chunks, and \(progress.headers.count) of them came; send it again",
                epoch: Epoch(rawValue: epoch))
        }
        if regions.contains(where: \.core.isReplaced) { throw disturbed(at: epoch) }
        try settleLogs(progress, end)
        store.adoptAncestor(
            place: origin.place, epoch: epoch, digest: direction == .forwards ? digest : base,
            regions: origin.regions, isRestored: false, from: origin)
        // Counted once a new epoch has begun: what is written in that shows when the next delta comes.
        let isDisturbed =
            regions.reduce(0) { $0 &+ $1.core.tableWriteCount } != progress.writeCount
            || regions.contains {
                $0.core.isLogWritten(since: origin.writeMark) || $0.core.isReplaced
            }
        if isDisturbed { throw disturbed(at: epoch) }
    }

    /// Notes that the store is no state that was saved, and why.
    private func disturbed(at epoch: UInt64) -> StoreError {
        store.core.ancestor.withLock { $0?.isExact = false }
        return StoreError(
            .wrongBase,
            "something else wrote to the store while the delta was applied, or gave a region its Swift types, so it is no "
                + "longer exactly what was saved; restore into an empty store while nothing does",
            epoch: Epoch(rawValue: epoch))
    }
}

extension RegionCore {
    fileprivate var tableWriteCount: Int {
        if case .table(let table) = self { table.writeCount } else { 0 }
    }

    /// Whether another one has its rows, with Swift types: under the store's lock of cuts they went there.
    fileprivate var isReplaced: Bool {
        switch self {
        case .table(let table): unsafe table.partition(0).withLock { table.isReplaced }
        case .log(let log): log.withLock { log.isReplaced }
        }
    }

    fileprivate func isLogWritten(since epoch: UInt64) -> Bool {
        if case .log(let log) = self { log.isWritten(since: epoch) } else { false }
    }
}

extension TableCore {
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
