/// Turns columns, pieces of large values, metadata and totals into chunks.
///
/// One worker keeps one encoder: its buffers grow while it warms up and are used again for each chunk.
///
///     output   │ room │ header │ directory │ block 0 │ block 1 │ … │
///                     start    bodyStart
///
/// Blocks are written first, behind room for the header and the directory, whose lengths depend on
/// them; these are then set right before the blocks. So no body is copied.
public struct ChunkEncoder: ~Copyable {
    /// How bodies are stored.
    public let compression: Compression
    /// The header of the last chunk, complete.
    public private(set) var header = ChunkHeader(role: .end, targetEpoch: 0)
    /// The bytes that each leaf took in the last core chunk, before compression; for telemetry.
    public private(set) var leafByteCounts: [Int] = []

    private var columns = ColumnEncoder()
    private var deltas = DeltaEncoder()
    private var output = ByteWriter()
    private var packed = ByteWriter()
    /// Small parts that are set before the body: the directory, then the header.
    private var front = ByteWriter()
    private var compressor = ZstdCompressor()
    private var start = 0

    /// Creates an encoder.
    public init(compression: Compression = .none) { self.compression = compression }

    /// The last chunk; valid until the next call.
    public var bytes: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(rebasing: output.bytes[start...])
    }

    /// Encodes the rows of a hash range, of a stretch of a log, or of a cell.
    ///
    /// - Parameters:
    ///   - batch: The rows in hash order, or in that of positions, 1...8,192 of them.
    ///   - header: Role `.core`, `.log` or `.cell`, region, fingerprint, partition, range, sequence and epoch; the rest is
    ///     filled in.
    ///   - baseDigest: The identity of the base, for a chunk of a log that belongs to a delta.
    /// - Complexity: O(values); no allocation once warm.
    public mutating func encode(
        core batch: ColumnBatch, header: ChunkHeader, baseDigest: UInt64? = nil
    ) {
        precondition(
            (header.baseEpoch > 0) == (baseDigest != nil), "a base has an epoch and a digest")
        precondition(
            header.role == .core || header.role == .log || header.role == .cell,
            "the header of a chunk of rows")
        precondition(
            (1...Limits.rowsPerChunk).contains(batch.rowCount), "a chunk of \(batch.rowCount) rows")
        let leafCount = batch.columns.count
        leafByteCounts.removeAll(keepingCapacity: true)
        output.truncate(to: 0)
        // A directory entry is a leaf index below 1,024 and a length below 2^35.
        let room = ChunkHeader.room + 8 + 2 + leafCount * 7
        leave(room)
        for column in batch.columns {
            let before = output.count
            columns.encode(column, into: &output)
            leafByteCounts.append(output.count - before)
        }
        front.truncate(to: 0)
        if let baseDigest { front.append(littleEndian: baseDigest) }
        front.append(varint: UInt64(leafCount))
        for (leaf, byteCount) in leafByteCounts.enumerated() {
            front.append(varint: UInt64(leaf))
            front.append(varint: UInt64(byteCount))
        }
        let bodyStart = room - front.count
        unsafe output.overwrite(at: bodyStart, with: front.bytes)
        self.header = header
        self.header.rowCount = batch.rowCount
        finish(bodyStart: bodyStart)
    }

    /// Encodes a piece of a large value.
    ///
    /// - Parameters:
    ///   - bytes: The piece: ``Limits/segmentBytes``, or what is left of the value.
    ///   - leaf: The value's leaf, or in a delta that of an old value: see ``Segment/leaf``.
    ///   - row: The value's row in the core or delta chunk that will follow.
    ///   - offset: Where the piece begins in the value, in bytes.
    ///   - header: Role `.segment`, and the fields of the core or delta chunk that will follow but for its
    ///     sequence.
    public mutating func encode(
        segment bytes: UnsafeRawBufferPointer, leaf: Int, row: Int, offset: Int, header: ChunkHeader
    ) {
        precondition(header.role == .segment, "a segment chunk's header")
        precondition((1...Limits.segmentBytes).contains(bytes.count), "a segment's length")
        precondition(offset % Limits.segmentBytes == 0, "a segment's offset")
        output.truncate(to: 0)
        leave(ChunkHeader.room)
        output.append(varint: UInt64(leaf))
        output.append(varint: UInt64(row))
        output.append(varint: UInt64(offset))
        unsafe output.append(bytes)
        self.header = header
        self.header.rowCount = 0
        finish(bodyStart: ChunkHeader.room)
    }

    /// Encodes what changed in a hash range.
    ///
    /// - Parameters:
    ///   - batch: The changes, 1...8,192 of them.
    ///   - header: Role `.delta`, region, fingerprint, partition, range, sequence and both epochs; the rest is
    ///     filled in.
    /// - Complexity: O(changes).
    public mutating func encode(delta batch: DeltaBatch, header: ChunkHeader) {
        precondition(header.role == .delta, "the header of a chunk of changes")
        precondition(
            (1...Limits.rowsPerChunk).contains(batch.changeCount), "\(batch.changeCount) changes")
        output.truncate(to: 0)
        leave(ChunkHeader.room)
        deltas.encode(batch, into: &output)
        self.header = header
        self.header.rowCount = batch.changeCount
        finish(bodyStart: ChunkHeader.room)
    }

    /// Encodes a stream's first chunk.
    public mutating func encode(metadata: StreamMetadata) {
        output.truncate(to: 0)
        leave(ChunkHeader.room)
        metadata.encode(into: &output)
        header = ChunkHeader(role: .metadata, targetEpoch: metadata.epoch)
        header.baseEpoch = metadata.baseEpoch
        finish(bodyStart: ChunkHeader.room)
    }

    /// Encodes a stream's last chunk.
    public mutating func encode(end: StreamEnd, epoch: UInt64, baseEpoch: UInt64 = 0) {
        output.truncate(to: 0)
        leave(ChunkHeader.room)
        end.encode(into: &output)
        header = ChunkHeader(role: .end, targetEpoch: epoch)
        header.baseEpoch = baseEpoch
        finish(bodyStart: ChunkHeader.room)
    }

    /// Encodes what makes a kept delta count.
    public mutating func encode(commit: DeltaCommit, epoch: UInt64, baseEpoch: UInt64) {
        output.truncate(to: 0)
        leave(ChunkHeader.room)
        commit.encode(into: &output)
        header = ChunkHeader(role: .commit, targetEpoch: epoch)
        header.baseEpoch = baseEpoch
        finish(bodyStart: ChunkHeader.room)
    }

    /// Leaves room that is overwritten from its end, and whose beginning is not part of the chunk.
    private mutating func leave(_ count: Int) {
        unsafe output.reserve(count).initializeMemory(as: UInt8.self, repeating: 0, count: count)
        output.advance(by: count)
    }

    /// Compresses the body, completes the header and sets it before the body.
    private mutating func finish(bodyStart: Int) {
        precondition(header.keyID == 0, "sealing is of a later version")
        var bodyStart = bodyStart
        header.decodedLength = output.count - bodyStart
        header.codec = .none
        if case .zstd(let level) = compression {
            packed.truncate(to: 0)
            unsafe packed.append(
                UnsafeRawBufferPointer(rebasing: output.bytes[..<ChunkHeader.room]))
            let body = unsafe UnsafeRawBufferPointer(rebasing: output.bytes[bodyStart...])
            if unsafe compressor.compress(body, level: level, into: &packed) {
                swap(&output, &packed)
                bodyStart = ChunkHeader.room
                header.codec = .zstd
            }
        }
        header.storedLength = output.count - bodyStart
        header.bodyChecksum = unsafe Checksum.of(
            UnsafeRawBufferPointer(rebasing: output.bytes[bodyStart...]))
        front.truncate(to: 0)
        header.encode(into: &front)
        start = bodyStart - front.count
        unsafe output.overwrite(at: start, with: front.bytes)
    }
}
