import CaesuraFormat
import Synchronization

/// Giving the rows of a table without Swift types to one that has some.
extension TableCore {
    /// Takes all rows of a table of the same wire fields, which nobody writes to, and leaves it empty.
    ///
    /// Cuts that are open keep the old table, with its layout and its pages. This one is not yet in the store's
    /// list of tables, and no cut can be taken meanwhile.
    ///
    /// - Throws: `unsupportedSchema`, with all rows still in their place.
    func takeRows(of old: TableCore) throws(StoreError) {
        old.lockAll()
        defer { old.unlockAll() }
        let adoption = RowAdoption(from: old.shape, to: shape)
        for index in 0..<partitionCount {
            let root = unsafe old.partition(index).pointee.root
            try FrozenTable.forEachPage(below: root) { (page) throws(StoreError) in
                try adoption.check(page)
            }
        }
        old.isReplaced = true
        unsafe store.takeRetired(of: old)
        for index in 0..<partitionCount {
            let root = unsafe old.partition(index).pointee.detachAll()
            let partition = unsafe partition(index)
            unsafe partition.pointee.beginWriting()
            var list = unsafe RetiredList(epoch: partition.pointee.writeEpoch)
            FrozenTable.forEachPage(below: root) { page in
                let copy = adoption.copy(
                    page, birth: unsafe partition.pointee.writeEpoch, pool: pool
                ) { copy, slot, stamp in
                    copy.takeSlot(
                        tag: unsafe page.tags[slot], stamp: stamp, stride: layout.stride,
                        isChanged: false)
                }
                unsafe partition.pointee.attach(
                    copy, old.range(of: page), epoch: partition.pointee.writeEpoch)
            }
            // The copies have the large values.
            old.retireAll(below: root, withValues: false, into: &list)
            unsafe store.giveUp(list)
        }
    }

    func range(of page: Page) -> HashRange {
        var slots = page.usedSlots
        guard let slot = slots.next() else {
            preconditionFailure("a page of a directory has rows")
        }
        let hash = unsafe keys.hash(
            page.entries + slot * layout.stride, HeapView(page: UnsafeRawPointer(page.base)))
        let depth = unsafe Int(page.header.pointee.depth)
        return HashRange(prefixBits: depth, prefix: hash & ~(UInt64.max >> UInt64(depth)))
    }

    func lockAll() {
        for index in 0..<partitionCount { unsafe partition(index).lock() }
    }

    func unlockAll() {
        for index in 0..<partitionCount { unsafe partition(index).unlock() }
    }
}
