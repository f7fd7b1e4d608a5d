import Caesura
import CaesuraFormat
import CaesuraRepository

/// The rows of one region as columns, a chunk at a time: from the files of a checkpoint, or from a cut.
final class RegionRows {
    private enum Source {
        case files(CheckpointReader, nextChunk: Int)
        case cut(CutChunks, rowCount: Int)
    }

    let schema: RegionSchema
    private let region: Int
    private let layout: RegionLayout
    private var source: Source
    private var decoder = ChunkDecoder()
    private let batch: ColumnBatch
    private var ledger = SegmentLedger()
    private var large: [RowCursor.LargeValueKey: [UInt8]] = [:]
    private var buffer: [UInt8] = []
    /// Of the chunk at hand; of a log, its first row's position.
    private(set) var range = HashRange.all
    /// Of the chunk at hand.
    private(set) var partition = 0
    private var rowsRead = 0

    /// The rows of a region of a checkpoint, which are verified as they are read.
    convenience init(_ reader: CheckpointReader, region: Int) throws(ToolError) {
        try self.init(
            reader.manifest.regions[region].schema, region: region,
            .files(reader, nextChunk: 0))
    }

    /// The rows of a region of a cut; those of the regions before it are passed over.
    convenience init(_ chunks: CutChunks, region: Int) throws(ToolError) {
        let schema = chunks.schemas[region]
        try self.init(
            schema, region: region, .cut(chunks, rowCount: chunks.rowCount(of: schema.name)))
    }

    private init(_ schema: RegionSchema, region: Int, _ source: Source) throws(ToolError) {
        self.schema = schema
        self.region = region
        self.source = source
        do throws(FormatError) {
            layout = try RegionLayout(schema)
        } catch {
            throw ToolError("the schema is not one this version can read: \(error)")
        }
        batch = ColumnBatch(leaves: layout.leaves)
    }

    /// The rows of the chunk at hand.
    var cursor: RowCursor { RowCursor(batch, large: large) }

    /// Goes to the next chunk of rows; how far it reaches, from 0 to 1, and nil at the end.
    func next() throws(ToolError) -> Double? {
        large.removeAll()
        switch source {
        case .files(let reader, var chunk):
            let chunks = reader.manifest.chunks
            while chunk < chunks.count {
                defer { chunk += 1 }
                guard chunks[chunk].facts.region == region else { continue }
                if try read(chunk, of: reader) {
                    source = .files(reader, nextChunk: chunk + 1)
                    return Double(chunk + 1) / Double(chunks.count)
                }
            }
            return nil
        case .cut(let chunks, let rowCount):
            guard let job = try chunks.next(of: region) else { return nil }
            try chunks.encode(job) { (chunk) throws(FormatError) in _ = try decode(chunk) }
            rowsRead += batch.rowCount
            return Double(rowsRead) / Double(max(1, rowCount))
        }
    }

    /// Reads a chunk from its file; whether it has rows.
    private func read(_ index: Int, of reader: CheckpointReader) throws(ToolError) -> Bool {
        let chunk = reader.manifest.chunks[index]
        // Lent to the reader while `self` decodes.
        var buffer: [UInt8] = []
        swap(&buffer, &self.buffer)
        defer { swap(&buffer, &self.buffer) }
        var failure: FormatError?
        var hasRows = false
        do throws(RepositoryError) {
            try reader.withChunk(index, buffer: &buffer) { (bytes) throws(RepositoryError) in
                do throws(FormatError) {
                    hasRows = try decode(bytes)
                } catch { failure = error }
            }
        } catch { throw ToolError(error) }
        if let failure {
            throw ToolError(
                "chunk \(index) in \(reader.path(ofPack: chunk.pack)) cannot be decoded: \(failure)",
                hint: "its checksums are good, so the writer broke the format's rules")
        }
        return hasRows
    }

    private func decode(_ chunk: VerifiedChunk) throws(FormatError) -> Bool {
        if chunk.header.role == .segment {
            let segment = try decoder.decode(segment: chunk, layout: layout)
            try ledger.note(segment, at: chunk.offset)
            let key = RowCursor.LargeValueKey(row: segment.row, leaf: segment.leaf)
            unsafe large[key, default: []].append(contentsOf: segment.bytes)
            return false
        }
        try decoder.decode(core: chunk, layout: layout, into: batch)
        try ledger.settle(batch, at: chunk.offset)
        range = chunk.header.range
        partition = chunk.header.partition
        return true
    }
}
