public import CaesuraFormat

/// Why a snapshot could not be written or read.
public enum SnapshotError<Failure: Error>: Error {
    /// The store refused, or gave the cut up.
    case store(StoreError)
    /// The bytes, or a schema, are not what the format allows.
    case format(FormatError)
    /// The sink failed.
    case sink(Failure)
}

extension Cut {
    /// Writes the cut as one stream, on this thread, while writers go on.
    ///
    ///     let bytes = try store.cut().write(to: ByteArraySink()).bytes
    ///
    /// The same rows, hash key and options give the same bytes, whatever the order of insertion.
    public func write<Sink: ByteSink>(
        to sink: Sink, compression: Compression = .none
    ) throws(SnapshotError<Sink.Failure>) -> Sink {
        let source: SnapshotSource
        do throws(FormatError) {
            source = try SnapshotSource(self, compression: compression)
        } catch {
            throw .format(error)
        }
        var writer: StreamWriter<Sink>
        do throws(Sink.Failure) {
            writer = try StreamWriter(
                metadata: source.metadata, heads: source.heads, to: sink)
        } catch {
            throw .sink(error)
        }
        let worker = SnapshotSource.Worker(for: source)
        while let job = try source.nextJob(refused: { SnapshotError<Sink.Failure>.store($0) }) {
            try unsafe source.encode(
                job, with: worker,
                emit: { (_, chunk) throws(SnapshotError<Sink.Failure>) in
                    do throws(Sink.Failure) {
                        try unsafe writer.append(chunk)
                    } catch {
                        throw .sink(error)
                    }
                }, refused: { SnapshotError<Sink.Failure>.store($0) })
        }
        do throws(Sink.Failure) {
            return try writer.finish()
        } catch {
            throw .sink(error)
        }
    }
}

/// Brings a stream into an empty store as its bytes arrive, in pieces of any size, on one thread.
///
///     var restorer = StreamRestorer(into: store)
///     while let piece = read() { try restorer.push(piece) }
///     try restorer.finish()
///
/// After an error the store holds the rows that had come; ``Store/removeAll()`` empties it.
public struct StreamRestorer: ~Copyable {
    private let store: Store
    private var reader: StreamReader
    private var applier: ChunkApplier?
    private var worker: ChunkApplier.Worker?
    /// The error that ended the restore; it is thrown again by each call.
    private var failure: SnapshotError<Never>?

    /// Creates a restorer.
    public init(into store: Store, limits: Limits = Limits()) {
        self.store = store
        reader = StreamReader(limits: limits)
    }

    /// The stream's metadata, once it has come.
    public var metadata: StreamMetadata? { applier?.metadata }

    /// Applies what is complete with these bytes.
    ///
    /// - Throws: The first thing that is wrong. The restorer stays failed.
    public mutating func push(
        _ bytes: UnsafeRawBufferPointer
    ) throws(SnapshotError<Never>) {
        if let failure { throw failure }
        do throws(SnapshotError<Never>) {
            try unsafe apply(bytes)
        } catch {
            failure = error
            throw error
        }
    }

    private mutating func apply(
        _ bytes: UnsafeRawBufferPointer
    ) throws(SnapshotError<Never>) {
        unsafe reader.push(bytes)
        do {
            while let item = try reader.next() {
                switch item {
                case .metadata(let metadata):
                    let applier = try ChunkApplier(store, metadata: metadata)
                    worker = ChunkApplier.Worker(for: applier, limits: reader.limits)
                    self.applier = applier
                case .chunk(let chunk):
                    guard let applier, let worker else {
                        preconditionFailure("a stream reader gives the metadata first")
                    }
                    try applier.apply(chunk, with: worker)
                case .end(let end): try applier?.finish(with: end)
                }
            }
        } catch let error as StoreError {
            throw .store(error)
        } catch let error as FormatError {
            throw .format(error)
        } catch {
            preconditionFailure("only these are thrown")
        }
    }

    /// Applies what is complete with these bytes.
    public mutating func push(_ bytes: [UInt8]) throws(SnapshotError<Never>) {
        try unsafe bytes.span.bytes.withUnsafeBytes { (bytes) throws(SnapshotError<Never>) in
            try unsafe push(bytes)
        }
    }

    /// Says that no more bytes will come.
    ///
    /// - Throws: `truncated` when the stream is not whole.
    public mutating func finish() throws(SnapshotError<Never>) {
        if let failure { throw failure }
        do throws(FormatError) {
            try reader.finish()
        } catch {
            throw .format(error)
        }
    }
}
