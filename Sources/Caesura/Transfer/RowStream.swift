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
    private let collector = RowCollector<Row>()
    private var header: ChunkHeader
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
        if collector.rowCount > 0, beginsStretch || weight + rowWeight > Limits.rowBytesPerChunk {
            try writeChunk()
        }
        if collector.rowCount == 0 { header.range = .position(position) }
        if beginsStretch { header.sequence = 0 }
        position += 1
        weight += rowWeight
        // The pieces of large values come before their chunk of rows.
        let place = collector.rowCount
        try collector.append(row) { (leaf, value) throws(SnapshotError<Sink.Failure>) in
            try writeSegments(of: value, leaf: leaf, row: place)
        }
    }

    /// Writes what is left and the end of the stream, and gives the sink back.
    public consuming func finish() throws(SnapshotError<Sink.Failure>) -> Sink {
        if collector.rowCount > 0 { try writeChunk() }
        do throws(Sink.Failure) {
            return try writer.finish()
        } catch {
            throw .sink(error)
        }
    }

    private mutating func writeChunk() throws(SnapshotError<Sink.Failure>) {
        collector.finish()
        header.role = .log
        encoder.encode(core: collector.batch, header: header)
        try emit()
        collector.removeAll()
        weight = 0
    }

    private mutating func writeSegments(
        of value: LargeValue, leaf: Int, row: Int
    ) throws(SnapshotError<Sink.Failure>) {
        header.role = .segment
        for offset in stride(from: 0, to: value.byteCount, by: Limits.segmentBytes) {
            let size = min(Limits.segmentBytes, value.byteCount - offset)
            unsafe withUnsafeTemporaryAllocation(byteCount: size, alignment: 16) { piece in
                unsafe value.read(offset..<offset + size, into: piece.baseAddress!)
                unsafe encoder.encode(
                    segment: UnsafeRawBufferPointer(piece), leaf: leaf, row: row, offset: offset,
                    header: header)
            }
            try emit()
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
    private var batch: ColumnBatch?
    private var pipeline: RowPipeline?
    private var loader: RowLoader<Row>?
    private var segments = PendingSegments()
    /// The error that ended the reading; it is thrown again by each call.
    private var failure: FormatError?

    /// Creates a reader.
    public init(of row: Row.Type, limits: Limits = Limits()) {
        reader = StreamReader(limits: limits)
        decoder = ChunkDecoder(limits: limits)
    }

    deinit { segments.discard() }

    /// Takes bytes that came and gives the rows that are complete with them.
    ///
    /// Rows of other versions of the schema are resolved as `docs/SCHEMAS.md` says; what `Row` does not have is left out.
    ///
    /// - Throws: `schemaMismatch` when they cannot be; `malformed` and others with the offset in the stream. The reader
    ///   stays failed.
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
        let plan: RowPlan
        do throws(StoreError) {
            plan = try RowPlan(from: region, to: own, [])
        } catch {
            throw FormatError(.schemaMismatch, error.message, at: 0)
        }
        // What is taken as it comes is checked for what may stand in the program's rows.
        let regionLayout = try RegionLayout(plan.isIdentity ? plan.stored : region)
        batch = ColumnBatch(leaves: regionLayout.leaves)
        if !plan.isIdentity { pipeline = RowPipeline(plan) }
        loader = RowLoader(RowLayout(row: Row.self).keeping(from: own, to: plan.stored).layout)
        self.regionLayout = regionLayout
    }

    private mutating func read(
        _ chunk: VerifiedChunk, _ row: (Row) -> Void
    ) throws(FormatError) {
        guard let regionLayout, let batch, let loader else {
            preconditionFailure("a stream reader gives the metadata first")
        }
        if chunk.header.role == .segment {
            try segments.append(
                try decoder.decode(segment: chunk, layout: regionLayout), at: chunk.offset)
            return
        }
        try decoder.decode(
            core: chunk, layout: regionLayout, wanted: pipeline?.wantedLeaves, into: batch)
        let segments = segments
        self.segments = PendingSegments()
        defer { segments.discard() }
        try segments.settle(batch, at: chunk.offset)
        loader.forEach(in: pipeline?.run(batch, segments) ?? batch, segments, row)
    }
}
