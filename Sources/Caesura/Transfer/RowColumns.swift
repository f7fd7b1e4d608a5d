import CaesuraFormat

/// Makes Swift values of rows in columns, by way of a page.
final class RowLoader<Row: SchemaStruct> {
    private let layout: RowLayout
    private let scratch: ScratchPage

    /// Creates a loader.
    ///
    /// - Parameter layout: The row's layout, with what is kept behind it if the columns have more than the row.
    init(_ layout: RowLayout) {
        self.layout = layout
        scratch = ScratchPage(layout)
    }

    /// Calls `body` with each row.
    ///
    /// - Parameter segments: Gives the values that are not in the columns.
    func forEach(
        in batch: ColumnBatch, _ segments: PendingSegments, _ body: (Row) -> Void
    ) {
        var filler = PageFiller(layout, batch)
        let sums = filler.heapSums()
        let references = layout.leaves.count {
            switch $0.kind {
            case .bytes, .array: true
            case .presence, .fixed: false
            }
        }
        var first = 0
        while first < batch.rowCount {
            var count = 1
            while count < scratch.capacity, first + count < batch.rowCount,
                sums[first + count + 1] - sums[first] <= scratch.heapCapacity
            {
                count += 1
            }
            // One row whose values do not all fit: they go outside.
            let limit = sums[first + 1] - sums[first] > scratch.heapCapacity ? 0 : Page.valueLimit
            precondition(
                limit > 0
                    || references * MemoryLayout<LargeValueRecord>.size <= scratch.heapCapacity,
                "a row's references fit in a page")
            for index in 0..<count {
                filler.takeSlot(of: scratch.page, index: index, tag: scratch.tag(index), epoch: 1)
            }
            filler.fill(scratch.page, row: first, count: count, epoch: 1, limit: limit) {
                segments.take(row: $0, leaf: $1)
            }
            let heap = unsafe HeapView(page: UnsafeRawPointer(scratch.page.base))
            for slot in 0..<count {
                body(unsafe Row.load(scratch.row(slot).load(as: Row.Stored.self), from: heap))
            }
            scratch.removeAll()
            first += count
        }
    }
}

/// Puts Swift values into columns, by way of a page.
final class RowCollector<Row: SchemaStruct> {
    private let scratch: ScratchPage
    private var gatherer: PageGatherer
    /// The columns; complete after ``finish()``.
    let batch: ColumnBatch
    private(set) var rowCount = 0

    init() {
        let layout = RowLayout(row: Row.self)
        scratch = ScratchPage(layout)
        gatherer = PageGatherer(layout)
        batch = ColumnBatch(leaves: RegionSchema.log("", of: Row.self).leaves)
    }

    /// Forgets the rows and keeps the memory.
    func removeAll() {
        batch.removeAll()
        rowCount = 0
    }

    /// Adds a row.
    ///
    /// - Parameter large: Called with each value that is too large for a column; it is valid during the call.
    func append<Failure: Error>(
        _ row: Row, large: (_ leaf: Int, LargeValue) throws(Failure) -> Void
    ) throws(Failure) {
        var limit = Page.valueLimit
        var needed = Row.heapByteCount(of: row, upTo: limit)
        if needed > scratch.heapCapacity {
            limit = 0
            needed = Row.heapByteCount(of: row, upTo: 0)
        }
        if scratch.rowCount == scratch.capacity || scratch.page.heapRoom < needed { finish() }
        let slot = scratch.rowCount
        _ = scratch.page.takeSlot(
            tag: scratch.tag(slot), stamp: 1, stride: gatherer.stride, isChanged: false)
        var heap = unsafe HeapWriter(
            page: scratch.page.base, limit: limit, staged: nil, partition: nil)
        unsafe scratch.row(slot).storeBytes(of: Row.place(row, in: &heap), as: Row.Stored.self)
        rowCount += 1
        guard unsafe scratch.page.header.pointee.hasOutOfLine else { return }
        let view = unsafe HeapView(page: UnsafeRawPointer(scratch.page.base))
        try scratch.forEachReference(slot) { (leaf, reference) throws(Failure) in
            guard reference.isOutOfLine else { return }
            let value = view.largeValue(reference)
            if value.byteCount > Limits.inlineValueBytes { try large(leaf, value) }
        }
    }

    /// Moves the rows of the page to the columns.
    func finish() {
        gatherer.gather([scratch.page], in: nil, into: batch)
        scratch.removeAll()
    }
}
