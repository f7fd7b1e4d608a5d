/// What a repository has, and what is wrong with it at first sight.
public struct CheckpointLog: Hashable, Sendable {
    /// The checkpoints, oldest first.
    public var checkpoints: [Checkpoint] = []
    /// Checkpoints whose manifests cannot be read, and deltas that are lost.
    public var problems: [RepositoryError] = []
}

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
                if catalog.isFull(epoch) {
                    do throws(RepositoryError) {
                        let reader = try CheckpointReader(storage: self.storage, epoch: epoch)
                        log.checkpoints.append(Checkpoint(reader.manifest))
                    } catch {
                        guard error.code == .damaged || error.code == .unsupported else {
                            throw error
                        }
                        log.problems.append(error)
                    }
                } else if let entry = catalog.entry(epoch) {
                    let regions = manifests.regions(of: entry, catalog)
                    log.checkpoints.append(Checkpoint(entry, regions: regions))
                }
            }
            log.problems += catalog.losses(in: self.storage)
            return log
        }
    }
}
