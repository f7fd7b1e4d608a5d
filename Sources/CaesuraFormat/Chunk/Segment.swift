/// A piece of a value that is too large for a column: `docs/FORMAT.md`, "Segment body".
@safe
public struct Segment {
    /// The value's leaf; in a delta also the number of leaves more, for the old value of a leaf.
    public let leaf: Int
    /// The value's row in the core or delta chunk that follows.
    public let row: Int
    /// Where the piece begins in the value's content, in bytes.
    public let offset: Int
    /// The piece; valid as long as the chunk it came from and until the decoder's next call.
    public let bytes: UnsafeRawBufferPointer
}

/// A value that is too large for its column.
public struct SegmentedValue: Hashable, Sendable {
    /// The value's row.
    public var row: Int
    /// The value's leaf.
    public var leaf: Int
    /// The length of its content in bytes.
    public var byteCount: Int

    /// Names a value.
    public init(row: Int, leaf: Int, byteCount: Int) {
        self.row = row
        self.leaf = leaf
        self.byteCount = byteCount
    }
}

extension ColumnBatch {
    /// The values whose content travels in segment chunks, in the order in which their segments stand: by
    /// row, then by leaf.
    ///
    /// - Complexity: O(values of bytes and array leaves), without allocation when there are none.
    public var segmentedValues: [SegmentedValue] {
        var found: [SegmentedValue] = []
        for (leaf, column) in columns.enumerated() {
            switch column.kind {
            case .presence, .fixed: continue
            case .bytes, .array: break
            }
            let longest = UInt32(Limits.inlineValueBytes / column.width)
            var largest: UInt32 = 0
            for index in 0..<column.count { largest = unsafe max(largest, column.lengths[index]) }
            guard largest > longest else { continue }
            let rows = leaves[leaf].scope.map(presentRows)
            for index in 0..<column.count {
                let length = unsafe column.lengths[index]
                guard length > longest else { continue }
                found.append(
                    SegmentedValue(
                        row: rows?[index] ?? index, leaf: leaf,
                        byteCount: Int(length) * column.width))
            }
        }
        return found.sorted { ($0.row, $0.leaf) < ($1.row, $1.leaf) }
    }

    /// The rows for which a presence leaf says 1.
    private func presentRows(_ leaf: Int) -> [Int] {
        let outer = leaves[leaf].scope.map(presentRows)
        let column = columns[leaf]
        return (0..<column.count).compactMap { index in
            let isPresent = unsafe column.values.load(fromByteOffset: index, as: UInt8.self) == 1
            return isPresent ? outer?[index] ?? index : nil
        }
    }
}

/// Checks that segments come in order and that their core chunk has exactly their values.
///
///     note(segment)*  settle(core's batch)   note(segment)*  settle(…)   …
public struct SegmentLedger: Sendable {
    /// The values whose pieces came since the last core chunk.
    public private(set) var values: [SegmentedValue] = []

    /// Creates an empty ledger.
    public init() {}

    /// Takes note of a segment.
    ///
    /// - Throws: `malformed` when it does not continue what came before.
    public mutating func note(_ segment: Segment, at offset: Int = 0) throws(FormatError) {
        if let last = values.last, (last.row, last.leaf) == (segment.row, segment.leaf) {
            guard segment.offset == last.byteCount else {
                throw FormatError(
                    .malformed, "a segment leaves bytes out or repeats them", at: offset)
            }
            values[values.count - 1].byteCount += unsafe segment.bytes.count
            return
        }
        if let last = values.last, (last.row, last.leaf) > (segment.row, segment.leaf) {
            throw FormatError(.malformed, "segments are not in order", at: offset)
        }
        guard segment.offset == 0 else {
            throw FormatError(.malformed, "a value's first segment is missing", at: offset)
        }
        unsafe values.append(
            SegmentedValue(row: segment.row, leaf: segment.leaf, byteCount: segment.bytes.count))
    }

    /// Compares what came with a core chunk's rows, and begins anew.
    ///
    /// - Throws: `malformed` when the rows have other segmented values than those that came.
    public mutating func settle(_ batch: ColumnBatch, at offset: Int = 0) throws(FormatError) {
        let came = values
        values.removeAll(keepingCapacity: true)
        guard came == batch.segmentedValues else {
            throw FormatError(
                .malformed, "the segments before a core chunk are not those of its rows", at: offset
            )
        }
    }
}
