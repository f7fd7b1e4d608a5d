import CaesuraFormat

/// Walks a batch row by row: where each value of the row at hand lies.
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
        let isPresence: Bool
        let isFixed: Bool
        /// The presence column that says for which rows there are values; -1 for all.
        let scope: Int
        var nextValue = 0
        var nextContent = 0

        init(_ buffer: ColumnBuffer, scope: Int?) {
            unsafe values = unsafe buffer.values
            unsafe lengths = unsafe buffer.lengths
            unsafe content = unsafe buffer.content
            width = buffer.width
            count = buffer.count
            self.scope = scope ?? -1
            switch buffer.kind {
            case .presence: (isPresence, isFixed) = (true, true)
            case .fixed: (isPresence, isFixed) = (false, true)
            case .bytes, .array: (isPresence, isFixed) = (false, false)
            }
        }

        /// Where the next value lies, which counts as read.
        mutating func next() -> Value {
            precondition(nextValue < count, "a column is shorter than its rows")
            let index = nextValue
            nextValue += 1
            if isFixed {
                // SAFETY: the column holds `count` values of `width` bytes.
                let start = unsafe values + index * width
                return unsafe Value(
                    start: start, byteCount: width,
                    isThere: !isPresence || start.load(as: UInt8.self) != 0)
            }
            let byteCount = unsafe Int(lengths[index]) * width
            // SAFETY: the content is as long as the lengths of all values that are not segmented.
            let start = unsafe content + nextContent
            if byteCount <= Limits.inlineValueBytes { nextContent += byteCount }
            return unsafe Value(start: start, byteCount: byteCount, isThere: true)
        }
    }

    /// Where a value of the row at hand lies.
    @safe
    private struct Value {
        /// Nothing of the value where it is a large one.
        var start: UnsafeMutableRawPointer?
        var byteCount: Int
        /// Whether there is one; of a presence column, whether what it stands for is there.
        var isThere: Bool
    }

    /// Owns the columns' memory, and does not change while it is walked.
    private let batch: ColumnBatch
    /// Contents of values too large for their columns, by row and leaf.
    private let large: [LargeValueKey: [UInt8]]
    private var columns: [Column]
    private var values: [Value] = []
    /// The row at hand; -1 before the first.
    private(set) var row = -1

    /// Where a large value belongs.
    struct LargeValueKey: Hashable {
        var row: Int
        var leaf: Int
    }

    /// Stands before the first row.
    init(_ batch: ColumnBatch, large: [LargeValueKey: [UInt8]]) {
        self.batch = batch
        self.large = large
        columns = zip(batch.columns, batch.leaves).map { Column($0, scope: $1.scope) }
        values = columns.map { _ in unsafe Value(start: nil, byteCount: 0, isThere: false) }
    }

    /// Goes to the next row; false at the end.
    mutating func advance() -> Bool {
        row += 1
        guard row < batch.rowCount else { return false }
        for leaf in columns.indices {
            let scope = columns[leaf].scope
            if scope >= 0, !values[scope].isThere {
                values[leaf].isThere = false
            } else {
                values[leaf] = columns[leaf].next()
            }
        }
        return true
    }

    /// Whether a column has a value in this row; of a presence column, whether what it stands for is there.
    func isPresent(_ leaf: Int) -> Bool { values[leaf].isThere }

    /// Passes on the bytes of a column's value, which is there: a scalar's, a string's, or all of an array's
    /// elements.
    func value<Result>(_ leaf: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        let value = values[leaf]
        if value.byteCount > Limits.inlineValueBytes {
            // Whoever puts chunks together has compared the segments with the lengths of the chunk's rows.
            let content = large[LargeValueKey(row: row, leaf: leaf)] ?? []
            return unsafe content.withUnsafeBytes { unsafe body($0) }
        }
        return unsafe body(
            UnsafeRawBufferPointer(start: value.start, count: value.byteCount))
    }
}
