import CaesuraFormat

/// Giving the rows of a log without a Swift type to one that has some.
extension LogCore {
    /// Takes all rows of a log of the same wire fields, which nobody can write to, and leaves it empty.
    ///
    /// Cuts that are open keep the old log, with its layout and its pages. This one is not yet in the store's list, and
    /// no cut can be taken meanwhile.
    ///
    /// - Throws: `unsupportedSchema`, with all rows still in their place.
    func takeRows(of old: LogCore) throws(StoreError) {
        old.trimming.lock()
        defer { old.trimming.unlock() }
        let adoption = RowAdoption(from: old.shape, to: shape)
        let extent = old.extent
        for ordinal in extent.pages { try adoption.check(extent.page(ordinal).page) }
        withLock {
            unsafe body.pointee.beginBringing()
            unsafe body.pointee.lastWrite = old.withLock { unsafe old.body.pointee.lastWrite }
            let first =
                extent.pages.isEmpty ? extent.head : extent.page(extent.pages.lowerBound).first
            unsafe body.pointee.begin(at: first)
            for ordinal in extent.pages {
                let page = extent.page(ordinal).page
                let copy = adoption.copy(
                    page, birth: unsafe body.pointee.extent.epoch, pool: pool
                ) { copy, slot, stamp in
                    unsafe copy.takeSlot(inOrder: slot, stride: layout.stride)
                        .storeBytes(of: stamp, as: UInt64.self)
                    return slot
                }
                unsafe body.pointee.bring([(copy, page.usedSlots.count)])
            }
            // Its page has rows before the first that is kept.
            if extent.head > first {
                unsafe body.pointee.extent.forget(before: extent.head, keepsTail: false)
            }
        }
        let (before, after) = old.withLock {
            old.isReplaced = true
            return old.detachAll()
        }
        old.retire(before, in: after, withValues: false)
        // What that has kept for cuts must not go with the old log.
        unsafe store.takeRetired(of: old)
    }
}
