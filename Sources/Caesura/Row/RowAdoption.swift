import CaesuraFormat

/// Giving rows that lie as no Swift type is known to a layout of Swift types: what a region does that was declared
/// after a restore has brought its rows.
struct RowAdoption {
    private let old: RegionShape
    private let new: RegionShape

    /// Prepares for rows of the same columns.
    ///
    /// - Parameters:
    ///   - old: How the rows lie now.
    ///   - new: How they are to lie.
    init(from old: RegionShape, to new: RegionShape) {
        self.old = old
        self.new = new
    }

    /// Checks that a page's rows fit.
    func check(_ page: Page) throws(StoreError) {
        guard slotCount(for: page) != nil else {
            throw StoreError(
                .unsupportedSchema,
                "a page of rows that a restore has brought does not fit the row's Swift type; declare the "
                    + "region before the restore", region: new.schema.name)
        }
    }

    /// A page of the new layout with the rows of one that was checked; the large values are those of the old page.
    ///
    /// - Parameter takeSlot: Takes a slot of the new page for the row in a slot of the old one, with its stamp.
    func copy(
        _ page: Page, birth: UInt64, pool: PagePool, takeSlot: (Page, Int, UInt64) -> Int
    ) -> Page {
        guard let slotCount = slotCount(for: page) else {
            preconditionFailure("all pages were checked")
        }
        let copy = unsafe Page.make(
            slotCount: slotCount, depth: Int(page.header.pointee.depth),
            heap: page.liveHeapByteCount(layout: old.pageLayout), birth: birth,
            layout: new.pageLayout, pool: pool)
        for slot in page.usedSlots {
            let source = unsafe page.entries + slot * old.layout.stride
            let taken = unsafe takeSlot(copy, slot, source.load(as: UInt64.self))
            unsafe copyLeaves(
                to: copy, copy.entries + taken * new.layout.stride, from: page, source)
        }
        unsafe copy.header.pointee.hasOutOfLine = unsafe page.header.pointee.hasOutOfLine
        return copy
    }

    /// The slots of a copy of a page: as many as the page has, or as few as will do; nil when those do not fit.
    private func slotCount(for page: Page) -> Int? {
        let heap = page.liveHeapByteCount(layout: old.pageLayout)
        let counts = unsafe [Int(page.header.pointee.slotCount), page.usedSlots.count + 1]
        return counts.first {
            Page.byteCount(slotCount: $0, stride: new.layout.stride, heap: heap)
                <= Page.maximumSize
        }
    }

    private func copyLeaves(
        to page: Page, _ entry: UnsafeMutableRawPointer, from oldPage: Page,
        _ oldEntry: UnsafeMutableRawPointer
    ) {
        for (leaf, oldLeaf) in zip(new.layout.leaves, old.layout.leaves) {
            // SAFETY: `TableCore.check` has compared the layouts' leaves with the schemas, whose wire forms are
            // equal; the page was made for the heap bytes of the old one.
            let (target, source) = unsafe (entry + leaf.offset, oldEntry + oldLeaf.offset)
            switch leaf.kind {
            case .presence: unsafe target.copyMemory(from: source, byteCount: 1)
            case .fixed(let scalar):
                unsafe target.copyMemory(from: source, byteCount: scalar.width)
            case .bytes, .array:
                let reference = unsafe source.load(as: HeapReference.self)
                let size = reference.heapByteCount
                if size == 0 { continue }
                let top = unsafe Int(page.header.pointee.heapTop)
                unsafe (page.base + top).copyMemory(
                    from: oldPage.base + Int(reference.offset), byteCount: size)
                unsafe target.storeBytes(
                    of: HeapReference(offset: UInt16(top), length: reference.length),
                    as: HeapReference.self)
                unsafe page.header.pointee.heapTop = UInt32(top + size)
            }
        }
    }
}
