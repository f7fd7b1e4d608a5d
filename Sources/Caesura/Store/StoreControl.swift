public import CaesuraFormat
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
    /// The latest epoch that an open cut of everything sees, or 0: ``Partition/protectedEpoch``.
    @usableFromInline let protected = Atomic<UInt64>(0)
    @usableFromInline let k0: Atomic<UInt64>
    @usableFromInline let k1: Atomic<UInt64>
    /// Changes with the hash key.
    ///
    /// Read before hashing, and compared under the lock before an insertion.
    @usableFromInline let keyGeneration = Atomic<UInt64>(0)
    /// Keeps what writers count apart from what all accesses read: two pairs of cache lines.
    private let padding: InlineArray<16, UInt64> = InlineArray(repeating: 0)
    /// Bytes that are kept for open cuts only.
    let retained = Atomic<Int>(0)
    /// Bytes of pages and nodes that writers have copied for cuts, since a cut was gone.
    let copied = Atomic<Int>(0)
    /// The most bytes that may be kept for cuts.
    let retainedLimit: Atomic<Int>

    init(hashKey: HashKey, retainedLimit: Int) {
        k0 = Atomic(hashKey.k0)
        k1 = Atomic(hashKey.k1)
        self.retainedLimit = Atomic(retainedLimit)
    }

    /// The key of the hash that places rows.
    ///
    /// Changes only while the store is empty.
    @inlinable var hashKey: HashKey {
        HashKey(k0: k0.load(ordering: .relaxed), k1: k1.load(ordering: .relaxed))
    }

    func setHashKey(_ hashKey: HashKey) {
        k0.store(hashKey.k0, ordering: .relaxed)
        k1.store(hashKey.k1, ordering: .relaxed)
        keyGeneration.add(1, ordering: .releasing)
    }
}
