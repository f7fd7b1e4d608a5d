import Synchronization

/// Who frees what writers have replaced, and what is kept for open cuts.
///
///     writer ─► a partition's list ─┐
///     taken out of a table ─► given ┴─► pending ─► the thread that reclaims ─► the pool
///                                          ▲           └─► kept with the latest cut that sees it
///                                          └───────────────────┘ when that one is gone
///
/// So a cut that closes costs as much as what it was the latest to see, however much is kept for others.
@safe
final class Reclaiming: @unchecked Sendable {
    // @unchecked: `kept` and `pending` are used under `lock` only.

    let lock = Lock()
    /// Whether there may be something to free that nobody has looked at.
    let isDue = Atomic(false)
    /// Whether something new is left to whoever has time, ``StoreCore/reclaimSome()``.
    fileprivate let hasWork = Atomic(false)
    /// Whether ``pending`` has something; changes under `lock` only.
    fileprivate let hasPending = Atomic(false)
    /// What was taken out of tables, for whoever has the lock next.
    fileprivate let given = Guarded<[Blocks]>([])
    /// What nobody has looked at since it was taken.
    fileprivate var pending: [Blocks] = []
    /// What cuts still saw when it was looked at.
    fileprivate var kept: [Place: Kept] = [:]

    /// Blocks that are no longer part of a table.
    @safe
    fileprivate struct Blocks: @unchecked Sendable {
        // @unchecked: nobody but whoever takes it from a list reaches the blocks.

        /// A list through ``Retirable/next``.
        var first: UnsafeMutableRawPointer?
        /// Where they were.
        let part: StorePart
        /// Whether `retained` counts them.
        let areCounted: Bool
    }

    /// The latest cut that saw blocks, and where they were: other cuts see more of that, or less.
    fileprivate struct Place: Hashable {
        let cut: ObjectIdentifier
        let part: StorePart
    }

    /// Blocks that are kept for a cut.
    @safe
    fileprivate struct Kept {
        let cut: CutAccess
        var first: UnsafeMutableRawPointer?
    }

    /// Notes that there is something for ``StoreCore/reclaimSome()``.
    func noteWork() { hasWork.store(true, ordering: .sequentiallyConsistent) }

    /// Has all that was kept for cuts that are gone looked at again.
    fileprivate func takeKept() {
        for (place, kept) in kept where kept.cut.isGone {
            unsafe pending.append(
                Blocks(first: kept.first, part: place.part, areCounted: true))
            self.kept[place] = nil
        }
    }

    /// Keeps a list for a cut.
    fileprivate func keep(
        _ first: UnsafeMutableRawPointer, to last: UnsafeMutablePointer<Retirable>,
        of part: StorePart, for cut: CutAccess
    ) {
        let place = Place(cut: ObjectIdentifier(cut), part: part)
        unsafe last.pointee.next = unsafe kept[place]?.first
        unsafe kept[place] = Kept(cut: cut, first: first)
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
        reclaimWhatIsDue()
    }

    /// Does what was left to whoever comes, unless another thread does.
    func reclaimWhatIsDue() {
        while reclaiming.lock.tryLock() {
            let isDue = reclaiming.isDue.exchange(false, ordering: .sequentiallyConsistent)
            let isComplete = collect(isDue: isDue)
            lookAt(.max)
            reclaiming.hasPending.store(false, ordering: .sequentiallyConsistent)
            reclaiming.lock.unlock()
            if !leftUnlocked(isComplete) { return }
        }
    }

    /// Whether another thread has left us its work while we had the lock.
    ///
    /// - Parameter isComplete: If not, a partition was busy: that is left to the next call of anybody, for to try again at once
    ///   would be to wait for its lock.
    private func leftUnlocked(_ isComplete: Bool) -> Bool {
        let isDue =
            isComplete
            ? reclaiming.isDue.load(ordering: .sequentiallyConsistent)
            : reclaiming.isDue.exchange(true, ordering: .sequentiallyConsistent)
        return isDue || !reclaiming.given.withLock(\.isEmpty)
    }

    /// Frees a piece of what no open cut sees, unless another thread frees all.
    ///
    /// - Returns: Whether there is more.
    /// - Complexity: O(partitions), and some 256 blocks.
    func reclaimSome() -> Bool {
        let hadWork = reclaiming.hasWork.exchange(false, ordering: .sequentiallyConsistent)
        if !reclaiming.lock.tryLock() {
            // Whoever has the lock looks at this when it gives it back, if it still has it then.
            reclaiming.isDue.store(true, ordering: .sequentiallyConsistent)
            guard reclaiming.lock.tryLock() else { return false }
        }
        let isDue = reclaiming.isDue.exchange(false, ordering: .sequentiallyConsistent)
        let isComplete = collect(isDue: isDue || hadWork)
        lookAt(256)
        reclaiming.hasPending.store(
            !reclaiming.pending.isEmpty, ordering: .sequentiallyConsistent)
        reclaiming.lock.unlock()
        if leftUnlocked(isComplete) { reclaiming.noteWork() }
        return hasReclaimable
    }

    /// Leaves blocks that are no longer part of a table to ``reclaimSome()``; `retained` does not count them yet.
    ///
    /// - Parameter part: Where they were.
    func leave(_ list: RetiredList, of part: StorePart) {
        guard unsafe list.first != nil else { return }
        reclaiming.given.withLock {
            unsafe $0.append(.init(first: list.first, part: part, areCounted: false))
        }
        reclaiming.noteWork()
    }

    /// Whether ``reclaimSome()`` has something to do.
    var hasReclaimable: Bool {
        reclaiming.hasWork.load(ordering: .sequentiallyConsistent)
            || reclaiming.hasPending.load(ordering: .sequentiallyConsistent)
    }

    /// Frees blocks that are no longer part of a table, as far as no cut sees them; `retained` does not count them
    /// yet.
    ///
    /// It waits for nobody: who frees just then what a cut kept, which takes a while, does it.
    func giveUp(_ list: RetiredList) {
        guard unsafe list.first != nil else { return }
        leave(list, of: .all)
        reclaimWhatIsDue()
    }

    /// Takes over what writers of a table have replaced that is to go.
    func takeRetired(of table: TableCore) {
        for index in 0..<table.partitionCount {
            unsafe take(table.partition(index).pointee.takeRetired(), of: table, index)
        }
        reclaimWhatIsDue()
    }

    /// Takes over what was taken out of a log that is to go.
    func takeRetired(of log: LogCore) {
        let list = unsafe log.withLock { unsafe log.body.pointee.takeRetired() }
        reclaiming.given.withLock {
            unsafe $0.append(.init(first: list, part: .logsAndCells, areCounted: true))
        }
        reclaimWhatIsDue()
    }

    private func take(
        _ list: UnsafeMutableRawPointer?, of table: TableCore, _ index: Int
    ) {
        guard unsafe list != nil else { return }
        let part = StorePart(partition: index, of: table)
        reclaiming.given.withLock {
            unsafe $0.append(.init(first: list, part: part, areCounted: true))
        }
    }

    /// Frees everything that was kept for cuts, all of which are gone.
    func freeKept() {
        precondition(reclaiming.kept.values.allSatisfy { $0.cut.isGone }, "a cut holds its store")
        reclaiming.takeKept()
        reclaiming.pending += reclaiming.given.withLock { $0 }
        lookAt(.max)
    }

    /// Puts everything that may be free by now into ``Reclaiming/pending``; whether no partition was busy.
    private func collect(isDue: Bool) -> Bool {
        var isComplete = true
        if isDue {
            reclaiming.takeKept()
            isComplete = takeRetired()
        }
        reclaiming.given.withLock { given in
            reclaiming.pending += given
            given = []
        }
        return isComplete
    }

    /// Takes over what all writers have replaced; whether no partition was busy.
    private func takeRetired() -> Bool {
        var busy: [(TableCore, Int)] = []
        // Held to the end: an adoption may replace a table whose partitions are tried again.
        let tables = tables
        defer { withExtendedLifetime(tables) {} }
        for table in tables {
            for index in 0..<table.partitionCount {
                if !takeRetired(of: table, index) { busy.append((table, index)) }
            }
        }
        busy.removeAll { takeRetired(of: $0.0, $0.1) }
        let logs = logs
        let busyLogs = logs.filter { !tryTakeRetired(of: $0) }
            .filter { !tryTakeRetired(of: $0) }
        return busy.isEmpty && busyLogs.isEmpty
    }

    private func takeRetired(of table: TableCore, _ index: Int) -> Bool {
        let partition = unsafe LockedPartition(pointer: table.partition(index))
        guard partition.tryLock() else { return false }
        let list = unsafe partition.pointer.pointee.takeRetired()
        partition.unlock()
        unsafe take(list, of: table, index)
        return true
    }

    private func tryTakeRetired(of log: LogCore) -> Bool {
        guard unsafe log.body.tryLock() else { return false }
        let list = unsafe log.body.pointee.takeRetired()
        unsafe log.body.unlock()
        if unsafe list != nil {
            unsafe reclaiming.pending.append(
                .init(first: list, part: .logsAndCells, areCounted: true))
        }
        return true
    }

    /// Frees the first blocks of ``Reclaiming/pending`` that no open cut sees and keeps the others.
    private func lookAt(_ limit: Int) {
        // Looked up after the lists were taken: a cut that opens from here on ends an epoch in which, or
        // after which, all of them was replaced, so it sees nothing of it.
        let open = registry.withLock { registry in registry.openCuts.filter { !$0.isGone } }
        var left = limit
        while left > 0, var blocks = reclaiming.pending.popLast() {
            left -= lookAt(&blocks, left, open)
            if unsafe blocks.first != nil { reclaiming.pending.append(blocks) }
        }
    }

    /// Looks at the first blocks of a list, and takes them off it; how many.
    private func lookAt(
        _ blocks: inout Reclaiming.Blocks, _ limit: Int, _ cuts: [CutAccess]
    ) -> Int {
        let open = cuts.filter { $0.part.overlaps(blocks.part) }
        // For each cut the list of what is kept for it.
        var kept = unsafe [
            (first: UnsafeMutableRawPointer, last: UnsafeMutablePointer<Retirable>)?
        ](
            repeating: nil, count: open.count)
        var freed = FreedBlocks()
        var keptBytes = 0
        var count = 0
        while count < limit, let block = unsafe blocks.first {
            count += 1
            let retirable = unsafe block.assumingMemoryBound(to: Retirable.self)
            unsafe blocks.first = unsafe retirable.pointee.next
            let (birth, retired) = unsafe (retirable.pointee.birth, retirable.pointee.retired)
            if let latest = open.lastIndex(where: { $0.epoch < retired }),
                birth <= open[latest].epoch
            {
                let last = unsafe kept[latest]?.last ?? retirable
                unsafe retirable.pointee.next = unsafe kept[latest]?.first
                unsafe kept[latest] = unsafe (block, last)
                if !blocks.areCounted { unsafe keptBytes += Retirable.byteCount(of: block) }
            } else {
                unsafe freed.append(block)
            }
        }
        for (index, cut) in open.enumerated() {
            guard let list = unsafe kept[index] else { continue }
            unsafe reclaiming.keep(list.first, to: list.last, of: blocks.part, for: cut)
        }
        let freedBytes = freed.byteCount
        pool.free(retired: freed)
        if blocks.areCounted {
            unsafe control.pointee.retained.subtract(freedBytes, ordering: .relaxed)
        } else if keptBytes > 0 {
            retained(keptBytes)
        }
        return count
    }
}
