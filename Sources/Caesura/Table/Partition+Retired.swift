import Synchronization

/// Keeping what writers replace for the cuts that see it.
extension Partition {
    /// Frees a page or node that this writer has replaced, or keeps it for the cuts that see it.
    mutating func giveUp(_ base: UnsafeMutableRawPointer, _ byteCount: Int) {
        let birth = unsafe base.assumingMemoryBound(to: Retirable.self).pointee.birth
        if unsafe birth <= control.pointee.protected.load(ordering: .acquiring) {
            unsafe retireBlock(base, byteCount)
        } else {
            unsafe pool.free(base, byteCount: byteCount)
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
}
