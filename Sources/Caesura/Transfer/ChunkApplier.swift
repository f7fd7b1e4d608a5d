public import CaesuraFormat
import Synchronization

/// Brings a stream's chunks into an empty store.
///
///     let applier = try ChunkApplier(store, metadata: metadata)
///     // for each chunk, any number of threads, but those of one partition, of one log in their order:
///     try applier.apply(chunk, with: worker)
///     try applier.finish()
///
/// The store takes over the stream's hash key and its epoch. Regions that the store does not declare are
/// kept too, so that nothing is lost by a program that does not know them. A chunk is applied whole or not
/// at all; after an error the store holds the chunks applied so far, until ``abandon()`` or
/// ``Store/removeAll()`` takes them out again.
///
/// Nothing else should write to the store meanwhile: a row that is set where a chunk is still to come makes
/// the restore fail.
public final class ChunkApplier: Sendable {
    /// What the stream says of itself.
    public let metadata: StreamMetadata
    private let store: StoreCore
    private let regions: [RegionCore]
    /// How the stream's chunks are decoded.
    private let layouts: [RegionLayout]
    /// How what is decoded becomes what is stored.
    private let plans: [RowPlan]
    /// Which of the store's restores this is.
    private let number: UInt64
    private let pending = Guarded<[Place: PendingSegments]>([:])
    private let rowsApplied = Atomic<Int>(0)

    /// For each log where its next chunk must begin, once one has come.
    private let nextPositions = Guarded<[Int: UInt64]>([:])

    private struct Place: Hashable {
        var region: Int
        var partition: Int
    }

    /// The memory that decoding reuses.
    ///
    /// One a thread.
    public final class Worker {
        var decoder: ChunkDecoder
        var batches: [ColumnBatch?]
        /// For each region whose rows are stored otherwise than they come.
        let pipelines: [RowPipeline?]

        /// Creates a worker.
        ///
        /// - Parameter limits: What a chunk may ask for.
        public init(for applier: ChunkApplier, limits: Limits = Limits()) {
            decoder = ChunkDecoder(limits: limits)
            batches = Array(repeating: nil, count: applier.regions.count)
            pipelines = applier.plans.map { $0.isIdentity ? nil : RowPipeline($0) }
        }
    }

    /// Prepares a store.
    ///
    /// A cell that has the value it was declared with is as good as empty: the value that comes takes its place.
    ///
    /// Data of other versions of the regions' schemas is resolved as `docs/SCHEMAS.md` says.
    ///
    /// - Throws: `notEmpty` when the store has rows or an open cut; `schemaMismatch` with each difference that is in
    ///   the way; `unsupportedSchema`.
    public init(_ store: Store, metadata: StreamMetadata) throws(StoreError) {
        self.metadata = metadata
        self.store = store.core
        let shapes = try Self.shapes(for: metadata, in: store)
        number = try store.core.beginRestore(
            epoch: metadata.epoch, hashKey: metadata.hashKey, shapes: shapes)
        do throws(StoreError) {
            (regions, plans, layouts) = try Self.regions(for: metadata, in: store)
            let hasItsSchemas = plans.allSatisfy { $0.stored == $0.writer }
            let resolved = plans.filter { !$0.isIdentity }.map { ($0.writer.name, $0.writer) }
            store.core.lastRestore.withLock {
                $0 = (hasItsSchemas, Dictionary(uniqueKeysWithValues: resolved))
            }
        } catch {
            store.core.endRestore(number)
            throw error
        }
    }

    /// How a stream's region is stored in a region of the store.
    private static func plan(
        for schema: RegionSchema, in region: RegionCore
    ) throws(StoreError) -> RowPlan {
        try RowPlan(from: schema, to: region.declared.schema, region.migrations)
    }

    /// Whether a store that takes regions takes their deltas, too.
    ///
    /// - Parameter undone: Whether the deltas are to be undone.
    /// - Throws: `schemaMismatch` when it does not take the regions at all.
    package static func takesDeltas(
        of schemas: [RegionSchema], into store: Store, undone: Bool
    ) throws(StoreError) -> Bool {
        for schema in schemas {
            guard let region = store.core.region(named: schema.name) else { continue }
            let plan = try plan(for: schema, in: region)
            if schema.kind == .log { continue }
            if undone ? !plan.isIdentity : !plan.resolvesDeltas { return false }
        }
        return true
    }

    /// Checks all regions of a stream; the new shapes of those that have another one.
    private static func shapes(
        for metadata: StreamMetadata, in store: Store
    ) throws(StoreError) -> [(region: RegionCore, shape: RegionShape)] {
        var shapes: [(RegionCore, RegionShape)] = []
        for schema in metadata.regions {
            guard let region = store.core.region(named: schema.name) else {
                try TableCore.check(schema, RowLayout(region: schema))
                continue
            }
            let stored = try plan(for: schema, in: region).stored
            if stored == region.schema { continue }
            shapes.append((region, try region.declared.storing(stored)))
        }
        return shapes
    }

    /// The store's regions for the stream's, those declared that it lacks, and how rows get there.
    private static func regions(
        for metadata: StreamMetadata, in store: Store
    ) throws(StoreError) -> ([RegionCore], [RowPlan], [RegionLayout]) {
        var regions: [RegionCore] = []
        var plans: [RowPlan] = []
        var layouts: [RegionLayout] = []
        for schema in metadata.regions {
            if store.core.region(named: schema.name) == nil { try store.declare(schema) }
            guard let region = store.core.region(named: schema.name) else {
                preconditionFailure("a region that was declared is there")
            }
            let plan = try plan(for: schema, in: region)
            guard plan.stored == region.schema else {
                throw StoreError(
                    .regionConflict,
                    "the region was declared otherwise while the restore began; begin again",
                    region: schema.name)
            }
            regions.append(region)
            plans.append(plan)
            do throws(FormatError) {
                // What is stored as it comes is checked for what may stand in the store's rows.
                layouts.append(
                    try RegionLayout(plan.isIdentity ? plan.stored : schema))
            } catch {
                throw StoreError(.unsupportedSchema, error.message, region: schema.name)
            }
        }
        return (regions, plans, layouts)
    }

    deinit {
        store.endRestore(number)
        pending.withLock { pending in
            for segments in pending.values { segments.discard() }
        }
    }

    /// The number of rows applied so far.
    public var rowCount: Int { rowsApplied.load(ordering: .relaxed) }

    /// Applies a chunk of rows or a segment chunk whose checksums were verified.
    ///
    /// Chunks of one partition, or of one log, must come in their order and one at a time; others may come side by
    /// side.
    ///
    /// - Throws: ``FormatError``, `malformed` and others with the chunk's offset, when the bytes break the
    ///   format's rules; ``StoreError``, `restoreDisturbed`, when something else wrote to the store.
    public func apply(_ chunk: VerifiedChunk, with worker: Worker) throws {
        let header = chunk.header
        guard header.region < regions.count else {
            throw FormatError(.malformed, "a chunk of a region there is not", at: chunk.offset)
        }
        let region = regions[header.region]
        guard header.baseEpoch == 0 else {
            throw FormatError(.malformed, "a chunk of a delta in a snapshot", at: chunk.offset)
        }
        let bits = region.schema.kind == .table ? metadata.partitionBits : 0
        guard header.partition < 1 << bits,
            HashRange(partition: header.partition, bits: bits).contains(header.range)
        else {
            throw FormatError(
                .malformed, "a chunk's hash range is not in its partition", at: chunk.offset)
        }
        let layout = layouts[header.region]
        let place = Place(region: header.region, partition: header.partition)
        switch header.role {
        case .segment:
            let segment = try worker.decoder.decode(segment: chunk, layout: layout)
            let segments = pending.withLock { pending in
                let present = pending[place] ?? PendingSegments()
                pending[place] = present
                return present
            }
            try segments.append(segment, at: chunk.offset)
        case region.schema.kind.rowRole:
            let batch = worker.batches[header.region] ?? ColumnBatch(leaves: layout.leaves)
            worker.batches[header.region] = batch
            let pipeline = worker.pipelines[header.region]
            try worker.decoder.decode(
                core: chunk, layout: layout, wanted: pipeline?.wantedLeaves, into: batch)
            let segments =
                pending.withLock { $0.removeValue(forKey: place) } ?? PendingSegments()
            defer { segments.discard() }
            try segments.settle(batch, at: chunk.offset)
            let rows = pipeline?.run(batch, segments) ?? batch
            switch region {
            case .table(let table):
                try apply(rows, to: table, header.range, segments, chunk.offset)
            case .log(let log):
                try apply(rows, to: log, header, segments, chunk.offset)
            }
            rowsApplied.add(rows.rowCount, ordering: .relaxed)
        default:
            throw FormatError(
                .malformed, "a \(header.role) chunk of a region that is a \(region.schema.kind)",
                at: chunk.offset)
        }
    }

    /// Ends the restore.
    ///
    /// - Parameter heads: Where logs go on that had no rows, in the order of the regions: ``StreamEnd/heads``. What
    ///   it says of others is not looked at. Without it they begin at position 0.
    /// - Throws: `malformed` when segments came whose rows did not.
    public func finish(heads: [UInt64] = []) throws(FormatError) {
        if pending.withLock({ !$0.isEmpty }) {
            throw FormatError(.malformed, "the data ends between a large value and its row", at: 0)
        }
        let logs = regions.enumerated().compactMap { index, region in
            if case .log(let log) = region { (index, log) } else { nil }
        }
        for (place, (index, log)) in logs.enumerated() {
            let head = place < heads.count ? heads[place] : 0
            guard head <= Limits.logPositions else {
                throw FormatError(.malformed, "a log begins at position \(head)", at: 0)
            }
            if nextPositions.withLock({ $0[index] }) == nil { begin(log, at: head) }
        }
        store.endRestore(number)
    }

    /// Makes a log that is still empty begin at a position, as long as the restore is under way.
    private func begin(_ log: LogCore, at position: UInt64) {
        log.withLock {
            guard store.restoration.load(ordering: .acquiring) == number,
                unsafe log.body.pointee.extent.pages.isEmpty
            else { return }
            unsafe log.body.pointee.beginBringing()
            unsafe log.body.pointee.begin(at: position)
        }
    }

    /// Ends the restore of a whole stream: the store goes on from it, and takes its deltas.
    func finish(with end: StreamEnd) throws(FormatError) {
        try finish(heads: end.heads)
        store.adoptAncestor(
            place: "", epoch: metadata.epoch, digest: end.digest,
            regions: metadata.regions.map(\.name), isRestored: true)
    }

    /// Gives the restore up: the store is empty again, and takes another.
    ///
    /// Rows that something else has set meanwhile go too, for they cannot be told from those that were restored.
    /// Does nothing when the restore has ended, or when another one has begun or ``Store/removeAll()`` was
    /// called since.
    public func abandon() { store.removeAll(ending: number) }

    private func apply(
        _ batch: ColumnBatch, to table: TableCore, _ range: HashRange, _ segments: PendingSegments,
        _ offset: Int
    ) throws {
        var hasher = BatchHasher(
            hashKey: metadata.hashKey, keyLeafCount: table.layout.keyLeafCount)
        try hasher.hash(batch, in: range, at: offset) { segments.value(row: $0, leaf: $1) }
        // Pages cover ranges no wider than a partition of this store.
        let hashes = unsafe UnsafePointer(hasher.hashes)
        var builder = unsafe PageBuilder(table, batch, hashes, epoch: metadata.epoch, segments)
        let isBuilt = builder.build(range, rows: 0..<batch.rowCount)
        let pages = builder.finish()
        let obstacle =
            isBuilt
            ? attach(pages, to: table, range)
            : .format("a chunk has more rows of one hash than a page takes")
        guard let obstacle else { return }
        for page in pages { table.discard(page.page) }
        switch obstacle {
        case .format(let message): throw FormatError(.malformed, message, at: offset)
        case .store(let message):
            throw StoreError(.restoreDisturbed, message, region: table.schema.name)
        }
    }

    /// Puts a log's next rows behind those that came before.
    private func apply(
        _ batch: ColumnBatch, to log: LogCore, _ header: ChunkHeader, _ segments: PendingSegments,
        _ offset: Int
    ) throws {
        let position = header.range.first
        let expected = nextPositions.withLock { $0[header.region] }
        guard expected == nil || expected == position else {
            throw FormatError(
                .malformed,
                "rows of a log from position \(position) on where \(expected ?? 0) must be",
                at: offset)
        }
        let pages = LogPages(log, batch, segments, epoch: metadata.epoch).build()
        let isBrought = log.withLock {
            guard store.restoration.load(ordering: .acquiring) == number else { return false }
            let extent = unsafe log.body.pointee.extent
            guard expected == nil ? extent.pages.isEmpty : extent.end == position else {
                return false
            }
            unsafe log.body.pointee.beginBringing()
            if expected == nil { unsafe log.body.pointee.begin(at: position) }
            unsafe log.body.pointee.bring(pages)
            return true
        }
        guard isBrought else {
            for (page, _) in pages { log.discard(page) }
            throw StoreError(
                .restoreDisturbed,
                "rows were appended or trimmed while they were restored, or the restore has ended; let "
                    + "nothing write until it has", region: log.schema.name)
        }
        nextPositions.withLock { $0[header.region] = position + UInt64(batch.rowCount) }
    }

    /// What keeps pages from being attached.
    private enum Obstacle {
        case format(String)
        case store(String)
    }

    /// Attaches all pages of a chunk, or none when the table has something in the place of one.
    private func attach(
        _ pages: [(page: Page, range: HashRange)], to table: TableCore, _ range: HashRange
    ) -> Obstacle? {
        // Ascending, as everybody does who takes several locks.
        let partitions =
            table.partitionIndex(of: range.first)...table.partitionIndex(of: range.last)
        var replaced: (root: DirectoryEntry, epoch: UInt64)?
        for index in partitions { unsafe table.partition(index).lock() }
        defer {
            for index in partitions { unsafe table.partition(index).unlock() }
            if let replaced {
                var list = RetiredList(epoch: replaced.epoch)
                table.retireAll(below: replaced.root, withValues: true, into: &list)
                store.giveUp(list)
            }
        }
        guard store.restoration.load(ordering: .acquiring) == number else {
            return .store(
                "the restore has ended, or another one has begun; have one restore at a time")
        }
        if table.isInitial {
            // Nobody sees the cell without a value: the lock is held.
            replaced = unsafe (
                table.partition(0).pointee.detachAll(), table.partition(0).pointee.writeEpoch
            )
            table.isInitial = false
        }
        for page in pages {
            let partition = unsafe table.partition(table.partitionIndex(of: page.range.first))
            if unsafe partition.pointee.isVacant(page.range) { continue }
            return unsafe partition.pointee.isWritten(in: page.range, after: metadata.epoch)
                ? .store(
                    "rows were set while they were restored; let nothing write until the restore has ended"
                )
                : .format("a chunk's hash range overlaps an earlier one")
        }
        for (page, range) in pages {
            unsafe table.partition(table.partitionIndex(of: range.first)).pointee
                .attach(page, range, epoch: metadata.epoch)
        }
        return nil
    }
}
