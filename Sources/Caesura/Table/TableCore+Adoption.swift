import CaesuraFormat
import Synchronization

/// Giving the rows of a table without Swift types to one that has some.
extension TableCore {
    /// Takes all rows of a table of the same wire fields, which nobody writes to, and leaves it empty.
    ///
    /// Cuts that are open keep the old table, with its layout and its pages. This one is not yet in the store's
    /// list of tables, and no cut can be taken meanwhile.
    ///
    /// - Throws: `schemaMismatch` and `unsupportedSchema`, with all rows still in their place.
    func takeRows(of old: TableCore) throws(StoreError) {
        old.lockAll()
        defer { old.unlockAll() }
        try checkRows(of: old)
        old.isReplaced = true
        unsafe store.takeRetired(of: old)
        for index in 0..<partitionCount {
            let root = unsafe old.partition(index).pointee.detachAll()
            let partition = unsafe partition(index)
            unsafe partition.pointee.beginWriting()
            var list = unsafe RetiredList(epoch: partition.pointee.writeEpoch)
            FrozenTable.forEachPage(below: root) { page in
                let copy = copy(page, of: old)
                unsafe partition.pointee.attach(
                    copy, old.range(of: page), epoch: partition.pointee.writeEpoch)
            }
            // The copies have the large values.
            old.retireAll(below: root, withValues: false, into: &list)
            unsafe store.giveUp(list)
        }
    }

    // MARK: Checking

    private func checkRows(of old: TableCore) throws(StoreError) {
        let checks = zip(leaves, old.leaves).enumerated().compactMap { index, pair in
            pair.0.type == pair.1.type ? nil : CaseCheck(leaf: index, type: pair.0.type)
        }
        for index in 0..<partitionCount {
            let root = unsafe old.partition(index).pointee.root
            try FrozenTable.forEachPage(below: root) { (page) throws(StoreError) in
                try check(page, of: old, checks)
            }
        }
    }

    private func check(
        _ page: Page, of old: TableCore, _ checks: [CaseCheck]
    ) throws(StoreError) {
        guard slotCount(for: page, of: old) != nil else {
            throw StoreError(
                .unsupportedSchema,
                "a page of rows that a restore has brought does not fit the row's Swift type; declare the "
                    + "table before the restore", region: schema.name)
        }
        if checks.isEmpty { return }
        let heap = unsafe HeapView(page: UnsafeRawPointer(page.base))
        for slot in page.usedSlots {
            let entry = unsafe page.entries + slot * old.layout.stride
            for check in checks where unsafe !check.holds(entry, heap, old.layout) {
                throw StoreError(
                    .schemaMismatch,
                    "a row that was restored holds a value of \(leaves[check.leaf].name) that is no case of "
                        + "the program's type; add the case", region: schema.name)
            }
        }
    }

    // MARK: Copying

    /// A page of this table's layout with the rows of a page of another's.
    private func copy(_ page: Page, of old: TableCore) -> Page {
        guard let slotCount = slotCount(for: page, of: old) else {
            preconditionFailure("all pages were checked")
        }
        let copy = unsafe Page.make(
            slotCount: slotCount, depth: Int(page.header.pointee.depth),
            heap: page.liveHeapByteCount(layout: old.pageLayout),
            birth: store.control.pointee.epoch.load(ordering: .acquiring), layout: pageLayout,
            pool: pool)
        for slot in page.usedSlots {
            let source = unsafe page.entries + slot * old.layout.stride
            let new = unsafe copy.takeSlot(
                tag: page.tags[slot], stamp: source.load(as: UInt64.self), stride: layout.stride,
                isChanged: false)
            unsafe copyLeaves(
                to: copy, copy.entries + new * layout.stride, from: page, source, old.layout)
        }
        unsafe copy.header.pointee.hasOutOfLine = unsafe page.header.pointee.hasOutOfLine
        return copy
    }

    /// The slots of a copy of a page: as many as the page has, or as few as will do; nil when those do not fit.
    private func slotCount(for page: Page, of old: TableCore) -> Int? {
        let heap = page.liveHeapByteCount(layout: old.pageLayout)
        let counts = unsafe [
            Int(page.header.pointee.slotCount), Int(page.header.pointee.rowCount) + 1,
        ]
        return counts.first {
            Page.byteCount(slotCount: $0, stride: layout.stride, heap: heap) <= Page.maximumSize
        }
    }

    private func copyLeaves(
        to page: Page, _ entry: UnsafeMutableRawPointer, from oldPage: Page,
        _ oldEntry: UnsafeMutableRawPointer, _ oldLayout: RowLayout
    ) {
        for (leaf, oldLeaf) in zip(layout.leaves, oldLayout.leaves) {
            // SAFETY: `check` has compared the layouts' leaves with the schemas, whose wire forms are equal;
            // the page was made for the heap bytes of the old one.
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

    // MARK: Walking

    private func range(of page: Page) -> HashRange {
        var slots = page.usedSlots
        guard let slot = slots.next() else {
            preconditionFailure("a page of a directory has rows")
        }
        let hash = unsafe keys.hash(
            page.entries + slot * layout.stride, HeapView(page: UnsafeRawPointer(page.base)))
        let depth = unsafe Int(page.header.pointee.depth)
        return HashRange(prefixBits: depth, prefix: hash & ~(UInt64.max >> UInt64(depth)))
    }

    private func lockAll() {
        for index in 0..<partitionCount { unsafe partition(index).lock() }
    }

    private func unlockAll() {
        for index in 0..<partitionCount { unsafe partition(index).unlock() }
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
