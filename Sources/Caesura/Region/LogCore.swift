import CaesuraFormat
import Synchronization

/// A log without its Swift type: schema, layout, and the rows under one lock.
///
///     append ─► stage large values ─► lock ─► epoch ─► the tail's page, or a new one ─► end + 1
///
/// Rows stand in pages in their order, slot by slot, with no hash and no unused slot between them. An append
/// writes behind what is there and changes nothing before it: pages are never copied, and a cut notes only the
/// log's ``LogExtent``. What a trim takes out of the log it keeps for the cuts that see it.
@safe
@usableFromInline
final class LogCore: @unchecked Sendable {
    // @unchecked: what `body` points at is under its lock. `ordinal` is not used before it is set; `isTyped` is
    // under the store's lock of cuts. `shape` changes as that of a TableCore does.

    /// The shape as the region was declared.
    let declared: RegionShape
    /// What the rows are now, and how they lie in pages.
    private(set) var shape: RegionShape
    /// All shapes that it had: rows may be on their way to it that were made for one.
    private var shapes: [RegionShape]
    /// Whose log it is.
    ///
    /// The store owns the log; whoever uses a log holds its store.
    unowned(unsafe) let store: StoreCore
    /// The memory of its pages, which lives as long as the log.
    let pool: PagePool
    /// Held while pages are taken out, which walks the directory beside writers: one such walk at a time.
    let trimming = Lock()
    /// Whether somebody has access to its rows as Swift values, so that their layout must stay.
    ///
    /// Used under the store's lock of cuts.
    var isTyped = false
    /// Code for rows of earlier versions.
    let migrations = Guarded<[RowMigration]>([])
    /// Whether another log has taken all rows, and this one has none any more but in cuts.
    ///
    /// Used under the log's lock.
    var isReplaced = false
    /// What the lock protects.
    ///
    /// The lock lies before it: who waits for it does not touch what another one writes.
    @usableFromInline let body: UnsafeMutablePointer<LogBody>
    /// Bytes from the lock to what it protects: they share no cache line.
    @usableFromInline static let lockSize = 64

    init(schema: RegionSchema, layout: RowLayout, store: StoreCore) {
        declared = RegionShape(schema, layout)
        shape = declared
        shapes = [declared]
        unsafe self.store = store
        pool = store.pool
        let block = UnsafeMutableRawPointer.allocate(
            byteCount: Self.lockSize + MemoryLayout<LogBody>.size, alignment: Self.lockSize)
        unsafe block.bindMemory(to: Lock.self, capacity: 1).initialize(to: Lock())
        unsafe body = unsafe (block + Self.lockSize).bindMemory(to: LogBody.self, capacity: 1)
        unsafe body.initialize(to: LogBody(layout: declared.pageLayout, store: store))
    }

    deinit {
        unsafe free(body.pointee.takeRetired())
        // Pages and nodes go with the pool.
        let extent = unsafe body.pointee.extent
        extent.forEachForgotten(in: LogExtent(), page: freeValues, node: { _ in })
        unsafe body.guarding.deinitialize(count: 1)
        unsafe body.deinitialize(count: 1)
        unsafe UnsafeMutableRawPointer(body.guarding).deallocate()
        for shape in shapes { shape.deallocate() }
    }

    var schema: RegionSchema { shape.schema }
    var leaves: [LeafColumn] { shape.leaves }
    var regionLayout: RegionLayout? { shape.regionLayout }
    var layout: RowLayout { shape.layout }
    var pageLayout: PageLayout { shape.pageLayout }

    /// Stores rows under another schema, or the declared one, from now on; as ``TableCore/take(_:)``.
    func take(_ new: RegionShape) {
        if new.schema != declared.schema { shapes.append(new) }
        shape = new
        unsafe body.pointee.take(new.pageLayout)
    }

    /// Frees the blocks of a list.
    private func free(_ list: UnsafeMutableRawPointer?) {
        var next = unsafe list
        var blocks = FreedBlocks()
        while let block = unsafe next {
            unsafe next = unsafe block.assumingMemoryBound(to: Retirable.self).pointee.next
            unsafe blocks.append(block)
        }
        pool.free(retired: blocks)
    }

    private func freeValues(of page: Page) {
        pageLayout.forEachLargeValue(of: page) { $0.deallocate() }
    }

    /// Frees a page that was never part of the log, with what it refers to.
    func discard(_ page: Page) {
        freeValues(of: page)
        unsafe pool.free(page.base, byteCount: Int(page.header.pointee.blockSize))
    }

    /// Runs `action` under the log's lock.
    func withLock<Result, Failure: Error>(
        _ action: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        unsafe body.lock()
        defer { unsafe body.unlock() }
        return try action()
    }

    /// The rows that the log keeps now.
    var extent: LogExtent { withLock { unsafe body.pointee.extent } }

    /// Whether something appended or trimmed in this epoch or later; what a restore or a delta brings does not
    /// count.
    func isWritten(since epoch: UInt64) -> Bool {
        withLock { unsafe body.pointee.lastWrite >= epoch }
    }

    // MARK: Trimming

    /// Forgets the rows before a position.
    ///
    /// - Parameter isBrought: Whether a delta does it, and nobody who writes.
    func trim(before position: UInt64, isBrought: Bool = false) {
        trimming.lock()
        defer { trimming.unlock() }
        let (old, new) = withLock {
            if isBrought {
                unsafe body.pointee.beginBringing()
            } else {
                unsafe body.pointee.beginWriting()
            }
            return unsafe body.pointee.trim(before: position, isSkipping: isBrought)
        }
        retire(old, in: new)
    }

    /// Forgets the rows from a position on, which a delta has brought: the next row gets it.
    ///
    /// - Complexity: O(pages), which get a new directory: cuts that are open have the old one.
    func truncate(at position: UInt64) {
        trimming.lock()
        defer { trimming.unlock() }
        let (old, new) = withLock {
            unsafe body.pointee.beginBringing()
            unsafe store.lastRewind.max(body.pointee.extent.epoch, ordering: .releasing)
            return unsafe body.pointee.truncate(at: position)
        }
        retire(old, in: new, keeping: new.pages.count)
    }

    /// Puts pages of rows at the end, where a delta's rows must go on.
    ///
    /// - Parameter isFirst: Whether they may begin behind the end: the rows between were trimmed before they could
    ///   come.
    func bring(
        _ pages: [(page: Page, rowCount: Int)], at position: UInt64, isFirst: Bool
    ) throws(StoreError) {
        trimming.lock()
        defer { trimming.unlock() }
        let (extents, problem) = withLock {
            () -> ((old: LogExtent, new: LogExtent)?, StoreError?) in
            let end = unsafe body.pointee.extent.end
            guard !isReplaced else {
                return (
                    nil,
                    StoreError(
                        .wrongBase,
                        "the delta was not applied: the log has taken its Swift type meanwhile; begin again",
                        region: schema.name)
                )
            }
            guard position == end || isFirst && position > end else {
                return (
                    nil,
                    StoreError(
                        .wrongBase,
                        "the delta was not applied: it has rows from position \(position) on, and the store's log "
                            + "ends at \(end)", region: schema.name)
                )
            }
            unsafe body.pointee.beginBringing()
            var extents: (old: LogExtent, new: LogExtent)?
            if position > end {
                extents = unsafe body.pointee.detachAll()
                unsafe body.pointee.begin(at: position)
            }
            unsafe body.pointee.bring(pages)
            return (extents, nil)
        }
        if let extents { retire(extents.old, in: extents.new) }
        guard let problem else { return }
        for (page, _) in pages { discard(page) }
        throw problem
    }

    /// Frees what only `old` has, as far as no cut sees it.
    ///
    /// The caller holds ``trimming``, and nobody reaches it but cuts.
    ///
    /// - Parameters:
    ///   - withValues: Whether the rows' large values go too.
    ///   - keptCount: The first pages that stay all the same.
    func retire(
        _ old: LogExtent, in new: LogExtent, withValues: Bool = true, keeping keptCount: Int? = nil
    ) {
        // Read after the epoch of the trim: a cut that sees what was trimmed has been noted before.
        let protected = unsafe store.control.pointee.protected.load(ordering: .acquiring)
        var kept = RetiredList(epoch: new.epoch)
        var keptBytes = 0
        var gone = RetiredList(epoch: new.epoch)
        func retire(_ block: UnsafeMutableRawPointer, _ birth: UInt64) {
            unsafe block.assumingMemoryBound(to: Retirable.self).pointee.birth = birth
            if birth <= protected {
                unsafe keptBytes += Retirable.byteCount(of: block)
                unsafe kept.append(block)
            } else {
                unsafe gone.append(block)
            }
        }
        var pagesToKeep = keptCount ?? 0
        old.forEachForgotten(
            in: keptCount == nil ? new : LogExtent(),
            page: { page in
                if pagesToKeep > 0 {
                    pagesToKeep -= 1
                    return
                }
                let birth = unsafe page.header.pointee.retirable.birth
                if withValues {
                    pageLayout.forEachLargeValue(of: page) { unsafe retire($0.base, birth) }
                }
                unsafe retire(page.base, birth)
            },
            node: { node in
                unsafe retire(
                    node.base,
                    node.base.assumingMemoryBound(to: Retirable.self).pointee.birth)
            })
        unsafe free(gone.first)
        guard unsafe kept.first != nil else { return }
        withLock { unsafe body.pointee.keep(kept) }
        unsafe store.retained(keptBytes)
    }

    /// Takes all rows out, under the lock; the position of the next one stays.
    ///
    /// The caller holds ``trimming`` and gives `old` to ``retire(_:in:)``.
    func detachAll() -> (old: LogExtent, new: LogExtent) {
        unsafe body.pointee.beginWriting()
        return unsafe body.pointee.detachAll()
    }
}

/// What a log's lock protects.
@safe
@usableFromInline
struct LogBody: ~Copyable {
    /// The rows that the log keeps.
    var extent = LogExtent()
    /// The extent at the end of the epoch before that of the last write.
    private var frozen = LogExtent()
    /// The epoch of the last write that was not a restore's or a delta's.
    var lastWrite: UInt64 = 0
    /// The page that rows are appended to.
    @usableFromInline var tail: LogTail
    /// What was taken out and a cut may still see: a list through ``Retirable``.
    private var retiredHead: UnsafeMutableRawPointer?
    unowned(unsafe) private let pool: PagePool
    private let control: UnsafeMutablePointer<StoreControl>

    init(layout: PageLayout, store: StoreCore) {
        unsafe pool = store.pool
        unsafe control = unsafe store.control
        tail = LogTail(layout)
        unsafe retiredHead = nil
    }

    /// Notes the epoch that the writer who has just taken the lock writes in.
    @usableFromInline mutating func beginWriting() {
        beginBringing()
        lastWrite = extent.epoch
    }

    /// Does what ``beginWriting()`` does for a restore or a delta.
    mutating func beginBringing() {
        let epoch = unsafe control.pointee.epoch.load(ordering: .acquiring)
        if extent.epoch == epoch { return }
        frozen = extent
        extent.epoch = epoch
    }

    /// The log as it stood at the end of `epoch`, which has ended.
    func frozen(at epoch: UInt64) -> LogExtent { extent.epoch > epoch ? frozen : extent }

    // MARK: Appending

    /// The position of the next row.
    @usableFromInline var end: UInt64 { extent.end }

    /// Counts a row that was written to the tail, and gives its position.
    @usableFromInline mutating func noteRow() -> UInt64 {
        defer { extent.end += 1 }
        return extent.end
    }

    /// Puts a new page at the end, for a row whose values take `heap` bytes of it.
    @usableFromInline mutating func addPage(heap: Int) {
        let page = unsafe tail.makePage(heap: heap, birth: extent.epoch, pool: pool)
        unsafe extent.append(page, at: extent.end, pool: pool)
    }

    /// Puts pages that were made elsewhere at the end; rows go on in the last of them.
    mutating func append(_ pages: [(page: Page, rowCount: Int)], tail: LogTail) {
        bring(pages)
        self.tail = tail
    }

    /// Puts pages that were made elsewhere at the end; rows go on in a page of their own.
    mutating func bring(_ pages: [(page: Page, rowCount: Int)]) {
        for (page, rowCount) in pages {
            unsafe extent.append(page, at: extent.end, pool: pool)
            extent.end += UInt64(rowCount)
        }
        tail.leave()
    }

    /// Makes rows of another layout, of an empty log.
    mutating func take(_ layout: PageLayout) {
        precondition(extent.pages.isEmpty, "a log of rows keeps its layout")
        tail = LogTail(layout)
    }

    /// Makes an empty log begin at a position.
    mutating func begin(at position: UInt64) {
        precondition(extent.pages.isEmpty, "a log that has pages begins where it does")
        if position < extent.end { extent.returns += 1 }
        extent.head = position
        extent.end = position
    }

    // MARK: Reading

    /// The row of a position: its entry and its page; nil if it is not kept.
    @usableFromInline func find(
        _ position: UInt64
    ) -> (entry: UnsafeRawPointer, page: UnsafeRawPointer)? {
        guard position >= extent.head, position < extent.end else { return nil }
        let (page, _, first) = extent.place(of: position)
        return unsafe (
            UnsafeRawPointer(page.entries + Int(position - first) * tail.layout.stride),
            UnsafeRawPointer(page.base)
        )
    }

    // MARK: Trimming

    /// Forgets the rows before a position; what was kept before and what is kept now.
    ///
    /// - Parameter isSkipping: Whether the log goes on at that position when it is behind the end.
    mutating func trim(
        before position: UInt64, isSkipping: Bool
    ) -> (old: LogExtent, new: LogExtent) {
        let old = extent
        if isSkipping, position > extent.end {
            let extents = detachAll()
            begin(at: position)
            return (extents.old, extent)
        }
        let position = min(position, extent.end)
        guard position > extent.head else { return (old, old) }
        // Of a page whose rows all go, large values would stay for as long as it takes to fill.
        extent.forget(
            before: position, keepsTail: unsafe tail.page != nil && tail.outside == 0)
        if extent.pages.isEmpty { tail.leave() }
        return (old, extent)
    }

    /// Forgets the rows from a position on; what was kept before and what is kept now.
    mutating func truncate(at position: UInt64) -> (old: LogExtent, new: LogExtent) {
        let old = extent
        extent = LogExtent()
        extent.epoch = old.epoch
        extent.returns = old.returns + 1
        extent.head = old.head
        extent.end = old.head
        for ordinal in old.pages {
            let (page, first) = old.page(ordinal)
            if first >= position { break }
            unsafe extent.append(page, at: first, pool: pool)
        }
        extent.end = position
        // Its last page may have rows behind the end, which nobody may overwrite: cuts see them.
        tail.leave()
        return (old, extent)
    }

    /// Forgets all rows; the position of the next one stays.
    mutating func detachAll() -> (old: LogExtent, new: LogExtent) {
        let old = extent
        extent.forget(before: extent.end, keepsTail: false)
        tail.leave()
        return (old, extent)
    }

    /// Keeps what was taken out for the cuts that see it.
    mutating func keep(_ list: RetiredList) {
        var next = unsafe list.first
        while let block = unsafe next {
            let retirable = unsafe block.assumingMemoryBound(to: Retirable.self)
            unsafe next = unsafe retirable.pointee.next
            unsafe retirable.pointee.next = unsafe retiredHead
            unsafe retiredHead = unsafe block
        }
    }

    /// Takes the list of what was taken out, for whoever frees it outside the lock.
    mutating func takeRetired() -> UnsafeMutableRawPointer? {
        defer { unsafe retiredHead = nil }
        return unsafe retiredHead
    }
}

extension UnsafeMutablePointer where Pointee == LogBody {
    /// The log's lock.
    @inlinable var guarding: UnsafeMutablePointer<Lock> {
        unsafe (UnsafeMutableRawPointer(self) - LogCore.lockSize)
            .assumingMemoryBound(to: Lock.self)
    }

    /// Waits for the log's lock.
    @inlinable @inline(__always) func lock() { unsafe guarding.pointee.lock() }

    /// Gives the log's lock back.
    @inlinable @inline(__always) func unlock() { unsafe guarding.pointee.unlock() }

    /// Takes the lock unless it stays taken for longer than an append takes; whether it did.
    func tryLock() -> Bool {
        for _ in 0..<64 where unsafe guarding.pointee.tryLock() { return true }
        return false
    }
}

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
