import CaesuraFormat
import CaesuraRepository

/// The rows of one region of a checkpoint as text, a chunk at a time.
struct CheckpointRows: ~Copyable {
    private let reader: CheckpointReader
    private let region: Int
    private let layout: RegionLayout
    private var printer: RowPrinter
    private var decoder = ChunkDecoder()
    private var batch: ColumnBatch
    private var ledger = SegmentLedger()
    private var large: [RowCursor.LargeValueKey: [UInt8]] = [:]
    private var buffer: [UInt8] = []
    private var nextChunk = 0
    private var isBegun = false

    init(
        _ reader: CheckpointReader, region: Int, _ printer: RowPrinter
    ) throws(ToolError) {
        self.reader = reader
        self.region = region
        self.printer = printer
        do throws(FormatError) {
            layout = try RegionLayout(reader.manifest.regions[region].schema)
        } catch {
            throw ToolError("the schema is not one this version can read: \(error)")
        }
        batch = ColumnBatch(leaves: layout.leaves)
    }

    /// The lines of the chunk that was read last.
    var lines: [UInt8] { printer.bytes }

    /// Reads the next chunk's ``lines``; how far they reach, from 0 to 1, and nil at the end.
    mutating func next() throws(ToolError) -> Double? {
        printer.removeAll()
        let count = reader.manifest.chunks.count
        if !isBegun {
            isBegun = true
            printer.appendHeading()
            if !printer.bytes.isEmpty { return 0 }
        }
        while nextChunk < count {
            let index = nextChunk
            nextChunk += 1
            guard reader.manifest.chunks[index].facts.region == region else { continue }
            if try read(index) { return Double(nextChunk) / Double(count) }
        }
        return nil
    }

    /// Reads a chunk; whether it gave rows.
    private mutating func read(_ index: Int) throws(ToolError) -> Bool {
        let chunk = reader.manifest.chunks[index]
        // Lent to the reader while `self` decodes.
        var buffer: [UInt8] = []
        swap(&buffer, &self.buffer)
        defer { swap(&buffer, &self.buffer) }
        var failure: FormatError?
        var gaveRows = false
        do throws(RepositoryError) {
            try reader.withChunk(index, buffer: &buffer) { (bytes) throws(RepositoryError) in
                do throws(FormatError) {
                    gaveRows = try decode(bytes)
                } catch { failure = error }
            }
        } catch { throw ToolError(error) }
        if let failure {
            throw ToolError(
                "chunk \(index) in \(reader.path(ofPack: chunk.pack)) cannot be decoded: \(failure)",
                hint: "its checksums are good, so the writer broke the format's rules")
        }
        return gaveRows
    }

    private mutating func decode(_ chunk: VerifiedChunk) throws(FormatError) -> Bool {
        if chunk.header.role == .segment {
            let segment = try decoder.decode(segment: chunk, layout: layout)
            try ledger.note(segment, at: chunk.offset)
            let key = RowCursor.LargeValueKey(row: segment.row, leaf: segment.leaf)
            unsafe large[key, default: []].append(contentsOf: segment.bytes)
            return false
        }
        try decoder.decode(core: chunk, layout: layout, into: batch)
        try ledger.settle(batch, at: chunk.offset)
        printer.append(batch, large: large)
        large.removeAll()
        return true
    }
}
