import CaesuraFormat

/// Where a row of the base is: a page may be rebuilt or split while others are changed, but the hash of a
/// key stays, and so does its order among the few, if any, that share it.
struct RowPlace {
    var partition: Int
    var hash: UInt64
    /// Rows of the same hash before it in hash order.
    var tie: Int
    /// The row as it is before anything is changed.
    var row: FrozenRow
}

/// Finds and changes rows without their Swift types, under the locks of the partitions of a range.
@safe
struct RowPatcher {
    let table: TableCore

    // MARK: Finding

    /// The rows at these positions among those of a range, and the number of the range's rows.
    ///
    /// Positions that are not there are left out.
    func places(
        _ positions: [UInt64], in range: HashRange, _ partitions: ClosedRange<Int>
    ) -> (places: [RowPlace], rowCount: UInt64) {
        var places: [RowPlace] = []
        var next = 0
        var passed: UInt64 = 0
        for partition in partitions {
            var start = HashRange(partition: partition, bits: table.partitionBits).first
            for leaf in leaves(of: partition) {
                let first = start
                let span: UInt64 = leaf.depth == 0 ? 0 : 1 << UInt64(64 - leaf.depth)
                start = start &+ span
                let last = start &- 1
                guard !leaf.isEmpty, last >= range.first, first <= range.last else { continue }
                let isInside = first >= range.first && last <= range.last
                if isInside,
                    next == positions.count || positions[next] >= passed + UInt64(leaf.rowCount)
                {
                    passed += UInt64(leaf.rowCount)
                    continue
                }
                let rows = sortedRows(of: leaf.page).filter { range.contains($0.hash) }
                while next < positions.count, positions[next] < passed + UInt64(rows.count) {
                    let index = Int(positions[next] - passed)
                    let found = rows[index]
                    places.append(
                        RowPlace(
                            partition: partition, hash: found.hash,
                            tie: index - rows[..<index].firstTie(of: found.hash, index),
                            row: found.row))
                    next += 1
                }
                passed += UInt64(rows.count)
            }
        }
        return (places, passed)
    }

    private func leaves(of partition: Int) -> [DirectoryEntry] {
        var leaves: [DirectoryEntry] = []
        func collect(_ entry: DirectoryEntry) {
            guard entry.isNode else { return leaves.append(entry) }
            entry.node.forEachChild { _, child in collect(child) }
        }
        unsafe collect(table.partition(partition).pointee.root)
        return leaves
    }

    private func sortedRows(of page: Page) -> [(hash: UInt64, row: FrozenRow)] {
        var rows: [(hash: UInt64, row: FrozenRow)] = []
        for slot in page.usedSlots {
            let row = unsafe FrozenRow(page.entries + slot * table.layout.stride, page)
            unsafe rows.append((table.keys.hash(row.entry, row.heap), row))
        }
        rows.sort { a, b in
            if a.hash != b.hash { return a.hash < b.hash }
            return unsafe table.keys.canonicalBytes(a.row.entry, a.row.heap)
                .lexicographicallyPrecedes(table.keys.canonicalBytes(b.row.entry, b.row.heap))
        }
        return rows
    }

    /// The slots of a page whose rows have a hash, in hash order.
    private func slots(of hash: UInt64, in page: Page, depth: Int) -> [Int] {
        let tag = Page.tag(of: hash, depth: depth)
        var slots: [Int] = []
        for slot in page.usedSlots where unsafe page.tags[slot] == tag {
            let row = unsafe FrozenRow(page.entries + slot * table.layout.stride, page)
            if unsafe table.keys.hash(row.entry, row.heap) == hash { slots.append(slot) }
        }
        guard slots.count > 1 else { return slots }
        return slots.sorted { a, b in
            canonicalKey(page, a).lexicographicallyPrecedes(canonicalKey(page, b))
        }
    }

    private func canonicalKey(_ page: Page, _ slot: Int) -> [UInt8] {
        unsafe table.keys.canonicalBytes(
            page.entries + slot * table.layout.stride,
            HeapView(page: UnsafeRawPointer(page.base)))
    }

    /// Whether there is a row of a hash and these canonical key bytes.
    func contains(_ hash: UInt64, _ key: () -> [UInt8]) -> Bool {
        let partition = unsafe table.partition(table.partitionIndex(of: hash))
        let leaf = unsafe partition.pointee.root.leaf(of: hash, depth: table.partitionBits)
        guard !leaf.isEmpty else { return false }
        let slots = slots(of: hash, in: leaf.page, depth: leaf.depth)
        if slots.isEmpty { return false }
        let key = key()
        return slots.contains { canonicalKey(leaf.page, $0) == key }
    }

    // MARK: Changing

    /// Removes a row of the base, which is there.
    ///
    /// - Parameter tie: Rows of the same hash before it that have not been removed.
    func remove(_ hash: UInt64, tie: Int) {
        let partition = unsafe table.partition(table.partitionIndex(of: hash))
        let page = unsafe partition.pointee.writablePage(for: hash)
        let slot = slots(of: hash, in: page, depth: depth(of: page))[tie]
        let entry = unsafe page.entries + slot * table.layout.stride
        let writer = unsafe HeapWriter(
            page: page.base, limit: Page.valueLimit, staged: nil, partition: partition)
        for offset in table.pageLayout.referenceOffsets {
            unsafe writer.discard(entry.load(fromByteOffset: offset, as: HeapReference.self))
        }
        unsafe partition.pointee.removeSlot(slot, for: hash)
    }

    private func depth(of page: Page) -> Int { unsafe Int(page.header.pointee.depth) }

    /// Changes leaves of a row, which is there.
    ///
    /// - Parameters:
    ///   - byteCounts: For each changed leaf of variable length, the bytes of its new value.
    ///   - assign: Stores the new values, given the entry and a writer that has room for them.
    func update(
        _ place: RowPlace, byteCounts: [(leaf: Int, byteCount: Int)],
        assign: (UnsafeMutableRawPointer, inout HeapWriter) -> Void
    ) {
        let partition = unsafe table.partition(place.partition)
        let page = unsafe partition.pointee.writablePage(for: place.hash)
        let slot = slots(of: place.hash, in: page, depth: depth(of: page))[place.tie]
        var cursor = unsafe RowCursor(
            entry: page.entries + slot * table.layout.stride, slot: slot,
            rowOffset: table.layout.rowOffset, hash: place.hash,
            heap: HeapWriter(
                page: page.base, limit: Page.valueLimit, staged: nil, partition: partition))
        if !byteCounts.isEmpty { reserve(&cursor, byteCounts) }
        unsafe assign(cursor.entry, &cursor.heap)
        cursor.changes = 0xFFFF
        unsafe partition.stamp(cursor)
    }

    private func reserve(
        _ cursor: inout RowCursor, _ byteCounts: [(leaf: Int, byteCount: Int)]
    ) {
        func needed(_ entry: UnsafeMutableRawPointer, _ limit: Int) -> Int {
            byteCounts.reduce(0) { sum, value in
                let reference = unsafe entry.load(
                    fromByteOffset: table.layout.leaves[value.leaf].offset, as: HeapReference.self)
                return reference.hasRoom(for: value.byteCount, upTo: limit)
                    ? sum : sum + HeapWriter.heapByteCount(of: value.byteCount, upTo: limit)
            }
        }
        let inPage = unsafe needed(cursor.entry, Page.valueLimit)
        if cursor.heap.room >= inPage || cursor.reserve(inPage, isSpilled: false) { return }
        cursor.heap.limit = 0
        let spilled = unsafe cursor.reserve(needed(cursor.entry, 0), isSpilled: true)
        precondition(spilled, "a row's references fit in a page")
    }

    /// Inserts a row, which is not there.
    ///
    /// - Parameter byteCounts: For each leaf of variable length, the bytes of its value.
    func insert(
        _ hash: UInt64, byteCounts: [Int],
        assign: (UnsafeMutableRawPointer, inout HeapWriter) -> Void
    ) {
        let partition = unsafe table.partition(table.partitionIndex(of: hash))
        func heap(_ limit: Int) -> Int {
            byteCounts.reduce(0) { $0 + HeapWriter.heapByteCount(of: $1, upTo: limit) }
        }
        var limit = Page.valueLimit
        // Many values that would each fit: a page must hold more than one such row.
        if heap(limit) > Page.softSize / 2 { limit = 0 }
        let (page, slot) = unsafe partition.pointee.insertSlot(for: hash, heap: heap(limit))
        var writer = unsafe HeapWriter(
            page: page.base, limit: limit, staged: nil, partition: partition)
        unsafe assign(page.entries + slot * table.layout.stride, &writer)
    }
}

extension ArraySlice<(hash: UInt64, row: FrozenRow)> {
    /// The first index from which on all rows before `end` have a hash.
    fileprivate func firstTie(of hash: UInt64, _ end: Int) -> Int {
        var first = end
        while first > startIndex, self[first - 1].hash == hash { first -= 1 }
        return first
    }
}
