import CaesuraFormat
public import Synchronization

/// A slice of a table by key hash: a lock, a directory, and what its writers have replaced.
///
///     lock ─► writeEpoch = the store's epoch ─► directory ─► page, copied if a cut sees it ─► entry
///
/// Everything is read and written under the lock, which lies before it in memory: who waits for the lock
/// does not touch the partition. The core knows no Swift types: it moves entries
/// by the table's ``PageLayout``.
///
/// Invariants, while the lock is free:
/// - `root.epoch` is the epoch of the last write. `frozenRoot` is the root as it stood at the end of the
///   epoch before that write's, so whoever closes epoch e finds the partition as of e in one of them.
/// - What a directory entry of epoch e points at was not written after e.
@safe
@usableFromInline
struct Partition: ~Copyable {
    /// The directory's root.
    ///
    /// It lies just before the partition, in the same cache line.
    @usableFromInline let rootPointer: UnsafeMutablePointer<DirectoryEntry>
    /// The epoch of the writer that holds the lock.
    @usableFromInline var writeEpoch: UInt64 = 0
    @usableFromInline var rowCount = 0
    var frozenRoot: DirectoryEntry
    var frozenRowCount = 0
    /// Replaced pages, nodes and values that a cut may still see: a list through ``Retirable``.
    private var retiredHead: UnsafeMutableRawPointer?
    /// Leading hash bits that all rows of the partition share.
    @usableFromInline let depth: Int
    @usableFromInline let layout: PageLayout
    let keys: KeyLayout
    unowned(unsafe) let pool: PagePool
    unowned(unsafe) let store: StoreCore
    @usableFromInline let control: UnsafeMutablePointer<StoreControl>

    init(
        root: UnsafeMutablePointer<DirectoryEntry>, depth: Int, layout: PageLayout, keys: KeyLayout,
        store: StoreCore
    ) {
        unsafe rootPointer = unsafe root
        unsafe root.initialize(to: DirectoryEntry(emptyAtDepth: depth))
        self.depth = depth
        self.layout = layout
        self.keys = keys
        unsafe self.store = store
        unsafe pool = store.pool
        unsafe control = unsafe store.control
        frozenRoot = unsafe root.pointee
    }

    @inlinable var root: DirectoryEntry { unsafe rootPointer.pointee }

    // MARK: Writing

    /// Notes the epoch that the writer who has just taken the lock writes in.
    @inlinable mutating func beginWriting() {
        writeEpoch = unsafe control.pointee.epoch.load(ordering: .acquiring)
    }

    /// The page for a hash that is in the table, made writable: copied if a cut sees it.
    @usableFromInline mutating func writablePage(for hash: UInt64) -> Page {
        let (entries, range) = unsafe writableLeaf(for: hash)
        return unsafe entries[range.lowerBound].page
    }

    /// The directory entries that lead a hash to its page, on a path that no cut sees.
    ///
    /// Cost: nothing but the walk, when the page was written in this epoch before; otherwise the copies
    /// of one page and, the first time below each, of at most log64(pages) nodes of 1 KiB.
    private mutating func writableLeaf(
        for hash: UInt64
    ) -> (entries: UnsafeMutablePointer<DirectoryEntry>, range: Range<Int>) {
        let epoch = writeEpoch
        let protected = unsafe control.pointee.protected.load(ordering: .acquiring)
        if root.epoch != epoch {
            frozenRoot = root
            frozenRowCount = rowCount
        }
        var entries = unsafe rootPointer
        var range = 0..<1
        while true {
            let entry = unsafe entries[range.lowerBound]
            if entry.isNode {
                var node = entry.node
                if entry.epoch != epoch {
                    if entry.epoch <= protected {
                        let copy = unsafe node.copy(birth: epoch, pool: pool)
                        unsafe retireBlock(node.base, DirectoryNode.byteCount)
                        node = copy
                    }
                    unsafe entries[range.lowerBound] = DirectoryEntry(node, epoch: epoch)
                }
                unsafe entries = unsafe node.entries
                let index = DirectoryNode.index(of: hash, depth: node.depth)
                range = unsafe node.range(of: hash, entryDepth: entries[index].depth)
            } else {
                if entry.isEmpty || entry.epoch == epoch { return unsafe (entries, range) }
                var page = entry.page
                if entry.epoch <= protected {
                    let copy = unsafe page.copy(birth: epoch, pool: pool)
                    unsafe retireBlock(page.base, Int(page.header.pointee.blockSize))
                    page = copy
                }
                let written = DirectoryEntry(page, epoch: epoch)
                for index in range { unsafe entries[index] = written }
                return unsafe (entries, range)
            }
        }
    }

    /// A slot for a new row: its entry is zeroed and stamped, and the page has `heap` bytes of room.
    ///
    /// The page may be rebuilt with more room, or split in two.
    @usableFromInline mutating func insertSlot(
        for hash: UInt64, heap: Int
    ) -> (page: Page, slot: Int) {
        while true {
            let (entries, range) = unsafe writableLeaf(for: hash)
            let entry = unsafe entries[range.lowerBound]
            guard !entry.isEmpty else {
                let page = makePage(depth: entry.depth, rows: 1, liveHeap: 0, heapNeeded: heap)
                let written = DirectoryEntry(page, epoch: writeEpoch)
                for index in range { unsafe entries[index] = written }
                continue
            }
            let page = entry.page
            let rows = unsafe Int(page.header.pointee.rowCount)
            if rows < Self.capacity(slotCount: entry.slotCount), page.heapRoom >= heap {
                let slot = page.takeSlot(
                    tag: Page.tag(of: hash, depth: entry.depth), stamp: writeEpoch << 16 | 0xFFFF,
                    stride: layout.stride)
                rowCount += 1
                return (page, slot)
            }
            unsafe makeRoom(
                in: entries, range, hash: hash, rows: rows + 1, heap: heap, following: nil)
        }
    }

    /// Makes `heap` bytes of room in a writable page; the row in `slot` may move, with its page.
    ///
    /// - Parameter isSpilled: Whether the bytes are records of values that go outside the page. For them
    ///   there is always room: what values in the page may take leaves out two records for each field of
    ///   the row, its present one and the one that replaces it.
    /// - Returns: Where the row is now, and whether there is room: not when even a page for this row alone
    ///   would be too large. The row may have moved all the same.
    @usableFromInline mutating func reserveHeap(
        _ heap: Int, for hash: UInt64, slot: Int, isSpilled: Bool
    ) -> (page: Page, slot: Int, hasRoom: Bool) {
        let kept =
            isSpilled
            ? 0 : 2 * layout.referenceOffsets.count * MemoryLayout<LargeValueRecord>.size
        var slot = slot
        while true {
            let (entries, range) = unsafe writableLeaf(for: hash)
            let page = unsafe entries[range.lowerBound].page
            if page.heapRoom >= heap { return (page, slot, true) }
            let rows = unsafe Int(page.header.pointee.rowCount)
            if rows == 1 {
                let live = page.liveHeapByteCount(layout: layout)
                let needed = Page.byteCount(
                    slotCount: 2, stride: layout.stride, heap: live + heap)
                if needed > Page.maximumSize - kept { return (page, slot, false) }
            }
            slot = unsafe makeRoom(
                in: entries, range, hash: hash, rows: rows, heap: heap, following: slot)
        }
    }

    /// Removes the row in `slot` of the page for `hash`, which is writable.
    ///
    /// What the row keeps outside the page has been discarded.
    @usableFromInline mutating func removeSlot(_ slot: Int, for hash: UInt64) {
        let (entries, range) = unsafe writableLeaf(for: hash)
        let page = unsafe entries[range.lowerBound].page
        page.emptySlot(slot, stride: layout.stride)
        rowCount -= 1
        guard unsafe page.header.pointee.rowCount == 0 else { return }
        var gap = unsafe DirectoryEntry(emptyAtDepth: Int(page.header.pointee.depth))
        gap.epoch = writeEpoch
        for index in range { unsafe entries[index] = gap }
        giveUp(page)
    }

    /// Rows that a page of so many slots takes: an eighth stays unused, so that searches stay short.
    static func capacity(slotCount: Int) -> Int {
        slotCount - max(1, slotCount / 8)
    }

    /// Replaces the page by a roomier one, or by two; returns where the row in `following` is now.
    @discardableResult
    private mutating func makeRoom(
        in entries: UnsafeMutablePointer<DirectoryEntry>, _ range: Range<Int>, hash: UInt64,
        rows: Int, heap: Int, following: Int?
    ) -> Int {
        let page = unsafe entries[range.lowerBound].page
        let live = page.liveHeapByteCount(layout: layout)
        let slots = slotCount(forRows: rows)
        let size = Page.byteCount(slotCount: slots, stride: layout.stride, heap: live + heap)
        // A row alone may fill its page; one that joins it gets a page of its own.
        let limit = unsafe page.header.pointee.rowCount > 1 ? Page.softSize : Page.maximumSize
        let tooLarge = rows > 1 && size > limit
        if rows > Self.capacity(slotCount: layout.maximumSlots) || tooLarge {
            return unsafe split(page, in: entries, range, hash: hash, following: following)
        }
        let grown = unsafe makePage(
            depth: Int(page.header.pointee.depth), rows: rows, liveHeap: live, heapNeeded: heap)
        var followed = 0
        for slot in unsafe 0..<Int(page.header.pointee.slotCount)
        where page.stamp(slot, stride: layout.stride) != 0 {
            let new = unsafe grown.adopt(slot: slot, of: page, tag: page.tags[slot], layout: layout)
            if slot == following { followed = new }
        }
        let written = DirectoryEntry(grown, epoch: writeEpoch)
        for index in range { unsafe entries[index] = written }
        giveUp(page)
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
            // The next bit is beyond this node: put a node below, and split there.
            let node = unsafe DirectoryNode.make(
                depth: depth, filling: entries[range.lowerBound], birth: writeEpoch, pool: pool)
            unsafe entries[range.lowerBound] = DirectoryEntry(node, epoch: writeEpoch)
            return unsafe split(page, in: node.entries, 0..<64, hash: hash, following: following)
        }
        var rows = (0, 0)
        var heaps = (0, 0)
        let slotCount = unsafe Int(page.header.pointee.slotCount)
        return unsafe withUnsafeTemporaryAllocation(of: UInt64.self, capacity: slotCount) {
            hashes in
            for slot in 0..<slotCount where page.stamp(slot, stride: layout.stride) != 0 {
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
            var followed = 0
            for slot in 0..<slotCount where page.stamp(slot, stride: layout.stride) != 0 {
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
            giveUp(page)
            return followed
        }
    }

    private func makeHalf(depth: Int, rows: Int, liveHeap: Int) -> Page? {
        rows == 0 ? nil : makePage(depth: depth, rows: rows, liveHeap: liveHeap, heapNeeded: 0)
    }

    /// The slots of a page that is to take `rows` rows and some more.
    private func slotCount(forRows rows: Int) -> Int {
        // Seven eighths are usable; room for about a sixth more, in steps of 8, keeps pages near full
        // and rebuilds them about every 8 insertions.
        let wanted = (rows + rows / 6 + 2) * 8 / 7
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
        let slots = min(slotCount(forRows: rows), max(rows + 1, fitting))
        let fixed = Page.byteCount(slotCount: slots, stride: layout.stride, heap: 0)
        let perRow = (needed + rows - 1) / max(1, rows)
        let spare = (Self.capacity(slotCount: slots) - rows) * perRow + needed / 16
        let roomy = needed + max(0, min(spare, Page.softSize - fixed - needed))
        return unsafe Page.make(
            slotCount: slots, depth: depth, heap: layout.referenceOffsets.isEmpty ? 0 : roomy,
            birth: birth ?? writeEpoch, layout: layout, pool: pool)
    }

    // MARK: Restoring

    /// Whether nothing lies in a part of the directory.
    func isVacant(_ range: HashRange) -> Bool {
        let gap = root.leaf(of: range.first, depth: depth)
        return gap.isEmpty && gap.depth <= range.prefixBits
    }

    /// Puts a page that was built elsewhere into a vacant part of the directory.
    ///
    /// Its rows are of an earlier `epoch`, but the directory changes in the present one: a cut may have
    /// been taken since the restore began.
    mutating func attach(_ page: Page, _ range: HashRange, epoch: UInt64) {
        assert(isVacant(range), "a page is attached where another lies")
        beginWriting()
        let depth = range.prefixBits
        while true {
            let (entries, aliases) = unsafe writableLeaf(for: range.first)
            let gap = unsafe entries[aliases.lowerBound]
            if gap.depth == depth {
                // The root says when the partition was last written, whatever is below it.
                let isRoot = unsafe entries == rootPointer
                let written = DirectoryEntry(page, epoch: isRoot ? writeEpoch : epoch)
                for index in aliases { unsafe entries[index] = written }
                unsafe rowCount += Int(page.header.pointee.rowCount)
                return
            }
            var half = DirectoryEntry(emptyAtDepth: gap.depth + 1)
            half.epoch = epoch
            if aliases.count == 1 {
                let node = unsafe DirectoryNode.make(
                    depth: gap.depth, filling: half, birth: writeEpoch, pool: pool)
                unsafe entries[aliases.lowerBound] = DirectoryEntry(node, epoch: writeEpoch)
            } else {
                for index in aliases { unsafe entries[index] = half }
            }
        }
    }

    // MARK: Giving up memory

    /// Frees a page that this writer has replaced, or keeps it for the cuts that see it.
    private mutating func giveUp(_ page: Page) {
        if unsafe page.header.pointee.retirable.birth
            <= control.pointee.protected.load(ordering: .acquiring)
        {
            unsafe retireBlock(page.base, Int(page.header.pointee.blockSize))
        } else {
            unsafe pool.free(page)
        }
    }

    private mutating func retireBlock(_ base: UnsafeMutableRawPointer, _ byteCount: Int) {
        let retirable = unsafe base.assumingMemoryBound(to: Retirable.self)
        unsafe retirable.pointee.retired = writeEpoch
        unsafe retirable.pointee.next = unsafe retiredHead
        unsafe retiredHead = unsafe base
        unsafe store.retained(byteCount)
    }

    /// Keeps a replaced value for the cuts that see it, or frees it.
    @usableFromInline mutating func retire(_ value: LargeValue) {
        if unsafe value.header.pointee.retirable.birth
            <= control.pointee.protected.load(ordering: .acquiring)
        {
            unsafe retireBlock(value.base, value.footprint)
        } else {
            value.deallocate()
        }
    }

    /// Takes the list of what has been replaced, for whoever frees it outside the lock.
    mutating func takeRetired() -> UnsafeMutableRawPointer? {
        defer { unsafe retiredHead = nil }
        return unsafe retiredHead
    }

    /// Puts back what a cut still sees: a list from `first` to `last`.
    mutating func putBackRetired(
        _ first: UnsafeMutableRawPointer, last: UnsafeMutableRawPointer
    ) {
        unsafe last.assumingMemoryBound(to: Retirable.self).pointee.next = unsafe retiredHead
        unsafe retiredHead = unsafe first
    }

    // MARK: Cuts

    /// The partition as it stood at the end of `epoch`, which has ended.
    func frozen(at epoch: UInt64) -> (root: DirectoryEntry, rowCount: Int) {
        root.epoch > epoch ? (frozenRoot, frozenRowCount) : (root, rowCount)
    }
}

extension UnsafeMutablePointer where Pointee == Partition {
    /// The partition's lock: it lies before the partition in its block (``TableCore``).
    @inlinable var guarding: UnsafeMutablePointer<Lock> {
        unsafe (UnsafeMutableRawPointer(self) - TableCore.lockSize)
            .assumingMemoryBound(to: Lock.self)
    }

    /// Waits for the partition's lock.
    @inlinable @inline(__always) func lock() { unsafe guarding.pointee.lock() }

    /// Gives the partition's lock back.
    @inlinable @inline(__always) func unlock() { unsafe guarding.pointee.unlock() }

    /// Runs `body` under the partition's lock.
    func withLock<Result>(_ body: () -> Result) -> Result {
        unsafe lock()
        defer { unsafe unlock() }
        return body()
    }
}
