/// Reads the body of a delta chunk from bytes that nobody vouches for; the counterpart of ``DeltaEncoder``.
///
/// Checked here: all that can be told without the base. Left to who has it: the digest, the number of the
/// base's rows, that inserted rows were not there, that texts are whole once prefix and suffix are known.
extension ChunkDecoder {
    /// Decodes a delta chunk and replaces what `batch` holds.
    ///
    /// - Throws: `schemaMismatch`, `malformed`, `unsupported`, `limitExceeded` or `truncated` with an offset;
    ///   the batch is empty then.
    public mutating func decode(
        delta chunk: VerifiedChunk, layout: RegionLayout, into batch: DeltaBatch
    ) throws(FormatError) {
        precondition(batch.leaves.count == layout.leaves.count, "a batch of another layout")
        batch.removeAll()
        do {
            try decodeChanges(of: chunk, layout, into: batch)
        } catch {
            batch.removeAll()
            throw error
        }
    }

    /// Whether a delta chunk carries the way back.
    ///
    /// - Throws: `malformed`, `limitExceeded` or `truncated` with an offset.
    public mutating func isReversible(delta chunk: VerifiedChunk) throws(FormatError) -> Bool {
        var reader = try bodyReader(of: chunk)
        _ = try reader.integer(UInt64.self, "a base digest")
        return try reader.byte("a delta's flags") & DeltaEncoder.reversible != 0
    }

    private mutating func decodeChanges(
        of chunk: VerifiedChunk, _ layout: RegionLayout, into batch: DeltaBatch
    ) throws(FormatError) {
        try Self.expect(.delta, chunk, layout)
        guard layout.schema.kind != .log else {
            throw FormatError(
                .malformed, "a delta chunk of a region that is a \(layout.schema.kind)",
                at: chunk.offset)
        }
        var reader = try bodyReader(of: chunk)
        batch.baseDigest = try reader.integer(UInt64.self, "a base digest")
        let flags = try reader.byte("a delta's flags")
        guard flags & ~(DeltaEncoder.reversible | DeltaEncoder.segments) == 0 else {
            throw reader.error(.unsupported, "a delta has flags of a newer format")
        }
        batch.isReversible = flags & DeltaEncoder.reversible != 0
        if flags & DeltaEncoder.segments != 0 {
            let place = reader
            batch.segmentCount = try reader.varint(
                upTo: Int(Int32.max), "the number of a delta's segments")
            guard batch.segmentCount > 0 else {
                throw place.error(.malformed, "a delta that has segments has none")
            }
        }
        batch.baseRowCount = try reader.varint("the base's row count")
        guard batch.baseRowCount <= PositionSet.rowLimit else {
            throw reader.error(.limitExceeded, "a base of \(batch.baseRowCount) rows")
        }
        batch.removed = try positions(&reader, batch.baseRowCount, "the removed rows")
        let place = reader
        batch.updated = try positions(&reader, batch.baseRowCount, "the updated rows")
        guard areDisjoint(batch.removed, batch.updated) else {
            throw place.error(.malformed, "a row is both removed and updated")
        }
        if !batch.updated.isEmpty { try decodeUpdates(&reader, layout, into: batch) }
        let insertedCount = try reader.varint(upTo: Limits.rowsPerChunk, "the inserted rows")
        guard batch.removed.count + batch.updated.count + insertedCount == chunk.header.rowCount
        else {
            throw reader.error(.malformed, "a delta has not the changes that its header counts")
        }
        if insertedCount > 0 {
            try decodeRows(insertedCount, of: &reader, layout, into: batch.inserted)
        }
        if batch.isReversible, !batch.removed.isEmpty {
            try decodeRows(batch.removed.count, of: &reader, layout, into: batch.removedRows)
        }
        try Self.expectEnd(of: reader)
    }

    private mutating func positions(
        _ reader: inout ByteReader, _ count: UInt64, _ what: String
    ) throws(FormatError) -> [UInt64] {
        try PositionSet.decode(
            &reader, of: count, limit: Limits.rowsPerChunk, scratch: &positionScratch, what)
    }

    private func areDisjoint(_ a: [UInt64], _ b: [UInt64]) -> Bool {
        var (i, j) = (0, 0)
        while i < a.count, j < b.count {
            if a[i] == b[j] { return false }
            if a[i] < b[j] { i += 1 } else { j += 1 }
        }
        return true
    }

    private mutating func decodeRows(
        _ count: Int, of reader: inout ByteReader, _ layout: RegionLayout, into rows: ColumnBatch
    ) throws(FormatError) {
        let length = try reader.varint(
            upTo: reader.remaining, "the length of rows", beyond: .truncated)
        let origin = reader.origin + reader.position
        var rowsReader = try unsafe ByteReader(reader.take(length, "rows"), origin: origin)
        try decodeRows(of: &rowsReader, rowCount: count, layout: layout, wanted: nil, into: rows)
    }

    private mutating func decodeUpdates(
        _ reader: inout ByteReader, _ layout: RegionLayout, into batch: DeltaBatch
    ) throws(FormatError) {
        let changing = layout.leaves.count - batch.keyLeafCount
        let count = batch.updated.count
        let place = reader
        let maskCount = try reader.varint(
            upTo: count, "the sets of changed columns", beyond: .malformed)
        guard maskCount > 0 else { throw place.error(.malformed, "no set of changed columns") }
        for _ in 0..<maskCount {
            let bytes = try unsafe reader.take((changing + 7) / 8, "a set of changed columns")
            var mask = Array(repeating: 0 as UInt64, count: batch.masks.wordCount)
            for bit in 0..<bytes.count * 8
            where unsafe bytes[bit / 8] >> UInt8(bit % 8) & 1 == 1 {
                guard bit < changing else {
                    throw place.error(.malformed, "a set names a column that there is not")
                }
                let leaf = batch.keyLeafCount + bit
                mask[leaf >> 6] |= 1 << UInt64(leaf & 63)
            }
            batch.masks.define(mask)
        }
        let codes = unsafe positionScratch.reserve(count, of: UInt16.self)
        try unsafe reader.unpack(count, base: 0, bits: bitLength(UInt(maskCount - 1)), to: codes)
        var counts = Array(repeating: 0, count: maskCount)
        for index in 0..<count {
            let code = unsafe codes[index]
            guard Int(code) < maskCount else {
                throw place.error(.malformed, "a row's set of changed columns is not there")
            }
            batch.masks.append(code: code)
            counts[Int(code)] += 1
        }
        for leaf in batch.keyLeafCount..<layout.leaves.count {
            let values = (0..<maskCount).reduce(0) {
                batch.masks.contains(leaf, in: $1) ? $0 + counts[$1] : $0
            }
            guard values > 0 else { continue }
            let length = try reader.varint(
                upTo: reader.remaining, "a changed column's length", beyond: .truncated)
            let origin = reader.origin + reader.position
            var block = try unsafe ByteReader(
                reader.take(length, "a changed column"), origin: origin)
            let changes = batch.changes[leaf]
            try decode(
                &block, count: values, layout.leaves[leaf], isReversible: batch.isReversible,
                into: changes)
            try Self.expectEnd(of: block)
            try checkSegmented(changes.new, index: leaf, origin: origin)
            try checkSegmented(changes.old, index: leaf, origin: origin)
        }
    }

    private mutating func decode(
        _ reader: inout ByteReader, count: Int, _ leaf: LeafColumn, isReversible: Bool,
        into changes: LeafChanges
    ) throws(FormatError) {
        let place = reader
        let byte = try reader.byte("how values have changed")
        guard let mode = LeafChanges.Mode(rawValue: byte) else {
            throw place.error(.unsupported, "changes of a newer format")
        }
        changes.mode = mode
        switch (mode, changes.new.kind) {
        case (.value, _):
            try columns.decode(&reader, count: count, into: changes.new)
            if isReversible { try columns.decode(&reader, count: count, into: changes.old) }
        case (.difference, .presence):
            try columns.decodeWords(&reader, count: count, width: 1, into: changes.new)
        case (.difference, .fixed(let scalar)) where scalar.width <= 8:
            try columns.decodeWords(&reader, count: count, width: scalar.width, into: changes.new)
        case (.affix, .bytes), (.affix, .array):
            try columns.decodeWords(&reader, count: count, width: 4, into: changes.prefixes)
            try columns.decodeWords(&reader, count: count, width: 4, into: changes.suffixes)
            try columns.decode(&reader, count: count, into: changes.new)
            if isReversible { try columns.decode(&reader, count: count, into: changes.old) }
            guard !changes.new.hasSegmented, !changes.old.hasSegmented else {
                throw place.error(
                    .malformed, "what stands between a prefix and a suffix is in segments")
            }
        default:
            throw place.error(.malformed, "changes that this column cannot have")
        }
    }
}
