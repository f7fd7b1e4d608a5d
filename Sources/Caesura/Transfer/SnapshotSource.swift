public import CaesuraFormat

/// A cut as a stream of chunks: what to encode, in order, and how.
///
///     let source = try SnapshotSource(cut)
///     let worker = SnapshotSource.Worker(for: source)      // one a thread
///     while let job = try source.next() {
///         try source.encode(job, with: worker, emit: { header, bytes in ... }, refused: { $0 })
///     }
///
/// ``next()`` hands out jobs in the order of the stream; each gives one core chunk and the segment chunks
/// before it. Jobs can be encoded on several threads, each with its own ``Worker``; the chunks have to be
/// written in the order of the jobs. Memory: the plan of one partition, and each worker's columns.
public final class SnapshotSource: Sendable {
    /// The cut that is read.
    public let cut: Cut
    /// The stream's metadata: what its first chunk holds.
    public let metadata: StreamMetadata
    private let tables: [FrozenTable]
    private let layouts: [RegionLayout]
    private let cursor = Guarded(Cursor())

    private struct Cursor {
        var region = 0
        var partition = -1
        var planner: ChunkPlanner?
        var nextChunk = 0
        var sequence: UInt64 = 0
        var nextOrdinal = 0
    }

    /// One core chunk to encode, with the segments before it.
    public struct Job: @unchecked Sendable {
        // @unchecked: the pages are frozen while the cut is open, and read only inside Cut.read.

        /// The job's place in the stream, from 0.
        public let ordinal: Int
        /// The region, by its index in the metadata.
        public let region: Int
        /// The partition.
        public let partition: Int
        /// The hashes of the rows.
        public let range: HashRange
        let sequence: UInt64
        let pages: [Page]
        let isPartOfPage: Bool
    }

    /// The memory that encoding reuses.
    ///
    /// One a thread.
    public final class Worker {
        var encoder: ChunkEncoder
        var batches: [ColumnBatch?]
        /// Bytes of each leaf in the last core chunk.
        public var leafByteCounts: [Int] { encoder.leafByteCounts }

        /// Creates a worker for a source's regions.
        public init(for source: SnapshotSource) {
            encoder = ChunkEncoder(compression: source.metadata.compression)
            batches = Array(repeating: nil, count: source.tables.count)
        }
    }

    /// Prepares to encode a cut.
    ///
    /// - Parameters:
    ///   - cut: The cut.
    ///   - epoch: The epoch under which it is saved, when that is not the cut's: after a restore, a cut that
    ///     nothing was written before equals what was restored.
    ///   - compression: What bodies are compressed with.
    public init(
        _ cut: Cut, as epoch: UInt64? = nil, compression: Compression = .none
    ) throws(FormatError) {
        self.cut = cut
        tables = cut.tables.sorted { $0.table.schema.name.utf8Precedes($1.table.schema.name) }
        var layouts: [RegionLayout] = []
        for table in tables { layouts.append(try RegionLayout(table.table.schema)) }
        self.layouts = layouts
        metadata = try StreamMetadata(
            epoch: epoch ?? cut.epoch.rawValue, hashKey: cut.store.hashKey,
            partitionBits: cut.store.partitionBits, regions: tables.map(\.table.schema),
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
        while cursor.region < tables.count {
            let table = tables[cursor.region]
            if let planner = cursor.planner, cursor.nextChunk < planner.chunks.count {
                let chunk = planner.chunks[cursor.nextChunk]
                cursor.nextChunk += 1
                defer { cursor.nextOrdinal += 1 }
                let sequence = cursor.sequence
                cursor.sequence += 1 + segmentCount(chunk, planner, table.table)
                return Job(
                    ordinal: cursor.nextOrdinal, region: cursor.region, partition: cursor.partition,
                    range: chunk.range, sequence: sequence,
                    pages: Array(planner.pages[chunk.pages]),
                    isPartOfPage: chunk.isPartOfPage)
            }
            cursor.partition += 1
            cursor.nextChunk = 0
            cursor.sequence = 0
            if cursor.partition == table.table.partitionCount {
                cursor.region += 1
                cursor.partition = -1
                cursor.planner = nil
                continue
            }
            var planner =
                cursor.planner
                ?? ChunkPlanner(
                    table.table, fixedRowWeight: layouts[cursor.region].fixedRowWeight)
            try planner.plan(partition: cursor.partition, root: table.roots[cursor.partition])
            cursor.planner = planner
        }
        return nil
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
        let table = tables[job.region].table
        let batch =
            worker.batches[job.region] ?? ColumnBatch(leaves: layouts[job.region].leaves)
        worker.batches[job.region] = batch
        batch.removeAll()
        let hasOutOfLine = try cut.read(
            { () throws(Failure) in
                var gatherer = PageGatherer(table)
                gatherer.gather(job.pages, in: job.isPartOfPage ? job.range : nil, into: batch)
                return job.pages.contains { unsafe $0.header.pointee.hasOutOfLine }
            }, cancelled: refused)
        var header = ChunkHeader(
            role: .core, region: job.region, fingerprint: layouts[job.region].wireFingerprint,
            partition: job.partition, range: job.range, sequence: job.sequence,
            targetEpoch: metadata.epoch)
        if hasOutOfLine {
            header.role = .segment
            try unsafe encodeSegments(
                of: batch, job, table, &header, worker, emit: emit, refused: refused)
            header.role = .core
        }
        worker.encoder.encode(core: batch, header: header)
        try unsafe emit(worker.encoder.header, worker.encoder.bytes)
    }

    private func encodeSegments<Failure: Error>(
        of batch: ColumnBatch, _ job: Job, _ table: TableCore, _ header: inout ChunkHeader,
        _ worker: Worker, emit: (ChunkHeader, UnsafeRawBufferPointer) throws(Failure) -> Void,
        refused: (StoreError) -> Failure
    ) throws(Failure) {
        let segmented = batch.segmentedValues
        guard !segmented.isEmpty else { return }
        // The large values in the order of the batch's rows.
        let values = try cut.read(
            { () throws(Failure) in
                var gatherer = PageGatherer(table)
                var values: [Int: LargeValue] = [:]
                var row = 0
                for page in job.pages {
                    let heap = unsafe HeapView(page: UnsafeRawPointer(page.base))
                    unsafe row += gatherer.forEachRow(
                        of: page, in: job.isPartOfPage ? job.range : nil
                    ) {
                        index, entry in
                        for (leaf, described) in table.layout.leaves.enumerated() {
                            switch described.kind {
                            case .presence, .fixed: continue
                            case .bytes, .array: break
                            }
                            let reference = unsafe entry.load(
                                fromByteOffset: described.offset, as: HeapReference.self)
                            guard reference.isOutOfLine else { continue }
                            values[(row + index) << 10 | leaf] = heap.largeValue(reference)
                        }
                    }
                }
                return values
            }, cancelled: refused)
        let piece = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Limits.segmentBytes, alignment: 64)
        defer { unsafe piece.deallocate() }
        for value in segmented {
            guard let large = values[value.row << 10 | value.leaf] else {
                preconditionFailure("a segmented value lies outside its page")
            }
            for offset in stride(from: 0, to: value.byteCount, by: Limits.segmentBytes) {
                let size = min(Limits.segmentBytes, value.byteCount - offset)
                try cut.read(
                    { () throws(Failure) in
                        unsafe large.read(offset..<offset + size, into: piece.baseAddress!)
                    }, cancelled: refused)
                unsafe worker.encoder.encode(
                    segment: UnsafeRawBufferPointer(rebasing: piece[..<size]), leaf: value.leaf,
                    row: value.row, offset: offset, header: header)
                try unsafe emit(worker.encoder.header, worker.encoder.bytes)
                header.sequence += 1
            }
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
