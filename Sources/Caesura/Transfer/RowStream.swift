public import CaesuraFormat

extension RegionSchema {
    /// The region that a sequence of rows is, without a store: a log.
    static func log<Row: SchemaStruct>(_ name: String, of row: Row.Type) -> RegionSchema {
        RegionSchema(name: name, kind: .log, key: nil, row: Row.schema)
    }
}

/// Writes a sequence of rows as a stream, without a store.
///
///     var writer = try RowStreamWriter(name: "visits", of: Visit.self, to: sink)
///     for visit in visits { try writer.append(visit) }
///     let sink = try writer.finish()
///
/// The rows keep their order. Memory: the columns of one chunk, and the row that is being written.
public struct RowStreamWriter<Row: SchemaStruct, Sink: ByteSink & ~Copyable>: ~Copyable {
    private var writer: StreamWriter<Sink>
    private var encoder: ChunkEncoder
    private let regionLayout: RegionLayout
    private let scratch: ScratchPage
    private var gatherer: PageGatherer
    private let batch: ColumnBatch
    private var header: ChunkHeader
    private var rowCount = 0
    private var weight = 0
    /// The position of the next row.
    private var position: UInt64 = 0

    /// Begins a stream.
    ///
    /// - Parameters:
    ///   - name: The name of the region that the rows are.
    ///   - row: Their type.
    ///   - compression: What to do with chunk bodies on top of the column codings.
    ///   - sink: Where the bytes go.
    /// - Throws: `format` when the schema is not one that can be written, `sink` what the sink throws.
    public init(
        name: String, of row: Row.Type, compression: Compression = .none, to sink: consuming Sink
    ) throws(SnapshotError<Sink.Failure>) {
        let metadata: StreamMetadata
        let regionLayout: RegionLayout
        do throws(FormatError) {
            regionLayout = try RegionLayout(.log(name, of: row))
            metadata = try StreamMetadata(
                epoch: 1, hashKey: HashKey(k0: 0, k1: 0), partitionBits: 0,
                regions: [regionLayout.schema], compression: compression)
        } catch {
            throw .format(error)
        }
        let layout = RowLayout(row: row)
        do throws(StoreError) {
            try TableCore.check(regionLayout.schema, layout)
        } catch {
            throw .store(error)
        }
        do throws(Sink.Failure) {
            self.writer = try StreamWriter(metadata: metadata, to: sink)
        } catch {
            throw .sink(error)
        }
        self.regionLayout = regionLayout
        encoder = ChunkEncoder(compression: compression)
        scratch = ScratchPage(layout)
        gatherer = PageGatherer(layout)
        batch = ColumnBatch(leaves: regionLayout.leaves)
        header = ChunkHeader(
            role: .log, region: 0, fingerprint: regionLayout.wireFingerprint, position: 0,
            sequence: 0)
    }

    /// Writes the next row.
    ///
    /// - Precondition: No value has more than ``Store/valueByteLimit`` bytes.
    /// - Throws: What the sink throws; the stream is then broken.
    public mutating func append(_ row: Row) throws(SnapshotError<Sink.Failure>) {
        let rowWeight =
            regionLayout.fixedRowWeight
            + Row.heapByteCount(of: row, upTo: Limits.inlineValueBytes)
        let beginsStretch = position % Limits.positionsPerStretch == 0
        if rowCount > 0, beginsStretch || weight + rowWeight > Limits.rowBytesPerChunk {
            try writeChunk()
        }
        if rowCount == 0 { header.range = .position(position) }
        if beginsStretch { header.sequence = 0 }
        position += 1
        var limit = Page.valueLimit
        var needed = Row.heapByteCount(of: row, upTo: limit)
        if needed > scratch.heapCapacity {
            limit = 0
            needed = Row.heapByteCount(of: row, upTo: 0)
        }
        if scratch.rowCount == scratch.capacity || scratch.page.heapRoom < needed { gather() }
        let slot = scratch.rowCount
        _ = scratch.page.takeSlot(
            tag: scratch.tag(slot), stamp: 1, stride: gatherer.stride,
            isChanged: false)
        var heap = unsafe HeapWriter(
            page: scratch.page.base, limit: limit, staged: nil, partition: nil)
        unsafe scratch.row(slot).storeBytes(of: Row.place(row, in: &heap), as: Row.Stored.self)
        rowCount += 1
        weight += rowWeight
        if unsafe scratch.page.header.pointee.hasOutOfLine { try writeSegments(ofSlot: slot) }
    }

    /// Writes what is left and the end of the stream, and gives the sink back.
    public consuming func finish() throws(SnapshotError<Sink.Failure>) -> Sink {
        if rowCount > 0 { try writeChunk() }
        do throws(Sink.Failure) {
            return try writer.finish()
        } catch {
            throw .sink(error)
        }
    }

    /// Moves the rows of the scratch page to the columns.
    private mutating func gather() {
        gatherer.gather([scratch.page], in: nil, into: batch)
        scratch.removeAll()
    }

    private mutating func writeChunk() throws(SnapshotError<Sink.Failure>) {
        gather()
        header.role = .log
        encoder.encode(core: batch, header: header)
        try emit()
        batch.removeAll()
        rowCount = 0
        weight = 0
    }

    /// Writes the pieces of the row's large values at once: they come before their chunk of rows.
    private mutating func writeSegments(ofSlot slot: Int) throws(SnapshotError<Sink.Failure>) {
        var large: [(leaf: Int, value: LargeValue)] = []
        let heap = unsafe HeapView(page: UnsafeRawPointer(scratch.page.base))
        scratch.forEachReference(slot) { leaf, reference in
            guard reference.isOutOfLine else { return }
            let value = heap.largeValue(reference)
            if value.byteCount > Limits.inlineValueBytes { large.append((leaf, value)) }
        }
        header.role = .segment
        for (leaf, value) in large {
            for offset in stride(from: 0, to: value.byteCount, by: Limits.segmentBytes) {
                let size = min(Limits.segmentBytes, value.byteCount - offset)
                unsafe withUnsafeTemporaryAllocation(byteCount: size, alignment: 16) { piece in
                    unsafe value.read(offset..<offset + size, into: piece.baseAddress!)
                    unsafe encoder.encode(
                        segment: UnsafeRawBufferPointer(piece), leaf: leaf, row: rowCount - 1,
                        offset: offset, header: header)
                }
                try emit()
            }
        }
    }

    private mutating func emit() throws(SnapshotError<Sink.Failure>) {
        do throws(Sink.Failure) {
            try unsafe writer.append(encoder.bytes)
        } catch {
            throw .sink(error)
        }
        header.sequence += 1
    }
}

/// Reads rows from a stream as its bytes arrive, in pieces of any size, without a store.
///
///     var reader = RowStreamReader(of: Visit.self)
///     while let piece = read() { try reader.push(piece) { visit in ... } }
///     try reader.finish()
///
/// Each chunk is verified before a row of it is given.
public struct RowStreamReader<Row: SchemaStruct>: ~Copyable {
    private var reader: StreamReader
    private var decoder: ChunkDecoder
    private var regionLayout: RegionLayout?
    private let layout = RowLayout(row: Row.self)
    private let scratch: ScratchPage
    private var batch: ColumnBatch?
    private var segments = PendingSegments()
    /// The error that ended the reading; it is thrown again by each call.
    private var failure: FormatError?

    /// Creates a reader.
    public init(of row: Row.Type, limits: Limits = Limits()) {
        reader = StreamReader(limits: limits)
        decoder = ChunkDecoder(limits: limits)
        scratch = ScratchPage(layout)
    }

    deinit { segments.discard() }

    /// Takes bytes that came and gives the rows that are complete with them.
    ///
    /// - Throws: `schemaMismatch` when the rows have other fields than `Row`; `malformed` and others with
    ///   the offset in the stream. The reader stays failed.
    public mutating func push(
        _ bytes: UnsafeRawBufferPointer, row: (Row) -> Void
    ) throws(FormatError) {
        if let failure { throw failure }
        do throws(FormatError) {
            try unsafe read(bytes, row)
        } catch {
            failure = error
            throw error
        }
    }

    private mutating func read(
        _ bytes: UnsafeRawBufferPointer, _ row: (Row) -> Void
    ) throws(FormatError) {
        unsafe reader.push(bytes)
        while let item = try reader.next() {
            switch item {
            case .metadata(let metadata): try begin(metadata)
            case .chunk(let chunk): try read(chunk, row)
            case .end: break
            }
        }
    }

    /// Takes bytes that came and gives the rows that are complete with them.
    public mutating func push(_ bytes: [UInt8], row: (Row) -> Void) throws(FormatError) {
        try unsafe bytes.span.bytes.withUnsafeBytes { (bytes) throws(FormatError) in
            try unsafe push(bytes, row: row)
        }
    }

    /// Says that no more bytes will come.
    ///
    /// - Throws: `truncated` when the stream is not whole.
    public mutating func finish() throws(FormatError) {
        if let failure { throw failure }
        try reader.finish()
    }

    private mutating func begin(_ metadata: StreamMetadata) throws(FormatError) {
        guard let region = metadata.regions.first, metadata.regions.count == 1, region.kind == .log
        else {
            throw FormatError(
                .schemaMismatch, "the stream is not one sequence of rows; restore it into a store",
                at: 0)
        }
        let own = RegionSchema.log(region.name, of: Row.self)
        guard region.wireFingerprint == own.wireFingerprint else {
            throw FormatError(
                .schemaMismatch,
                "the rows of \(region.name) have other fields than version \(own.row.version) of "
                    + "\(own.row.name)", at: 0)
        }
        // The program's schema: its enumerations say which values may stand in its rows.
        let regionLayout = try RegionLayout(own)
        batch = ColumnBatch(leaves: regionLayout.leaves)
        self.regionLayout = regionLayout
    }

    private mutating func read(
        _ chunk: VerifiedChunk, _ row: (Row) -> Void
    ) throws(FormatError) {
        guard let regionLayout, let batch else {
            preconditionFailure("a stream reader gives the metadata first")
        }
        if chunk.header.role == .segment {
            try segments.append(
                try decoder.decode(segment: chunk, layout: regionLayout), at: chunk.offset)
            return
        }
        try decoder.decode(core: chunk, layout: regionLayout, into: batch)
        let segments = segments
        self.segments = PendingSegments()
        defer { segments.discard() }
        try segments.settle(batch, at: chunk.offset)
        give(batch, segments, row)
    }

    /// Passes the rows through the scratch page and gives them.
    private func give(_ batch: ColumnBatch, _ segments: PendingSegments, _ row: (Row) -> Void) {
        var filler = PageFiller(layout, batch)
        let sums = filler.heapSums()
        let references = layout.leaves.count {
            switch $0.kind {
            case .bytes, .array: true
            case .presence, .fixed: false
            }
        }
        var first = 0
        while first < batch.rowCount {
            var count = 1
            while count < scratch.capacity, first + count < batch.rowCount,
                sums[first + count + 1] - sums[first] <= scratch.heapCapacity
            {
                count += 1
            }
            // One row whose values do not all fit: they go outside.
            let limit = sums[first + 1] - sums[first] > scratch.heapCapacity ? 0 : Page.valueLimit
            precondition(
                limit > 0
                    || references * MemoryLayout<LargeValueRecord>.size <= scratch.heapCapacity,
                "a row's references fit in a page")
            for index in 0..<count {
                filler.takeSlot(of: scratch.page, index: index, tag: scratch.tag(index), epoch: 1)
            }
            filler.fill(scratch.page, row: first, count: count, epoch: 1, limit: limit) {
                segments.take(row: $0, leaf: $1)
            }
            let heap = unsafe HeapView(page: UnsafeRawPointer(scratch.page.base))
            for slot in 0..<count {
                row(unsafe Row.load(scratch.row(slot).load(as: Row.Stored.self), from: heap))
            }
            scratch.removeAll()
            first += count
        }
    }
}
