/// Where the bytes of a stream go.
public protocol ByteSink: ~Copyable {
    /// What may go wrong there.
    associatedtype Failure: Error

    /// Takes all of `bytes`, which are valid during the call only.
    mutating func write(_ bytes: UnsafeRawBufferPointer) throws(Failure)
}

/// Puts chunks into a stream: metadata first, totals last, the order kept.
///
/// It does no I/O of its own and encodes no rows: workers encode chunks, each with a ``ChunkEncoder``, and
/// hand them here in the order of the stream.
///
///     var writer = try StreamWriter(metadata: metadata, to: sink)
///     try writer.append(encoder.bytes)      // as often as there are chunks
///     let sink = try writer.finish()
public struct StreamWriter<Sink: ByteSink & ~Copyable>: ~Copyable {
    private var sink: Sink
    private var encoder: ChunkEncoder
    private var order: StreamOrder
    private let epoch: UInt64
    private let baseEpoch: UInt64

    /// Writes the metadata chunk.
    ///
    /// - Parameters:
    ///   - metadata: What the stream says of itself.
    ///   - heads: The position of the first row of each log, in the order of the regions; of an empty log that of
    ///     the next row. Where it is nil, logs begin with the first chunk that comes, or at 0.
    ///   - sink: Where the bytes go.
    /// - Throws: What the sink throws.
    public init(
        metadata: StreamMetadata, heads: [UInt64]? = nil, to sink: consuming Sink
    ) throws(Sink.Failure) {
        var encoder = ChunkEncoder(compression: metadata.compression)
        encoder.encode(metadata: metadata)
        order = StreamOrder(metadata: metadata, header: encoder.header, heads: heads)
        epoch = metadata.epoch
        baseEpoch = metadata.baseEpoch
        var sink = sink
        try unsafe sink.write(encoder.bytes)
        self.encoder = encoder
        self.sink = sink
    }

    /// What was written so far, the metadata chunk included.
    public var totals: StreamEnd { order.totals }

    /// Writes a chunk.
    ///
    /// - Parameter chunk: The bytes of one core or segment chunk.
    /// - Precondition: The chunk comes next in the order of the stream.
    /// - Throws: What the sink throws; the stream is then broken and cannot be continued.
    public mutating func append(_ chunk: UnsafeRawBufferPointer) throws(Sink.Failure) {
        let header: ChunkHeader
        do throws(FormatError) {
            header = try unsafe ChunkHeader(reading: chunk)
        } catch {
            preconditionFailure("a chunk that does not come next: \(error)")
        }
        precondition(header.chunkLength == chunk.count, "not exactly one chunk")
        skip(header)
        try unsafe sink.write(chunk)
    }

    /// Counts a chunk that is where the bytes go already, and writes nothing.
    ///
    /// - Precondition: The chunk comes next in the order of the stream.
    public mutating func skip(_ header: ChunkHeader) {
        precondition(header.role != .end, "finish() writes the end chunk")
        do throws(FormatError) {
            try order.accept(header, at: Int(clamping: order.totals.byteCount))
        } catch {
            preconditionFailure("a chunk that does not come next: \(error)")
        }
    }

    /// Writes the end chunk and gives the sink back.
    ///
    /// - Throws: What the sink throws.
    public consuming func finish() throws(Sink.Failure) -> Sink {
        encoder.encode(end: order.totals, epoch: epoch, baseEpoch: baseEpoch)
        do throws(FormatError) {
            try order.accept(encoder.header, at: 0)
        } catch {
            preconditionFailure("the stream cannot end here: \(error)")
        }
        try unsafe sink.write(encoder.bytes)
        return sink
    }
}

/// A sink that keeps the bytes in memory.
public struct ByteArraySink: ByteSink {
    /// The bytes written so far.
    public private(set) var bytes: [UInt8] = []

    /// Creates an empty sink.
    public init() {}

    /// Appends bytes.
    public mutating func write(_ bytes: UnsafeRawBufferPointer) throws(Never) {
        unsafe self.bytes.append(contentsOf: bytes)
    }
}
