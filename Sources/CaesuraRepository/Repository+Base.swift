internal import CaesuraFormat
public import Caesura

extension Repository {
    /// Holds a store that has just been restored as the base of the next checkpoint, which then can be a delta.
    ///
    /// Call it after ``restore(into:at:)`` and before anything writes to the store; with
    /// ``CheckpointOptions/holdsBase`` in mind.
    ///
    /// - Returns: Whether it could: not if something wrote meanwhile, rows were lost, tables were declared that
    ///   were not restored, or newer checkpoints are there.
    @discardableResult
    public func holdBase(_ store: Store) async throws(RepositoryError) -> Bool {
        try await OwnThread.run { () throws(RepositoryError) in
            try self.holdNewest(store)
        }
    }

    /// ``holdBase(_:)``, blocking on the storage.
    @discardableResult
    package func holdNewest(_ store: Store) throws(RepositoryError) -> Bool {
        try claim()
        defer { endCheckpoint() }
        return try holdRestored(store)
    }

    /// ``holdBase(_:)``, between ``claim()`` and ``endCheckpoint()``.
    func holdRestored(_ store: Store) throws(RepositoryError) -> Bool {
        guard let ancestor = store.ancestor, ancestor.isExact, ancestor.hasItsSchemas,
            ancestor.place == storage.display("")
        else { return false }
        let cut = store.cut()
        let regions = cut.regions.map(\.name)
        guard !cut.isWritten(since: ancestor.writeMark), regions.count == ancestor.regions.count,
            Set(regions) == Set(ancestor.regions)
        else {
            cut.close()
            return false
        }
        do throws(RepositoryError) {
            let catalog = try Catalog(storage)
            guard catalog.newestEpoch == ancestor.epoch else {
                cut.close()
                return false
            }
            let path = try catalog.path(to: ancestor.epoch, in: storage)
            guard makeDurable(path) else {
                // A sync that failed is not repeated: the next checkpoint is full.
                cut.ancestor?.isExact = false
                cut.close()
                return false
            }
            let manifest = try CheckpointReader(storage: storage, epoch: path.full).manifest
            chain.begin(
                fullBytes: manifest.storedBytes, length: path.deltas.count,
                deltaBytes: path.deltas.reduce(0) { $0 + $1.length })
        } catch {
            cut.close()
            // Removed since, or damaged: a full checkpoint takes nothing from it.
            if error.code == .notFound || error.code == .damaged { return false }
            throw error
        }
        chain.hold(
            OngoingChain.Base(
                held: HeldCut(cut), epoch: ancestor.epoch, state: ancestor.digest,
                regions: ancestor.regions, created: .now))
        return true
    }

    /// Syncs a checkpoint that is visible, and whose writer may have been killed before its own sync.
    ///
    /// - Returns: Whether it is durable.
    private func makeDurable(_ path: Catalog.Path) -> Bool {
        do throws(RepositoryError) {
            try storage.syncDirectory(Layout.manifests)
            guard let last = path.deltas.last else { return true }
            try storage.syncDirectory(Layout.packs)
            try storage.syncFile(last.file)
            return true
        } catch {
            return false
        }
    }
}
