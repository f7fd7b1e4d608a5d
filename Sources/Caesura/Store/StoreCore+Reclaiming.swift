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
    /// What was taken out of tables, for whoever has the lock next.
    fileprivate let given = Guarded<[Given]>([])
    /// What cuts still saw when it was looked at.
    fileprivate var kept: [Kept] = []

    /// Blocks that were taken out of a table.
    @safe
    fileprivate struct Given: @unchecked Sendable {
        // @unchecked: nobody but whoever takes it from ``given`` reaches the blocks.

        /// A list through ``Retirable/next``.
        var first: UnsafeMutableRawPointer?
        /// Where they were.
        var part: StorePart
    }

    /// Blocks that are kept for a cut.
    @safe
    fileprivate struct Kept {
        /// The latest that saw them.
        let cut: CutAccess
        /// Where they were: other cuts than this one may see more of it, or less.
        let part: StorePart
        /// A list through ``Retirable/next``.
        var first: UnsafeMutableRawPointer?
    }

    /// Takes the lists of the cuts that are gone.
    fileprivate func takeKept() -> [Kept] {
        // Each is looked at once, for a cut may go meanwhile.
        let end = kept.partition { $0.cut.isGone }
        defer { kept.removeSubrange(end...) }
        return Array(kept[end...])
    }

    /// Where in ``kept`` the blocks of a part are that are kept for a cut.
    fileprivate func place(for cut: CutAccess, _ part: StorePart) -> Int {
        if let place = kept.firstIndex(where: { $0.cut === cut && $0.part == part }) {
            return place
        }
        unsafe kept.append(Kept(cut: cut, part: part, first: nil))
        return kept.count - 1
    }

    /// Keeps a block.
    fileprivate func keep(_ block: UnsafeMutablePointer<Retirable>, at place: Int) {
        unsafe block.pointee.next = unsafe kept[place].first
        unsafe kept[place].first = UnsafeMutableRawPointer(block)
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
            if !isDueAgain { return freeGiven() }
        }
    }

    /// Frees blocks that are no longer part of a table, as far as no cut sees them; `retained` does not count them
    /// yet.
    ///
    /// It waits for nobody: who frees just then what a cut kept, which takes a while, does it.
    ///
    /// - Parameter part: Where they were.
    func giveUp(_ list: RetiredList, of part: StorePart = .all) {
        guard unsafe list.first != nil else { return }
        reclaiming.given.withLock { unsafe $0.append(.init(first: list.first, part: part)) }
        freeGiven()
    }

    /// Frees what was given up, unless somebody does already.
    private func freeGiven() {
        while reclaiming.given.withLock({ !$0.isEmpty }), reclaiming.lock.tryLock() {
            let given = reclaiming.given.withLock { given in
                defer { given = [] }
                return given
            }
            for given in given {
                unsafe free(given.first, of: given.part, areCounted: false)
            }
            reclaiming.lock.unlock()
            reclaimWhatIsDue()
        }
    }

    /// Takes over what writers of a table have replaced that is to go.
    func takeRetired(of table: TableCore) {
        reclaiming.lock.withLock {
            for index in 0..<table.partitionCount {
                let list = unsafe table.partition(index).pointee.takeRetired()
                unsafe free(list, of: StorePart(partition: index, of: table), areCounted: true)
            }
        }
        reclaimWhatIsDue()
        freeGiven()
    }

    /// Does what a thread has left to us that found the lock taken.
    private func reclaimWhatIsDue() {
        if reclaiming.isDue.load(ordering: .sequentiallyConsistent) { reclaim() }
    }

    /// Frees what was kept for cuts, all of which are gone.
    func freeKept() {
        var freed = FreedBlocks()
        precondition(reclaiming.kept.allSatisfy { $0.cut.isGone }, "a cut holds its store")
        for kept in reclaiming.takeKept() {
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
        for kept in reclaiming.takeKept() {
            unsafe free(kept.first, of: kept.part, areCounted: true)
        }
        var busy: [(TableCore, Int)] = []
        // Held to the end: an adoption may replace a table whose partitions are tried again.
        let tables = tables
        defer { withExtendedLifetime(tables) {} }
        for table in tables {
            for index in 0..<table.partitionCount {
                if !reclaim(table, index) { busy.append((table, index)) }
            }
        }
        busy.removeAll { reclaim($0.0, $0.1) }
        let logs = logs
        let busyLogs = logs.filter { !reclaim($0) }.filter { !reclaim($0) }
        return busy.isEmpty && busyLogs.isEmpty
    }

    private func reclaim(_ table: TableCore, _ index: Int) -> Bool {
        let partition = unsafe LockedPartition(pointer: table.partition(index))
        guard partition.tryLock() else { return false }
        let list = unsafe partition.pointer.pointee.takeRetired()
        partition.unlock()
        unsafe free(list, of: StorePart(partition: index, of: table), areCounted: true)
        return true
    }

    private func reclaim(_ log: LogCore) -> Bool {
        guard unsafe log.body.tryLock() else { return false }
        let list = unsafe log.body.pointee.takeRetired()
        unsafe log.body.unlock()
        unsafe free(list, of: .logsAndCells, areCounted: true)
        return true
    }

    /// Takes over what was taken out of a log that is to go.
    func takeRetired(of log: LogCore) {
        reclaiming.lock.withLock {
            let list = unsafe log.withLock { unsafe log.body.pointee.takeRetired() }
            unsafe free(list, of: .logsAndCells, areCounted: true)
        }
        reclaimWhatIsDue()
        freeGiven()
    }

    /// Frees the blocks of a list that no open cut sees and keeps the others.
    ///
    /// - Parameters:
    ///   - part: Where they were.
    ///   - areCounted: Whether `retained` counts them.
    private func free(
        _ list: UnsafeMutableRawPointer?, of part: StorePart, areCounted: Bool
    ) {
        guard unsafe list != nil else { return }
        // Looked up after the list was taken: a cut that opens from here on ends an epoch in which, or
        // after which, all of the list was replaced, so it sees nothing of it.
        let open = registry.withLock { registry in
            registry.openCuts.filter { !$0.isGone && $0.part.overlaps(part) }
        }
        let places = open.map { reclaiming.place(for: $0, part) }
        var freed = FreedBlocks()
        var keptBytes = 0
        var next = unsafe list
        while let block = unsafe next {
            let retirable = unsafe block.assumingMemoryBound(to: Retirable.self)
            unsafe next = unsafe retirable.pointee.next
            let (birth, retired) = unsafe (retirable.pointee.birth, retirable.pointee.retired)
            if let latest = open.lastIndex(where: { $0.epoch < retired }),
                birth <= open[latest].epoch
            {
                unsafe reclaiming.keep(retirable, at: places[latest])
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
