import Synchronization

/// Keeping what writers replace for the cuts that see it.
extension Partition {
    /// The latest epoch that an open cut sees which has this partition, or 0.
    ///
    /// What was last written at or before it is copied before it is written again.
    var protectedEpoch: UInt64 {
        unsafe max(
            control.pointee.protected.load(ordering: .acquiring),
            protected.load(ordering: .acquiring))
    }

    /// Frees a page or node that this writer has replaced, or keeps it for the cuts that see it.
    mutating func giveUp(_ base: UnsafeMutableRawPointer, _ byteCount: Int) {
        let birth = unsafe base.assumingMemoryBound(to: Retirable.self).pointee.birth
        if birth <= protectedEpoch {
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
        unsafe store.replaced(byteCount)
    }

    /// Keeps the replaced values that a cut sees, and moves the others to a list of what is to be freed
    /// once the lock is given back.
    mutating func settleReplacedValues(freeing list: inout LargeValueList) {
        let protected = protectedEpoch
        while let value = replacedValues.pop() {
            if unsafe value.header.pointee.retirable.birth <= protected {
                unsafe retireBlock(value.base, value.footprint)
            } else {
                list.push(value)
            }
        }
    }

    /// Takes the list of what has been replaced, for whoever frees it outside the lock.
    mutating func takeRetired() -> UnsafeMutableRawPointer? {
        defer { unsafe retiredHead = nil }
        return unsafe retiredHead
    }
}

extension UnsafeMutablePointer where Pointee == Partition {
    /// Gives the partition's lock back after a write, and then frees the large values it has replaced.
    ///
    /// Not before: freeing 64 MiB gives 256 segments back to the system, while other writers would wait.
    @inlinable @inline(__always) func unlockAfterWriting() {
        if unsafe pointee.replacedValues.isEmpty { return unsafe unlock() }
        unsafe unlockAndFree()
    }

    @usableFromInline func unlockAndFree() {
        var freed = LargeValueList()
        unsafe pointee.settleReplacedValues(freeing: &freed)
        unsafe unlock()
        freed.deallocateAll()
    }
}
