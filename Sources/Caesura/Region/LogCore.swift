import CaesuraFormat
import Synchronization

/// A log without its Swift type: schema, layout, and the rows under one lock.
///
///     append ─► stage large values ─► lock ─► epoch ─► the tail's page, or a new one ─► end + 1
///
/// Rows stand in pages in their order, slot by slot, with no hash and no unused slot between them. An append
/// writes behind what is there and changes nothing before it: pages are never copied, and a cut notes only the
/// log's ``LogExtent``. What a trim takes out of the log it keeps for the cuts that see it.
@safe
@usableFromInline
final class LogCore: @unchecked Sendable {
    // @unchecked: what `body` points at is under its lock. `ordinal` is not used before it is set; `isTyped` is
    // under the store's lock of cuts. `shapes` changes as that of a TableCore does.

    /// What the rows are, and how they lie in pages.
    private var shapes: RegionShapes
    /// Whose log it is.
    ///
    /// The store owns the log; whoever uses a log holds its store.
    unowned(unsafe) let store: StoreCore
    /// The memory of its pages, which lives as long as the log.
    let pool: PagePool
    /// Held while pages are taken out, which walks the directory beside writers: one such walk at a time.
    let trimming = Lock()
    /// Whether somebody has access to its rows as Swift values, so that their layout must stay.
    ///
    /// Used under the store's lock of cuts.
    var isTyped = false
    /// Code for rows of earlier versions.
    let migrations = Guarded<[RowMigration]>([])
    /// Whether another log has taken all rows, and this one has none any more but in cuts.
    ///
    /// Used under the log's lock.
    var isReplaced = false
    /// What the lock protects.
    ///
    /// The lock lies before it: who waits for it does not touch what another one writes.
    @usableFromInline let body: UnsafeMutablePointer<LogBody>
    /// Bytes from the lock to what it protects: they share no cache line.
    @usableFromInline static let lockSize = 64

    init(schema: RegionSchema, layout: RowLayout, store: StoreCore) {
        shapes = RegionShapes(RegionShape(schema, layout))
        unsafe self.store = store
        pool = store.pool
        let block = UnsafeMutableRawPointer.allocate(
            byteCount: Self.lockSize + MemoryLayout<LogBody>.size, alignment: Self.lockSize)
        unsafe block.bindMemory(to: Lock.self, capacity: 1).initialize(to: Lock())
        unsafe body = unsafe (block + Self.lockSize).bindMemory(to: LogBody.self, capacity: 1)
        unsafe body.initialize(to: LogBody(layout: shapes.declared.pageLayout, store: store))
    }

    deinit {
        unsafe free(body.pointee.takeRetired())
        // Pages and nodes go with the pool.
        let extent = unsafe body.pointee.extent
        extent.forEachForgotten(in: LogExtent(), page: freeValues, node: { _ in })
        unsafe body.guarding.deinitialize(count: 1)
        unsafe body.deinitialize(count: 1)
        unsafe UnsafeMutableRawPointer(body.guarding).deallocate()
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

    /// Stores rows under another schema, or the declared one, from now on; as ``TableCore/take(_:)``.
    func take(_ new: RegionShape) {
        shapes.take(new)
        unsafe body.pointee.take(new.pageLayout)
    }

    /// Frees the blocks of a list.
    private func free(_ list: UnsafeMutableRawPointer?) {
        var next = unsafe list
        var blocks = FreedBlocks()
        while let block = unsafe next {
            unsafe next = unsafe block.assumingMemoryBound(to: Retirable.self).pointee.next
            unsafe blocks.append(block)
        }
        pool.free(retired: blocks)
    }

    private func freeValues(of page: Page) {
        pageLayout.forEachLargeValue(of: page) { $0.deallocate() }
    }

    /// Frees a page that was never part of the log, with what it refers to.
    func discard(_ page: Page) {
        freeValues(of: page)
        unsafe pool.free(page.base, byteCount: Int(page.header.pointee.blockSize))
    }

    /// Runs `action` under the log's lock.
    func withLock<Result, Failure: Error>(
        _ action: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        unsafe body.lock()
        defer { unsafe body.unlock() }
        return try action()
    }

    /// The rows that the log keeps now.
    var extent: LogExtent { withLock { unsafe body.pointee.extent } }

    /// Whether something appended or trimmed in this epoch or later; what a restore or a delta brings does not
    /// count.
    func isWritten(since epoch: UInt64) -> Bool {
        withLock { unsafe body.pointee.lastWrite >= epoch }
    }

    // MARK: Trimming

    /// Forgets the rows before a position.
    ///
    /// - Parameter isBrought: Whether a delta does it, and nobody who writes.
    func trim(before position: UInt64, isBrought: Bool = false) {
        trimming.lock()
        defer { trimming.unlock() }
        let (old, new) = withLock {
            if isBrought {
                unsafe body.pointee.beginBringing()
            } else {
                unsafe body.pointee.beginWriting()
            }
            return unsafe body.pointee.trim(before: position, isSkipping: isBrought)
        }
        retire(old, in: new)
    }

    /// Forgets the rows from a position on, which a delta has brought: the next row gets it.
    ///
    /// - Complexity: O(pages), which get a new directory: cuts that are open have the old one.
    func truncate(at position: UInt64) {
        trimming.lock()
        defer { trimming.unlock() }
        let (old, new) = withLock {
            unsafe body.pointee.beginBringing()
            unsafe store.lastRewind.max(body.pointee.extent.epoch, ordering: .releasing)
            return unsafe body.pointee.truncate(at: position)
        }
        retire(old, in: new, keeping: new.pages.count)
    }

    /// Puts pages of rows at the end, where a delta's rows must go on.
    ///
    /// - Parameter isFirst: Whether they may begin behind the end: the rows between were trimmed before they could
    ///   come.
    func bring(
        _ pages: [(page: Page, rowCount: Int)], at position: UInt64, isFirst: Bool
    ) throws(StoreError) {
        trimming.lock()
        defer { trimming.unlock() }
        let (extents, problem) = withLock {
            () -> ((old: LogExtent, new: LogExtent)?, StoreError?) in
            let end = unsafe body.pointee.extent.end
            guard !isReplaced else {
                return (
                    nil,
                    StoreError(
                        .wrongBase,
                        "the delta was not applied: the log has taken its Swift type meanwhile; begin again",
                        region: schema.name)
                )
            }
            guard position == end || isFirst && position > end else {
                return (
                    nil,
                    StoreError(
                        .wrongBase,
                        "the delta was not applied: it has rows from position \(position) on, and the store's log "
                            + "ends at \(end)", region: schema.name)
                )
            }
            unsafe body.pointee.beginBringing()
            var extents: (old: LogExtent, new: LogExtent)?
            if position > end {
                extents = unsafe body.pointee.detachAll()
                unsafe body.pointee.begin(at: position)
            }
            unsafe body.pointee.bring(pages)
            return (extents, nil)
        }
        if let extents { retire(extents.old, in: extents.new) }
        guard let problem else { return }
        for (page, _) in pages { discard(page) }
        throw problem
    }

    /// Frees what only `old` has, as far as no cut sees it.
    ///
    /// The caller holds ``trimming``, and nobody reaches it but cuts.
    ///
    /// - Parameters:
    ///   - withValues: Whether the rows' large values go too.
    ///   - keptCount: The first pages that stay all the same.
    func retire(
        _ old: LogExtent, in new: LogExtent, withValues: Bool = true, keeping keptCount: Int? = nil
    ) {
        // Read after the epoch of the trim: a cut that sees what was trimmed has been noted before.
        let protected = unsafe store.control.pointee.protected.load(ordering: .acquiring)
        var kept = RetiredList(epoch: new.epoch)
        var keptBytes = 0
        var gone = RetiredList(epoch: new.epoch)
        func retire(_ block: UnsafeMutableRawPointer, _ birth: UInt64) {
            unsafe block.assumingMemoryBound(to: Retirable.self).pointee.birth = birth
            if birth <= protected {
                unsafe keptBytes += Retirable.byteCount(of: block)
                unsafe kept.append(block)
            } else {
                unsafe gone.append(block)
            }
        }
        var pagesToKeep = keptCount ?? 0
        old.forEachForgotten(
            in: keptCount == nil ? new : LogExtent(),
            page: { page in
                if pagesToKeep > 0 {
                    pagesToKeep -= 1
                    return
                }
                let birth = unsafe page.header.pointee.retirable.birth
                if withValues {
                    pageLayout.forEachLargeValue(of: page) { unsafe retire($0.base, birth) }
                }
                unsafe retire(page.base, birth)
            },
            node: { node in
                unsafe retire(
                    node.base,
                    node.base.assumingMemoryBound(to: Retirable.self).pointee.birth)
            })
        unsafe free(gone.first)
        guard unsafe kept.first != nil else { return }
        withLock { unsafe body.pointee.keep(kept) }
        unsafe store.retained(keptBytes)
    }

    /// Takes all rows out, under the lock; the position of the next one stays.
    ///
    /// The caller holds ``trimming`` and gives `old` to ``retire(_:in:)``.
    func detachAll() -> (old: LogExtent, new: LogExtent) {
        unsafe body.pointee.beginWriting()
        return unsafe body.pointee.detachAll()
    }
}
