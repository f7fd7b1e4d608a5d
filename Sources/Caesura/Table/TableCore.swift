import CaesuraFormat
import Synchronization

/// A table without its Swift types: schema, layout, partitions.
@safe
@usableFromInline
final class TableCore: @unchecked Sendable {
    // @unchecked: `block` is written at creation; what it holds is under the partitions' locks.
    // `ordinal` is set once, before anybody else sees the table; `isTyped` is under the store's lock of cuts.
    // `shapes` changes under all locks there are, while the table has no rows and no cut is open.

    /// What the rows are, and how they lie in pages.
    private var shapes: RegionShapes
    let keys: KeyLayout
    @usableFromInline let partitionBits: Int
    let partitionCount: Int
    /// Whose table it is.
    ///
    /// The store owns the table; whoever uses a table holds its store.
    unowned(unsafe) let store: StoreCore
    /// The memory of its pages, which lives as long as the table.
    let pool: PagePool
    /// Position among the store's tables: the order in which a transaction locks.
    var ordinal = 0
    /// Whether somebody has access to its rows as Swift values, so that their layout must stay.
    ///
    /// Used under the store's lock of cuts.
    var isTyped = false
    /// Code for rows of earlier versions.
    let migrations = Guarded<[RowMigration]>([])
    /// What gives a cell its first value, and gives it again to a store that is emptied; nil for a table, and for a
    /// cell of which only the schema is known.
    ///
    /// Set before anybody else sees the cell, or under the store's lock of cuts.
    var putInitialValue: ((TableCore) -> Void)?
    /// Whether the row is a cell's initial value, which nobody has written.
    ///
    /// Used under the partition's lock.
    @usableFromInline var isInitial = false
    /// Whether another table has taken all rows, and this one has none any more but in cuts.
    ///
    /// Set under all the partitions' locks, read under any of them.
    var isReplaced = false

    /// One block a partition: its root entry, its lock, then the partition.
    ///
    /// 256 bytes, so that the locks of two partitions never share a pair of cache lines.
    @usableFromInline let block: UnsafeMutableRawPointer
    @usableFromInline static let blockSize = 256
    @usableFromInline static let rootSize = 16
    @usableFromInline static let lockSize = 16
    /// Where in its block the partition lies.
    @usableFromInline static let partitionOffset = rootSize + lockSize

    init(schema: RegionSchema, layout: RowLayout, store: StoreCore) {
        shapes = RegionShapes(RegionShape(schema, layout))
        keys = unsafe KeyLayout(layout, control: store.control)
        // A cell is a table of one row without a key.
        partitionBits = schema.kind == .table ? store.partitionBits : 0
        partitionCount = 1 << partitionBits
        unsafe self.store = store
        pool = store.pool
        precondition(
            MemoryLayout<Partition>.size <= Self.blockSize - Self.partitionOffset,
            "a partition fits in its block")
        unsafe block = .allocate(
            byteCount: partitionCount * Self.blockSize, alignment: Self.blockSize)
        for index in 0..<partitionCount {
            let base = unsafe block + index * Self.blockSize
            unsafe (base + Self.rootSize).bindMemory(to: Lock.self, capacity: 1)
                .initialize(to: Lock())
            unsafe (base + Self.partitionOffset).bindMemory(to: Partition.self, capacity: 1)
                .initialize(
                    to: Partition(
                        root: base.bindMemory(to: DirectoryEntry.self, capacity: 1),
                        depth: partitionBits, layout: shapes.declared.pageLayout, keys: keys,
                        store: store))
        }
    }

    deinit {
        for index in 0..<partitionCount {
            let partition = unsafe partition(index)
            var next = unsafe partition.pointee.takeRetired()
            var blocks = FreedBlocks()
            while let block = unsafe next {
                unsafe next = unsafe block.assumingMemoryBound(to: Retirable.self).pointee.next
                unsafe blocks.append(block)
            }
            pool.free(retired: blocks)
            unsafe freeAll(below: partition.pointee.root)
            unsafe partition.guarding.deinitialize(count: 1)
            unsafe partition.deinitialize(count: 1)
        }
        unsafe block.deallocate()
    }

    /// The shape as the region was declared.
    var declared: RegionShape { shapes.declared }
    /// The shape that its rows have now.
    var shape: RegionShape { shapes.present }
    var schema: RegionSchema { shape.schema }
    var leaves: [LeafColumn] { shape.leaves }
    var regionLayout: RegionLayout? { shape.regionLayout }
    var layout: RowLayout { shape.layout }
    var pageLayout: PageLayout { shape.pageLayout }

    /// Stores rows under another schema, or the declared one, from now on.
    ///
    /// The caller has the store's lock of cuts and all the partitions' locks; the table has no rows, and no cut is open.
    func take(_ new: RegionShape) {
        shapes.take(new)
        for index in 0..<partitionCount {
            unsafe partition(index).pointee.layout = new.pageLayout
        }
    }

    /// Frees the large values of all rows; pages and nodes go with the pool.
    private func freeAll(below root: DirectoryEntry) {
        guard !pageLayout.referenceOffsets.isEmpty else { return }
        FrozenTable.forEachPage(below: root) { page in
            forEachLargeValue(of: page) { $0.deallocate() }
        }
    }

    /// Frees a page that was never part of the table, with what it refers to.
    func discard(_ page: Page) {
        forEachLargeValue(of: page) { $0.deallocate() }
        unsafe pool.free(page.base, byteCount: Int(page.header.pointee.blockSize))
    }

    /// Calls `body` with each value outside the page that a row of the page refers to.
    func forEachLargeValue(of page: Page, _ body: (LargeValue) -> Void) {
        pageLayout.forEachLargeValue(of: page, body)
    }

    /// Which partition a hash belongs to.
    func partitionIndex(of hash: UInt64) -> Int {
        // A shift by 64, for one partition, gives 0.
        Int(truncatingIfNeeded: hash >> UInt64(64 - partitionBits))
    }

    /// The partition of that index; its address never changes.
    @inlinable func partition(_ index: Int) -> UnsafeMutablePointer<Partition> {
        unsafe (block + (index &* Self.blockSize &+ Self.partitionOffset)).assumingMemoryBound(
            to: Partition.self)
    }

    /// The number of rows, each partition's at its own instant.
    var count: Int {
        var total = 0
        for index in 0..<partitionCount {
            let partition = unsafe partition(index)
            unsafe partition.lock()
            unsafe total += partition.pointee.rowCount
            unsafe partition.unlock()
        }
        return total
    }

    /// How often writers have had a partition's lock.
    var writeCount: Int {
        var total = 0
        for index in 0..<partitionCount {
            let partition = unsafe partition(index)
            unsafe partition.lock()
            unsafe total &+= partition.pointee.writeCount
            unsafe partition.unlock()
        }
        return total
    }

    /// Forgets the directories of an empty table, whose locks the caller has and which no cut sees.
    func forgetDirectories() {
        for index in 0..<partitionCount {
            let partition = unsafe partition(index)
            unsafe freeNodes(below: partition.pointee.root)
            unsafe partition.pointee.rootPointer.pointee = DirectoryEntry(
                emptyAtDepth: partitionBits)
        }
    }

    private func freeNodes(below entry: DirectoryEntry) {
        guard entry.isNode else { return }
        entry.node.forEachChild { _, child in freeNodes(below: child) }
        unsafe pool.free(entry.node.base, byteCount: entry.node.blockSize)
    }

    /// Checks that pages can hold the rows and that the layout is the schema's.
    static func check(_ schema: RegionSchema, _ layout: RowLayout) throws(StoreError) {
        func refuse(_ message: String) -> StoreError {
            StoreError(.unsupportedSchema, message, region: schema.name)
        }
        do throws(FormatError) {
            try schema.validate()
        } catch {
            throw refuse(error.message)
        }
        let leaves = schema.leaves
        guard
            leaves.count == layout.leaves.count,
            zip(leaves, layout.leaves).allSatisfy({ $0.kind == $1.kind && $0.scope == $1.scope })
        else { throw refuse("the stored layout is not that of the schema") }
        let references = leaves.count {
            switch $0.kind {
            case .bytes, .array: true
            case .presence, .fixed: false
            }
        }
        // Two entries, and for one of them all values out of line, must fit in a page.
        let least = Page.byteCount(
            slotCount: 8, stride: layout.stride,
            heap: 2 * references * MemoryLayout<LargeValueRecord>.size)
        guard least <= Page.maximumSize else {
            throw refuse(
                "a row takes \(layout.stride) bytes and has \(references) fields of variable length, more "
                    + "than a page of 64 KiB holds eight of; split it into two tables")
        }
    }
}

extension RowLayout {
    /// Whether entries of both look the same in memory.
    func matches(_ other: RowLayout) -> Bool {
        stride == other.stride && keyOffset == other.keyOffset && rowOffset == other.rowOffset
            && leaves.map(\.offset) == other.leaves.map(\.offset)
    }
}
