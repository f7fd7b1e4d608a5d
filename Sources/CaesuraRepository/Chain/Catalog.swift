internal import CaesuraFormat

/// What checkpoints a repository has, full ones and deltas, and how each is restored.
struct Catalog: Sendable {
    /// Epochs of the full checkpoints whose manifests are there, ascending.
    private(set) var full: [UInt64]
    /// The chain files, in the order of their names.
    private(set) var chains: [ChainFile]
    /// What has been removed.
    let boundary: Boundary?
    /// The last of several entries that lead to one epoch.
    private let entries: [UInt64: ChainEntry]

    /// Looks through a repository.
    ///
    /// - Complexity: O(manifests + chunks of chain files).
    init(_ storage: any Storage) throws(RepositoryError) {
        // What is removed meanwhile is in a boundary read afterwards. Manifests come before chain files: a delta
        // that is made full in between is there twice, not missing.
        var full = Set(try storage.list(Layout.manifests).compactMap(Layout.epoch(ofManifest:)))
        var chains: [ChainFile] = []
        for name in try storage.list(Layout.packs) {
            guard let (base, _) = Layout.parts(ofChain: name) else { continue }
            do throws(RepositoryError) {
                chains.append(
                    try ChainScan.scan(Layout.packs + "/" + name, baseEpoch: base, in: storage))
            } catch  where error.code == .notFound {
                continue
            }
        }
        self.chains = chains
        var entries: [UInt64: ChainEntry] = [:]
        for entry in chains.flatMap(\.entries) { entries[entry.epoch] = entry }
        self.entries = entries
        // A full checkpoint and a delta after it may both have come to be since manifests were listed.
        if entries.values.contains(where: {
            entries[$0.baseEpoch] == nil && !full.contains($0.baseEpoch)
        }) {
            full.formUnion(
                try storage.list(Layout.manifests).compactMap(Layout.epoch(ofManifest:)))
        }
        self.full = full.sorted()
        boundary = try Boundary.read(from: storage)
    }

    /// The epochs that can be asked for, oldest first.
    var epochs: [UInt64] {
        Set(full).union(entries.keys).filter { !(boundary?.isRemoved($0) ?? false) }.sorted()
    }

    /// The epochs that have been removed and that those in ``epochs`` are restored through, oldest first.
    ///
    /// - Complexity: O(checkpoints).
    var underlying: [UInt64] {
        let epochs = epochs
        var visited = Set(epochs)
        var found: [UInt64] = []
        for epoch in epochs {
            var at = epoch
            while !isFull(at), let entry = entries[at], visited.insert(entry.baseEpoch).inserted {
                at = entry.baseEpoch
                if isFull(at) || entries[at] != nil { found.append(at) }
            }
        }
        return found.sorted()
    }

    /// The epochs that can be asked for and whose restore takes nothing of a checkpoint, oldest first.
    ///
    /// - Complexity: O(checkpoints log checkpoints).
    func epochs(without damaged: UInt64) -> [UInt64] {
        var lost: Set = [damaged]
        // A base comes before what builds on it.
        for (epoch, entry) in entries.sorted(by: { $0.key < $1.key }) where !isFull(epoch) {
            let isThere = isFull(entry.baseEpoch) || entries[entry.baseEpoch] != nil
            if !isThere || lost.contains(entry.baseEpoch) { lost.insert(epoch) }
        }
        return epochs.filter { !lost.contains($0) }
    }

    /// The deltas that are there, and what they build on is nowhere, oldest first.
    ///
    /// - Parameter storage: Names files in the errors.
    func bottomless(in storage: any Storage) -> [RepositoryError] {
        (epochs + underlying).sorted().compactMap { epoch in
            guard !isFull(epoch), let entry = entries[epoch] else { return nil }
            do throws(RepositoryError) {
                try checkBase(of: entry, in: storage)
                return nil
            } catch {
                return error
            }
        }
    }

    /// The entry that leads to an epoch.
    func entry(_ epoch: UInt64) -> ChainEntry? { entries[epoch] }

    /// Whether all that there is of an epoch is one state, and it can be had.
    ///
    /// - Parameter state: The state's identity.
    func isOnly(
        _ state: UInt64, at epoch: UInt64, in storage: any Storage
    ) throws(RepositoryError) -> Bool {
        let entries = chains.flatMap(\.entries).filter { $0.epoch == epoch }
        guard entries.allSatisfy({ $0.commit.state == state }) else { return false }
        if isFull(epoch) {
            return try CheckpointReader(storage: storage, epoch: epoch).manifest.identity == state
        }
        do throws(RepositoryError) {
            return try path(to: epoch, in: storage).target != nil
        } catch  where error.code == .damaged || error.code == .notFound {
            return false
        }
    }

    /// Whether there is a full checkpoint of an epoch.
    func isFull(_ epoch: UInt64) -> Bool {
        var low = 0
        var high = full.count
        while low < high {
            let middle = (low + high) / 2
            if full[middle] < epoch { low = middle + 1 } else { high = middle }
        }
        return low < full.count && full[low] == epoch
    }

    /// The way to a checkpoint.
    struct Path {
        /// The full checkpoint that it begins with.
        var full: UInt64
        /// The deltas to apply to it, in order; backwards, those to undo.
        var deltas: [ChainEntry]
        /// The delta that leads to the checkpoint; nil if it is the full one.
        var target: ChainEntry?
        /// Whether the full checkpoint is a later one.
        var isBackwards = false

        /// About how long its deltas take.
        var deltaTime: Duration {
            RestorePath.estimate(
                deltas: deltas.count, changes: deltas.reduce(0) { $0 + $1.changes })
        }
    }

    /// How the checkpoint of an epoch is restored from what came before it.
    ///
    /// - Throws: `notFound`; `damaged` if what it builds on is missing.
    func path(to epoch: UInt64, in storage: any Storage) throws(RepositoryError) -> Path {
        try check(epoch, in: storage)
        return try path(from: epoch, in: storage)
    }

    /// The ways to the checkpoint of an epoch, the one first that is probably the shortest.
    ///
    /// From what came before it; if it is a full one and a delta too, along the deltas; and if a later one of its chain is a
    /// full one, from that, should the deltas in between carry the way back.
    ///
    /// - Throws: `notFound`; `damaged` if there is none.
    func paths(to epoch: UInt64, in storage: any Storage) throws(RepositoryError) -> [Path] {
        let back = pathBack(to: epoch)
        do throws(RepositoryError) {
            let path = try path(to: epoch, in: storage)
            if let back { return path.deltaTime <= back.deltaTime ? [path, back] : [back, path] }
            guard let entry = entries[epoch], isFull(epoch),
                isFull(entry.baseEpoch) || entries[entry.baseEpoch] != nil,
                var other = try? self.path(from: entry.baseEpoch, in: storage)
            else { return [path] }
            other.deltas.append(entry)
            other.target = entry
            return [path, other]
        } catch  where error.code == .damaged {
            guard let back else { throw error }
            return [back]
        }
    }

    private func path(from epoch: UInt64, in storage: any Storage) throws(RepositoryError) -> Path {
        var deltas: [ChainEntry] = []
        var at = epoch
        while !isFull(at) {
            guard let entry = entries[at] else { preconditionFailure("its base was looked for") }
            try checkBase(of: entry, in: storage)
            deltas.append(entry)
            // Entries lead to later epochs than they build on, so this ends.
            at = entry.baseEpoch
        }
        return Path(full: at, deltas: deltas.reversed(), target: deltas.first)
    }

    private func pathBack(to epoch: UInt64) -> Path? {
        guard !isFull(epoch),
            let full = full.first(where: { $0 > epoch && entries[$0] != nil }),
            let deltas = deltas(from: epoch, to: full),
            // What a log was trimmed by is not in the delta.
            deltas.allSatisfy({ $0.end.heads == $0.end.baseHeads })
        else { return nil }
        return Path(
            full: full, deltas: deltas.reversed(), target: entries[epoch], isBackwards: true)
    }

    /// Checks that there is a checkpoint of an epoch.
    ///
    /// - Throws: `notFound`.
    private func check(_ epoch: UInt64, in storage: any Storage) throws(RepositoryError) {
        guard isFull(epoch) || entries[epoch] != nil, !(boundary?.isRemoved(epoch) ?? false) else {
            throw RepositoryError(
                .notFound, "there is no checkpoint of epoch \(epoch)",
                path: storage.display(Layout.manifests), epoch: epoch)
        }
    }

    /// The deltas that lead from one epoch to a later one, in order; nil if they do not.
    func deltas(from base: UInt64, to epoch: UInt64) -> [ChainEntry]? {
        var deltas: [ChainEntry] = []
        var at = epoch
        while at != base {
            guard at > base, let entry = entries[at] else { return nil }
            deltas.append(entry)
            at = entry.baseEpoch
        }
        return deltas.reversed()
    }

    /// Checks that what an entry builds on is there.
    ///
    /// - Throws: `damaged`.
    func checkBase(of entry: ChainEntry, in storage: any Storage) throws(RepositoryError) {
        guard !isFull(entry.baseEpoch), entries[entry.baseEpoch] == nil else { return }
        throw RepositoryError(
            .damaged,
            "the delta to epoch \(entry.epoch) builds on epoch \(entry.baseEpoch), and that is nowhere",
            path: storage.display(entry.file), offset: entry.offset, epoch: entry.epoch)
    }

    /// The largest epoch of a checkpoint that is, or was, there.
    var newestEpoch: UInt64? {
        [
            full.last, entries.keys.max(), chains.compactMap(\.tail?.lostEpoch).max(),
            boundary?.epoch,
        ]
        .compactMap(\.self).max()
    }

    /// Whether a chain file has lost checkpoints that are newer than all that is there.
    func isLoss(_ chain: ChainFile) -> Bool {
        guard let lost = chain.tail?.lostEpoch else { return false }
        return lost > max(full.last ?? 0, entries.keys.max() ?? 0)
    }

    /// What shows that the newest checkpoint there is not the newest that somebody was told of.
    ///
    /// - Parameter storage: Names files in the errors.
    func losses(in storage: any Storage) -> [RepositoryError] {
        chains.filter(isLoss).compactMap { Self.damage($0, storage) }
    }

    /// What shows that checkpoints are missing that somebody was told of, whether there are newer ones or not.
    ///
    /// - Parameter storage: Names files in the errors.
    func damagedTails(in storage: any Storage) -> [RepositoryError] {
        chains.compactMap { Self.damage($0, storage) }
    }

    private static func damage(_ chain: ChainFile, _ storage: any Storage) -> RepositoryError? {
        guard let tail = chain.tail, let lost = tail.lostEpoch else { return nil }
        return RepositoryError(
            .damaged,
            "a delta after epoch \(chain.lastEpoch) is damaged, and there were more behind it, up to epoch "
                + "\(lost) or later: \(tail.problem.message)",
            path: storage.display(chain.path), offset: tail.offset, epoch: chain.lastEpoch)
    }
}
