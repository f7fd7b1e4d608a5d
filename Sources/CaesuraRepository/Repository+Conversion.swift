internal import Caesura
internal import CaesuraFormat

/// Restoring a chain whose deltas a store does not take: rows of its version are migrated by code, or deltas are undone.
///
/// The chain is rebuilt under its own schemas, in a store of its own, and its rows are brought over then:
///
///     full ─► deltas ─► staging store (the data's schemas) ─► chunks, in memory ─► the program's store
extension Store {
    /// Whether the store takes deltas of what it was restored from.
    func takesDeltas(of ancestor: Ancestor) -> Bool {
        let schemas = Array(ancestor.resolved.values)
        return (try? ChunkApplier.takesDeltas(of: schemas, into: self, undone: false)) == true
    }
}

extension Repository {
    /// Whether a store that takes a checkpoint takes its deltas, too.
    ///
    /// - Throws: `mismatch` when it does not take the checkpoint at all.
    static func takesDeltas(
        of manifest: Manifest, into store: Store, undone: Bool
    ) throws(RepositoryError) -> Bool {
        do throws(StoreError) {
            return try ChunkApplier.takesDeltas(
                of: manifest.regions.map(\.schema), into: store, undone: undone)
        } catch {
            throw RepositoryError(.mismatch, "\(error)", epoch: manifest.epoch)
        }
    }

    /// Restores along a path with deltas, whose schemas are not the store's.
    ///
    /// - Complexity: As much memory again as the state takes, and encoding and decoding all of it once more.
    func restoreConverting(
        _ path: Catalog.Path, into store: Store, newest: UInt64?, _ cancellation: Cancellation
    ) throws(RepositoryError) -> Checkpoint {
        let manifest = try CheckpointReader(storage: storage, epoch: path.full).manifest
        var configuration = Store.Configuration()
        configuration.partitionBits = min(manifest.partitionBits, 12)
        let staging = Store(configuration)
        let checkpoint = try restore(path, into: staging, newest: nil, cancellation)
        guard let origin = staging.ancestor else {
            preconditionFailure("a store that was restored has an ancestor")
        }
        let cut = staging.cut()
        defer { cut.close() }
        do throws(RepositoryError) {
            try Self.bring(cut, as: checkpoint.epoch, into: store, cancellation)
        } catch {
            if error.code != .mismatch { store.removeAll() }
            throw error
        }
        adopt(
            store, epoch: checkpoint.epoch, identity: origin.digest, regions: origin.regions,
            newest: newest)
        return checkpoint
    }

    private static func bring(
        _ cut: Cut, as epoch: UInt64, into store: Store, _ cancellation: Cancellation
    ) throws(RepositoryError) {
        let source: SnapshotSource
        do throws(FormatError) {
            source = try SnapshotSource(cut, as: epoch)
        } catch {
            throw RepositoryError(.mismatch, "the checkpoint's schema cannot be written: \(error)")
        }
        let applier: ChunkApplier
        do throws(StoreError) {
            applier = try ChunkApplier(store, metadata: source.metadata)
        } catch {
            throw RepositoryError(.mismatch, "\(error)", epoch: epoch)
        }
        let (encoding, decoding) = (
            SnapshotSource.Worker(for: source), ChunkApplier.Worker(for: applier)
        )
        do {
            while let job = try source.next() {
                try cancellation.check()
                try unsafe source.encode(
                    job, with: encoding,
                    emit: { (_, chunk) throws(any Error) in
                        try unsafe applier.apply(
                            VerifiedChunk(verifying: chunk), with: decoding)
                    }, refused: { $0 })
            }
            try applier.finish(heads: source.heads)
        } catch let error as RepositoryError {
            throw error
        } catch let error as StoreError where error.code == .restoreDisturbed {
            throw RepositoryError(.disturbed, "\(error)", epoch: epoch)
        } catch {
            throw RepositoryError(
                .damaged, "what was restored cannot be brought over: \(error)", epoch: epoch)
        }
    }
}
