public import CaesuraFormat

/// What changed between two cuts, as chunks: which ones, in order, and how to encode each.
///
///     let source = try DeltaSource(from: base, to: cut, baseDigest: digest)
///     let worker = DeltaSource.Worker(for: source)          // one a thread
///     while let job = try source.next() {
///         try source.encode(job, with: worker, emit: { header, bytes in ... }, refused: { $0 })
///     }
///
/// ``next()`` compares pages and hands out the changes of one chunk at a time; jobs can be encoded on several
/// threads. Both cuts must stay open until the end. Memory: the changes of one chunk, and each worker's columns.
/// The cost is in proportion to what changed, but for 16 bytes a page: of the partitions that changed in a first delta,
/// then of the nodes of their directories below which something did.
public final class DeltaSource: Sendable {
    /// The earlier cut.
    public let base: Cut
    /// The later cut.
    public let target: Cut
    /// The epoch by which whoever has the base knows it.
    public let baseEpoch: UInt64
    /// The identity of the base: ``StreamEnd/digest`` of the stream that ended there.
    public let baseDigest: UInt64
    /// Whether the base can be rebuilt from the target.
    public let isReversible: Bool
    /// What bodies are compressed with.
    public let compression: Compression
    private let part: StorePart
    private let regions: [FrozenRegion]
    private let baseRegions: [FrozenRegion]
    private let layouts: [RegionLayout]
    private let cursor: Guarded<Cursor>

    private final class Cursor {
        var region = -1
        var scan: ScanBox?
        var planner: LogPlanner?
        /// Ranges of the region that are still to be planned, the next one last.
        var ranges: [HashRange] = []
        var sequence: UInt64 = 0
        var nextOrdinal = 0
        var counts = DeltaCounts()
    }

    /// A scan is noncopyable; a class holds it.
    private final class ScanBox {
        var scan: DeltaScan
        init(_ scan: consuming DeltaScan) { self.scan = scan }
    }

    /// The changes of one chunk.
    public struct Job: @unchecked Sendable {
        // @unchecked: the rows are frozen while both cuts are open, and read only inside Cut.read.

        /// The job's place in the stream, from 0.
        public let ordinal: Int
        /// The region, by its index among the store's, sorted by name.
        public let region: Int
        /// The hashes of the changed rows; of a log the position of the first new one, ``HashRange/position(_:)``.
        public let range: HashRange
        /// The number of its first chunk.
        fileprivate(set) var sequence: UInt64 = 0
        let baseRowCount: UInt64
        let changes: [RowChange]
        let masks: [UInt64]
        let maskWordCount: Int
        /// Position of the range's first row.
        let start: UInt64
        /// Pieces of large values that go before the changes.
        fileprivate(set) var pieces: [LargePiece] = []
        /// The new rows of a log.
        fileprivate(set) var positions: Range<UInt64>?
    }

    /// The memory that encoding reuses.
    ///
    /// One a thread.
    public final class Worker {
        var encoder: ChunkEncoder
        var batches: [DeltaBatch?]
        /// Of logs.
        fileprivate var rows: [ColumnBatch?]

        /// Creates a worker for a source's regions.
        public init(for source: DeltaSource) {
            encoder = ChunkEncoder(compression: source.compression)
            batches = Array(repeating: nil, count: source.regions.count)
            rows = Array(repeating: nil, count: source.regions.count)
        }
    }

    /// Prepares to encode what changed from one cut of a store to a later one.
    ///
    /// - Parameters:
    ///   - base: The earlier cut.
    ///   - baseEpoch: The epoch by which the receiver knows the base, when that is not the cut's: after a
    ///     restore, a cut that nothing was written before equals what was restored.
    ///   - target: The later cut.
    ///   - part: What of the changes is wanted, as of ``SnapshotSource``.
    ///   - baseDigest: The identity of the base.
    ///   - isReversible: Whether the delta also carries the way back.
    ///   - compression: What bodies are compressed with.
    /// - Throws: `noDelta` when a region was declared, or took its Swift types, between the cuts: a snapshot says it;
    ///   and when a reversible delta is wanted and a log was trimmed between the cuts: its rows are not carried back.
    public init(
        from base: Cut, as baseEpoch: UInt64? = nil, to target: Cut, of part: StorePart = .all,
        baseDigest: UInt64, isReversible: Bool = false, compression: Compression = .none
    ) throws(StoreError) {
        precondition(base.store === target.store, "cuts of two stores")
        precondition(base.epoch < target.epoch, "a base after its target")
        precondition(base.sees(part) && target.sees(part), "a cut of another part")
        self.base = base
        self.target = target
        self.baseEpoch = baseEpoch ?? base.epoch.rawValue
        self.part = part
        self.baseDigest = baseDigest
        self.isReversible = isReversible
        self.compression = compression
        regions = target.frozenRegions
        baseRegions = base.frozenRegions
        guard baseRegions.count == regions.count,
            zip(regions, baseRegions).allSatisfy({ $0.core == $1.core })
        else {
            throw StoreError(
                .noDelta, "the store's regions changed since the base; take a snapshot",
                epoch: target.epoch)
        }
        for case (.log(let old), .log(let new)) in zip(baseRegions, regions) where part.hasLogs {
            if isReversible, old.extent.head != new.extent.head {
                throw StoreError(
                    .noDelta,
                    "the log was trimmed since the base, and a delta does not have the rows that went; take one "
                        + "that is not reversible, or a snapshot", region: new.log.schema.name,
                    epoch: target.epoch)
            }
            // A delta was undone in between, and rows may have got the positions of others since.
            if old.extent.returns != new.extent.returns || old.extent.end > new.extent.end
                || old.extent.head > new.extent.head
            {
                throw StoreError(
                    .noDelta, "the log went back since the base; take a snapshot",
                    region: new.log.schema.name, epoch: target.epoch)
            }
        }
        var layouts: [RegionLayout] = []
        for region in regions { layouts.append(try region.core.chunkLayout()) }
        self.layouts = layouts
        cursor = Guarded(Cursor())
    }

    /// The number of regions.
    public var regionCount: Int { regions.count }

    /// The totals of the delta before its first chunk, with what its end says of logs: what chunks are added to.
    public var totals: StreamEnd {
        var end = StreamEnd(regionCount: regionCount, baseDigest: baseDigest)
        end.heads = target.heads
        end.baseHeads = base.heads
        return end
    }

    /// Whether something in a range of hashes, which consists of whole partitions, may have changed.
    ///
    /// - Complexity: O(tables · partitions of the range).
    func mayHaveChanged(in range: HashRange) -> Bool {
        zip(baseRegions, regions).contains { pair in
            guard case (.table(let old), .table(let new)) = pair else { return false }
            return StorePart.rows(range).partitions(of: new.table).contains { index in
                new.roots[index].epoch > base.epoch.rawValue
                    || new.rowCounts[index] != old.rowCounts[index]
            }
        }
    }

    /// How pages were compared so far.
    public var counts: DeltaCounts { cursor.withLock { $0.counts } }

    /// The next job in the order of the stream, or nil at its end.
    ///
    /// - Throws: `cutCancelled`, `cutClosed`, of either cut.
    /// - Complexity: O(changes), and O(bytes) of values of more than 64 KiB that changed.
    public func next() throws(StoreError) -> Job? {
        try cursor.withLock { (cursor) throws(StoreError) in
            let found = try read { () throws(StoreError) in next(cursor) }
            guard var job = found, job.positions == nil else { return found }
            job.pieces = try pieces(of: job)
            job.sequence = cursor.sequence
            cursor.sequence += UInt64(job.pieces.count) + 1
            return job
        }
    }

    /// Runs `body` while no page of either cut can change.
    private func read<Result>(
        _ body: () throws(StoreError) -> Result
    ) throws(StoreError) -> Result {
        try target.read { () throws(StoreError) in try base.read(body) }
    }

    /// The pieces of large values that the job's chunks carry, compared one at a time, so that a cancellation does
    /// not wait for all of a value.
    private func pieces(of job: Job) throws(StoreError) -> [LargePiece] {
        let values = try read { () throws(StoreError) in
            LargeChange.all(
                in: job.changes, job.masks, table(job.region).table, isReversible: isReversible)
        }
        var pieces: [LargePiece] = []
        for value in values {
            for offset in value.offsets
            where try read({ () throws(StoreError) in value.carries(offset) }) {
                pieces.append(value.piece(offset))
            }
        }
        return pieces
    }

    /// A region that is a table or a cell.
    private func table(_ region: Int) -> FrozenTable {
        guard case .table(let frozen) = regions[region] else {
            preconditionFailure("a log is planned by itself")
        }
        return frozen
    }

    /// The next new rows of the log at hand.
    private func nextRows(_ cursor: Cursor) -> Job? {
        guard let chunk = cursor.planner?.nextChunk() else { return nil }
        defer { cursor.nextOrdinal += 1 }
        var job = Job(
            ordinal: cursor.nextOrdinal, region: cursor.region,
            range: .position(chunk.positions.lowerBound), baseRowCount: 0, changes: [], masks: [],
            maskWordCount: 0, start: 0)
        job.sequence = chunk.sequence
        job.positions = chunk.positions
        return job
    }

    private func next(_ cursor: Cursor) -> Job? {
        while true {
            if let job = nextRows(cursor) { return job }
            guard let box = cursor.scan, let range = cursor.ranges.popLast() else {
                if let box = cursor.scan { cursor.counts.add(box.scan.counts) }
                cursor.region += 1
                cursor.scan = nil
                cursor.planner = nil
                guard cursor.region < regions.count else {
                    cursor.region = regions.count
                    return nil
                }
                if case .log(let target) = regions[cursor.region],
                    case .log(let base) = baseRegions[cursor.region]
                {
                    guard part.hasLogs else { continue }
                    cursor.planner = LogPlanner(
                        target, from: max(base.extent.end, target.extent.head),
                        fixedRowWeight: layouts[cursor.region].fixedRowWeight)
                    continue
                }
                guard case .table(let target) = regions[cursor.region],
                    case .table(let base) = baseRegions[cursor.region]
                else { preconditionFailure("both cuts have the region") }
                let partitions = part.partitions(of: target.table)
                if partitions.isEmpty { continue }
                cursor.scan = ScanBox(
                    DeltaScan(
                        base, target, in: partitions, baseEpoch: self.base.epoch.rawValue,
                        fixedRowWeight: layouts[cursor.region].fixedRowWeight))
                cursor.ranges = [part.range]
                cursor.sequence = 0
                continue
            }
            var count = box.scan.pendingCount(upTo: range.last)
            while count <= Limits.rowsPerChunk, !box.scan.hasPassed(range.last) {
                box.scan.advance()
                count = box.scan.pendingCount(upTo: range.last)
            }
            if count == 0 { continue }
            let isOneChunk =
                count == 1
                || count <= Limits.rowsPerChunk
                    && box.scan.pendingWeight(count) <= Limits.rowBytesPerChunk
            if !isOneChunk, let (low, high) = range.halves {
                cursor.ranges.append(high)
                cursor.ranges.append(low)
                continue
            }
            return job(cursor, &box.scan, range, count)
        }
    }

    private func job(
        _ cursor: Cursor, _ scan: inout DeltaScan, _ range: HashRange, _ count: Int
    ) -> Job {
        let (changes, masks) = scan.take(count)
        let range = narrowed(range, to: changes, table(cursor.region).table)
        let start = scan.basePosition(of: range.first)
        let end =
            range.last == .max ? scan.baseRowCount : scan.basePosition(of: range.last + 1)
        defer { cursor.nextOrdinal += 1 }
        return Job(
            ordinal: cursor.nextOrdinal, region: cursor.region, range: range,
            baseRowCount: end - start, changes: changes, masks: masks,
            maskWordCount: scan.maskWordCount, start: start)
    }

    /// The smallest range, but for parts of partitions, that has all changes: who applies them looks at no other.
    private func narrowed(
        _ range: HashRange, to changes: [RowChange], _ table: TableCore
    ) -> HashRange {
        guard range.prefixBits < table.partitionBits, let first = changes.first?.row,
            let last = changes.last?.row
        else { return range }
        let hash = table.keys.hash(first)
        let common = min(
            table.partitionBits, (hash ^ table.keys.hash(last)).leadingZeroBitCount)
        return HashRange(
            prefixBits: common, prefix: common == 0 ? 0 : hash & ~(UInt64.max >> UInt64(common)))
    }

    /// Encodes a job: calls `emit` with its chunks, in order: pieces of large values, then the changes; the bytes are
    /// valid during the call.
    ///
    /// - Throws: What `emit` throws, and what `refused` makes of `cutCancelled` and `cutClosed`.
    public func encode<Failure: Error>(
        _ job: Job, with worker: Worker,
        emit: (ChunkHeader, UnsafeRawBufferPointer) throws(Failure) -> Void,
        refused: (StoreError) -> Failure
    ) throws(Failure) {
        if let positions = job.positions {
            return try unsafe encode(
                positions, of: job, worker, emit: emit, refused: refused)
        }
        let layout = layouts[job.region]
        let batch = worker.batches[job.region] ?? DeltaBatch(leaves: layout.leaves)
        worker.batches[job.region] = batch
        batch.removeAll()
        batch.baseDigest = baseDigest
        batch.isReversible = isReversible
        batch.segmentCount = job.pieces.count
        batch.baseRowCount = job.baseRowCount
        try read({ gather(job, into: batch) }, refused)
        var header = ChunkHeader(
            role: .delta, region: job.region, fingerprint: layout.wireFingerprint,
            partition: 0, range: job.range, sequence: job.sequence,
            targetEpoch: target.epoch.rawValue)
        header.baseEpoch = baseEpoch
        if !job.pieces.isEmpty {
            header.role = .segment
            try unsafe encodePieces(
                of: job, &header, worker, emit: emit, refused: refused)
            header.role = .delta
        }
        worker.encoder.encode(delta: batch, header: header)
        try unsafe emit(worker.encoder.header, worker.encoder.bytes)
    }

    /// Encodes new rows of a log: as a snapshot does, but that the chunks say what they build on.
    private func encode<Failure: Error>(
        _ positions: Range<UInt64>, of job: Job, _ worker: Worker,
        emit: (ChunkHeader, UnsafeRawBufferPointer) throws(Failure) -> Void,
        refused: (StoreError) -> Failure
    ) throws(Failure) {
        guard case .log(let frozen) = regions[job.region] else {
            preconditionFailure("positions are a log's")
        }
        let layout = layouts[job.region]
        let batch = worker.rows[job.region] ?? ColumnBatch(leaves: layout.leaves)
        worker.rows[job.region] = batch
        batch.removeAll()
        try target.read(
            { () throws(Failure) in
                var gatherer = PageGatherer(frozen.log.layout)
                gatherer.gather(frozen.extent, positions, into: batch)
            }, cancelled: refused)
        var header = ChunkHeader(
            role: .segment, region: job.region, fingerprint: layout.wireFingerprint,
            position: positions.lowerBound, sequence: job.sequence)
        header.baseEpoch = baseEpoch
        header.targetEpoch = target.epoch.rawValue
        let segmented = batch.segmentedValues
        if !segmented.isEmpty {
            let values = try target.read(
                { () throws(Failure) in
                    var values = LargeValues(frozen.log.layout)
                    unsafe frozen.forEachRow(in: positions) { unsafe values.note($0, $1, $2) }
                    return values
                }, cancelled: refused)
            try unsafe target.encodeSegments(
                segmented, of: values, &header, &worker.encoder, emit: emit, refused: refused)
        }
        header.role = .log
        worker.encoder.encode(core: batch, header: header, baseDigest: baseDigest)
        try unsafe emit(worker.encoder.header, worker.encoder.bytes)
    }

    private func read<Failure: Error>(
        _ body: () -> Void, _ refused: (StoreError) -> Failure
    ) throws(Failure) {
        try target.read(
            { () throws(Failure) in
                try base.read({ () throws(Failure) in body() }, cancelled: refused)
            }, cancelled: refused)
    }

    private func encodePieces<Failure: Error>(
        of job: Job, _ header: inout ChunkHeader, _ worker: Worker,
        emit: (ChunkHeader, UnsafeRawBufferPointer) throws(Failure) -> Void,
        refused: (StoreError) -> Failure
    ) throws(Failure) {
        let bytes = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Limits.segmentBytes, alignment: 64)
        defer { unsafe bytes.deallocate() }
        for piece in job.pieces {
            try read(
                { unsafe piece.value.read(piece.range, into: bytes.baseAddress!) }, refused)
            unsafe worker.encoder.encode(
                segment: UnsafeRawBufferPointer(rebasing: bytes[..<piece.range.count]),
                leaf: piece.leaf, row: piece.row, offset: piece.range.lowerBound, header: header)
            try unsafe emit(worker.encoder.header, worker.encoder.bytes)
            header.sequence += 1
        }
    }

    /// Copies the changed rows' leaves.
    private func gather(_ job: Job, into batch: DeltaBatch) {
        let layout = table(job.region).table.layout
        var inserted: [FrozenRow] = []
        var removed: [FrozenRow] = []
        var gatherer = ChangeGatherer(layout, batch)
        var index = 0
        while index < job.changes.count {
            let change = job.changes[index]
            guard change.mask >= 0 else {
                if let old = change.old {
                    batch.removed.append(change.position - job.start)
                    removed.append(old)
                } else {
                    inserted.append(change.row)
                }
                index += 1
                continue
            }
            // Neighbours mostly change the same leaves.
            let first = index
            repeat {
                batch.updated.append(job.changes[index].position - job.start)
                index += 1
            } while index < job.changes.count && job.changes[index].mask == change.mask
            let set = job.masks[Int(change.mask)..<Int(change.mask) + job.maskWordCount]
            batch.masks.append(set, count: index - first)
            gatherer.append(job.changes[first..<index]) { leaf in
                set[set.startIndex + leaf >> 6] >> UInt64(leaf & 63) & 1 == 1
            }
        }
        let rows = RowGatherer(layout)
        gather(inserted, into: batch.inserted, rows)
        if isReversible { gather(removed, into: batch.removedRows, rows) }
    }

    private func gather(
        _ rows: [FrozenRow], into batch: ColumnBatch, _ gatherer: RowGatherer
    ) {
        batch.rowCount = rows.count
        for leaf in batch.leaves.indices {
            gatherer.gather(leaf, of: rows, absentToo: false, into: batch.columns[leaf])
        }
    }
}
