import CaesuraFormat
import Synchronization

/// What tables, partitions and cuts share of a store.
@safe
final class StoreCore: @unchecked Sendable {
    // @unchecked: `control` points at atomics and lives as long as this object; the rest is immutable
    // or under a lock.

    /// The memory of pages; a store of incoming rows shares that of the store that is to have them.
    let pool: PagePool
    private let created = ContinuousClock.now
    /// What the copies for a cut are likely to take.
    private let copies = Guarded(Copies())
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
    /// Whether what the last restore brought is stored under its own schemas, and those of the regions that are stored in
    /// other columns.
    let lastRestore = Guarded((hasItsSchemas: true, resolved: [String: RegionSchema]()))
    /// The epoch in which positions of logs last went back, or may have: a restore began, or a delta was undone.
    let lastRewind = Atomic<UInt64>(0)

    struct Registry {
        /// Tables, and cells, which are tables of one row.
        var tables: [TableCore] = []
        var logs: [LogCore] = []
        /// In the order of their epochs.
        var openCuts: [CutAccess] = []
    }

    init(
        hashKey: HashKey, partitionBits: Int, retainedLimit: Int, pool: PagePool = PagePool()
    ) {
        self.pool = pool
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
    var logs: [LogCore] { registry.withLock { $0.logs } }

    func table(named name: String) -> TableCore? {
        registry.withLock { registry in
            registry.tables.first { $0.schema.name.utf8Equals(name) }
        }
    }

    func log(named name: String) -> LogCore? {
        registry.withLock { registry in
            registry.logs.first { $0.schema.name.utf8Equals(name) }
        }
    }

    /// The region of that name.
    func region(named name: String) -> RegionCore? {
        if let table = table(named: name) { return .table(table) }
        return log(named: name).map { .log($0) }
    }

    private func conflict(_ name: String) -> StoreError {
        StoreError(
            .regionConflict,
            "the store has a region of this name with another schema; choose another name",
            region: name)
    }

    /// The table or cell of that name, created if there is none.
    ///
    /// A table that was declared without its Swift types takes those of the first declaration that has
    /// some, as if that had come first.
    ///
    /// - Parameter putInitialValue: What gives a cell its first value.
    func table(
        _ schema: RegionSchema, _ layout: RowLayout, isTyped: Bool,
        migrations: [RowMigration] = [], putInitialValue: ((TableCore) -> Void)? = nil
    ) throws(StoreError) -> TableCore {
        try TableCore.check(schema, layout)
        // The table is made outside the lock, and dropped if another thread was first.
        let new = TableCore(schema: schema, layout: layout, store: self)
        new.migrations.withLock { $0 = migrations }
        return try cutting.withLock { () throws(StoreError) in
            guard log(named: schema.name) == nil else { throw conflict(schema.name) }
            let table = try table(new, isTyped: isTyped)
            if let putInitialValue, table.putInitialValue == nil {
                table.putInitialValue = putInitialValue
                let partition = unsafe table.partition(0)
                unsafe partition.withLock {
                    if unsafe partition.pointee.rowCount == 0 { table.resetCell() }
                }
            }
            return table
        }
    }

    /// The table that is in the store in place of a new one, under the lock of cuts.
    private func table(_ new: TableCore, isTyped: Bool) throws(StoreError) -> TableCore {
        let schema = new.schema
        guard let present = table(named: schema.name) else {
            new.isTyped = isTyped
            registry.withLock { registry in
                new.ordinal = registry.tables.count
                registry.tables.append(new)
            }
            return new
        }
        if present.declared.schema == schema,
            !isTyped || present.declared.layout.matches(new.layout)
        {
            present.isTyped = present.isTyped || isTyped
            let migrations = new.migrations.withLock { $0 }
            if !migrations.isEmpty { present.migrations.withLock { $0 = migrations } }
            return present
        }
        let plan = try checkAdoption(
            of: .table(present), present.isTyped, schema, isTyped, new.migrations.withLock { $0 })
        new.take(try new.declared.storing(plan.stored))
        let mark = unwrittenMark
        if plan.isIdentity {
            try new.takeRows(of: present)
        } else {
            new.convertRows(of: present, by: plan)
        }
        if let mark { passWriteMark(mark, adopting: present) }
        new.isTyped = true
        new.ordinal = present.ordinal
        registry.withLock { registry in
            registry.tables[new.ordinal] = new
            // It has the large values of the other's rows, which cuts of parts see.
            for cut in registry.openCuts { protect(cut.part, in: new, for: registry) }
        }
        return new
    }

    /// The log of that name, created if there is none; as ``table(_:_:isTyped:putInitialValue:)`` in all else.
    func log(
        _ schema: RegionSchema, _ layout: RowLayout, isTyped: Bool,
        migrations: [RowMigration] = []
    ) throws(StoreError) -> LogCore {
        try TableCore.check(schema, layout)
        let new = LogCore(schema: schema, layout: layout, store: self)
        new.migrations.withLock { $0 = migrations }
        return try cutting.withLock { () throws(StoreError) in
            guard table(named: schema.name) == nil else { throw conflict(schema.name) }
            guard let present = log(named: schema.name) else {
                new.isTyped = isTyped
                registry.withLock { $0.logs.append(new) }
                return new
            }
            if present.declared.schema == schema,
                !isTyped || present.declared.layout.matches(layout)
            {
                present.isTyped = present.isTyped || isTyped
                if !migrations.isEmpty { present.migrations.withLock { $0 = migrations } }
                return present
            }
            let plan = try checkAdoption(
                of: .log(present), present.isTyped, schema, isTyped, new.migrations.withLock { $0 })
            new.take(try new.declared.storing(plan.stored))
            if plan.isIdentity {
                try new.takeRows(of: present)
            } else {
                new.convertRows(of: present, by: plan)
            }
            new.isTyped = true
            registry.withLock { registry in
                registry.logs = registry.logs.map { $0 === present ? new : $0 }
            }
            return new
        }
    }

    /// Checks that a region has no Swift types yet and may take those of a declaration; how its rows become theirs.
    private func checkAdoption(
        of region: RegionCore, _ isTypedAlready: Bool, _ schema: RegionSchema, _ isTyped: Bool,
        _ migrations: [RowMigration]
    ) throws(StoreError) -> RowPlan {
        func refuse(_ message: String) -> StoreError {
            StoreError(.regionConflict, message, region: schema.name)
        }
        guard isTyped, !isTypedAlready || region.declared.schema == schema else {
            throw conflict(schema.name)
        }
        guard !isTypedAlready else {
            throw refuse(
                "the region has rows of another Swift type whose memory looks different; use one type"
            )
        }
        guard restoration.load(ordering: .acquiring) == 0 else {
            throw refuse(
                "a restore is bringing rows into it; declare it before the restore or when that has ended"
            )
        }
        let plan = try RowPlan(from: region.schema, to: schema, migrations)
        // What was restored under another schema takes deltas of that.
        func note(_ hasItsSchemas: inout Bool, _ resolved: inout [String: RegionSchema]) {
            if plan.stored != plan.writer { hasItsSchemas = false }
            if !plan.isIdentity, resolved[schema.name] == nil {
                resolved[schema.name] = plan.writer
            }
        }
        lastRestore.withLock { note(&$0.hasItsSchemas, &$0.resolved) }
        ancestor.withLock { ancestor in
            guard var changed = ancestor else { return }
            note(&changed.hasItsSchemas, &changed.resolved)
            ancestor = changed
        }
        return plan
    }

    // MARK: Cuts

    /// Ends the present epoch and freezes what a part of the state was then.
    ///
    /// A cut of rows costs only the writers of these copies. One of logs and cells is one of everything.
    func cut(of part: StorePart = .all) -> Cut {
        // A cancelled cut whose holder has not noticed yet must not cost this one its life.
        // Who cuts a part may be in a hurry.
        let isDue =
            part == .all && (reclaiming.isDue.load(ordering: .relaxed) || hasReclaimable)
        if isOverLimit || isDue { forgetGoneCuts() }
        return cutting.withLock {
            var tables = tables.map { FrozenTable(table: $0) }
            let logs = logs
            var frozenLogs: [FrozenLog] = []
            frozenLogs.reserveCapacity(logs.count)
            let epoch = unsafe control.pointee.epoch.load(ordering: .relaxed)
            let access = CutAccess(epoch: epoch, of: part)
            let seen = access.part
            registry.withLock { registry in
                registry.openCuts.append(access)
                protect(seen, for: registry)
            }
            let start = ContinuousClock.now
            // From here on writers stamp the next epoch. One that has the lock of its partition may still
            // be writing in this epoch; passing through each lock once waits for those, and only for
            // those, on this thread.
            unsafe control.pointee.epoch.store(epoch + 1, ordering: .sequentiallyConsistent)
            for index in tables.indices { tables[index].freeze(seen, at: epoch) }
            for log in logs { frozenLogs.append(FrozenLog(log, at: epoch)) }
            let pause = ContinuousClock.now - start
            return Cut(
                access: access, tables: tables, logs: frozenLogs, pause: pause, store: self)
        }
    }

    /// Maps memory for the copies that writers will make while a cut is open.
    ///
    /// - Parameter share: How much of the state is read from it.
    ///
    /// - Parameter share: How much of the state the cut sees. What copies took is noted of cuts that see everything.
    func prepareForCut(share: Double = 1) {
        let noted = share == 1 ? copies.withLock { $0.byteCount } : 0
        pool.prepare(forCopies: noted > 0 ? noted + noted / 4 : likelyCopies(share))
    }

    /// What the copies for a first cut may take: as if each write met another page, at the rate of writes so
    /// far, for as long as it takes to encode and write its share of the pages at 1 GB/s; at most half of these.
    private func likelyCopies(_ share: Double) -> Int {
        let inUse = Int(Double(pool.statistics.inUse) * share)
        let age = max(ContinuousClock.now - created, .milliseconds(1)) / .seconds(1)
        let writes = tables.reduce(0) { $0 + $1.writeCount }
        let copied =
            Double(writes) * share / age * (Double(inUse) / 1e9) * Double(Page.softSize / 2)
        return Int(min(copied, Double(inUse / 2)))
    }

    /// Notes the bytes that the copies made for a cut took; what earlier ones took fades by a quarter a second.
    ///
    /// By time, for of several cuts that follow each other closely, as those of a move do, most are open only a moment.
    private func noteCopies(_ byteCount: Int) {
        copies.withLock { copies in
            let now = ContinuousClock.now
            while copies.byteCount > byteCount, now - copies.faded >= Copies.fading {
                copies.byteCount -= max(1, copies.byteCount / 4)
                copies.faded += Copies.fading
            }
            if byteCount >= copies.byteCount {
                copies.byteCount = byteCount
                copies.faded = now
            }
        }
    }

    /// What copies for a cut have taken.
    private struct Copies {
        var byteCount = 0
        /// Since when it has not faded.
        var faded = ContinuousClock.now
        static let fading = Duration.seconds(1)
    }

    /// Called by whoever held a cut, or was its last reader, when it is gone; never by a writer.
    ///
    /// What only a cut of a part saw is freed later, in pieces, by ``reclaimSome()``: who closes it may be in a hurry.
    func isGone(_ cut: CutAccess) {
        if cut.isFreedAtOnce { return forgetGoneCuts() }
        unprotectGoneCuts()
        reclaiming.noteWork()
    }

    /// Forgets the cuts that are gone and frees what only they saw.
    func forgetGoneCuts() {
        unprotectGoneCuts()
        reclaim()
        unsafe noteCopies(control.pointee.copied.exchange(0, ordering: .relaxed))
    }

    private func unprotectGoneCuts() {
        registry.withLock { registry in
            let gone = registry.openCuts.filter(\.isGone)
            registry.openCuts.removeAll { cut in gone.contains { $0 === cut } }
            for cut in gone { protect(cut.part, for: registry) }
        }
    }

    /// Gives up all open cuts, because they keep too much memory.
    private func cancelCuts() {
        registry.withLock { registry in
            for access in registry.openCuts { access.cancel() }
            for access in registry.openCuts { protect(access.part, for: registry) }
        }
    }

    /// Tells the writers of a part, in which a cut has come or gone, what they must not change.
    private func protect(_ part: StorePart, for registry: Registry) {
        guard part == .all else {
            for table in registry.tables { protect(part, in: table, for: registry) }
            return
        }
        let latest = registry.openCuts.last { !$0.isGone && $0.part == .all }
        unsafe control.pointee.protected.store(latest?.epoch ?? 0, ordering: .releasing)
    }

    private func protect(_ part: StorePart, in table: TableCore, for registry: Registry) {
        if part == .all { return }
        for index in part.partitions(of: table) {
            let latest = registry.openCuts.last {
                !$0.isGone && $0.part != .all && $0.part.partitions(of: table).contains(index)
            }
            unsafe table.partition(index).pointee.protected
                .store(latest?.epoch ?? 0, ordering: .releasing)
        }
    }

    // MARK: What writers have replaced

    /// Counts bytes that writers have replaced by copies, and that are kept for cuts only.
    func replaced(_ byteCount: Int) {
        unsafe control.pointee.copied.add(byteCount, ordering: .relaxed)
        retained(byteCount)
    }

    /// Counts bytes that are kept for cuts only.
    func retained(_ byteCount: Int) {
        let total = unsafe control.pointee.retained.add(byteCount, ordering: .relaxed).newValue
        if unsafe total > control.pointee.retainedLimit.load(ordering: .relaxed) { cancelCuts() }
    }

    private var isOverLimit: Bool {
        unsafe control.pointee.retained.load(ordering: .relaxed)
            > control.pointee.retainedLimit.load(ordering: .relaxed)
    }
}
