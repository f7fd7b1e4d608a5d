import CaesuraFormat

/// What a transaction has staged, and what puts its changes back, the last first.
///
/// Used by the thread that holds the transaction's locks.
@safe
final class TransactionLog {
    /// The values that were copied before the locks were taken.
    let staged: UnsafeMutablePointer<StagedValues>
    private var steps: [() -> Void] = []
    /// Closures on rows that are running: what they look at must not move.
    private var openRows = 0

    init(_ staged: consuming StagedValues) {
        unsafe self.staged = .allocate(capacity: 1)
        unsafe self.staged.initialize(to: staged)
    }

    deinit {
        unsafe staged.deinitialize(count: 1)
        unsafe staged.deallocate()
    }

    /// Runs a closure on a row, during which no other row may change.
    func withOpenRow<Result>(_ body: () throws -> Result) rethrows -> Result {
        openRows += 1
        defer { openRows -= 1 }
        return try body()
    }

    /// Notes a row as it is, before it is changed.
    func note<Key: TableKey, Row: SchemaStruct>(
        _ partition: UnsafeMutablePointer<Partition>, _ key: Key, _ hash: UInt64, _ type: Row.Type
    ) {
        precondition(
            openRows == 0, "a transaction changes a row inside a closure on another; end that first"
        )
        var before: SavedRow?
        if let found = unsafe partition.pointee.find(key, hash, as: Row.self) {
            before = unsafe SavedRow(
                slot: found.slot, of: Page(base: found.leaf.address), in: partition)
        }
        steps.append {
            // All that the row had outside its page is among the replaced values after that.
            _ = unsafe partition.remove(key, hash, as: Row.self)
            before?.putBack(hash)
        }
    }

    func undo() {
        for step in steps.reversed() { step() }
    }
}

/// A row as it was before a transaction changed it: its entry, and its bytes in the page's heap.
///
/// Its large values are not copied. Nobody frees them while the transaction holds the partition's lock: what it
/// replaces waits in ``Partition/replacedValues``.
@safe
private final class SavedRow {
    /// A page of this row alone.
    private let page: Page
    private let partition: UnsafeMutablePointer<Partition>

    init(slot: Int, of source: Page, in partition: UnsafeMutablePointer<Partition>) {
        unsafe self.partition = unsafe partition
        let layout = unsafe partition.pointee.layout
        page = unsafe Page.make(
            slotCount: 1, depth: 0, heap: source.heapByteCount(ofSlot: slot, layout: layout),
            birth: 0, layout: layout, pool: partition.pointee.pool)
        page.adopt(slot: slot, of: source, tag: 0, layout: layout)
    }

    deinit {
        unsafe partition.pointee.pool.free(
            page.base, byteCount: Int(page.header.pointee.blockSize))
    }

    /// Inserts the row as it was, its stamp included, and takes its large values back.
    func putBack(_ hash: UInt64) {
        let layout = unsafe partition.pointee.layout
        let heap = page.heapByteCount(ofSlot: 0, layout: layout)
        let (target, slot) = unsafe partition.pointee.insertSlot(for: hash, heap: heap)
        target.fill(slot, fromSlot: 0, of: page, layout: layout)
        guard unsafe page.header.pointee.hasOutOfLine else { return }
        let view = unsafe HeapView(page: UnsafeRawPointer(page.base))
        for offset in layout.referenceOffsets {
            let reference = unsafe page.entries.load(
                fromByteOffset: offset, as: HeapReference.self)
            guard reference.isOutOfLine else { continue }
            unsafe partition.pointee.replacedValues.remove(view.largeValue(reference))
        }
    }
}
