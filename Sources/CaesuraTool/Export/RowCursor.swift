import CaesuraFormat

/// Walks a batch row by row: for each column, which value comes next.
@safe
struct RowCursor {
    /// A column's memory and how far it is read.
    ///
    /// Not the column itself: it is an object, and counting references to it would cost more than reading it.
    @safe
    private struct Column {
        let values: UnsafeMutableRawPointer
        let lengths: UnsafeMutablePointer<UInt32>
        let content: UnsafeMutableRawPointer
        let width: Int
        let count: Int
        let isFixed: Bool
        var nextValue = 0
        var nextContent = 0

        init(_ buffer: ColumnBuffer) {
            unsafe values = unsafe buffer.values
            unsafe lengths = unsafe buffer.lengths
            unsafe content = unsafe buffer.content
            width = buffer.width
            count = buffer.count
            switch buffer.kind {
            case .presence, .fixed: isFixed = true
            case .bytes, .array: isFixed = false
            }
        }

        /// The index of the next value, which counts as read.
        mutating func next() -> Int {
            precondition(nextValue < count, "a column is shorter than its rows")
            defer { nextValue += 1 }
            return nextValue
        }
    }

    /// Owns the columns' memory, and does not change while it is walked.
    private let batch: ColumnBatch
    /// Contents of values too large for their columns, by row and leaf.
    private let large: [LargeValueKey: [UInt8]]
    private var columns: [Column]
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
        columns = batch.columns.map { Column($0) }
    }

    /// Whether the optional of a presence column has a value in this row.
    mutating func isPresent(_ leaf: Int) -> Bool {
        let index = columns[leaf].next()
        // SAFETY: a presence column holds `count` bytes, and `index` is below it.
        return unsafe columns[leaf].values.load(fromByteOffset: index, as: UInt8.self) != 0
    }

    /// Passes on the bytes of a column's next value: a scalar's, a string's, or all of an array's elements.
    mutating func value<Result>(_ leaf: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        let index = columns[leaf].next()
        let column = columns[leaf]
        if column.isFixed {
            // SAFETY: the column holds `count` values of `width` bytes.
            return unsafe body(
                UnsafeRawBufferPointer(
                    start: column.values + index * column.width, count: column.width))
        }
        let count = unsafe Int(column.lengths[index]) * column.width
        if count > Limits.inlineValueBytes {
            // The stream's reader has compared the segments with the lengths of the chunk's rows.
            let content = large[LargeValueKey(row: row, leaf: leaf)] ?? []
            return unsafe content.withUnsafeBytes { unsafe body($0) }
        }
        columns[leaf].nextContent += count
        // SAFETY: the content is as long as the lengths of all values that are not segmented.
        return unsafe body(
            UnsafeRawBufferPointer(start: column.content + column.nextContent, count: count))
    }
}
