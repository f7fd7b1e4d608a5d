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
    /// How often a writer has had the lock.
    @usableFromInline var writeCount = 0
    @usableFromInline var rowCount = 0
    var frozenRoot: DirectoryEntry
    var frozenRowCount = 0
    /// The latest epoch that an open cut of a part sees which has this partition, or 0.
    ///
    /// Unlike all else it is written without the lock, by who opens or closes such a cut.
    let protected = Atomic<UInt64>(0)
    /// The epoch in which rows with stamps of another store came last, or 0.
    var lastAdoption: UInt64 = 0
    /// Replaced pages, nodes and values that a cut may still see: a list through ``Retirable``.
    var retiredHead: UnsafeMutableRawPointer?
    /// Large values that the writer who holds the lock has replaced; it settles what becomes of them when it
    /// gives the lock back.
    @usableFromInline var replacedValues = LargeValueList()
    /// Leading hash bits that all rows of the partition share.
    @usableFromInline let depth: Int
    /// Changes when a restore begins, while the partition has no rows.
    @usableFromInline var layout: PageLayout
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
        beginWriting(in: unsafe control.pointee.epoch.load(ordering: .acquiring))
    }

    @inlinable mutating func beginWriting(in epoch: UInt64) {
        writeEpoch = epoch
        writeCount &+= 1
    }

    /// The page for a hash that is in the table, made writable: copied if a cut sees it.
    @usableFromInline mutating func writablePage(for hash: UInt64) -> Page {
        let (entries, range) = unsafe writableLeaf(for: hash)
        return unsafe entries[range.lowerBound].page
    }

    /// The directory entries that lead a hash to its page, on a path that no cut sees.
    ///
    /// Cost: nothing but the walk, when the page was written in this epoch before; otherwise the copies
    /// of one page and, the first time below each, of the nodes on the way, at most 8 KiB each.
    mutating func writableLeaf(
        for hash: UInt64
    ) -> (entries: UnsafeMutablePointer<DirectoryEntry>, range: Range<Int>) {
        let epoch = writeEpoch
        let protected = protectedEpoch
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
                        unsafe retireBlock(node.base, node.blockSize)
                        node = copy
                    } else {
                        node.forgetRows()
                    }
                    unsafe entries[range.lowerBound] = DirectoryEntry(node, epoch: epoch)
                }
                unsafe entries = unsafe node.entries
                let index = DirectoryNode.index(of: hash, depth: node.depth, bits: node.bits)
                range = unsafe node.range(of: hash, entryDepth: entries[index].depth)
            } else {
                if entry.isEmpty || entry.epoch == epoch { return unsafe (entries, range) }
                var page = entry.page
                if entry.epoch <= protected {
                    let copy = unsafe page.copy(birth: epoch, pool: pool)
                    unsafe retireBlock(page.base, Int(page.header.pointee.blockSize))
                    page = copy
                }
                unsafe page.header.pointee.changes = PageChanges(since: entry.epoch)
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
                    stride: layout.stride, isChanged: true)
                for index in range { unsafe entries[index].rowCount += 1 }
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
        guard unsafe page.header.pointee.rowCount == 0 else {
            for index in range { unsafe entries[index].rowCount -= 1 }
            return
        }
        var gap = unsafe DirectoryEntry(emptyAtDepth: Int(page.header.pointee.depth))
        gap.epoch = writeEpoch
        for index in range { unsafe entries[index] = gap }
        unsafe giveUp(page.base, Int(page.header.pointee.blockSize))
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
