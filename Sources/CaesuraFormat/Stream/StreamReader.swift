/// Takes a stream apart as its bytes arrive, in pieces of any size.
///
/// It does no I/O: push what came, then ask for what is complete. Each chunk it gives is verified and in
/// order; the totals are checked before the end is reported.
///
///     while let piece = read() {
///         reader.push(piece)
///         while let item = try reader.next() { … }
///     }
///     try reader.finish()
///
/// It holds one chunk and the last piece, and grows only by bytes that really came.
public struct StreamReader: ~Copyable {
    /// What a stream consists of.
    public enum Item {
        /// The stream has begun.
        case metadata(StreamMetadata)
        /// A chunk of rows or a segment chunk, valid until the reader is next called.
        case chunk(VerifiedChunk)
        /// The stream is whole.
        case end(StreamEnd)
    }

    /// The sizes it accepts.
    public let limits: Limits

    private var decoder: ChunkDecoder
    /// What may come next; nil before the metadata chunk.
    private var order: StreamOrder?
    private var hasEnded = false
    /// Bytes that came; those before `consumed` are done with.
    private var buffer = ByteWriter()
    private var consumed = 0
    /// The offset in the stream of the buffer's first byte.
    private var origin = 0
    /// The error that ended the reading; it is thrown again by each call.
    private var failure: FormatError?

    /// Creates a reader at the start of a stream.
    public init(limits: Limits = Limits()) {
        self.limits = limits
        decoder = ChunkDecoder(limits: limits)
    }

    /// The offset in the stream of the next byte to be made sense of.
    public var offset: Int { origin + consumed }

    /// Takes bytes that came; they are copied.
    public mutating func push(_ bytes: UnsafeRawBufferPointer) {
        discardConsumed()
        unsafe buffer.append(bytes)
    }

    /// Takes bytes that came.
    public mutating func push(_ bytes: [UInt8]) {
        discardConsumed()
        buffer.append(contentsOf: bytes)
    }

    /// The next item; nil when more bytes are needed, or the stream has ended.
    ///
    /// - Throws: The first thing that is wrong, with its offset in the stream. The reader stays failed.
    public mutating func next() throws(FormatError) -> Item? {
        if let failure { throw failure }
        do {
            return try readItem()
        } catch {
            failure = error
            throw error
        }
    }

    /// Says that no more bytes will come.
    ///
    /// - Throws: `truncated` when the stream is not whole, with the offset where it ends.
    public mutating func finish() throws(FormatError) {
        if let failure { throw failure }
        guard hasEnded else {
            throw FormatError(
                .truncated, "the stream ends before its end chunk", at: origin + buffer.count)
        }
        try expectNothing()
    }

    private mutating func readItem() throws(FormatError) -> Item? {
        if hasEnded {
            try expectNothing()
            return nil
        }
        guard let chunk = try completeChunk() else { return nil }
        consumed += chunk.header.chunkLength
        guard order != nil else {
            let metadata = try decoder.decode(metadata: chunk)
            order = StreamOrder(metadata: metadata, header: chunk.header)
            return .metadata(metadata)
        }
        try order?.accept(chunk.header, at: chunk.offset)
        guard chunk.header.role == .end else { return .chunk(chunk) }
        let end = try decoder.decode(end: chunk)
        if let order { try check(end, against: order.totals, at: chunk.offset) }
        hasEnded = true
        return .end(end)
    }

    /// The chunk at the front, verified; nil while part of it is missing.
    private func completeChunk() throws(FormatError) -> VerifiedChunk? {
        let bytes = unsafe UnsafeRawBufferPointer(rebasing: buffer.bytes[consumed...])
        guard let headerLength = try unsafe ChunkHeader.length(at: bytes, origin: offset),
            bytes.count >= headerLength
        else { return nil }
        // The header is checked as soon as it is there, so that a wrong one is not waited for.
        let header = try unsafe ChunkHeader(reading: bytes, origin: offset, limits: limits)
        guard bytes.count >= header.chunkLength else { return nil }
        return try unsafe VerifiedChunk(verifying: bytes, origin: offset, limits: limits)
    }

    private func check(
        _ end: StreamEnd, against totals: StreamEnd, at offset: Int
    ) throws(FormatError) {
        guard end.chunkCount == totals.chunkCount, end.byteCount == totals.byteCount,
            end.regions == totals.regions, order?.hasHeads(end.heads) == true
        else {
            throw FormatError(.malformed, "the stream is not what its end chunk says", at: offset)
        }
        guard end.digest == totals.digest else {
            throw FormatError(
                .checksumMismatch, "the stream's chunks are not those that were written", at: offset
            )
        }
    }

    private func expectNothing() throws(FormatError) {
        guard consumed == buffer.count else {
            throw FormatError(.malformed, "bytes behind the end of the stream", at: offset)
        }
    }

    /// Moves the bytes not yet consumed to the front.
    private mutating func discardConsumed() {
        guard consumed > 0 else { return }
        buffer.removeFirst(consumed)
        origin += consumed
        consumed = 0
    }
}
