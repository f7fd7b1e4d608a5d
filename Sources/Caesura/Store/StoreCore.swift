import CaesuraFormat
import Synchronization

/// What tables, partitions and cuts share of a store.
@safe
final class StoreCore: @unchecked Sendable {
    // @unchecked: `control` points at atomics and lives as long as this object; the rest is immutable
    // or under a lock.

    let pool = PagePool()
    private let created = ContinuousClock.now
    var hashKey: HashKey { unsafe control.pointee.hashKey }
    let partitionBits: Int
    let control: UnsafeMutablePointer<StoreControl>
    let registry = Guarded(Registry())
    /// Held for the length of a cut, so that cuts come one after the other, and while a table is added or
    /// a restore begins, so that none of these sees half of another.
    let cutting = Lock()
    /// The restore under way, counted from 1, or 0.
    ///
    /// A restore begins, and is given up, under `cutting` and all partitions' locks. It ends without: nothing
    /// that it brings comes after that.
    let restoration = Atomic<UInt64>(0)
    /// How many restores have begun.
    var restorations: UInt64 = 0
    let reclaiming = Reclaiming()
    let ancestor = Guarded<Ancestor?>(nil)

    struct Registry {
        var tables: [TableCore] = []
        var openCuts: [CutAccess] = []
    }

    init(hashKey: HashKey, partitionBits: Int, retainedLimit: Int) {
        self.partitionBits = partitionBits
        unsafe control = .allocate(capacity: 1)
        unsafe control.initialize(to: StoreControl(hashKey: hashKey, retainedLimit: retainedLimit))
    }

    deinit {
        freeKept()
        unsafe control.deinitialize(count: 1)
        unsafe control.deallocate()
    }

    // MARK: Regions

    var tables: [TableCore] { registry.withLock { $0.tables } }

    func table(named name: String) -> TableCore? {
        registry.withLock { registry in
            registry.tables.first { $0.schema.name.utf8Equals(name) }
        }
    }

    /// The table of that name, created if there is none.
    ///
    /// A table that was declared without its Swift types takes those of the first declaration that has
    /// some, as if that had come first.
    func table(
        _ schema: RegionSchema, _ layout: RowLayout, isTyped: Bool
    ) throws(StoreError) -> TableCore {
        try TableCore.check(schema, layout)
        // The table is made outside the lock, and dropped if another thread was first.
        let new = TableCore(schema: schema, layout: layout, store: self)
        return try cutting.withLock { () throws(StoreError) in
            guard let present = table(named: schema.name) else {
                new.isTyped = isTyped
                registry.withLock { registry in
                    new.ordinal = registry.tables.count
                    registry.tables.append(new)
                }
                return new
            }
            if present.schema == schema, !isTyped || present.layout.matches(layout) {
                present.isTyped = present.isTyped || isTyped
                return present
            }
            try checkAdoption(of: present, schema, isTyped: isTyped)
            try new.takeRows(of: present)
            new.isTyped = true
            new.ordinal = present.ordinal
            registry.withLock { $0.tables[new.ordinal] = new }
            return new
        }
    }

    /// Checks that a table has no Swift types yet and may take those of a declaration.
    private func checkAdoption(
        of present: TableCore, _ schema: RegionSchema, isTyped: Bool
    ) throws(StoreError) {
        func refuse(_ message: String) -> StoreError {
            StoreError(.regionConflict, message, region: schema.name)
        }
        guard isTyped, present.schema.wireFingerprint == schema.wireFingerprint,
            !present.isTyped || present.schema == schema
        else {
            throw refuse(
                "the store has a table of this name with another schema; choose another name")
        }
        guard !present.isTyped else {
            throw refuse(
                "the table has rows of another Swift type whose memory looks different; use one type"
            )
        }
        guard restoration.load(ordering: .acquiring) == 0 else {
            throw refuse(
                "a restore is bringing rows into it; declare it before the restore or when that has ended"
            )
        }
    }

    // MARK: Cuts

    /// Ends the present epoch and freezes it.
    func cut() -> Cut {
        // A cancelled cut whose holder has not noticed yet must not cost this one its life.
        if isOverLimit || reclaiming.isDue.load(ordering: .relaxed) { forgetGoneCuts() }
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

    /// Maps memory for the copies that writers will make while a cut is open.
    func prepareForCut() {
        let copies = unsafe control.pointee.copies.load(ordering: .relaxed)
        pool.prepare(forCopies: copies > 0 ? copies + copies / 4 : likelyCopies)
    }

    /// What the copies for a first cut may take: as if each write met another page, at the rate of writes so
    /// far, for as long as it takes to encode and write the pages at 1 GB/s; at most half of the pages.
    private var likelyCopies: Int {
        let inUse = pool.statistics.inUse
        let age = max(ContinuousClock.now - created, .milliseconds(1)) / .seconds(1)
        let writes = tables.reduce(0) { $0 + $1.writeCount }
        let copied = Double(writes) / age * (Double(inUse) / 1e9) * Double(Page.softSize / 2)
        return Int(min(copied, Double(inUse / 2)))
    }

    /// Notes the bytes that the copies made for a cut took; what earlier ones took fades by quarters.
    private func noteCopies(_ byteCount: Int) {
        let earlier = unsafe control.pointee.copies.load(ordering: .relaxed)
        let faded = earlier - (earlier - byteCount) / 4
        unsafe control.pointee.copies.store(max(byteCount, faded), ordering: .relaxed)
    }

    /// Forgets the cuts that are gone and frees what only they saw.
    ///
    /// The work of whoever held the cut, or was its last reader; never a writer's.
    func forgetGoneCuts() {
        registry.withLock { registry in
            registry.openCuts.removeAll { $0.isGone }
            protect(registry)
        }
        let before = pool.statistics.inUse
        reclaim()
        noteCopies(before - pool.statistics.inUse)
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
}
