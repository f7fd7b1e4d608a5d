import CaesuraFormat
import Synchronization

/// Filling an empty store from elsewhere, and emptying it.
extension StoreCore {
    /// Prepares an empty store for the rows of a cut: takes over its hash key and its epoch.
    ///
    /// A table hashes a key before it takes a lock; an insertion that used the old hash key notices by
    /// ``StoreControl/keyGeneration``, which changes under all the locks.
    ///
    /// - Parameter shapes: What the regions store the rows as that come.
    /// - Returns: The number of the restore; one that began before it can bring no more rows.
    func beginRestore(
        epoch: UInt64, hashKey: HashKey, shapes: [(region: RegionCore, shape: RegionShape)] = []
    ) throws(StoreError) -> UInt64 {
        guard epoch < Epoch.limit else {
            throw StoreError(
                .inconsistentData, "an epoch is less than 2 to the power 47; the data is damaged",
                epoch: Epoch(rawValue: epoch))
        }
        cutting.lock()
        defer { cutting.unlock() }
        let (tables, logs, hasOpenCuts) = registry.withLock {
            ($0.tables, $0.logs, !$0.openCuts.isEmpty)
        }
        guard !hasOpenCuts else {
            throw StoreError(.notEmpty, "close the store's cuts before a restore")
        }
        for log in logs { log.trimming.lock() }
        defer { for log in logs { log.trimming.unlock() } }
        lock(tables, logs)
        func refuse(_ region: RegionSchema) -> StoreError {
            unlock(tables, logs)
            return StoreError(
                .notEmpty, "restore into a store that has no rows, or empty it with removeAll()",
                region: region.name)
        }
        for table in tables where !table.isInitial {
            for index in 0..<table.partitionCount
            where unsafe table.partition(index).pointee.rowCount != 0 {
                throw refuse(table.schema)
            }
        }
        for log in logs where unsafe log.body.pointee.extent.count != 0 {
            throw refuse(log.schema)
        }
        unsafe control.pointee.setHashKey(hashKey)
        // A cell may have its initial value, which has the same place under any hash key.
        for table in tables where table.schema.kind == .table { table.forgetDirectories() }
        let emptied = logs.map { ($0, $0.detachAll()) }
        for log in logs { unsafe log.body.pointee.lastWrite = 0 }
        // Nobody sees the schemas change: the lists of regions are locked, too.
        let replaced = registry.withLock { _ in
            shapes.map { region, shape in take(shape, in: region) }
        }
        let present = unsafe control.pointee.epoch.load(ordering: .relaxed)
        lastRewind.max(present, ordering: .releasing)
        unsafe control.pointee.epoch.store(max(present, epoch + 1), ordering: .releasing)
        restorations += 1
        restoration.store(restorations, ordering: .releasing)
        unlock(tables, logs)
        for (log, extents) in emptied { log.retire(extents.old, in: extents.new) }
        for list in replaced { giveUp(list) }
        return restorations
    }

    /// Gives a region without rows another shape; what is no longer used of it.
    private func take(_ shape: RegionShape, in region: RegionCore) -> RetiredList {
        var list = RetiredList(epoch: unsafe control.pointee.epoch.load(ordering: .relaxed))
        guard case .table(let table) = region, table.isInitial else {
            region.take(shape)
            return list
        }
        // The initial value of a cell lies in the old shape.
        let partition = unsafe table.partition(0)
        unsafe partition.pointee.beginWriting()
        let root = unsafe partition.pointee.detachAll()
        table.retireAll(below: root, withValues: true, into: &list)
        region.take(shape)
        table.putInitialValue?(table)
        return list
    }

    /// Notes that a restore brings no more rows.
    func endRestore(_ number: UInt64) {
        _ = restoration.compareExchange(
            expected: number, desired: 0, ordering: .acquiringAndReleasing)
    }

    /// Takes all rows out of all tables and logs at one instant, and gives cells their initial values; cuts that are open keep them.
    ///
    /// - Parameter number: Does nothing unless this restore is the one under way; nil if that is all the same.
    func removeAll(ending number: UInt64? = nil) {
        cutting.lock()
        if let number, restoration.load(ordering: .acquiring) != number {
            return cutting.unlock()
        }
        let (tables, logs) = registry.withLock { ($0.tables, $0.logs) }
        for log in logs { log.trimming.lock() }
        lock(tables, logs)
        restoration.store(0, ordering: .releasing)
        // `cutting` is held, so all partitions change in one epoch.
        let epoch = unsafe control.pointee.epoch.load(ordering: .acquiring)
        var roots: [(table: TableCore, root: DirectoryEntry)] = []
        for table in tables {
            if table.schema.kind == .cell {
                roots.append((table, table.resetCell()))
                continue
            }
            for index in 0..<table.partitionCount {
                unsafe roots.append((table, table.partition(index).pointee.detachAll()))
            }
        }
        let emptied = logs.map { ($0, $0.detachAll()) }
        unlock(tables, logs)
        cutting.unlock()
        // Nobody but open cuts reaches what was below the roots: writers need not wait for the rest.
        for (table, root) in roots {
            var list = RetiredList(epoch: epoch)
            table.retireAll(below: root, withValues: true, into: &list)
            giveUp(list)
        }
        for (log, extents) in emptied {
            log.retire(extents.old, in: extents.new)
            log.trimming.unlock()
        }
    }

    private func lock(_ tables: [TableCore], _ logs: [LogCore]) {
        for table in tables {
            for index in 0..<table.partitionCount { unsafe table.partition(index).lock() }
        }
        for log in logs { unsafe log.body.lock() }
    }

    private func unlock(_ tables: [TableCore], _ logs: [LogCore]) {
        for log in logs { unsafe log.body.unlock() }
        for table in tables {
            for index in 0..<table.partitionCount { unsafe table.partition(index).unlock() }
        }
    }
}
