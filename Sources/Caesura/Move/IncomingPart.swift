package import CaesuraFormat

/// A part of another store's state on its way into this one: `docs/MIGRATION.md` section 4, "Incoming rows".
///
///     let incoming = try IncomingPart(.rows(range), into: store, metadata: metadata)
///     try incoming.apply(chunk)              // of the snapshot; then
///     try incoming.finish(end, at: epoch)
///     try incoming.beginDelta()              // of each delta, as often as there are some
///     try incoming.apply(chunk)
///     try incoming.finish(end, at: epoch)
///     try incoming.adopt()                   // now they are the store's
///
/// Until then nobody sees its rows but who holds this: they lie in a store of their own, which shares memory, hash key and
/// shapes with the other. To drop the part is to let go of it. One thread at a time uses it, but for cuts.
package final class IncomingPart {
    /// The part.
    package let part: StorePart
    /// The store that its rows lie in until they are adopted.
    package let staging: Store
    private let store: Store
    private let limits: Limits
    /// What the regions are, in the order of the chunks' numbers.
    private let kinds: [RegionKind]
    private var phase: Phase

    private enum Phase {
        case snapshot(ChunkApplier, ChunkApplier.Worker)
        case delta(DeltaApplier, DeltaApplier.Worker)
        /// A round has ended.
        case complete
        /// The store has the rows.
        case adopted
    }

    /// How far ahead the epochs of a stream may be: a peer that is further would use up the 47 bits of epochs.
    ///
    /// At ten cuts a second, 13 years.
    package static let epochLead: UInt64 = 1 << 32

    /// Begins with the metadata of a snapshot of the part.
    ///
    /// - Throws: `notEmpty` when the store has rows in place of the part's; `schemaMismatch`, `unsupportedSchema`;
    ///   `inconsistentData` when the stream does not go with the store: another hash key, or an epoch that is too far ahead.
    package init(
        _ part: StorePart, into store: Store, metadata: StreamMetadata, limits: Limits = Limits()
    ) throws(StoreError) {
        func refuse(_ message: String) -> StoreError {
            StoreError(
                .inconsistentData, message, epoch: Epoch(rawValue: metadata.epoch))
        }
        guard metadata.hashKey == store.core.hashKey else {
            throw refuse("the rows come with another hash key; configure all nodes with one")
        }
        let (lead, isBehind) = metadata.epoch.subtractingReportingOverflow(store.epoch.rawValue)
        guard isBehind || lead <= Self.epochLead else {
            throw refuse("the epoch is more than 2 to the power 32 ahead of this store's")
        }
        try store.core.checkVacancy(of: part)
        self.part = part
        self.store = store
        self.limits = limits
        kinds = metadata.regions.map(\.kind)
        staging = try Store(core: store.core.staging())
        let applier = try ChunkApplier(staging, metadata: metadata)
        phase = .snapshot(applier, ChunkApplier.Worker(for: applier, limits: limits))
    }

    deinit {
        phase = .complete
        // Its pages are of the other store's memory, and do not go with it.
        staging.removeAll()
    }

    /// What the part was last brought to: epoch and digest of the last round's end; nil before the first has ended.
    package var state: (epoch: UInt64, digest: UInt64)? {
        staging.ancestor.map { ($0.epoch, $0.digest) }
    }

    /// The number of rows that have come.
    package var rowCount: Int {
        staging.regions.reduce(0) { $0 + (staging.rowCount(of: $1.name) ?? 0) }
    }

    /// Applies a chunk of the round that was begun; chunks of a partition in their order.
    ///
    /// - Throws: ``FormatError`` and ``StoreError``, as ``ChunkApplier`` and ``DeltaApplier`` do.
    package func apply(_ chunk: VerifiedChunk) throws {
        let region = chunk.header.region
        guard region < kinds.count, part.contains(chunk.header, of: kinds[region]) else {
            throw FormatError(
                .malformed, "a chunk of rows that are not of the part that moves",
                at: chunk.offset)
        }
        switch phase {
        case .snapshot(let applier, let worker): try applier.apply(chunk, with: worker)
        case .delta(let applier, let worker): _ = try applier.apply(chunk, with: worker)
        case .complete, .adopted:
            throw FormatError(.malformed, "a chunk behind the end of a round", at: chunk.offset)
        }
    }

    /// Begins a delta that builds on what the last round has brought.
    package func beginDelta() throws(StoreError) {
        guard case .complete = phase else {
            throw StoreError(.wrongBase, "a round begins before the one before it has ended")
        }
        let applier = try DeltaApplier(staging)
        phase = .delta(applier, DeltaApplier.Worker(for: applier, limits: limits))
    }

    /// Ends a round.
    ///
    /// - Parameters:
    ///   - end: What its end chunk says.
    ///   - epoch: That of its cut.
    /// - Throws: When chunks are missing, or do not lead there.
    package func finish(_ end: StreamEnd, at epoch: UInt64) throws {
        switch phase {
        case .snapshot(let applier, _): try applier.finish(with: end)
        case .delta(let applier, _): try applier.finish(end, at: epoch)
        case .complete, .adopted:
            throw StoreError(.inconsistentData, "the end of a round that has not begun")
        }
        phase = .complete
    }

    /// Makes the rows the store's, as one change: a cut sees all of them or none.
    ///
    /// No row is copied. All cuts of ``staging`` must be closed.
    ///
    /// - Complexity: O(partitions of the part · tables), under their locks.
    /// - Throws: `notEmpty` when rows lie there meanwhile; `schemaMismatch` when the store has rows of the same regions under
    ///   other fields; nothing has changed then.
    package func adopt() throws(StoreError) {
        guard case .complete = phase else {
            throw StoreError(.inconsistentData, "a part whose last round has not ended")
        }
        try store.core.adopt(part, from: staging.core)
        phase = .adopted
    }
}

extension Store {
    /// Takes the rows of a part out, as one change; cells get their initial values.
    ///
    /// Cuts that are open keep them.
    ///
    /// - Complexity: O(partitions of the part · tables) while writers of these wait, then O(pages) beside them.
    package func remove(_ part: StorePart) { core.remove(part) }

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
