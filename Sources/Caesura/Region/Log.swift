public import CaesuraFormat
import Synchronization

/// An append-only sequence of rows, which a cut freezes without a pause.
///
///     let visits = try store.log("visits", row: Visit.self)
///     let position = visits.append(Visit(page: "/", time: .now))
///     visits.trim(before: position)
///
///     positions   0        head                          end
///                 ├─ ─ ─ ─ ─┼──────────────────────────────┤
///                  trimmed   kept rows                      the next row
///
/// Rows have positions, counted from 0 for ever: trimming takes rows away and renumbers none. A row never changes,
/// so a checkpoint need not write again what an earlier one has. All accesses take the log's one lock for as long
/// as a row takes; a closure runs under it: keep it short, and do not use the log inside it. A cut reads without it.
///
/// It is not for rows that are looked up by anything but their position, or changed: that is a ``Table``.
@safe
public final class Log<Row: SchemaStruct>: Sendable {
    @usableFromInline let core: LogCore
    private let store: StoreCore
    @usableFromInline nonisolated(unsafe) let body: UnsafeMutablePointer<LogBody>

    init(core: LogCore) {
        self.core = core
        store = unsafe core.store
        unsafe body = unsafe core.body
    }

    /// The log's name and schema.
    public var schema: RegionSchema { core.declared.schema }

    /// The number of rows that the log keeps.
    public var count: Int { core.extent.count }

    /// The positions of the rows that the log keeps; the upper bound is the position of the next row.
    public var positions: Range<UInt64> {
        let extent = core.extent
        return extent.head..<extent.end
    }

    // MARK: Appending

    /// Adds a row behind all others.
    ///
    /// - Precondition: No value has more than ``Store/valueByteLimit`` bytes.
    /// - Complexity: O(bytes of the row); values of more than 1 KiB are copied before the log is locked. Nothing
    ///   else is copied, whatever cuts are open.
    /// - Returns: The row's position.
    @inlinable @discardableResult public func append(_ row: Row) -> UInt64 {
        var staged = StagedValues()
        Row.stage(row, upTo: Page.valueLimit, in: &staged)
        return unsafe withUnsafeMutablePointer(to: &staged) { staged in
            unsafe body.lock()
            unsafe body.pointee.beginWriting()
            let position = unsafe body.append(row, staged)
            unsafe body.unlock()
            return position
        }
    }

    /// Adds rows behind all others, as one: they follow each other, and a cut sees them all or none.
    ///
    /// Many rows are put into pages before the log is locked, and only the pages are added under the lock.
    ///
    /// - Precondition: No value has more than ``Store/valueByteLimit`` bytes.
    /// - Complexity: O(bytes of the rows). Other accesses wait for the rows of at most two pages, or for the
    ///   adding of pages.
    /// - Returns: The rows' positions.
    @inlinable @discardableResult public func append(
        contentsOf rows: some Sequence<Row>
    ) -> Range<UInt64> {
        let rows = Array(rows)
        if rows.count <= core.directRowCount { return appendDirectly(rows) }
        var batch = LogBatch(for: core)
        for row in rows {
            var staged = StagedValues()
            Row.stage(row, upTo: Page.valueLimit, in: &staged)
            unsafe withUnsafeMutablePointer(to: &staged) { staged in
                let (heap, limit) = batch.tail.heap(of: row)
                if !batch.tail.hasRoom(heap: heap) { batch.addPage(heap: heap) }
                unsafe batch.tail.append(row, heap: heap, limit: limit, staged: staged)
            }
        }
        // A restore may have given the log another layout meanwhile.
        return core.append(batch) ?? appendDirectly(rows)
    }

    /// Adds a few rows under one lock.
    @inlinable func appendDirectly(_ rows: [Row]) -> Range<UInt64> {
        var staged = StagedValues()
        for row in rows { Row.stage(row, upTo: Page.valueLimit, in: &staged) }
        return unsafe withUnsafeMutablePointer(to: &staged) { staged in
            unsafe body.lock()
            unsafe body.pointee.beginWriting()
            let first = unsafe body.pointee.end
            for row in rows { _ = unsafe body.append(row, staged) }
            let end = unsafe body.pointee.end
            unsafe body.unlock()
            return first..<end
        }
    }

    // MARK: Reading

    /// The row of a position: a copy, with its strings built; nil when the log does not keep it.
    ///
    /// - Complexity: O(log pages + bytes of the row), all of which other accesses wait for.
    @inlinable public subscript(position: UInt64) -> Row? {
        unsafe body.lock()
        defer { unsafe body.unlock() }
        guard let found = unsafe body.pointee.find(position) else { return nil }
        return unsafe Row.load(
            found.entry.load(
                fromByteOffset: EntryShape<NoKey, Row>.rowOffset, as: Row.Stored.self),
            from: HeapView(page: found.page))
    }

    /// Reads a row in place: `body` takes what it needs from the fields, and no string is built for it.
    ///
    /// - Returns: What `body` returns, or nil when the log does not keep the row.
    @inlinable public func read<Result>(
        _ position: UInt64, _ body: (borrowing Row.Reader) throws -> Result
    ) rethrows -> Result? {
        unsafe self.body.lock()
        defer { unsafe self.body.unlock() }
        guard let found = unsafe self.body.pointee.find(position) else { return nil }
        return try unsafe body(
            Row.Reader(
                RowView(
                    row: found.entry + EntryShape<NoKey, Row>.rowOffset,
                    heap: HeapView(page: found.page))))
    }

    // MARK: Trimming

    /// Takes away the rows before a position; those at and after it keep theirs.
    ///
    /// Cuts that are open keep what they see. A position behind the end takes all rows away. Memory comes back a
    /// page at a time.
    ///
    /// - Complexity: O(log pages) while other accesses wait, then O(pages taken away) beside them.
    public func trim(before position: UInt64) { core.trim(before: position) }
}

extension UnsafeMutablePointer where Pointee == LogBody {
    /// Adds a row under the lock, after ``LogBody/beginWriting()``.
    @inlinable @inline(__always) func append<Row: SchemaStruct>(
        _ row: Row, _ staged: UnsafeMutablePointer<StagedValues>?
    ) -> UInt64 {
        let (heap, limit) = unsafe pointee.tail.heap(of: row)
        if unsafe !pointee.tail.hasRoom(heap: heap) { unsafe pointee.addPage(heap: heap) }
        unsafe pointee.tail.append(row, heap: heap, limit: limit, staged: staged)
        return unsafe pointee.noteRow()
    }
}

/// Rows in pages of their own, on their way into a log.
@safe
@usableFromInline
struct LogBatch: ~Copyable {
    private let birth: UInt64
    private let pool: PagePool
    @usableFromInline var tail: LogTail
    /// The pages, and the rows of each but the last.
    private var pages: [(page: Page, rowCount: Int)] = []

    @usableFromInline init(for core: LogCore) {
        // Not later than the epoch in which the pages become part of the log.
        birth = unsafe core.store.control.pointee.epoch.load(ordering: .acquiring)
        pool = core.pool
        tail = LogTail(core.pageLayout)
    }

    /// Begins a new page, for a row whose values take `heap` bytes of it.
    @usableFromInline mutating func addPage(heap: Int) {
        noteRows()
        pages.append((tail.makePage(heap: heap, birth: birth, pool: pool), 0))
    }

    private mutating func noteRows() {
        if !pages.isEmpty { pages[pages.count - 1].rowCount = tail.rowCount }
    }

    /// Gives the pages away, and the tail to go on with.
    consuming func take() -> (pages: [(page: Page, rowCount: Int)], tail: LogTail) {
        noteRows()
        return (pages, tail)
    }
}

extension LogCore {
    /// Rows that are added under the lock one by one; more are put into pages before.
    ///
    /// Two pages of them: 13 us with rows of 83 bytes.
    @usableFromInline var directRowCount: Int { 2 * pageLayout.maximumSlots }

    /// Adds the rows of a batch; nil if its pages are of another layout than the log's.
    @usableFromInline func append(_ batch: consuming LogBatch) -> Range<UInt64>? {
        let (pages, tail) = batch.take()
        let positions: Range<UInt64>? = withLock {
            guard unsafe body.pointee.tail.layout.isSame(as: tail.layout) else { return nil }
            unsafe body.pointee.beginWriting()
            let first = unsafe body.pointee.extent.end
            unsafe body.pointee.append(pages, tail: tail)
            return unsafe first..<body.pointee.extent.end
        }
        if positions == nil {
            for (page, _) in pages { discard(page) }
        }
        return positions
    }
}
