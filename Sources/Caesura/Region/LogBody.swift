import CaesuraFormat
import Synchronization

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
