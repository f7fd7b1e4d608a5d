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
    /// Its regions, in the order in which chunks number them.
    package var regions: [String]
    /// What is written in this epoch of the store, or later, is not part of it.
    package var writeMark: UInt64
    /// Whether the store was exactly that: not when a salvage lost rows, or something wrote during the restore.
    package var isExact = true
    /// Whether the store has its schemas: what comes next can be a delta from it.
    package var hasItsSchemas = true
    /// The schemas of its regions that the store has in other columns, so that deltas from it are resolved.
    package var resolved: [String: RegionSchema] = [:]

    package init(
        place: String, epoch: UInt64, digest: UInt64, regions: [String], writeMark: UInt64
    ) {
        self.place = place
        self.epoch = epoch
        self.digest = digest
        self.regions = regions
        self.writeMark = writeMark
    }
}

extension Store {
    /// The saved state that this store goes on from; nil for one that began anew.
    package var ancestor: Ancestor? { core.ancestor.withLock { $0 } }

    /// Takes all rows out of a store that was not restored to its end: it goes on from nothing that is saved.
    package func abandon() {
        core.removeAll()
        core.ancestor.withLock { $0 = nil }
    }

    /// Whether something was written in this epoch or later.
    ///
    /// - Complexity: O(partitions).
    package func isWritten(since epoch: UInt64) -> Bool {
        core.isWritten(since: epoch, but: nil)
    }

    /// As that of ``StoreCore``.
    package func adoptAncestor(
        place: String, epoch: UInt64, digest: UInt64, regions: [String], isRestored: Bool,
        isExact: Bool = true, skippingUpTo last: UInt64 = 0, from origin: Ancestor? = nil
    ) {
        core.adoptAncestor(
            place: place, epoch: epoch, digest: digest, regions: regions, isRestored: isRestored,
            isExact: isExact, skippingUpTo: last, from: origin)
    }
}

extension Cut {
    /// The saved state that the cut's store goes on from.
    package var ancestor: Ancestor? {
        get { store.ancestor.withLock { $0 } }
        set { store.ancestor.withLock { $0 = newValue } }
    }
}

extension StoreCore {
    /// Notes that the store equals a saved state, and makes its next cut later than that, than `last` and than
    /// the present epoch.
    ///
    /// - Parameters:
    ///   - isRestored: Whether its rows have just come from there: then any other write shows, for what a restore
    ///     brings has the epoch it was saved under.
    ///   - isExact: Whether all of it came.
    ///   - origin: What a delta has led on from, if one did.
    func adoptAncestor(
        place: String, epoch: UInt64, digest: UInt64, regions: [String], isRestored: Bool,
        isExact: Bool = true, skippingUpTo last: UInt64 = 0, from origin: Ancestor? = nil
    ) {
        cutting.withLock {
            let present = unsafe control.pointee.epoch.load(ordering: .relaxed)
            let next = max(present, min(max(last, epoch), Epoch.limit)) + 1
            unsafe control.pointee.epoch.store(next, ordering: .sequentiallyConsistent)
            var adopted = Ancestor(
                place: place, epoch: epoch, digest: digest, regions: regions, writeMark: next)
            adopted.isExact = isExact
            if isRestored {
                (adopted.hasItsSchemas, adopted.resolved) = lastRestore.withLock { $0 }
            } else if let origin {
                (adopted.hasItsSchemas, adopted.resolved) = (origin.hasItsSchemas, origin.resolved)
            }
            // Passing each lock once also waits for writers that read the epoch before it changed.
            for table in tables {
                if isRestored {
                    if table.isWritten(after: epoch) { adopted.isExact = false }
                } else {
                    table.waitForWriters()
                }
            }
            for log in logs where log.isWritten(since: isRestored ? epoch + 1 : .max) {
                adopted.isExact = false
            }
            ancestor.withLock { $0 = adopted }
        }
    }
}

// MARK: Rows that take Swift types

extension StoreCore {
    /// The ancestor's ``Ancestor/writeMark``, if the store is still as that.
    var unwrittenMark: UInt64? {
        guard let mark = ancestor.withLock({ $0?.writeMark }), !isWritten(since: mark, but: nil)
        else { return nil }
        return mark
    }

    /// Begins a new epoch, so that rows that have taken Swift types do not count as written since the ancestor.
    ///
    /// Under `cutting`; the table that took them is not in the store yet.
    ///
    /// - Parameters:
    ///   - mark: ``unwrittenMark`` as it was before.
    ///   - old: The table that had the rows.
    func passWriteMark(_ mark: UInt64, adopting old: TableCore) {
        let next = unsafe control.pointee.epoch.load(ordering: .relaxed) + 1
        unsafe control.pointee.epoch.store(next, ordering: .sequentiallyConsistent)
        // Looking at each also waits for writers that read the epoch before it changed.
        if isWritten(since: mark, but: old) { return }
        ancestor.withLock { ancestor in
            if ancestor?.writeMark == mark { ancestor?.writeMark = next }
        }
    }

    fileprivate func isWritten(since epoch: UInt64, but table: TableCore?) -> Bool {
        tables.contains { $0 !== table && $0.isWritten(since: epoch) }
            || logs.contains { $0.isWritten(since: epoch) }
    }
}

extension TableCore {
    /// Whether something was written in this epoch or later.
    fileprivate func isWritten(since epoch: UInt64) -> Bool {
        (0..<partitionCount).contains { index in
            let partition = unsafe partition(index)
            return unsafe partition.withLock { unsafe partition.pointee.root.epoch >= epoch }
        }
    }

    /// Waits for whoever has a partition's lock.
    fileprivate func waitForWriters() {
        for index in 0..<partitionCount { unsafe partition(index).withLock {} }
    }

    /// Whether a row or page below the partitions' roots was written after an epoch.
    fileprivate func isWritten(after epoch: UInt64) -> Bool {
        var isWritten = false
        for index in 0..<partitionCount {
            let partition = unsafe partition(index)
            let range = HashRange(partition: index, bits: partitionBits)
            let here = unsafe partition.withLock {
                unsafe !isInitial && partition.pointee.isWritten(in: range, after: epoch)
            }
            isWritten = isWritten || here
        }
        return isWritten
    }
}

extension Cut {
    /// The epoch in which positions of logs of the cut's store last went back, or may have; 0 if they never did.
    ///
    /// A position that has a row in a state of this or a later epoch, and has one now, has the same one.
    package var lastRewind: UInt64 { store.lastRewind.load(ordering: .acquiring) }

    /// Whether something was written in this epoch of the store or later.
    package func isWritten(since epoch: UInt64) -> Bool {
        requireAll()
        return tables.contains { table in table.roots.contains { $0.epoch >= epoch } }
            || logs.contains { $0.extent.epoch >= epoch }
    }

    /// Whether both are cuts of one store.
    package func isOfSameStore(as other: Cut) -> Bool { store === other.store }

    /// Whether it is a cut of a store.
    package func isOf(_ store: Store) -> Bool { self.store === store.core }
}
