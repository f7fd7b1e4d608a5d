import CaesuraFormat

/// Making pages, making them roomier, splitting them.
extension Partition {
    /// Rows that a page of so many slots takes: a quarter stays unused, so that searches stay short.
    static func capacity(slotCount: Int) -> Int {
        slotCount - max(1, slotCount / 4)
    }

    /// Replaces the page by a roomier one, or by two; returns where the row in `following` is now.
    @discardableResult
    mutating func makeRoom(
        in entries: UnsafeMutablePointer<DirectoryEntry>, _ range: Range<Int>, hash: UInt64,
        rows: Int, heap: Int, following: Int?
    ) -> Int {
        let page = unsafe entries[range.lowerBound].page
        let live = page.liveHeapByteCount(layout: layout)
        let slots = slotCount(forRows: rows)
        let size = Page.byteCount(slotCount: slots, stride: layout.stride, heap: live + heap)
        // A row alone may fill its page, also with the one that joins it; and where no bit is left to split
        // by, all rows together.
        let mayFill =
            unsafe page.header.pointee.rowCount == 1
            || page.header.pointee.depth == Page.deepest
        let limit = mayFill ? Page.maximumSize : Page.softSize
        let tooLarge = rows > 1 && size > limit
        if rows > Self.capacity(slotCount: layout.maximumSlots) || tooLarge {
            return unsafe split(page, in: entries, range, hash: hash, following: following)
        }
        let grown = unsafe makePage(
            depth: Int(page.header.pointee.depth), rows: rows, liveHeap: live, heapNeeded: heap)
        unsafe grown.header.pointee.changes = PageChanges(since: page.header.pointee.changes.epoch)
        var followed = 0
        for slot in page.usedSlots {
            let new = unsafe grown.adopt(slot: slot, of: page, tag: page.tags[slot], layout: layout)
            if slot == following { followed = new }
        }
        let written = DirectoryEntry(grown, epoch: writeEpoch)
        for index in range { unsafe entries[index] = written }
        unsafe giveUp(page.base, Int(page.header.pointee.blockSize))
        return followed
    }

    /// Splits a page by the next bit of the hash.
    private mutating func split(
        _ page: Page, in entries: UnsafeMutablePointer<DirectoryEntry>, _ range: Range<Int>,
        hash: UInt64, following: Int?
    ) -> Int {
        let depth = unsafe Int(page.header.pointee.depth)
        precondition(depth < Page.deepest, "more rows share a hash than fit in a page")
        if range.count == 1 {
            deepen(for: hash)
            let (entries, range) = unsafe writableLeaf(for: hash)
            return unsafe split(page, in: entries, range, hash: hash, following: following)
        }
        var rows = (0, 0)
        var heaps = (0, 0)
        let slotCount = unsafe Int(page.header.pointee.slotCount)
        return unsafe withUnsafeTemporaryAllocation(of: UInt64.self, capacity: slotCount) {
            hashes in
            for slot in page.usedSlots {
                let entry = unsafe page.entries + slot * layout.stride
                let hash = unsafe keys.hash(entry, HeapView(page: UnsafeRawPointer(page.base)))
                unsafe hashes[slot] = hash
                let heap = page.heapByteCount(ofSlot: slot, layout: layout)
                if (hash << UInt64(depth)) >> 63 == 0 {
                    rows.0 += 1
                    heaps.0 += heap
                } else {
                    rows.1 += 1
                    heaps.1 += heap
                }
            }
            let pages = (
                makeHalf(depth: depth + 1, rows: rows.0, liveHeap: heaps.0),
                makeHalf(depth: depth + 1, rows: rows.1, liveHeap: heaps.1)
            )
            for half in [pages.0, pages.1] {
                unsafe half?.header.pointee.changes = PageChanges(
                    since: page.header.pointee.changes.epoch)
            }
            var followed = 0
            for slot in page.usedSlots {
                let half = unsafe (hashes[slot] << UInt64(depth)) >> 63 == 0 ? pages.0! : pages.1!
                let new = unsafe half.adopt(
                    slot: slot, of: page, tag: Page.tag(of: hashes[slot], depth: depth + 1),
                    layout: layout)
                if slot == following { followed = new }
            }
            var gap = DirectoryEntry(emptyAtDepth: depth + 1)
            gap.epoch = writeEpoch
            let written = (
                pages.0.map { DirectoryEntry($0, epoch: writeEpoch) } ?? gap,
                pages.1.map { DirectoryEntry($0, epoch: writeEpoch) } ?? gap
            )
            let middle = range.lowerBound + range.count / 2
            for index in range { unsafe entries[index] = index < middle ? written.0 : written.1 }
            unsafe giveUp(page.base, Int(page.header.pointee.blockSize))
            return followed
        }
    }

    /// Gives a page or gap that stands in one entry of its node another, on a path that is writable.
    mutating func deepen(for hash: UInt64) {
        var parent = unsafe rootPointer
        while true {
            let entry = unsafe parent.pointee
            guard entry.isNode else {
                let node = unsafe DirectoryNode.make(
                    depth: entry.depth, filling: entry, birth: writeEpoch, pool: pool)
                unsafe parent.pointee = DirectoryEntry(node, epoch: writeEpoch)
                return
            }
            let node = entry.node
            if unsafe node.header.pointee.hasNodes {
                let index = DirectoryNode.index(of: hash, depth: node.depth, bits: node.bits)
                unsafe parent = unsafe node.entries + index
                continue
            }
            let canDouble = node.bits < DirectoryNode.maximumBits
            let replacement =
                unsafe canDouble
                ? node.doubled(birth: writeEpoch, pool: pool)
                : node.folded(birth: writeEpoch, pool: pool)
            unsafe parent.pointee = DirectoryEntry(replacement, epoch: writeEpoch)
            unsafe giveUp(node.base, node.blockSize)
            if canDouble { return }
        }
    }

    private func makeHalf(depth: Int, rows: Int, liveHeap: Int) -> Page? {
        rows == 0 ? nil : makePage(depth: depth, rows: rows, liveHeap: liveHeap, heapNeeded: 0)
    }

    /// The slots of a page that is to take `rows` rows and some more.
    private func slotCount(forRows rows: Int) -> Int {
        // Three quarters are usable; room for about a sixth more, in steps of 8, keeps pages near full
        // and rebuilds them about every 8 insertions.
        let wanted = (rows + rows / 6 + 2) * 4 / 3
        let stepped = wanted <= 4 ? 4 : wanted <= 8 ? 8 : wanted.rounded(upToMultipleOf: 8)
        return min(layout.maximumSlots, stepped)
    }

    /// An empty page with room for `rows` rows whose heap takes `liveHeap`, `heapNeeded` more, and what
    /// the rows that still fit will probably take.
    func makePage(
        depth: Int, rows: Int, liveHeap: Int, heapNeeded: Int, birth: UInt64? = nil
    ) -> Page {
        let needed = liveHeap + heapNeeded
        // A full page's rows and heap always fit with one unused slot, but perhaps not with more.
        let fitting =
            (Page.maximumSize - Page.byteCount(slotCount: 0, stride: 0, heap: needed) - 16)
            / (layout.stride + 2)
        // Rows that came from pages of another layout may be more than this one's pages take.
        let slots = max(rows + 1, min(slotCount(forRows: rows), fitting))
        let fixed = Page.byteCount(slotCount: slots, stride: layout.stride, heap: 0)
        let perRow = (needed + rows - 1) / max(1, rows)
        let spare = (Self.capacity(slotCount: slots) - rows) * perRow + needed / 16
        let roomy = needed + max(0, min(spare, Page.softSize - fixed - needed))
        return unsafe Page.make(
            slotCount: slots, depth: depth, heap: layout.referenceOffsets.isEmpty ? 0 : roomy,
            birth: birth ?? writeEpoch, layout: layout, pool: pool)
    }
}
