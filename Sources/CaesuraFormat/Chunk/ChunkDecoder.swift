/// Decodes the bodies of chunks whose checksums were verified.
///
/// The checksums say that the bytes are those that were written, not that the writer kept the rules: it
/// throws for whatever the bytes are, and asks for no more memory than the limits allow. One worker keeps
/// one decoder and its buffers. See `docs/FORMAT.md`, "Bodies".
public struct ChunkDecoder: ~Copyable {
    /// The sizes it accepts.
    public let limits: Limits
    /// The identity of the base that the last chunk of a log stated; nil unless it was one of a delta.
    public private(set) var baseDigest: UInt64?

    var columns: ColumnDecoder
    /// For positions in delta chunks.
    var positionScratch = Scratch()
    private var plain = ByteWriter()
    private var decompressor = ZstdDecompressor()
    /// For each leaf the number of its values and where its block lies in the body.
    private var blocks: [(range: Range<Int>, ones: Int)] = []

    /// Creates a decoder.
    public init(limits: Limits = Limits()) {
        self.limits = limits
        columns = ColumnDecoder(limits: limits)
    }

    /// Decodes the rows of a core, log or cell chunk and replaces what `batch` holds.
    ///
    /// Checked here: the fingerprint, the directory, the columns, that presence values and Bools are 0
    /// or 1, that text is UTF-8, that enumerations hold their cases, the rows' weight. Left to who knows
    /// the hash key: that the rows are in hash order and in the chunk's range.
    ///
    /// - Parameters:
    ///   - chunk: A core chunk; a log chunk where the region is a log, a cell chunk where it is a cell.
    ///   - layout: The region's layout.
    ///   - wanted: For each leaf whether its values are wanted; the columns of others are empty. Presence
    ///     leaves are always decoded.
    ///   - batch: A batch for the layout's leaves. It is empty if an error is thrown.
    /// - Throws: `schemaMismatch` when the chunk is of another schema; `malformed`, `unsupported`,
    ///   `limitExceeded` or `truncated` with an offset into the input, or, for a compressed body, the
    ///   body's offset plus the place in the decompressed bytes.
    public mutating func decode(
        core chunk: VerifiedChunk, layout: RegionLayout, wanted: [Bool]? = nil,
        into batch: ColumnBatch
    ) throws(FormatError) {
        precondition(batch.columns.count == layout.leaves.count, "a batch of another layout")
        precondition(wanted == nil || wanted?.count == layout.leaves.count, "a Bool for each leaf")
        batch.removeAll()
        do {
            try decodeRows(of: chunk, layout: layout, wanted: wanted, into: batch)
        } catch {
            batch.removeAll()
            throw error
        }
    }

    /// Reads the piece of a large value from a segment chunk.
    ///
    /// - Returns: The piece; its bytes are valid as long as the chunk's and until the next call.
    public mutating func decode(
        segment chunk: VerifiedChunk, layout: RegionLayout
    ) throws(FormatError) -> Segment {
        // Those of a log are the same in deltas.
        guard chunk.header.baseEpoch == 0 || layout.schema.kind == .log else {
            throw FormatError(
                .malformed, "a segment of a delta where one of a core chunk must be",
                at: chunk.offset)
        }
        return try decode(segment: chunk, layout: layout, leaves: layout.leaves.count)
    }

    /// Reads the piece of a large value from a segment chunk that belongs to a delta chunk.
    ///
    /// - Returns: As ``decode(segment:layout:)``; the leaf may be that of an old value.
    public mutating func decode(
        deltaSegment chunk: VerifiedChunk, layout: RegionLayout
    ) throws(FormatError) -> Segment {
        guard chunk.header.baseEpoch > 0 else {
            throw FormatError(
                .malformed, "a segment of a core chunk where one of a delta must be",
                at: chunk.offset)
        }
        return try decode(segment: chunk, layout: layout, leaves: 2 * layout.leaves.count)
    }

    private mutating func decode(
        segment chunk: VerifiedChunk, layout: RegionLayout, leaves: Int
    ) throws(FormatError) -> Segment {
        try Self.expect(.segment, chunk, layout)
        var reader = try bodyReader(of: chunk)
        let leaf = try reader.varint(upTo: 2 * Limits.leavesPerRegion, "a segment's leaf")
        guard leaf < leaves else {
            throw reader.error(.malformed, "a segment of column \(leaf), which there is not")
        }
        switch layout.leaves[leaf % layout.leaves.count].kind {
        case .bytes, .array: break
        case .presence, .fixed:
            throw reader.error(.malformed, "a segment of column \(leaf), which has a fixed width")
        }
        let row = try reader.varint(
            upTo: Limits.rowsPerChunk - 1, "a segment's row", beyond: .malformed)
        let offset = try reader.varint(upTo: limits.valueBytes, "a segment's offset")
        let count = reader.remaining
        guard offset % Limits.segmentBytes == 0, (1...Limits.segmentBytes).contains(count) else {
            throw reader.error(.malformed, "a segment of \(count) bytes at \(offset)")
        }
        guard offset + count <= min(limits.valueBytes, Int(UInt32.max)) else {
            throw reader.error(.limitExceeded, "a value of more than \(limits.valueBytes) bytes")
        }
        let bytes = try unsafe reader.take(count, "a segment")
        return unsafe Segment(leaf: leaf, row: row, offset: offset, bytes: bytes)
    }

    /// Reads a stream's first chunk.
    public mutating func decode(
        metadata chunk: VerifiedChunk
    ) throws(FormatError) -> StreamMetadata {
        try Self.expect(.metadata, chunk)
        var reader = try bodyReader(of: chunk)
        let metadata = try StreamMetadata(
            reading: &reader, epoch: chunk.header.targetEpoch, baseEpoch: chunk.header.baseEpoch,
            limits: limits)
        try Self.expectEnd(of: reader)
        return metadata
    }

    /// Reads a stream's last chunk.
    public mutating func decode(end chunk: VerifiedChunk) throws(FormatError) -> StreamEnd {
        try Self.expect(.end, chunk)
        var reader = try bodyReader(of: chunk)
        let end = try StreamEnd(
            reading: &reader, isDelta: chunk.header.baseEpoch > 0, limits: limits)
        try Self.expectEnd(of: reader)
        return end
    }

    /// Reads what makes a kept delta count.
    public mutating func decode(commit chunk: VerifiedChunk) throws(FormatError) -> DeltaCommit {
        try Self.expect(.commit, chunk)
        var reader = try bodyReader(of: chunk)
        return try DeltaCommit(reading: &reader, limits: limits)
    }
}

extension ChunkDecoder {
    private mutating func decodeRows(
        of chunk: VerifiedChunk, layout: RegionLayout, wanted: [Bool]?, into batch: ColumnBatch
    ) throws(FormatError) {
        try Self.expect(layout.schema.kind.rowRole, chunk, layout)
        var reader = try bodyReader(of: chunk)
        baseDigest =
            chunk.header.baseEpoch > 0
            ? try reader.integer(UInt64.self, "the identity of the base") : nil
        try decodeRows(
            of: &reader, rowCount: chunk.header.rowCount, layout: layout, wanted: wanted,
            into: batch)
    }

    /// Reads all that is left as the columns of some rows.
    mutating func decodeRows(
        of reader: inout ByteReader, rowCount: Int, layout: RegionLayout, wanted: [Bool]?,
        into batch: ColumnBatch
    ) throws(FormatError) {
        guard rowCount == 1 || rowCount * layout.fixedRowWeight <= Limits.rowBytesPerChunk else {
            throw reader.error(.limitExceeded, "\(rowCount) rows are too large")
        }
        try readDirectory(&reader, leafCount: layout.leaves.count)
        var weight = rowCount * layout.fixedRowWeight
        for (index, leaf) in layout.leaves.enumerated() {
            let origin = reader.origin + reader.position
            let block = try unsafe reader.take(blocks[index].range.count, "a column")
            let count = leaf.scope.map { blocks[$0].ones } ?? rowCount
            guard unsafe block.isEmpty == (count == 0) else {
                throw FormatError(
                    .malformed, "column \(index) has \(count) values in \(block.count) bytes",
                    at: origin)
            }
            guard leaf.kind == .presence || wanted?[index] != false else { continue }
            let column = batch.columns[index]
            try unsafe columns.decode(
                block, kind: leaf.kind, count: count, origin: origin, into: column)
            weight += column.contentByteCount
            guard rowCount == 1 || weight <= Limits.rowBytesPerChunk else {
                throw FormatError(.limitExceeded, "the rows of a chunk are too large", at: origin)
            }
            if leaf.kind == .presence { blocks[index].ones = Self.ones(in: column) }
            if let cases = layout.cases[index], !cases.containsAll(of: column) {
                throw FormatError(
                    .malformed, "column \(index) has a value that is no case of its type",
                    at: origin)
            }
            try checkSegmented(column, index: index, origin: origin)
        }
        batch.rowCount = rowCount
    }

    /// Reads the directory and checks that it names each leaf once, in order, and fills the body.
    private mutating func readDirectory(
        _ reader: inout ByteReader, leafCount: Int
    ) throws(FormatError) {
        let count = try reader.varint(upTo: Limits.leavesPerRegion, "the number of columns")
        guard count == leafCount else {
            throw reader.error(.malformed, "\(count) columns, and the region has \(leafCount)")
        }
        blocks.removeAll(keepingCapacity: true)
        var end = 0
        for index in 0..<count {
            let leaf = try reader.varint("a column's leaf")
            guard leaf == UInt64(index) else {
                throw reader.error(.malformed, "column \(leaf) where \(index) must be")
            }
            // `remaining` bounds each length, and the sum of at most 1,024 of them does not overflow.
            let length = try reader.varint(
                upTo: reader.remaining, "a column's length", beyond: .malformed)
            blocks.append((end..<end + length, 0))
            end += length
        }
        guard end == reader.remaining else {
            throw reader.error(
                .malformed, "columns of \(end) bytes in a body that has \(reader.remaining)")
        }
    }

    /// Refuses lengths of segmented values that exceed the limit.
    func checkSegmented(
        _ column: ColumnBuffer, index: Int, origin: Int
    ) throws(FormatError) {
        switch column.kind {
        case .presence, .fixed: return
        case .bytes, .array: break
        }
        var largest: UInt32 = 0
        for value in 0..<column.count { largest = unsafe max(largest, column.lengths[value]) }
        let size = Int(largest) * column.width
        guard size <= Limits.inlineValueBytes || size <= min(limits.valueBytes, Int(UInt32.max))
        else {
            throw FormatError(
                .limitExceeded, "column \(index) has a value of \(size) bytes", at: origin)
        }
    }

    private static func ones(in column: ColumnBuffer) -> Int {
        var ones = 0
        for index in 0..<column.count {
            // SAFETY: a presence column holds `count` bytes.
            ones &+= unsafe Int(column.values.load(fromByteOffset: index, as: UInt8.self))
        }
        return ones
    }

    static func expect(
        _ role: ChunkRole, _ chunk: VerifiedChunk, _ layout: RegionLayout? = nil
    ) throws(FormatError) {
        guard chunk.header.role == role else {
            throw FormatError(
                .malformed, "a \(chunk.header.role) chunk where a \(role) chunk must be",
                at: chunk.offset + 6)
        }
        guard layout == nil || layout?.wireFingerprint == chunk.header.fingerprint else {
            throw FormatError(
                .schemaMismatch, "the chunk was written with another schema", at: chunk.offset + 9)
        }
    }

    static func expectEnd(of reader: ByteReader) throws(FormatError) {
        guard reader.remaining == 0 else {
            throw reader.error(.malformed, "bytes behind the end of a chunk's content")
        }
    }

    /// A reader of the decompressed body, whose lengths the header's parser compared with the limits.
    mutating func bodyReader(of chunk: VerifiedChunk) throws(FormatError) -> ByteReader {
        let origin = chunk.offset + chunk.header.headerLength
        switch chunk.header.codec {
        case .none: return unsafe ByteReader(chunk.storedBody, origin: origin)
        case .zstd:
            plain.truncate(to: 0)
            try unsafe decompressor.decompress(
                chunk.storedBody, length: chunk.header.decodedLength, origin: origin, into: &plain)
            return unsafe ByteReader(plain.bytes, origin: origin)
        }
    }
}
