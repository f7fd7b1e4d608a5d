extension Repository {
    /// Lists the checkpoints.
    ///
    /// - Complexity: O(bytes of manifests + chunks of deltas); no pack is read.
    public func log() async throws(RepositoryError) -> CheckpointLog {
        try await OwnThread.run { () throws(RepositoryError) in
            let catalog = try Catalog(self.storage)
            var manifests = ManifestCache(self.storage)
            var log = CheckpointLog()
            for epoch in catalog.epochs {
                if let checkpoint = try self.checkpoint(epoch, catalog, &manifests, &log.problems) {
                    log.checkpoints.append(checkpoint)
                }
            }
            for epoch in catalog.underlying {
                if let checkpoint = try self.checkpoint(epoch, catalog, &manifests, &log.problems) {
                    log.underlying.append(checkpoint)
                }
            }
            log.problems += catalog.bottomless(in: self.storage)
            log.problems += catalog.damagedTails(in: self.storage)
            for chain in catalog.chains {
                guard let tail = chain.tail, tail.lostEpoch == nil else { continue }
                log.unfinished.append(
                    CheckpointLog.Unfinished(
                        path: self.storage.display(chain.path), offset: tail.offset,
                        byteCount: tail.length, epoch: chain.lastEpoch))
            }
            return log
        }
    }

    /// A checkpoint that the catalog has; nil if its manifest cannot be read, which is noted.
    private func checkpoint(
        _ epoch: UInt64, _ catalog: Catalog, _ manifests: inout ManifestCache,
        _ problems: inout [RepositoryError]
    ) throws(RepositoryError) -> Checkpoint? {
        guard catalog.isFull(epoch) else {
            return catalog.entry(epoch).map { entry in
                Checkpoint(entry, regions: manifests.regions(of: entry, catalog))
            }
        }
        do throws(RepositoryError) {
            return Checkpoint(try CheckpointReader(storage: storage, epoch: epoch).manifest)
        } catch {
            guard error.code == .damaged || error.code == .unsupported else { throw error }
            problems.append(error)
            return nil
        }
    }
}
