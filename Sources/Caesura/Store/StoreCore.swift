import CaesuraFormat
import Synchronization

/// What tables, partitions and cuts share of a store.
@safe
final class StoreCore: @unchecked Sendable {
    // @unchecked: `control` points at atomics and lives as long as this object; the rest is immutable
    // or under a lock.

    let pool = PagePool()
    var hashKey: HashKey { unsafe control.pointee.hashKey }
    let partitionBits: Int
    let control: UnsafeMutablePointer<StoreControl>
    private let registry = Guarded(Registry())
    /// Held for the length of a cut, so that cuts come one after the other, and while a table is added or
    /// a restore begins, so that none of these sees half of another.
    private let cutting = Lock()
    /// Held by whoever frees what writers have replaced.
    private let reclaiming = Lock()

    private struct Registry {
        var tables: [TableCore] = []
        var openCuts: [CutAccess] = []
    }

    init(hashKey: HashKey, partitionBits: Int, retainedLimit: Int) {
        self.partitionBits = partitionBits
        unsafe control = .allocate(capacity: 1)
        unsafe control.initialize(to: StoreControl(hashKey: hashKey, retainedLimit: retainedLimit))
    }

    deinit {
        unsafe control.deinitialize(count: 1)
        unsafe control.deallocate()
    }

    // MARK: Regions

    var tables: [TableCore] { registry.withLock { $0.tables } }

    func table(named name: String) -> TableCore? {
        registry.withLock { registry in registry.tables.first { $0.schema.name == name } }
    }

    /// The table of that name, created if there is none.
    func table(_ schema: RegionSchema, layout: () -> RowLayout) throws(StoreError) -> TableCore {
        let layout = layout()
        try TableCore.check(schema, layout)
        // The table is made outside the lock, and dropped if another thread was first.
        let new = TableCore(schema: schema, layout: layout, store: self)
        let table = cutting.withLock {
            registry.withLock { registry in
                if let present = registry.tables.first(where: { $0.schema.name == schema.name }) {
                    return present
                }
                new.ordinal = registry.tables.count
                registry.tables.append(new)
                return new
            }
        }
        guard table.schema != schema || table.layout.matches(layout) else {
            throw StoreError(
                .regionConflict,
                "a restore has made the table, without its Swift types; declare tables before a restore",
                region: schema.name)
        }
        guard table.schema == schema else {
            throw StoreError(
                .regionConflict,
                "the store has a table of this name with another schema; choose another name",
                region: schema.name)
        }
        return table
    }

    /// Prepares an empty store for the rows of a cut: takes over its hash key and its epoch.
    ///
    /// A table hashes a key before it takes a lock; an insertion that used the old hash key notices by
    /// ``StoreControl/keyGeneration``, which changes under all the locks.
    func beginRestore(epoch: UInt64, hashKey: HashKey) throws(StoreError) {
        guard epoch < Epoch.limit else {
            throw StoreError(
                .inconsistentData, "an epoch is less than 2 to the power 47; the data is damaged",
                epoch: Epoch(rawValue: epoch))
        }
        cutting.lock()
        defer { cutting.unlock() }
        let (tables, hasOpenCuts) = registry.withLock { ($0.tables, !$0.openCuts.isEmpty) }
        guard !hasOpenCuts else {
            throw StoreError(.notEmpty, "close the store's cuts before a restore")
        }
        for table in tables {
            for index in 0..<table.partitionCount {
                unsafe table.partition(index).lock()
            }
        }
        defer {
            for table in tables {
                for index in 0..<table.partitionCount {
                    unsafe table.partition(index).unlock()
                }
            }
        }
        for table in tables {
            for index in 0..<table.partitionCount
            where unsafe table.partition(index).pointee.rowCount != 0 {
                throw StoreError(
                    .notEmpty, "restore into a store that has no rows yet",
                    region: table.schema.name)
            }
        }
        unsafe control.pointee.setHashKey(hashKey)
        for table in tables { table.forgetDirectories() }
        let present = unsafe control.pointee.epoch.load(ordering: .relaxed)
        unsafe control.pointee.epoch.store(max(present, epoch + 1), ordering: .releasing)
        unsafe control.pointee.deltaBase.store(epoch, ordering: .releasing)
    }

    // MARK: Cuts

    /// Ends the present epoch and freezes it.
    func cut() -> Cut {
        // A cancelled cut whose holder has not noticed yet must not cost this one its life.
        if isOverLimit { forgetGoneCuts() }
        return cutting.withLock {
            let tables = tables
            var frozen = tables.map { FrozenTable(table: $0) }
            let epoch = unsafe control.pointee.epoch.load(ordering: .relaxed)
            let access = CutAccess(epoch: epoch)
            registry.withLock { registry in
                registry.openCuts.append(access)
                protect(registry)
            }
            let start = ContinuousClock.now
            // From here on writers stamp the next epoch. One that has the lock of its partition may still
            // be writing in this epoch; passing through each lock once waits for those, and only for
            // those, on this thread.
            unsafe control.pointee.epoch.store(epoch + 1, ordering: .sequentiallyConsistent)
            for index in frozen.indices { frozen[index].freeze(at: epoch) }
            let pause = ContinuousClock.now - start
            return Cut(access: access, tables: frozen, pause: pause, store: self)
        }
    }

    /// Forgets the cuts that are gone and frees what only they saw.
    ///
    /// The work of whoever held the cut, or was its last reader; never a writer's.
    func forgetGoneCuts() {
        registry.withLock { registry in
            registry.openCuts.removeAll { $0.isGone }
            protect(registry)
        }
        reclaim()
    }

    /// Gives up all open cuts, because they keep too much memory.
    private func cancelCuts() {
        registry.withLock { registry in
            for access in registry.openCuts { access.cancel() }
            protect(registry)
        }
    }

    private func protect(_ registry: Registry) {
        let latest = registry.openCuts.lazy.filter { !$0.isGone }.map(\.epoch).max() ?? 0
        unsafe control.pointee.protected.store(latest, ordering: .releasing)
    }

    // MARK: What writers have replaced

    /// Counts bytes that are kept for cuts only.
    ///
    /// Called by writers.
    func retained(_ byteCount: Int) {
        let total = unsafe control.pointee.retained.add(byteCount, ordering: .relaxed).newValue
        if unsafe total > control.pointee.retainedLimit.load(ordering: .relaxed) { cancelCuts() }
    }

    private var isOverLimit: Bool {
        unsafe control.pointee.retained.load(ordering: .relaxed)
            > control.pointee.retainedLimit.load(ordering: .relaxed)
    }

    /// Frees what no open cut sees.
    ///
    /// One thread at a time: what one keeps for a cut, the next one finds when that cut has closed.
    func reclaim() {
        reclaiming.withLock {
            for table in tables {
                for index in 0..<table.partitionCount { unsafe reclaim(table.partition(index)) }
            }
        }
    }

    private func reclaim(_ partition: UnsafeMutablePointer<Partition>) {
        var next = unsafe partition.withLock {
            unsafe Sendability(pointer: partition.pointee.takeRetired())
        }.pointer
        if unsafe next == nil { return }
        // Looked up after the list was taken: a cut that opens from here on ends an epoch in which, or
        // after which, all of the list was replaced, so it sees nothing of it.
        let open = registry.withLock { registry in
            registry.openCuts.filter { !$0.isGone }.map(\.epoch)
        }
        var kept: (first: UnsafeMutableRawPointer, last: UnsafeMutableRawPointer)?
        var freed = FreedBlocks()
        while let block = unsafe next {
            let retirable = unsafe block.assumingMemoryBound(to: Retirable.self)
            unsafe next = unsafe retirable.pointee.next
            let (birth, retired) = unsafe (retirable.pointee.birth, retirable.pointee.retired)
            if open.contains(where: { birth <= $0 && $0 < retired }) {
                unsafe retirable.pointee.next = unsafe kept?.first
                unsafe kept = unsafe (block, kept?.last ?? block)
            } else {
                unsafe freed.append(block)
            }
        }
        if unsafe kept != nil {
            nonisolated(unsafe) let kept = unsafe kept!
            unsafe partition.withLock {
                unsafe partition.pointee.putBackRetired(kept.first, last: kept.last)
            }
        }
        unsafe control.pointee.retained.subtract(freed.byteCount, ordering: .relaxed)
        pool.free(retired: freed)
    }
}

/// Carries a pointer out of a lock's closure.
@safe
private struct Sendability: @unchecked Sendable {
    // @unchecked: the pointer is owned by whoever took it.
    let pointer: UnsafeMutableRawPointer?
}

/// Whether a cut is read, and whether it still may be.
///
///     bit 0      cancelled: it keeps too much memory
///     bit 1      closed by its holder
///     bits 2-    readers
///
/// Either bit admits no more readers and lets those inside finish; when the last has left, the cut is
/// gone: writers stop copying for it.
final class CutAccess: Sendable {
    let epoch: UInt64
    private let state = Atomic<Int>(0)

    private static let cancelled = 1
    private static let closed = 2
    private static let reader = 4

    init(epoch: UInt64) { self.epoch = epoch }

    private static func isGone(_ state: Int) -> Bool { state != 0 && state < reader }

    /// Whether nobody reads the cut and nobody will.
    var isGone: Bool { Self.isGone(state.load(ordering: .acquiring)) }

    var isCancelled: Bool { state.load(ordering: .acquiring) & Self.cancelled != 0 }

    func cancel() { state.bitwiseOr(Self.cancelled, ordering: .acquiringAndReleasing) }

    /// Closes the cut; whether it is gone by that.
    func close() -> Bool {
        Self.isGone(
            state.bitwiseOr(Self.closed, ordering: .acquiringAndReleasing).newValue)
    }

    /// Whether the holder has closed the cut.
    var isClosed: Bool { state.load(ordering: .acquiring) & Self.closed != 0 }

    /// Admits a reader, unless the cut is cancelled or closed.
    func enter() -> Bool {
        state.add(Self.reader, ordering: .acquiringAndReleasing).oldValue & 3 == 0
    }

    /// Lets a reader go (also one that was not admitted); whether the cut is gone by that.
    func leave() -> Bool {
        Self.isGone(
            state.subtract(Self.reader, ordering: .acquiringAndReleasing).newValue)
    }
}
