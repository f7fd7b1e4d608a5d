import CaesuraFormat
import Synchronization

/// Parts of a store's state that come from elsewhere, or go.
extension StoreCore {
    /// A store for incoming rows: of the same regions, empty, over the same memory.
    func staging() throws(StoreError) -> StoreCore {
        let staging = StoreCore(
            hashKey: hashKey, partitionBits: partitionBits, retainedLimit: .max, pool: pool)
        for table in tables {
            _ = try staging.table(
                table.declared.schema, table.declared.layout, isTyped: true,
                migrations: table.migrations.withLock { $0 },
                putInitialValue: table.putInitialValue)
        }
        for log in logs {
            _ = try staging.log(
                log.declared.schema, log.declared.layout, isTyped: true,
                migrations: log.migrations.withLock { $0 })
        }
        return staging
    }

    /// Checks that nothing lies where a part is to go.
    ///
    /// - Throws: `notEmpty`.
    func checkVacancy(of part: StorePart) throws(StoreError) {
        try cutting.withLock { () throws(StoreError) in
            let regions = (tables, part.hasLogs ? logs : [])
            lock(regions.0, part, regions.1)
            defer { unlock(regions.0, part, regions.1) }
            try checkVacancy(of: part, regions.0, regions.1)
        }
    }

    /// Checks it under the locks.
    private func checkVacancy(
        of part: StorePart, _ tables: [TableCore], _ logs: [LogCore]
    ) throws(StoreError) {
        func refuse(_ schema: RegionSchema) -> StoreError {
            StoreError(
                .notEmpty, "the store has rows where others are to come; remove them first",
                region: schema.name)
        }
        guard restoration.load(ordering: .acquiring) == 0 else {
            throw StoreError(.notEmpty, "a restore is filling the store; wait until it has ended")
        }
        for table in tables where !table.isInitial {
            for index in part.partitions(of: table)
            where unsafe table.partition(index).pointee.rowCount != 0 {
                throw refuse(table.schema)
            }
        }
        for log in logs where unsafe log.body.pointee.extent.count != 0 {
            throw refuse(log.schema)
        }
    }

    /// Makes the rows of a part in another store this one's, by moving the roots of directories.
    ///
    /// The rows' stamps are of the other store's epochs. So the present epoch becomes at least as late, which keeps
    /// what was written before now from being taken for what is written now, and the partitions note that stamps do not
    /// tell what changed since an earlier cut: ``DeltaScan`` compares all of them then.
    ///
    /// - Parameter other: A store that ``staging()`` made, and nobody else uses.
    /// - Returns: How many of its partitions had rows, each of which counts as written once more.
    @discardableResult
    func adopt(_ part: StorePart, from other: StoreCore) throws(StoreError) -> Int {
        for region in other.populatedRegions(of: part) where self.region(named: region.name) == nil
        {
            let layout = RowLayout(region: region)
            if region.kind == .log {
                _ = try log(region, layout, isTyped: false)
            } else {
                _ = try table(region, layout, isTyped: false)
            }
        }
        var replaced: [(table: TableCore, root: DirectoryEntry, epoch: UInt64)] = []
        var emptied: [(log: LogCore, old: LogExtent, new: LogExtent)] = []
        try cutting.withLock { () throws(StoreError) in
            try adopt(part, from: other, &replaced, &emptied)
        }
        for (table, root, epoch) in replaced {
            var list = RetiredList(epoch: epoch)
            table.retireAll(below: root, withValues: true, into: &list)
            leave(list, of: part)
        }
        for (log, old, new) in emptied {
            log.trimming.withLock { log.retire(old, in: new) }
        }
        return replaced.count
    }

    /// Checks that rows of a part which have not come yet will lie as this store's do.
    ///
    /// - Throws: As ``adopt(_:from:)``.
    func checkShapes(of part: StorePart, from other: StoreCore) throws(StoreError) {
        let tables = other.tables.filter { !part.partitions(of: $0).isEmpty }
        let regions = tables.map(\.schema) + (part.hasLogs ? other.logs.map(\.schema) : [])
        for region in regions where self.region(named: region.name) != nil {
            try checkShape(of: region, from: other)
        }
    }

    /// How often writers have had a lock of a range's partitions.
    func writeCount(in range: HashRange) -> Int {
        let part = StorePart.rows(range)
        return tables.reduce(0) { sum, table in
            part.partitions(of: table).reduce(sum) { sum, index in
                let partition = unsafe table.partition(index)
                return unsafe sum &+ partition.withLock { unsafe partition.pointee.writeCount }
            }
        }
    }

    private func adopt(
        _ part: StorePart, from other: StoreCore,
        _ replaced: inout [(table: TableCore, root: DirectoryEntry, epoch: UInt64)],
        _ emptied: inout [(log: LogCore, old: LogExtent, new: LogExtent)]
    ) throws(StoreError) {
        precondition(
            other.registry.withLock { $0.openCuts.allSatisfy(\.isGone) },
            "what a cut sees must not become another store's")
        let (tables, logs) = (tables, part.hasLogs ? logs : [])
        lock(tables, part, logs)
        defer { unlock(tables, part, logs) }
        try checkVacancy(of: part, tables, logs)
        guard other.hashKey == hashKey else {
            throw StoreError(
                .inconsistentData, "the rows were placed by another hash key than this store's")
        }
        for region in other.populatedRegions(of: part) { try checkShape(of: region, from: other) }
        let epoch = unsafe max(
            control.pointee.epoch.load(ordering: .relaxed),
            other.control.pointee.epoch.load(ordering: .relaxed))
        unsafe control.pointee.epoch.store(epoch, ordering: .sequentiallyConsistent)
        for table in tables {
            guard let source = other.table(named: table.schema.name) else { continue }
            for index in part.partitions(of: table) {
                let (here, there) = unsafe (table.partition(index), source.partition(index))
                let rowCount = unsafe there.withLock { unsafe there.pointee.rowCount }
                if rowCount == 0 { continue }
                let root = unsafe there.withLock { unsafe there.pointee.detachAll() }
                unsafe replaced.append(
                    (table, here.pointee.adopt(root, rowCount, in: epoch), epoch))
                table.isInitial = source.isInitial
            }
        }
        for log in logs {
            guard let source = other.log(named: log.schema.name) else { continue }
            let extent = source.withLock {
                defer { unsafe source.body.pointee.giveAway() }
                return unsafe source.body.pointee.extent
            }
            unsafe emptied.append((log, log.body.pointee.adopt(extent), log.body.pointee.extent))
            lastRewind.max(epoch, ordering: .releasing)
        }
    }

    /// The regions that have rows of a part, as they are stored.
    private func populatedRegions(of part: StorePart) -> [RegionSchema] {
        let filled = tables.filter { table in
            part.partitions(of: table).contains { index in
                let partition = unsafe table.partition(index)
                return unsafe partition.withLock { unsafe partition.pointee.rowCount != 0 }
            }
        }
        let written = part.hasLogs ? logs.filter { $0.extent.count != 0 } : []
        return filled.map(\.schema) + written.map(\.schema)
    }

    /// Checks, under the locks, that rows of another store lie as this store's do.
    private func checkShape(
        of region: RegionSchema, from other: StoreCore
    ) throws(StoreError) {
        guard let here = self.region(named: region.name),
            let there = other.region(named: region.name),
            here.schema == there.schema, here.shape.layout.matches(there.shape.layout)
        else {
            throw StoreError(
                .schemaMismatch,
                "the rows that came have fields that this store's rows of the region have not; move to a node of a version "
                    + "that knows them, or to one without rows", region: region.name)
        }
    }

    /// Takes the rows of a part out; their memory is given back by and by.
    func detach(_ part: StorePart) -> PartRemoval {
        cutting.lock()
        let (tables, logs) = (tables, part.hasLogs ? logs : [])
        for log in logs { log.trimming.lock() }
        lock(tables, part, logs)
        let epoch = unsafe control.pointee.epoch.load(ordering: .acquiring)
        var roots: [(table: TableCore, layout: PageLayout, entry: DirectoryEntry)] = []
        for table in tables {
            let layout = table.pageLayout
            if table.schema.kind == .cell {
                if !part.partitions(of: table).isEmpty {
                    roots.append((table, layout, table.resetCell()))
                }
                continue
            }
            for index in part.partitions(of: table) {
                unsafe roots.append((table, layout, table.partition(index).pointee.detachAll()))
            }
        }
        let emptied = logs.map { ($0, $0.detachAll()) }
        unlock(tables, part, logs)
        cutting.unlock()
        for (log, extents) in emptied {
            log.retire(extents.old, in: extents.new)
            log.trimming.unlock()
        }
        return PartRemoval(of: part, roots, in: epoch, from: self)
    }

    // Ascending, as everybody does who takes several locks.

    private func lock(_ tables: [TableCore], _ part: StorePart, _ logs: [LogCore]) {
        for table in tables {
            for index in part.partitions(of: table) { unsafe table.partition(index).lock() }
        }
        for log in logs { unsafe log.body.lock() }
    }

    private func unlock(_ tables: [TableCore], _ part: StorePart, _ logs: [LogCore]) {
        for log in logs { unsafe log.body.unlock() }
        for table in tables {
            for index in part.partitions(of: table) { unsafe table.partition(index).unlock() }
        }
    }
}

extension Partition {
    /// Takes the rows of another partition of the same layout and depth, in place of none.
    ///
    /// - Returns: The root of what was there.
    mutating func adopt(
        _ root: DirectoryEntry, _ rowCount: Int, in epoch: UInt64
    ) -> DirectoryEntry {
        let old = detachAll()
        assert(writeEpoch == epoch, "the epoch changes under all locks")
        var root = root
        root.epoch = epoch
        unsafe rootPointer.pointee = root
        self.rowCount = rowCount
        lastAdoption = epoch
        return old
    }
}

extension TableCore {
    /// The epoch in which rows with stamps of another store came last into a partition.
    func lastAdoption(of index: Int) -> UInt64 {
        let partition = unsafe partition(index)
        return unsafe partition.withLock { unsafe partition.pointee.lastAdoption }
    }
}

extension LogBody {
    /// Takes the rows of another log, in place of none; what was there.
    mutating func adopt(_ other: LogExtent) -> LogExtent {
        beginWriting()
        let old = extent
        extent = other
        extent.epoch = old.epoch
        extent.returns = old.returns + 1
        tail.leave()
        return old
    }

    /// Forgets all rows, which another log has taken with their pages.
    mutating func giveAway() {
        let (position, returns) = (extent.end, extent.returns)
        let epoch = extent.epoch
        extent = LogExtent()
        extent.epoch = epoch
        extent.returns = returns + 1
        extent.head = position
        extent.end = position
        tail.leave()
    }
}
