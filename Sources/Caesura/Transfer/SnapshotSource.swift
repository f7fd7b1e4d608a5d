public import CaesuraFormat

/// A cut as a stream of chunks: what to encode, in order, and how.
///
///     let source = try SnapshotSource(cut)
///     let worker = SnapshotSource.Worker(for: source)      // one a thread
///     while let job = try source.next() {
///         try source.encode(job, with: worker, emit: { header, bytes in ... }, refused: { $0 })
///     }
///
/// ``next()`` hands out jobs in the order of the stream; each gives one chunk of rows and the segment chunks
/// before it. Jobs can be encoded on several threads, each with its own ``Worker``; the chunks have to be
/// written in the order of the jobs. Memory: the plan of one partition, and each worker's columns.
public final class SnapshotSource: Sendable {
    /// The cut that is read.
    public let cut: Cut
    /// The stream's metadata: what its first chunk holds.
    public let metadata: StreamMetadata
    /// The position of the first row of each log, in the order of the regions; of an empty log that of the next row.
    ///
    /// What ``StreamWriter`` wants to know.
    public let heads: [UInt64]
    private let regions: [FrozenRegion]
    private let layouts: [RegionLayout]
    private let kept: [String: Range<UInt64>]
    private let part: StorePart
    private let cursor = Guarded(Cursor())

    private struct Cursor {
        var region = 0
        /// The next partition of the region to plan; nil when none of the region was.
        var partition: Int?
        var planner: ChunkPlanner?
        var logPlanner: LogPlanner?
        var nextChunk = 0
        var sequence: UInt64 = 0
        var nextOrdinal = 0
    }

    /// One chunk of rows to encode, with the segments before it.
    public struct Job: @unchecked Sendable {
        // @unchecked: the pages are frozen while the cut is open, and read only inside Cut.read.

        /// The job's place in the stream, from 0.
        public let ordinal: Int
        /// The region, by its index in the metadata.
        public let region: Int
        /// The partition.
        public let partition: Int
        /// The hashes of the rows; of a log the position of the first row, ``HashRange/position(_:)``.
        public let range: HashRange
        let sequence: UInt64
        let rows: Rows
    }

    /// Where a job's rows are.
    enum Rows {
        /// In pages of a table; those outside the job's range are not meant where it is only part of a page.
        case table([Page], isPartOfPage: Bool)
        case log(Range<UInt64>)
    }

    /// The memory that encoding reuses.
    ///
    /// One a thread.
    public final class Worker {
        var encoder: ChunkEncoder
        var batches: [ColumnBatch?]
        /// Bytes of each leaf in the last chunk of rows.
        public var leafByteCounts: [Int] { encoder.leafByteCounts }

        /// Creates a worker for a source's regions.
        public init(for source: SnapshotSource) {
            encoder = ChunkEncoder(compression: source.metadata.compression)
            batches = Array(repeating: nil, count: source.regions.count)
        }
    }

    /// Prepares to encode a cut.
    ///
    /// - Parameters:
    ///   - cut: The cut.
    ///   - epoch: The epoch under which it is saved, when that is not the cut's: after a restore, a cut that
    ///     nothing was written before equals what was restored.
    ///   - part: What of the cut is wanted; the stream is one of the whole store that has nothing else. A part of rows is
    ///     made of whole partitions of the store.
    ///   - compression: What bodies are compressed with.
    ///   - kept: For logs, by name, the positions whose chunks the receiver has from an earlier cut of this store
    ///     with the same regions and options: from the log's head then on. Of sealed stretches that lie within them, and
    ///     of which nothing was trimmed since, no chunks are made: those would be the same, to the byte. What comes
    ///     is then no whole stream; the receiver puts it together.
    public init(
        _ cut: Cut, as epoch: UInt64? = nil, of part: StorePart = .all,
        compression: Compression = .none, keeping kept: [String: Range<UInt64>] = [:]
    ) throws(FormatError) {
        precondition(cut.sees(part), "a cut of another part")
        self.cut = cut
        self.kept = kept
        self.part = part
        regions = cut.frozenRegions
        heads = cut.heads
        var layouts: [RegionLayout] = []
        for region in regions { layouts.append(try RegionLayout(region.schema)) }
        self.layouts = layouts
        metadata = try StreamMetadata(
            epoch: epoch ?? cut.epoch.rawValue, hashKey: cut.store.hashKey,
            partitionBits: cut.store.partitionBits, regions: regions.map(\.schema),
            compression: compression)
    }

    /// The next job in the order of the stream, or nil at its end.
    ///
    /// - Throws: `cutCancelled`, `cutClosed`; `inconsistentData` for rows the format has no place for.
    public func next() throws(StoreError) -> Job? {
        try cut.read { () throws(StoreError) in
            try cursor.withLock { (cursor) throws(StoreError) in try next(&cursor) }
        }
    }

    /// ``next()`` with the caller's error.
    func nextJob<Failure: Error>(
        refused: (StoreError) -> Failure
    ) throws(Failure) -> Job? {
        do throws(StoreError) {
            return try next()
        } catch {
            throw refused(error)
        }
    }

    private func next(_ cursor: inout Cursor) throws(StoreError) -> Job? {
        while cursor.region < regions.count {
            let job =
                switch regions[cursor.region] {
                case .table(let frozen): try next(&cursor, of: frozen)
                case .log(let frozen): try next(&cursor, of: frozen)
                }
            if let job {
                cursor.nextOrdinal += 1
                return job
            }
            cursor.region += 1
            cursor.partition = nil
            cursor.planner = nil
            cursor.logPlanner = nil
        }
        return nil
    }

    private func next(
        _ cursor: inout Cursor, of frozen: FrozenLog
    ) throws(StoreError) -> Job? {
        guard part.hasLogs else { return nil }
        guard frozen.extent.end <= Limits.logPositions else {
            // Only data that was restored can have brought it there.
            throw StoreError(
                .inconsistentData, "the log has rows at positions from 2 to the power 63 on",
                region: frozen.log.schema.name, epoch: cut.epoch)
        }
        var planner =
            cursor.logPlanner
            ?? LogPlanner(
                frozen, from: frozen.extent.head,
                fixedRowWeight: layouts[cursor.region].fixedRowWeight,
                keeping: kept[frozen.log.schema.name] ?? 0..<0)
        // Not held twice while it changes.
        cursor.logPlanner = nil
        defer { cursor.logPlanner = planner }
        guard let chunk = planner.nextChunk() else { return nil }
        return Job(
            ordinal: cursor.nextOrdinal, region: cursor.region, partition: 0,
            range: .position(chunk.positions.lowerBound), sequence: chunk.sequence,
            rows: .log(chunk.positions))
    }

    private func next(
        _ cursor: inout Cursor, of frozen: FrozenTable
    ) throws(StoreError) -> Job? {
        let table = frozen.table
        let partitions = part.partitions(of: table)
        while true {
            if let planner = cursor.planner, let partition = cursor.partition,
                cursor.nextChunk < planner.chunks.count
            {
                let chunk = planner.chunks[cursor.nextChunk]
                cursor.nextChunk += 1
                let sequence = cursor.sequence
                cursor.sequence += 1 + segmentCount(chunk, planner, table)
                return Job(
                    ordinal: cursor.nextOrdinal, region: cursor.region, partition: partition,
                    range: chunk.range, sequence: sequence,
                    rows: .table(
                        Array(planner.pages[chunk.pages]), isPartOfPage: chunk.isPartOfPage))
            }
            let partition = cursor.partition.map { $0 + 1 } ?? partitions.lowerBound
            guard partition < partitions.upperBound else { return nil }
            cursor.partition = partition
            cursor.nextChunk = 0
            cursor.sequence = 0
            var planner =
                cursor.planner
                ?? ChunkPlanner(table, fixedRowWeight: layouts[cursor.region].fixedRowWeight)
            try planner.plan(partition: partition, root: frozen.roots[partition])
            cursor.planner = planner
        }
    }

    /// The number of segment chunks before a core chunk.
    private func segmentCount(
        _ chunk: PlannedChunk, _ planner: ChunkPlanner, _ table: TableCore
    ) -> UInt64 {
        var count = 0
        for page in planner.pages[chunk.pages] where unsafe page.header.pointee.hasOutOfLine {
            let heap = unsafe HeapView(page: UnsafeRawPointer(page.base))
            for slot in page.usedSlots {
                let entry = unsafe page.entries + slot * table.layout.stride
                if chunk.isPartOfPage, unsafe !chunk.range.contains(table.keys.hash(entry, heap)) {
                    continue
                }
                for offset in table.pageLayout.referenceOffsets {
                    let bytes = unsafe heap.byteCount(
                        of: entry.load(fromByteOffset: offset, as: HeapReference.self))
                    if bytes > Limits.inlineValueBytes {
                        count += (bytes + Limits.segmentBytes - 1) / Limits.segmentBytes
                    }
                }
            }
        }
        return UInt64(count)
    }

    /// Encodes a job: calls `emit` with each of its chunks, in order; the bytes are valid during the call.
    ///
    /// The rows are copied out of the pages first, so a cancellation of the cut waits for no encoding; a
    /// large value's segments are copied one by one.
    public func encode<Failure: Error>(
        _ job: Job, with worker: Worker,
        emit: (ChunkHeader, UnsafeRawBufferPointer) throws(Failure) -> Void,
        refused: (StoreError) -> Failure
    ) throws(Failure) {
        let region = regions[job.region]
        let batch =
            worker.batches[job.region] ?? ColumnBatch(leaves: layouts[job.region].leaves)
        worker.batches[job.region] = batch
        batch.removeAll()
        try cut.read(
            { () throws(Failure) in
                switch (region, job.rows) {
                case (.table(let frozen), .table(let pages, let isPartOfPage)):
                    var gatherer = PageGatherer(frozen.table)
                    gatherer.gather(pages, in: isPartOfPage ? job.range : nil, into: batch)
                case (.log(let frozen), .log(let positions)):
                    var gatherer = PageGatherer(frozen.log.layout)
                    gatherer.gather(frozen.extent, positions, into: batch)
                default: preconditionFailure("a job of another region")
                }
            }, cancelled: refused)
        var header = ChunkHeader(
            role: .segment, region: job.region, fingerprint: layouts[job.region].wireFingerprint,
            partition: job.partition, range: job.range, sequence: job.sequence,
            targetEpoch: region.schema.kind == .log ? 0 : metadata.epoch)
        let segmented = batch.segmentedValues
        if !segmented.isEmpty {
            let values = try cut.read(
                { () throws(Failure) in
                    var values = LargeValues(region.layout)
                    unsafe forEachRow(of: job, in: region) { unsafe values.note($0, $1, $2) }
                    return values
                }, cancelled: refused)
            try unsafe cut.encodeSegments(
                segmented, of: values, &header, &worker.encoder, emit: emit, refused: refused)
        }
        header.role = region.schema.kind.rowRole
        worker.encoder.encode(core: batch, header: header)
        try unsafe emit(worker.encoder.header, worker.encoder.bytes)
    }

    /// Calls `body` with each of a job's rows: its number, its entry and what that refers to.
    private func forEachRow(
        of job: Job, in region: FrozenRegion, _ body: (Int, UnsafeRawPointer, HeapView) -> Void
    ) {
        switch (region, job.rows) {
        case (.table(let frozen), .table(let pages, let isPartOfPage)):
            var gatherer = PageGatherer(frozen.table)
            var row = 0
            for page in pages {
                let heap = unsafe HeapView(page: UnsafeRawPointer(page.base))
                unsafe row += gatherer.forEachRow(of: page, in: isPartOfPage ? job.range : nil) {
                    index, entry in
                    unsafe body(row + index, entry, heap)
                }
            }
        case (.log(let frozen), .log(let positions)):
            unsafe frozen.forEachRow(in: positions, body)
        default: preconditionFailure("a job of another region")
        }
    }
}

extension String {
    /// Whether the UTF-8 of this string is that of `other`: whether names in a stream are the same.
    ///
    /// Swift takes strings for equal that look the same.
    func utf8Equals(_ other: String) -> Bool { utf8.elementsEqual(other.utf8) }

    /// Whether the UTF-8 of this string comes before that of `other`: the order of names in a stream.
    func utf8Precedes(_ other: String) -> Bool { utf8.lexicographicallyPrecedes(other.utf8) }
}
