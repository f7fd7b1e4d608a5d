import CaesuraFormat

/// The page that rows are appended to, of a log or of a batch of rows that is not yet part of one.
@safe
@frozen @usableFromInline
struct LogTail {
    /// The page; nil when a row needs a new one.
    @usableFromInline var page: UnsafeMutableRawPointer?
    /// Rows in the page.
    @usableFromInline var rowCount = 0
    /// Rows that fit in the page.
    @usableFromInline var slotCount = 0
    /// Bytes that lie outside the page.
    @usableFromInline var outside = 0
    /// Heap bytes that a row took in the page before.
    private var heapPerRow = 0
    @usableFromInline var layout: PageLayout

    /// A page with so many bytes outside it takes no more rows: what lies outside is freed with the page, so
    /// trimming would keep much for long.
    @usableFromInline static let outsideLimit = 65_536

    init(_ layout: PageLayout) {
        self.layout = layout
        unsafe page = nil
    }

    /// Whether the page takes one more row whose values take `heap` bytes of it.
    @inlinable func hasRoom(heap: Int) -> Bool {
        guard let page = unsafe page else { return false }
        return unsafe rowCount < slotCount && outside < Self.outsideLimit
            && Page(base: page).heapRoom >= heap
    }

    /// Begins a new page.
    mutating func makePage(heap: Int, birth: UInt64, pool: PagePool) -> Page {
        if let page = unsafe page, rowCount > 0 {
            let header = unsafe page.assumingMemoryBound(to: PageHeader.self)
            let fixed = Page.byteCount(slotCount: slotCount, stride: layout.stride, heap: 0)
            unsafe heapPerRow = (Int(header.pointee.heapTop) - fixed + rowCount - 1) / rowCount
        }
        let most =
            (Page.maximumSize - Page.byteCount(slotCount: 0, stride: 0, heap: heap) - 16)
            / (layout.stride + 2)
        slotCount = min(layout.maximumSlots, most)
        let fixed = Page.byteCount(slotCount: slotCount, stride: layout.stride, heap: 0)
        // As much as the rows will likely take and an eighth more; a row's own heap is at most half of the
        // soft size, or a record for each value.
        let likely = slotCount * max(heap, heapPerRow) * 9 / 8
        let size = max(heap, min(likely, Page.softSize - fixed))
        let page = Page.make(
            slotCount: slotCount, depth: 0, heap: layout.referenceOffsets.isEmpty ? 0 : size,
            birth: birth, layout: layout, pool: pool)
        unsafe self.page = unsafe page.base
        rowCount = 0
        outside = 0
        return page
    }

    /// Takes the next slot: its entry.
    @inlinable mutating func takeEntry() -> UnsafeMutableRawPointer {
        guard let base = unsafe page else { preconditionFailure("a page was made") }
        let page = unsafe Page(base: base)
        let entry = unsafe page.entries + rowCount &* layout.stride
        unsafe page.header.pointee.usedSlots.insert(rowCount)
        rowCount &+= 1
        return unsafe entry
    }

    /// Writes no more to the page.
    mutating func leave() { unsafe page = nil }
}

extension LogTail {
    /// Heap bytes that a row takes in a page, and the size from which its values go outside.
    @inlinable func heap<Row: SchemaStruct>(of row: Row) -> (byteCount: Int, limit: Int) {
        var limit = Page.valueLimit
        var byteCount = Row.isInline ? 0 : Row.heapByteCount(of: row, upTo: limit)
        if byteCount > Page.softSize / 2 {
            // Many values that would each fit: a page must hold more than one such row.
            limit = 0
            byteCount = Row.heapByteCount(of: row, upTo: limit)
        }
        if layout.keepsFields { byteCount += layout.keptHeapByteCount(upTo: limit) }
        return (byteCount, limit)
    }

    /// Writes a row to the page, which has room for it.
    @inlinable mutating func append<Row: SchemaStruct>(
        _ row: Row, heap: Int, limit: Int, staged: UnsafeMutablePointer<StagedValues>?
    ) {
        let entry = unsafe takeEntry()
        guard let page = unsafe page else { preconditionFailure("a page was made") }
        // A log's values have no birth of their own: they come and go with their page.
        var writer = unsafe HeapWriter(page: page, limit: limit, staged: staged, partition: nil)
        unsafe entry.storeBytes(
            of: Row.place(row, in: &writer), toByteOffset: EntryShape<NoKey, Row>.rowOffset,
            as: Row.Stored.self)
        if layout.keepsFields { unsafe layout.placeKept(in: entry, writer) }
        if unsafe !Row.isInline && Page(base: page).header.pointee.hasOutOfLine {
            outside &+= max(0, Row.heapByteCount(of: row, upTo: .max) &- heap)
        }
    }
}
