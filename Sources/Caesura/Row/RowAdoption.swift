import CaesuraFormat

/// Giving rows that lie as no Swift type is known to a layout of Swift types: what a region does that was declared
/// after a restore has brought its rows.
struct RowAdoption {
    typealias Shape = (leaves: [LeafColumn], layout: RowLayout, pageLayout: PageLayout)

    private let schema: RegionSchema
    private let old: Shape
    private let new: Shape
    private let checks: [CaseCheck]

    /// Prepares for rows of the same wire fields.
    ///
    /// - Parameters:
    ///   - schema: That of the declaration.
    ///   - old: How the rows lie now.
    ///   - new: How they are to lie.
    init(_ schema: RegionSchema, from old: Shape, to new: Shape) {
        self.schema = schema
        self.old = old
        self.new = new
        checks = zip(new.leaves, old.leaves).enumerated().compactMap { index, pair in
            pair.0.type == pair.1.type ? nil : CaseCheck(leaf: index, type: pair.0.type)
        }
    }

    /// Checks that a page's rows fit and are values of the new types.
    func check(_ page: Page) throws(StoreError) {
        guard slotCount(for: page) != nil else {
            throw StoreError(
                .unsupportedSchema,
                "a page of rows that a restore has brought does not fit the row's Swift type; declare the "
                    + "region before the restore", region: schema.name)
        }
        if checks.isEmpty { return }
        let heap = unsafe HeapView(page: UnsafeRawPointer(page.base))
        for slot in page.usedSlots {
            let entry = unsafe page.entries + slot * old.layout.stride
            for check in checks where unsafe !check.holds(entry, heap, old.layout) {
                throw StoreError(
                    .schemaMismatch,
                    "a row that was restored holds a value of \(new.leaves[check.leaf].name) that is no case "
                        + "of the program's type; add the case", region: schema.name)
            }
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

/// Whether a leaf of an enumeration holds a case of another program's type.
private struct CaseCheck {
    let leaf: Int
    private let cases: Set<[UInt8]>

    /// Nil when any value will do.
    init?(leaf: Int, type: FieldType) {
        guard case .enumeration(let raw, let cases) = type else { return nil }
        self.leaf = leaf
        var width = 0
        if case .scalar(let scalar) = raw { width = scalar.width }
        self.cases = Set(
            cases.map { enumerationCase in
                switch enumerationCase.raw {
                case .int(let int): Self.bytes(UInt128(truncatingIfNeeded: int), width)
                case .uint(let uint): Self.bytes(uint, width)
                case .string(let string): Array(string.utf8)
                default: preconditionFailure("a raw value that is neither integer nor string")
                }
            })
    }

    private static func bytes(_ value: UInt128, _ width: Int) -> [UInt8] {
        (0..<width).map { UInt8(truncatingIfNeeded: value >> UInt128(8 * $0)) }
    }

    /// Whether the entry's value is one of the cases, or absent.
    func holds(_ entry: UnsafeMutableRawPointer, _ heap: HeapView, _ layout: RowLayout) -> Bool {
        var scope = layout.leaves[leaf].scope
        while let presence = scope {
            let offset = layout.leaves[presence].offset
            if unsafe entry.load(fromByteOffset: offset, as: UInt8.self) == 0 { return true }
            scope = layout.leaves[presence].scope
        }
        let place = unsafe entry + layout.leaves[leaf].offset
        if case .fixed(let scalar) = layout.leaves[leaf].kind {
            return unsafe cases.contains(
                Array(UnsafeRawBufferPointer(start: place, count: scalar.width)))
        }
        return unsafe heap.withBytes(of: place.load(as: HeapReference.self)) {
            unsafe cases.contains(Array($0))
        }
    }
}
