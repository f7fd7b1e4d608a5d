import CaesuraFormat

/// A page of its own, outside any table: what rows pass through on their way between Swift values and
/// columns.
@safe
struct ScratchPage: ~Copyable {
    let page: Page
    let capacity: Int
    private let layout: RowLayout

    init(_ layout: RowLayout) {
        self.layout = layout
        // Half of the page for entries at most; one slot stays unused, as in every page.
        let slots = max(2, min(64, Page.maximumSize / 2 / layout.stride))
        capacity = slots - 1
        page = unsafe Page(
            base: .allocate(byteCount: Page.maximumSize, alignment: 64), slotCount: slots)
        empty()
    }

    deinit {
        discardValues()
        unsafe page.base.deallocate()
    }

    /// The tag that puts the row of that index into the slot of that index.
    func tag(_ index: Int) -> UInt16 {
        let slots = unsafe Int(page.header.pointee.slotCount)
        return UInt16((index << 16 + slots - 1) / slots)
    }

    var rowCount: Int { unsafe Int(page.header.pointee.rowCount) }

    /// Heap bytes that an empty page has.
    var heapCapacity: Int {
        unsafe Int(page.header.pointee.blockSize)
            - Page.byteCount(
                slotCount: Int(page.header.pointee.slotCount), stride: layout.stride, heap: 0)
    }

    /// The address of the row in a slot.
    func row(_ slot: Int) -> UnsafeMutableRawPointer {
        unsafe page.entries + slot * layout.stride + layout.rowOffset
    }

    /// Takes all rows out; the values outside the page are freed.
    func removeAll() {
        discardValues()
        empty()
    }

    private func empty() {
        page.clear(stride: layout.stride)
    }

    private func discardValues() {
        guard unsafe page.header.pointee.hasOutOfLine else { return }
        let heap = unsafe HeapView(page: UnsafeRawPointer(page.base))
        for slot in 0..<rowCount {
            forEachReference(slot) { _, reference in
                if reference.isOutOfLine { heap.largeValue(reference).deallocate() }
            }
        }
    }

    /// Calls `body` with the reference of each leaf of variable length that the row in `slot` has.
    func forEachReference<Failure: Error>(
        _ slot: Int, _ body: (_ leaf: Int, HeapReference) throws(Failure) -> Void
    ) throws(Failure) {
        let entry = unsafe page.entries + slot * layout.stride
        for (index, leaf) in layout.leaves.enumerated() {
            switch leaf.kind {
            case .presence, .fixed: continue
            case .bytes, .array:
                // An absent optional's references are empty.
                try unsafe body(
                    index, entry.load(fromByteOffset: leaf.offset, as: HeapReference.self))
            }
        }
    }
}
