import Synchronization

/// Keeping what writers replace for the cuts that see it.
extension Partition {
    /// Frees a page that this writer has replaced, or keeps it for the cuts that see it.
    mutating func giveUp(_ page: Page) {
        if unsafe page.header.pointee.retirable.birth
            <= control.pointee.protected.load(ordering: .acquiring)
        {
            unsafe retireBlock(page.base, Int(page.header.pointee.blockSize))
        } else {
            unsafe pool.free(page)
        }
    }

    mutating func retireBlock(_ base: UnsafeMutableRawPointer, _ byteCount: Int) {
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
}
