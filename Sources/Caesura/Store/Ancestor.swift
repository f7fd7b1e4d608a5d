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

    package init(place: String, epoch: UInt64, digest: UInt64) {
        self.place = place
        self.epoch = epoch
        self.digest = digest
    }
}

extension Store {
    /// The saved state that this store goes on from; nil for one that began anew.
    package var ancestor: Ancestor? {
        get { core.ancestor.withLock { $0 } }
        set { core.ancestor.withLock { $0 = newValue } }
    }

    /// Makes sure that the next cut has a later epoch than this one.
    package func skipEpochs(upTo epoch: UInt64) {
        core.cutting.withLock {
            let present = unsafe core.control.pointee.epoch.load(ordering: .relaxed)
            guard present <= epoch, epoch < Epoch.limit else { return }
            unsafe core.control.pointee.epoch.store(epoch + 1, ordering: .sequentiallyConsistent)
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
