import CaesuraFormat

/// Walks a batch row by row: for each column, which value comes next.
@safe
struct RowCursor {
    private let batch: ColumnBatch
    /// Contents of values too large for their columns, by row and leaf.
    private let large: [LargeValueKey: [UInt8]]
    private var nextValue: [Int]
    private var nextContent: [Int]
    /// The row the cursor is in.
    var row = 0

    /// Where a large value belongs.
    struct LargeValueKey: Hashable {
        var row: Int
        var leaf: Int
    }

    init(_ batch: ColumnBatch, large: [LargeValueKey: [UInt8]]) {
        self.batch = batch
        self.large = large
        nextValue = Array(repeating: 0, count: batch.columns.count)
        nextContent = nextValue
    }

    /// Whether the optional of a presence column has a value in this row.
    mutating func isPresent(_ leaf: Int) -> Bool {
        defer { nextValue[leaf] += 1 }
        // SAFETY: a presence column holds `count` bytes, and `index` is below it.
        return unsafe batch.columns[leaf].values.load(
            fromByteOffset: index(leaf), as: UInt8.self) != 0
    }

    /// Passes on the bytes of a column's next value: a scalar's, a string's, or all of an array's elements.
    mutating func value<Result>(_ leaf: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        let column = batch.columns[leaf]
        let index = index(leaf)
        nextValue[leaf] += 1
        switch column.kind {
        case .presence, .fixed:
            // SAFETY: the column holds `count` values of `width` bytes.
            return unsafe body(
                UnsafeRawBufferPointer(
                    start: column.values + index * column.width, count: column.width))
        case .bytes, .array:
            let count = unsafe Int(column.lengths[index]) * column.width
            if count > Limits.inlineValueBytes {
                // The stream's reader has compared the segments with the lengths of the chunk's rows.
                let content = large[LargeValueKey(row: row, leaf: leaf)] ?? []
                return unsafe content.withUnsafeBytes { unsafe body($0) }
            }
            defer { nextContent[leaf] += count }
            // SAFETY: the content is as long as the lengths of all values that are not segmented.
            return unsafe body(
                UnsafeRawBufferPointer(start: column.content + nextContent[leaf], count: count))
        }
    }

    private func index(_ leaf: Int) -> Int {
        precondition(
            nextValue[leaf] < batch.columns[leaf].count, "a column is shorter than its rows")
        return nextValue[leaf]
    }
}
