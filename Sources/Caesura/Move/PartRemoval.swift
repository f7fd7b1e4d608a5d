/// Rows that were taken out of a store, whose memory is given back a few hundred pages at a time.
///
///     let removal = store.detach(part)                                // now the rows are gone
///     while removal.advance() { while store.reclaimSome() {} }        // when there is time
///
/// What open cuts see is kept for these, and goes with them. What is left when it goes is given back then. One thread at a
/// time uses it.
package final class PartRemoval {
    private let store: StoreCore
    private let part: StorePart
    /// The epoch in which they were taken out.
    private let epoch: UInt64
    /// Pages, and nodes with all below them, that are still in memory, with the layout that they have: a restore may give a table
    /// without rows another.
    private var rest: [(table: TableCore, layout: PageLayout, entry: DirectoryEntry)]

    /// Most of the time goes into waiting for the pages' first lines, and for those of large values.
    private static let pagesPerStep = 256

    init(
        of part: StorePart,
        _ roots: [(table: TableCore, layout: PageLayout, entry: DirectoryEntry)],
        in epoch: UInt64, from store: StoreCore
    ) {
        self.part = part
        rest = roots
        self.epoch = epoch
        self.store = store
    }

    deinit { finish() }

    /// Gives all of it back.
    package func finish() {
        if rest.isEmpty { return }
        while advance() {}
        store.reclaimWhatIsDue()
    }

    /// Leaves the memory of the next pages to ``Store/reclaimSome()``.
    ///
    /// - Returns: Whether there are more.
    package func advance() -> Bool {
        var list = RetiredList(epoch: epoch)
        var count = 0
        while count < Self.pagesPerStep, let (table, layout, entry) = rest.popLast() {
            if entry.isNode {
                entry.node.forEachChild { _, child in rest.append((table, layout, child)) }
                unsafe list.append(entry.address)
            } else {
                table.retireAll(below: entry, withValues: true, layout: layout, into: &list)
            }
            count += 1
        }
        store.leave(list, of: part)
        return !rest.isEmpty
    }
}
