import Synchronization

/// Who frees what writers have replaced, and what is kept for open cuts.
///
///     writer ─► a partition's list ─► the thread that reclaims ─► the pool
///                                            └─► kept with the latest cut that sees it, and looked at
///                                                again when that one is gone
///
/// So a cut that closes costs as much as what it was the latest to see, however much is kept for others.
@safe
final class Reclaiming: @unchecked Sendable {
    // @unchecked: `kept` is used under `lock` only.

    let lock = Lock()
    /// Whether there may be something to free that nobody has looked at.
    let isDue = Atomic(false)
    /// What cuts still saw when it was looked at.
    fileprivate var kept: [Kept] = []

    /// Blocks that are kept for a cut.
    @safe
    fileprivate struct Kept {
        /// That of the cut: the latest that saw them.
        var epoch: UInt64
        /// A list through ``Retirable/next``.
        var first: UnsafeMutableRawPointer?
    }

    /// Takes the lists of all cuts but some.
    fileprivate func takeKept(butFor open: [UInt64]) -> [Kept] {
        let gone = kept.filter { !open.contains($0.epoch) }
        if !gone.isEmpty { kept.removeAll { !open.contains($0.epoch) } }
        return gone
    }

    /// Keeps a block for a cut.
    fileprivate func keep(_ block: UnsafeMutablePointer<Retirable>, for epoch: UInt64) {
        let index =
            kept.firstIndex { $0.epoch == epoch }
            ?? {
                kept.append(Kept(epoch: epoch))
                return kept.count - 1
            }()
        unsafe block.pointee.next = unsafe kept[index].first
        unsafe kept[index].first = UnsafeMutableRawPointer(block)
    }
}

extension StoreCore {
    /// Frees what no open cut sees.
    ///
    /// One thread at a time; another that comes leaves its work to the first. It waits for no lock: the last
    /// reference to a cut may go inside a closure that holds a partition's. A partition that stays locked
    /// is left to the next call.
    func reclaim() {
        reclaiming.isDue.store(true, ordering: .sequentiallyConsistent)
        while reclaiming.lock.tryLock() {
            reclaiming.isDue.store(false, ordering: .sequentiallyConsistent)
            let isComplete = reclaimOnce()
            reclaiming.lock.unlock()
            // Another thread has left us its work meanwhile.
            let isDueAgain =
                isComplete
                ? reclaiming.isDue.load(ordering: .sequentiallyConsistent)
                : reclaiming.isDue.exchange(true, ordering: .sequentiallyConsistent)
            if !isDueAgain { return }
        }
    }

    /// Frees blocks that are no longer part of a table, those first that no cut sees; `retained` does not
    /// count them yet.
    func giveUp(_ list: RetiredList) {
        reclaiming.lock.withLock { unsafe free(list.first, areCounted: false) }
        reclaimWhatIsDue()
    }

    /// Takes over what writers of a table have replaced that is to go.
    func takeRetired(of table: TableCore) {
        reclaiming.lock.withLock {
            for index in 0..<table.partitionCount {
                unsafe free(table.partition(index).pointee.takeRetired(), areCounted: true)
            }
        }
        reclaimWhatIsDue()
    }

    /// Does what a thread has left to us that found the lock taken.
    private func reclaimWhatIsDue() {
        if reclaiming.isDue.load(ordering: .sequentiallyConsistent) { reclaim() }
    }

    /// Frees what was kept for cuts, all of which are gone.
    func freeKept() {
        var freed = FreedBlocks()
        for kept in reclaiming.takeKept(butFor: []) {
            var next = unsafe kept.first
            while let block = unsafe next {
                unsafe next = unsafe block.assumingMemoryBound(to: Retirable.self).pointee.next
                unsafe freed.append(block)
            }
        }
        pool.free(retired: freed)
    }

    /// Looks at everything once; whether no partition was busy.
    private func reclaimOnce() -> Bool {
        for kept in reclaiming.takeKept(butFor: openEpochs) {
            unsafe free(kept.first, areCounted: true)
        }
        var busy: [LockedPartition] = []
        // Held to the end: an adoption may replace a table whose partitions are tried again.
        let tables = tables
        defer { withExtendedLifetime(tables) {} }
        for table in tables {
            for index in 0..<table.partitionCount {
                let partition = unsafe LockedPartition(pointer: table.partition(index))
                if !reclaim(partition) { busy.append(partition) }
            }
        }
        busy.removeAll { reclaim($0) }
        let logs = logs
        let busyLogs = logs.filter { !reclaim($0) }.filter { !reclaim($0) }
        return busy.isEmpty && busyLogs.isEmpty
    }

    private func reclaim(_ partition: LockedPartition) -> Bool {
        guard partition.tryLock() else { return false }
        let list = unsafe partition.pointer.pointee.takeRetired()
        partition.unlock()
        unsafe free(list, areCounted: true)
        return true
    }

    private func reclaim(_ log: LogCore) -> Bool {
        guard unsafe log.body.tryLock() else { return false }
        let list = unsafe log.body.pointee.takeRetired()
        unsafe log.body.unlock()
        unsafe free(list, areCounted: true)
        return true
    }

    /// Takes over what was taken out of a log that is to go.
    func takeRetired(of log: LogCore) {
        reclaiming.lock.withLock {
            unsafe free(log.withLock { unsafe log.body.pointee.takeRetired() }, areCounted: true)
        }
        reclaimWhatIsDue()
    }

    /// The epochs of the cuts that are open, in ascending order.
    private var openEpochs: [UInt64] {
        registry.withLock { registry in
            registry.openCuts.lazy.filter { !$0.isGone }.map(\.epoch).sorted()
        }
    }

    /// Whether a cut of an earlier epoch is open.
    func hasOpenCut(before epoch: UInt64) -> Bool {
        registry.withLock { registry in
            registry.openCuts.contains { !$0.isGone && $0.epoch < epoch }
        }
    }

    /// Frees the blocks of a list that no open cut sees and keeps the others.
    private func free(_ list: UnsafeMutableRawPointer?, areCounted: Bool) {
        guard unsafe list != nil else { return }
        // Looked up after the list was taken: a cut that opens from here on ends an epoch in which, or
        // after which, all of the list was replaced, so it sees nothing of it.
        let open = openEpochs
        var freed = FreedBlocks()
        var keptBytes = 0
        var next = unsafe list
        while let block = unsafe next {
            let retirable = unsafe block.assumingMemoryBound(to: Retirable.self)
            unsafe next = unsafe retirable.pointee.next
            let (birth, retired) = unsafe (retirable.pointee.birth, retirable.pointee.retired)
            if let latest = open.last(where: { $0 < retired }), birth <= latest {
                unsafe reclaiming.keep(retirable, for: latest)
                if !areCounted { unsafe keptBytes += Retirable.byteCount(of: block) }
            } else {
                unsafe freed.append(block)
            }
        }
        let freedBytes = freed.byteCount
        pool.free(retired: freed)
        if areCounted {
            unsafe control.pointee.retained.subtract(freedBytes, ordering: .relaxed)
        } else if keptBytes > 0 {
            retained(keptBytes)
        }
    }
}
