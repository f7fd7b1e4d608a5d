internal import Caesura

extension Repository {
    /// Makes a checkpoint that is a delta a full one too, so that restoring it, and what comes after it, takes no
    /// earlier ones.
    ///
    /// From files alone, beside a service that goes on taking checkpoints: the state is rebuilt in a store of its own,
    /// which takes as much memory as the service's. A service that takes checkpoints continuously does this by itself,
    /// from its own pages: ``ContinuousCheckpoints``. What came before stays until ``prune(keeping:isDryRun:)``
    /// removes it.
    ///
    /// - Parameters:
    ///   - epoch: The checkpoint; the newest one if nil.
    ///   - options: How it is written.
    ///   - isDryRun: Whether nothing is written.
    /// - Returns: The full checkpoint; nil if it was full already. With `isDryRun`, the delta.
    /// - Throws: `locked` if old checkpoints are being removed or made full already; as
    ///   ``restore(into:at:)`` and ``checkpoint(_:options:)``.
    @discardableResult
    public func compact(
        at epoch: UInt64? = nil, options: CheckpointOptions = CheckpointOptions(),
        isDryRun: Bool = false
    ) async throws(RepositoryError) -> Checkpoint? {
        try await OwnThread.run { (cancellation) throws(RepositoryError) -> Checkpoint? in
            try self.maintaining(isDryRun: isDryRun) { () throws(RepositoryError) -> Checkpoint? in
                // What is resolved first is in a catalog made later.
                let isNewest = epoch == nil
                let epoch = try self.resolve(epoch)
                let catalog = try Catalog(self.storage)
                if isNewest, let loss = catalog.losses(in: self.storage).first { throw loss }
                let path = try catalog.path(to: epoch, in: self.storage)
                guard let last = path.deltas.last else { return nil }
                if isDryRun { return Checkpoint(last, regions: []) }
                let manifest = try CheckpointReader(storage: self.storage, epoch: path.full)
                    .manifest
                var configuration = Store.Configuration()
                configuration.partitionBits = min(manifest.partitionBits, 12)
                let store = Store(configuration)
                do throws(RepositoryError) {
                    _ = try self.restore(path, into: store, newest: nil, cancellation)
                } catch {
                    throw Self.advised(error, instead: epoch, catalog)
                }
                let cut = store.cut()
                defer { cut.close() }
                return Checkpoint(
                    try self.writeBeside(
                        cut, as: epoch, state: last.commit.state,
                        created: WallClock(microseconds: last.commit.created), options,
                        cancellation))
            }
        }
    }

    /// Writes a cut as the full checkpoint of an epoch that is there as a delta; the caller holds the lock for
    /// maintenance.
    ///
    /// - Parameter state: The identity by which deltas know it.
    func writeBeside(
        _ cut: Cut, as epoch: UInt64, state: UInt64, created: WallClock,
        _ options: CheckpointOptions, _ cancellation: Cancellation
    ) throws(RepositoryError) -> Manifest {
        var content = try FullContent(cut, as: epoch, created, options)
        content.manifest.state = state
        return try write(content, as: .maintainer, Catalog(storage), options, cancellation)
    }

    /// Takes a manifest away again that has just appeared, if its checkpoint has been removed meanwhile.
    ///
    /// - Throws: `fenced` in that case.
    func retractIfFenced(_ epoch: UInt64) throws(RepositoryError) {
        do throws(RepositoryError) {
            try checkFence(epoch: epoch)
        } catch  where error.code == .fenced {
            try storage.remove(Layout.manifest(epoch))
            try storage.syncDirectory(Layout.manifests)
            throw error
        }
    }
}
