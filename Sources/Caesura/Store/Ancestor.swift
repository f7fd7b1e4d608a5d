import CaesuraFormat
import Synchronization

/// The saved state that a store goes on from: what it was last restored from or saved as.
///
/// Kept with the store, not with whoever saved it: a store that is saved by one repository after the other, or
/// through one that was closed and opened again, is the same store.
package struct Ancestor: Hashable, Sendable {
    /// Where it is saved.
    package var place: String
    /// The epoch it is saved under.
    package var epoch: UInt64
    /// The identity of its stream: ``StreamEnd/digest``.
    package var digest: UInt64
    /// What is written in this epoch of the store, or later, is not part of it.
    package var writeMark: UInt64

    package init(place: String, epoch: UInt64, digest: UInt64, writeMark: UInt64) {
        self.place = place
        self.epoch = epoch
        self.digest = digest
        self.writeMark = writeMark
    }
}

extension Store {
    /// The saved state that this store goes on from; nil for one that began anew.
    package var ancestor: Ancestor? {
        get { core.ancestor.withLock { $0 } }
        set { core.ancestor.withLock { $0 = newValue } }
    }

    /// Notes that the store equals a saved state, and makes its next cut later than this epoch and the present
    /// one.
    package func adoptAncestor(
        place: String, epoch: UInt64, digest: UInt64, skippingUpTo last: UInt64 = 0
    ) {
        core.adoptAncestor(place: place, epoch: epoch, digest: digest, skippingUpTo: last)
    }
}

extension StoreCore {
    func adoptAncestor(
        place: String, epoch: UInt64, digest: UInt64, skippingUpTo last: UInt64 = 0
    ) {
        cutting.withLock {
            let present = unsafe control.pointee.epoch.load(ordering: .relaxed)
            let next = max(present, min(last, Epoch.limit)) + 1
            unsafe control.pointee.epoch.store(next, ordering: .sequentiallyConsistent)
            ancestor.withLock {
                $0 = Ancestor(place: place, epoch: epoch, digest: digest, writeMark: next)
            }
        }
    }
}

extension Cut {
    /// The saved state that the cut's store goes on from.
    package var ancestor: Ancestor? {
        get { store.ancestor.withLock { $0 } }
        set { store.ancestor.withLock { $0 = newValue } }
    }
}
