package import CaesuraFormat

/// A part of another store's state on its way into this one: `docs/MIGRATION.md` section 4, "Incoming rows".
///
///     let incoming = try IncomingPart(.rows(range), into: store)
///     try incoming.beginRound(at: epoch)                            // a snapshot; then
///     while try !incoming.apply(chunk) {}
///     try incoming.beginRound(at: epoch, from: base, digest)        // deltas, as often as there are some
///     while try !incoming.apply(chunk) {}
///     try incoming.adopt()                                          // now they are the store's
///
/// Until then nobody sees its rows but who holds this: they lie in a store of their own, which shares memory, hash key and
/// shapes with the other. To drop the part is to let go of it. One thread at a time uses it, but for cuts.
///
/// The rows of tables can be adopted before all of the last delta has come, slice by slice:
///
///     try incoming.beginRound(at: epoch, from: base, digest)
///     try incoming.adopt(except: slices)                            // those that the delta changes
///     _ = try incoming.apply(chunk)                                 // all of a slice's
///     try incoming.adopt(slice)
///     _ = try incoming.apply(end)                                   // true once all slices are adopted
package final class IncomingPart {
    /// The part.
    package let part: StorePart
    /// The store that its rows lie in until they are adopted.
    package let staging: Store
    /// What was last come to: epoch and digest of the last round that has ended.
    package private(set) var state: (epoch: UInt64, digest: UInt64)?
    /// What of the present round has come.
    package private(set) var progress = Progress()
    private let store: Store
    private let limits: Limits
    private var decoder: ChunkDecoder
    /// What the regions are, in the order of the chunks' numbers.
    private var kinds: [RegionKind] = []
    private var phase = Phase.idle
    /// What applies one delta after the other.
    private var deltaWorker: DeltaApplier.Worker?
    /// The slices that are still to come; nil if the part is adopted as one.
    private var missing: Set<HashRange>?

    /// What of a round has come.
    package struct Progress: Hashable, Sendable {
        /// The epoch of its cut.
        package var epoch: UInt64 = 0
        /// Its chunks.
        package var chunks: UInt64 = 0
        /// Their bytes.
        package var bytes: UInt64 = 0
    }

    private enum Phase {
        /// A snapshot whose metadata has not come.
        case awaitingMetadata
        case snapshot(ChunkApplier, ChunkApplier.Worker, StreamEnd)
        case delta(DeltaApplier)
        /// Between two rounds.
        case idle
        case adopted
    }

    /// How far ahead the epochs of a stream may be: a peer that is further would use up the 47 bits of epochs.
    ///
    /// At ten cuts a second, 13 years.
    package static let epochLead: UInt64 = 1 << 32

    /// Prepares a part.
    ///
    /// - Throws: `notEmpty` when the store has rows in place of the part's; `unsupportedSchema`.
    package init(
        _ part: StorePart, into store: Store, limits: Limits = Limits()
    ) throws(StoreError) {
        try store.core.checkVacancy(of: part)
        self.part = part
        self.store = store
        self.limits = limits
        decoder = ChunkDecoder(limits: limits)
        staging = Store(core: try store.core.staging())
    }

    deinit {
        phase = .idle
        // Its pages are of the other store's memory, and do not go with it.
        for table in staging.core.tables { table.putInitialValue = nil }
        staging.removeAll()
    }

    /// The number of rows that have come.
    package var rowCount: Int {
        staging.regions.reduce(0) { $0 + (staging.rowCount(of: $1.name) ?? 0) }
    }

    /// Begins a round: a snapshot, or what changed since what was last come to.
    ///
    /// - Throws: `wrongBase` when it builds on something else, or the round before has not ended; `inconsistentData` when its
    ///   epoch is too far ahead.
    package func beginRound(
        at epoch: UInt64, from baseEpoch: UInt64 = 0, _ baseDigest: UInt64 = 0
    ) throws(StoreError) {
        func refuse(_ code: StoreError.Code, _ message: String) -> StoreError {
            StoreError(code, message, epoch: Epoch(rawValue: epoch))
        }
        guard case .idle = phase else {
            throw refuse(.wrongBase, "a round begins before the one before it has ended")
        }
        guard (baseEpoch, baseDigest) == state ?? (0, 0) else {
            throw refuse(.wrongBase, "a round builds on another state than has come")
        }
        // Not from what has come: in steps one could go any way.
        let (lead, isBehind) = epoch.subtractingReportingOverflow(store.epoch.rawValue)
        guard isBehind || lead <= Self.epochLead, epoch < Epoch.limit else {
            throw refuse(
                .inconsistentData, "the epoch is more than 2 to the power 32 ahead of this store's")
        }
        if state == nil {
            phase = .awaitingMetadata
        } else {
            let applier = try DeltaApplier(staging)
            phase = .delta(applier)
            deltaWorker = deltaWorker ?? DeltaApplier.Worker(for: applier, limits: limits)
        }
        progress = Progress(epoch: epoch)
    }

    /// Applies the next chunk of the round, whose checksums are verified first.
    ///
    /// After an error the part is of no further use.
    ///
    /// - Returns: Whether the round has ended with it.
    /// - Throws: ``FormatError`` and ``StoreError``.
    package func apply(_ bytes: UnsafeRawBufferPointer) throws -> Bool {
        let offset = Int(clamping: progress.bytes)
        let chunk = try unsafe VerifiedChunk(verifying: bytes, origin: offset, limits: limits)
        guard chunk.header.chunkLength == bytes.count else {
            throw FormatError(.malformed, "bytes behind a chunk", at: offset)
        }
        switch chunk.header.role {
        case .metadata: try begin(chunk)
        case .end: try finish(chunk)
        default: try applyRows(chunk)
        }
        progress.chunks += 1
        progress.bytes += UInt64(chunk.header.chunkLength)
        switch phase {
        case .idle, .adopted: return true
        case .awaitingMetadata, .snapshot, .delta: return false
        }
    }

    private func begin(_ chunk: VerifiedChunk) throws {
        guard case .awaitingMetadata = phase else { throw unexpected(chunk) }
        let metadata = try decoder.decode(metadata: chunk)
        guard metadata.epoch == progress.epoch, metadata.baseEpoch == 0 else {
            throw FormatError(.malformed, "a snapshot of another epoch", at: chunk.offset)
        }
        guard metadata.hashKey == store.core.hashKey else {
            throw StoreError(
                .inconsistentData,
                "the rows come with another hash key; configure all nodes with one")
        }
        kinds = metadata.regions.map(\.kind)
        let applier = try ChunkApplier(staging, metadata: metadata)
        var totals = StreamEnd(regionCount: kinds.count)
        totals.add(chunk.header)
        phase = .snapshot(applier, ChunkApplier.Worker(for: applier, limits: limits), totals)
    }

    private func applyRows(_ chunk: VerifiedChunk) throws {
        let header = chunk.header
        guard header.region < kinds.count, part.contains(header, of: kinds[header.region]) else {
            throw FormatError(
                .malformed, "a chunk of rows that are not of the part that moves",
                at: chunk.offset)
        }
        if let missing, !missing.contains(where: { $0.contains(header.range) }) {
            throw FormatError(
                .malformed, "a chunk of rows that have come already", at: chunk.offset)
        }
        switch phase {
        case .snapshot(let applier, let worker, var totals):
            guard header.targetEpoch == (kinds[header.region] == .log ? 0 : progress.epoch) else {
                throw FormatError(.malformed, "a chunk of another epoch", at: chunk.offset)
            }
            try applier.apply(chunk, with: worker)
            totals.add(header)
            phase = .snapshot(applier, worker, totals)
        case .delta(let applier):
            guard let deltaWorker else { preconditionFailure("a delta has begun") }
            guard try applier.apply(chunk, with: deltaWorker) == .applied else {
                throw FormatError(.malformed, "a chunk that came before", at: chunk.offset)
            }
        case .awaitingMetadata, .idle, .adopted: throw unexpected(chunk)
        }
    }

    private func finish(_ chunk: VerifiedChunk) throws {
        let end = try decoder.decode(end: chunk)
        guard chunk.header.targetEpoch == progress.epoch else {
            throw FormatError(.malformed, "an end chunk of another epoch", at: chunk.offset)
        }
        switch phase {
        case .snapshot(let applier, _, let totals):
            guard end.digest == totals.digest, end.chunkCount == totals.chunkCount,
                end.regions == totals.regions
            else {
                throw FormatError(
                    .malformed, "the round is not what its end chunk says", at: chunk.offset)
            }
            try applier.finish(with: end)
        case .delta(let applier):
            if missing?.isEmpty == false { throw unexpected(chunk) }
            try applier.finish(end, at: progress.epoch)
        case .awaitingMetadata, .idle, .adopted: throw unexpected(chunk)
        }
        phase = missing == nil ? .idle : .adopted
        state = (progress.epoch, end.digest)
    }

    private func unexpected(_ chunk: VerifiedChunk) -> FormatError {
        FormatError(
            .malformed, "a \(chunk.header.role) chunk does not come now", at: chunk.offset)
    }

    /// Checks that the rows can become the store's, as far as that does not depend on what comes still.
    ///
    /// - Throws: `schemaMismatch` when the store keeps rows of the same regions under other fields.
    package func checkShapes() throws(StoreError) {
        try store.core.checkShapes(of: part, from: staging.core)
    }

    /// Makes the rows the store's, as one change: a cut sees all of them or none.
    ///
    /// No row is copied. All cuts of ``staging`` must be closed.
    ///
    /// - Complexity: O(partitions of the part · tables), under their locks.
    /// - Throws: `notEmpty` when rows lie there meanwhile; `schemaMismatch` when the store has rows of the same regions under
    ///   other fields; nothing has changed then.
    package func adopt() throws(StoreError) {
        guard case .idle = phase, state != nil else {
            throw StoreError(.inconsistentData, "a part whose last round has not ended")
        }
        try store.core.adopt(part, from: staging.core)
        phase = .adopted
        deltaWorker = nil
    }

    /// Makes the rows the store's that the round which has just begun, the last one, does not change.
    ///
    /// - Parameter slices: Ranges in which it may: each consists of whole partitions of the store, and none overlaps another.
    /// - Complexity: As ``adopt()``, for each stretch between the slices.
    /// - Throws: As ``adopt()``; what was adopted before that stays the store's.
    package func adopt(except slices: Set<HashRange>) throws(StoreError) {
        guard case .delta(let applier) = phase, progress.chunks == 0, missing == nil else {
            throw StoreError(.inconsistentData, "a part whose last round has not just begun")
        }
        guard
            slices.allSatisfy({
                part.range.contains($0) && $0.prefixBits <= store.core.partitionBits
            })
        else { throw StoreError(.inconsistentData, "slices that are not of the part") }
        // What is found to be wrong later can only be mended by sending everything once more.
        try store.core.checkVacancy(of: part)
        try checkShapes()
        missing = slices
        for range in Self.cover(of: part.range, without: slices) {
            applier.noteRemovals(try store.core.adopt(.rows(range), from: staging.core))
        }
    }

    /// Makes the rows of a slice the store's, all of whose changes were applied.
    ///
    /// - Throws: As ``adopt()``; `inconsistentData` when the slice is none that is missing.
    package func adopt(_ slice: HashRange) throws(StoreError) {
        guard case .delta(let applier) = phase, missing?.contains(slice) == true else {
            throw StoreError(.inconsistentData, "a slice that is not missing")
        }
        applier.noteRemovals(try store.core.adopt(.rows(slice), from: staging.core))
        missing?.remove(slice)
    }

    /// Whether rows of the part may be the store's while others are still to come.
    package var isAdoptedBySlices: Bool { missing != nil }

    /// The fewest ranges that have all hashes of a range but those of some ranges in it.
    private static func cover(
        of range: HashRange, without slices: Set<HashRange>
    ) -> [HashRange] {
        if slices.contains(range) { return [] }
        guard slices.contains(where: { range.contains($0) }), let (low, high) = range.halves else {
            return [range]
        }
        return cover(of: low, without: slices) + cover(of: high, without: slices)
    }
}

extension Store {
    /// Takes the rows of a part out, as one change; cells get their initial values.
    ///
    /// Cuts that are open keep them.
    ///
    /// - Complexity: O(partitions of the part · tables) while writers of these wait, then O(pages) beside them.
    package func remove(_ part: StorePart) {
        detach(part).finish()
    }

    /// As ``remove(_:)``, but that the memory of the rows is given back by and by.
    ///
    /// - Complexity: O(partitions of the part · tables) while writers of these wait, and O(pages) of logs.
    package func detach(_ part: StorePart) -> PartRemoval { core.detach(part) }

    /// Freezes a part of the state as it is now and goes on in a new epoch, as ``cut()`` does.
    ///
    /// Only the part can be read from it. If that is rows, writers of all others copy nothing for it.
    ///
    /// What it has kept when it closes is given back by ``reclaimSome()``, or when a cut of everything closes.
    ///
    /// - Complexity: O(partitions of the part · tables), and O(logs); closing it, too.
    package func cut(of part: StorePart) -> Cut { core.cut(of: part) }

    /// Gives back a piece of what cuts of parts have kept, and of rows that were taken out, for whoever has time.
    ///
    /// - Returns: Whether there is more.
    @discardableResult
    package func reclaimSome() -> Bool { core.reclaimSome() }

    /// Whether there is something for ``reclaimSome()``.
    package var hasReclaimable: Bool { core.hasReclaimable }

    /// Prepares memory as ``prepareForCut()`` does, for a cut of which only a part is read.
    package func prepareForCut(of part: StorePart) { core.prepareForCut(share: part.share) }

    /// Takes over a hash key, if there are no rows and no cuts.
    ///
    /// - Throws: `notEmpty`.
    package func take(_ hashKey: HashKey) throws(StoreError) {
        if core.hashKey == hashKey { return }
        core.endRestore(
            try core.beginRestore(epoch: max(epoch.rawValue, 1) - 1, hashKey: hashKey))
    }

    /// The key of the hash that places rows.
    package var hashKey: HashKey { core.hashKey }

    /// The number of leading hash bits that choose a table's partition.
    package var partitionBits: Int { core.partitionBits }
}
