internal import CaesuraFormat

extension Repository {
    /// Removes checkpoints for good, but for those that a rule keeps.
    ///
    /// Beside a service that goes on taking checkpoints, too: it takes a lock of its own. It looks at what there is,
    /// and not at the rows in it: where a disk is in doubt, ``verifyAll(progress:)`` says first whether what is kept is good.
    ///
    /// - Parameters:
    ///   - retention: What is kept.
    ///   - isDryRun: Whether nothing is removed.
    /// - Returns: What was removed, or would be.
    /// - Throws: `locked` if old checkpoints are being removed or made full already; `damaged` if a manifest is,
    ///   because what it names is not known then, and if what the newest checkpoint builds on is missing.
    @discardableResult
    public func prune(
        keeping retention: Retention, isDryRun: Bool = false
    ) async throws(RepositoryError) -> Pruning {
        try await OwnThread.run { () throws(RepositoryError) in
            try self.removeOld(keeping: retention, isDryRun: isDryRun)
        }
    }

    /// ``prune(keeping:isDryRun:)``, blocking on the storage.
    @discardableResult
    package func removeOld(
        keeping retention: Retention, isDryRun: Bool = false
    ) throws(RepositoryError) -> Pruning {
        try maintaining(isDryRun: isDryRun) { () throws(RepositoryError) in
            let catalog = try Catalog(storage)
            var checkpoints: [(epoch: UInt64, created: WallClock)] = []
            for epoch in catalog.epochs {
                checkpoints.append((epoch, try created(epoch, catalog)))
            }
            let kept = retention.selection(of: checkpoints)
            if let newest = catalog.epochs.last {
                do throws(RepositoryError) {
                    _ = try catalog.path(to: newest, in: storage)
                } catch {
                    var error = error
                    error.hint =
                        "nothing is removed while the newest checkpoint cannot be restored: restore an older one, "
                        + "and go on from that"
                    throw error
                }
            }
            return try remove(allBut: kept, catalog, isDryRun: isDryRun)
        }
    }

    /// Removes a checkpoint for good.
    ///
    /// What other checkpoints need of it stays. The next checkpoint after the removal of the newest is full.
    ///
    /// - Throws: `notFound` if there is none of that epoch; `locked` if a checkpoint is under way.
    public func remove(at epoch: UInt64) async throws(RepositoryError) {
        try await OwnThread.run { () throws(RepositoryError) in
            try self.removeCheckpoint(at: epoch)
        }
    }

    /// Removes a checkpoint for good, blocking on the storage.
    func removeCheckpoint(at epoch: UInt64) throws(RepositoryError) {
        try claim()
        defer { endCheckpoint() }
        try maintaining { () throws(RepositoryError) in
            let catalog = try Catalog(storage)
            let epochs = catalog.epochs
            guard epochs.contains(epoch) else {
                throw RepositoryError(
                    .notFound, "there is no checkpoint of epoch \(epoch)",
                    path: storage.display(Layout.manifests), epoch: epoch)
            }
            chain.end()
            try remove(
                allBut: Set(epochs.filter { $0 != epoch }), catalog, isDryRun: false)
        }
    }

    /// Runs `body` while this is the only one who makes old checkpoints full or removes some.
    ///
    /// - Parameter isDryRun: Whether `body` only looks; it runs beside others then.
    /// - Throws: `locked`.
    func maintaining<Result>(
        isDryRun: Bool = false, _ body: () throws(RepositoryError) -> Result
    ) throws(RepositoryError) -> Result {
        if isDryRun { return try body() }
        guard access != .read else {
            throw RepositoryError(
                .storage, "the repository is open for reading only", path: storage.display(""),
                hint: "open it for writing, or for maintenance beside a service")
        }
        let lock = try storage.lock(Layout.maintenance)
        defer { lock.release() }
        return try body()
    }

    private func created(
        _ epoch: UInt64, _ catalog: Catalog
    ) throws(RepositoryError) -> WallClock {
        if let entry = catalog.entry(epoch) {
            return WallClock(microseconds: entry.commit.created)
        }
        return try CheckpointReader(storage: storage, epoch: epoch).manifest.created
    }

    /// Removes all checkpoints but some: `docs/REPOSITORY.md` section 6, "Remove".
    @discardableResult
    private func remove(
        allBut kept: Set<UInt64>, _ catalog: Catalog, isDryRun: Bool
    ) throws(RepositoryError) -> Pruning {
        let epochs = catalog.epochs
        let (fulls, chains) = catalog.files(of: kept)
        let manifests = catalog.full.filter { !fulls.contains($0) }
        let names = try storage.list(Layout.packs)
        let gone = Set(manifests)
        let packs = names.filter { name in
            Layout.epoch(ofPack: name).map(gone.contains) ?? false
        }
        let goneChains = catalog.chains.map(\.path).filter { !chains.contains($0) }
        let files =
            manifests.map(Layout.manifest) + packs.map { Layout.packs + "/" + $0 } + goneChains
        var pruning = Pruning(
            kept: epochs.filter(kept.contains), removed: epochs.filter { !kept.contains($0) },
            files: files.map(storage.display), byteCount: 0)
        for file in files {
            pruning.byteCount += try storage.open(file).size
        }
        if isDryRun || files.isEmpty && pruning.removed.isEmpty { return pruning }
        // Of someone who failed or was killed here before.
        try Leftovers.remove(from: storage, newest: catalog.newestEpoch, as: .maintainer)
        // Who wrote the newest delta may not have synced it yet. Were it lost after what it replaces was removed,
        // nothing would be there.
        try storage.syncDirectory(Layout.manifests)
        try storage.syncDirectory(Layout.packs)
        for path in chains.sorted() { try storage.syncFile(path) }
        if let last = epochs.last {
            let boundary = Boundary(
                number: try Boundary.number(after: catalog.boundary, in: storage),
                epoch: max(last, catalog.boundary?.epoch ?? 0),
                kept: Boundary.ranges(pruning.kept))
            try boundary.publish(in: storage)
        }
        for epoch in manifests { try storage.remove(Layout.manifest(epoch)) }
        // What is visible is made durable before anything goes because of it.
        try storage.syncDirectory(Layout.manifests)
        for name in packs { try storage.remove(Layout.packs + "/" + name) }
        for path in goneChains { try storage.remove(path) }
        try Leftovers.remove(from: storage, newest: epochs.last, as: .maintainer)
        return pruning
    }
}

extension Boundary {
    /// The ranges of numbers without a gap that epochs make, which ascend.
    static func ranges(_ epochs: [UInt64]) -> [ClosedRange<UInt64>] {
        var ranges: [ClosedRange<UInt64>] = []
        for epoch in epochs {
            if let last = ranges.last, last.upperBound + 1 == epoch {
                ranges[ranges.count - 1] = last.lowerBound...epoch
            } else {
                ranges.append(epoch...epoch)
            }
        }
        return ranges
    }
}

extension Catalog {
    /// The full checkpoints and the chain files that some checkpoints need.
    ///
    /// - Complexity: O(checkpoints).
    fileprivate func files(of epochs: Set<UInt64>) -> (full: Set<UInt64>, chains: Set<String>) {
        var fulls: Set<UInt64> = []
        var files: Set<String> = []
        var visited: Set<UInt64> = []
        for epoch in epochs {
            var at = epoch
            while visited.insert(at).inserted {
                if isFull(at) {
                    fulls.insert(at)
                    break
                }
                guard let entry = entry(at) else { break }
                files.insert(entry.file)
                at = entry.baseEpoch
            }
        }
        // What tells of losses that nothing newer has made up for stays; and so does what a service may be
        // writing to right now, even when its newest delta has been made full beside it.
        let newest = self.epochs.last ?? 0
        for chain in chains where isLoss(chain) || chain.lastEpoch >= newest {
            files.insert(chain.path)
        }
        return (fulls, files)
    }
}
