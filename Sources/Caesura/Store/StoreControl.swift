public import Synchronization

/// The few words that all partitions of a store share.
///
/// A cut is one increment of `epoch`. A writer takes its partition's lock and then reads `epoch`, so each
/// write belongs to one epoch, and of two writes the one that could see the other never belongs to an
/// earlier epoch. No partition waits for another: see ``Store/cut()``.
@usableFromInline
struct StoreControl: ~Copyable {
    /// The present epoch: what writes are stamped with.
    @usableFromInline let epoch = Atomic<UInt64>(1)
    /// The latest epoch that an open cut sees, or 0. What was last written at or before it is copied
    /// before it is written again.
    @usableFromInline let protected = Atomic<UInt64>(0)
    /// The epoch that the next delta will be based on: change masks collect what changed after it.
    @usableFromInline let deltaBase = Atomic<UInt64>(0)
    /// Bytes that are kept for open cuts only.
    let retained = Atomic<Int>(0)
    /// The most bytes that may be kept for cuts.
    let retainedLimit: Atomic<Int>

    init(retainedLimit: Int) {
        self.retainedLimit = Atomic(retainedLimit)
    }
}
