import CaesuraFormat

/// Changes rows without their Swift types, under the locks of the partitions of a range.
@safe
struct RowPatcher {
    let table: TableCore

    // MARK: Finding

    /// The slot of a row that is there.
    ///
    /// - Parameter tie: Rows of the same hash before it.
    private func slot(of hash: UInt64, tie: Int, in page: Page) -> Int {
        let tag = unsafe Page.tag(of: hash, depth: Int(page.header.pointee.depth))
        if tie == 0, tag != Page.unusedTag {
            // The only row of its tag must be the one that is there.
            var only = -1
            var count = 0
            let slotCount = unsafe Int(page.header.pointee.slotCount)
            for slot in 0..<slotCount where unsafe page.tags[slot] == tag {
                only = slot
                count += 1
            }
            if count == 1 { return only }
        }
        return slots(of: hash, in: page)[tie]
    }

    /// The slots of a page whose rows have a hash, in hash order.
    private func slots(of hash: UInt64, in page: Page) -> [Int] {
        let tag = unsafe Page.tag(of: hash, depth: Int(page.header.pointee.depth))
        var slots: [Int] = []
        for slot in page.usedSlots where unsafe page.tags[slot] == tag {
            if table.keys.hash(row(slot, page)) == hash { slots.append(slot) }
        }
        guard slots.count > 1 else { return slots }
        return slots.sorted { table.keys.precedes(hash, row($0, page), hash, row($1, page)) }
    }

    private func row(_ slot: Int, _ page: Page) -> FrozenRow {
        unsafe FrozenRow(page.entries + slot * table.layout.stride, page)
    }

    /// The page or gap that a hash leads to.
    func leaf(of hash: UInt64) -> DirectoryEntry {
        let partition = unsafe table.partition(table.partitionIndex(of: hash))
        return unsafe partition.pointee.root.leaf(of: hash, depth: table.partitionBits)
    }

    /// Whether there is a row of a hash and these canonical key bytes.
    func contains(_ hash: UInt64, _ key: () -> [UInt8]) -> Bool {
        let leaf = leaf(of: hash)
        guard !leaf.isEmpty else { return false }
        let slots = slots(of: hash, in: leaf.page)
        if slots.isEmpty { return false }
        let key = key()
        return slots.contains { slot in
            let row = row(slot, leaf.page)
            return unsafe table.keys.canonicalBytes(row.entry, row.heap) == key
        }
    }

    // MARK: Changing

    /// Removes a row of the base, which is there.
    ///
    /// Of rows of the same hash the last must go first.
    func remove(_ place: RowPlace) {
        let partition = unsafe table.partition(place.partition)
        let page = unsafe partition.pointee.writablePage(for: place.hash)
        let slot = slot(of: place.hash, tie: place.tie, in: page)
        let entry = unsafe page.entries + slot * table.layout.stride
        let writer = unsafe HeapWriter(
            page: page.base, limit: Page.valueLimit, staged: nil, partition: partition)
        for offset in table.pageLayout.referenceOffsets {
            unsafe writer.discard(entry.load(fromByteOffset: offset, as: HeapReference.self))
        }
        unsafe partition.pointee.removeSlot(slot, for: place.hash)
    }

    /// The page of a row, made writable.
    func writablePage(_ place: RowPlace) -> Page {
        unsafe table.partition(place.partition).pointee.writablePage(for: place.pageHash)
    }

    /// Notes that a row of a writable page, which stays in its slot, has changed.
    @inline(__always)
    func stamp(_ page: Page, _ place: RowPlace) {
        let epoch = unsafe table.partition(place.partition).pointee.writeEpoch
        unsafe (page.entries + place.slot &* table.layout.stride).storeBytes(
            of: epoch &<< 16 | 0xFFFF, as: UInt64.self)
        unsafe page.header.pointee.changes.slots.insert(place.slot)
    }

    /// Changes leaves of a row, which is there; its page may be rebuilt or split by that.
    ///
    /// - Parameters:
    ///   - page: The row's page, when it has not been rebuilt since the row was found.
    ///   - byteCounts: For each changed leaf of variable length, the bytes of its new value.
    ///   - assign: Stores the new values, given the entry and a writer that has room for them.
    /// - Returns: Whether the page is still the same.
    func update(
        _ place: RowPlace, in page: Page?, byteCounts: [(leaf: Int, byteCount: Int)],
        assign: (UnsafeMutableRawPointer, inout HeapWriter) -> Void
    ) -> Bool {
        let partition = unsafe table.partition(place.partition)
        let present = unsafe page ?? partition.pointee.writablePage(for: place.hash)
        let slot =
            page == nil ? slot(of: place.hash, tie: place.tie, in: present) : place.slot
        var cursor = unsafe RowCursor(
            entry: present.entries + slot * table.layout.stride, slot: slot,
            rowOffset: table.layout.rowOffset, hash: place.hash,
            heap: HeapWriter(
                page: present.base, limit: Page.valueLimit, staged: nil, partition: partition))
        // Its address does not tell: a page that is rebuilt twice may come back to where it was.
        let isThere = byteCounts.isEmpty || !reserve(&cursor, byteCounts)
        unsafe assign(cursor.entry, &cursor.heap)
        cursor.changes = 0xFFFF
        unsafe partition.stamp(cursor)
        return isThere
    }

    /// Makes room for values; whether the page was rebuilt, or may have been.
    private func reserve(
        _ cursor: inout RowCursor, _ byteCounts: [(leaf: Int, byteCount: Int)]
    ) -> Bool {
        func needed(_ entry: UnsafeMutableRawPointer, _ limit: Int) -> Int {
            byteCounts.reduce(0) { sum, value in
                let reference = unsafe entry.load(
                    fromByteOffset: table.layout.leaves[value.leaf].offset, as: HeapReference.self)
                return reference.hasRoom(for: value.byteCount, upTo: limit)
                    ? sum : sum + HeapWriter.heapByteCount(of: value.byteCount, upTo: limit)
            }
        }
        let inPage = unsafe needed(cursor.entry, Page.valueLimit)
        if cursor.heap.room >= inPage { return false }
        if cursor.reserve(inPage, isSpilled: false) { return true }
        cursor.heap.limit = 0
        let spilled = unsafe cursor.reserve(needed(cursor.entry, 0), isSpilled: true)
        precondition(spilled, "a row's references fit in a page")
        return true
    }

    /// A slot for a row that is not there, in a page with room for its values.
    ///
    /// - Parameter heap: Bytes of the page's heap that the values take.
    /// - Returns: And the size up to which values stay in the page.
    func insertSlot(for hash: UInt64, heap: Int) -> (page: Page, slot: Int, limit: Int) {
        let partition = unsafe table.partition(table.partitionIndex(of: hash))
        guard heap > Page.softSize / 2 else {
            let (page, slot) = unsafe partition.pointee.insertSlot(for: hash, heap: heap)
            return (page, slot, Page.valueLimit)
        }
        // Many values that would each fit: a page must hold more than one such row.
        let spilled =
            table.pageLayout.referenceOffsets.count * MemoryLayout<LargeValueRecord>.size
        let (page, slot) = unsafe partition.pointee.insertSlot(for: hash, heap: spilled)
        return (page, slot, 0)
    }
}
