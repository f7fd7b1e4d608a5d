internal import Caesura

/// Keeping a store that began anew from hiding what is saved.
///
/// The newest checkpoint is what a service comes back with. So a repository that has checkpoints takes only
/// those of a store that wrote one of them or was restored from one: `docs/REPOSITORY.md` section 5, W2.
extension Repository {
    static let descentHint =
        "restore one of its checkpoints into the store first, or use another directory for a store "
        + "that began anew"

    /// Notes what a store was restored from, and makes its next cut newer than all that is there.
    ///
    /// Who restores an older checkpoint wants to go on from it.
    ///
    /// - Parameter isWhole: Whether no row was lost.
    func adopt(
        _ store: Store, epoch: UInt64, identity: UInt64, regions: [String], newest: UInt64?,
        isWhole: Bool = true
    ) {
        store.adoptAncestor(
            place: storage.display(""), epoch: epoch, digest: identity, regions: regions,
            isRestored: true, isExact: isWhole, skippingUpTo: newest ?? 0)
    }

    /// What a store goes on from that equals a checkpoint of this repository.
    func ancestor(_ manifest: Manifest, writeMark: UInt64) -> Ancestor {
        Ancestor(
            place: storage.display(""), epoch: manifest.epoch, digest: manifest.identity,
            regions: manifest.regions.map(\.name), writeMark: writeMark)
    }

    /// Checks that the cut's store goes on from what is there.
    ///
    /// - Throws: `exists`.
    func checkDescent(of cut: Cut, _ catalog: Catalog) throws(RepositoryError) {
        guard let newest = catalog.newestEpoch else { return }
        let refusal = RepositoryError(
            .exists,
            "the repository has checkpoints, the newest of epoch \(newest), that this store does not go on "
                + "from", path: storage.display(Layout.manifests), epoch: cut.epoch.rawValue,
            hint: Self.descentHint)
        guard let ancestor = cut.ancestor else { throw refusal }
        // Its own checkpoint is the newest, or was and has been removed.
        if ancestor.place == storage.display(""), ancestor.epoch >= newest { return }
        // It was restored from an older one, or the directory was moved.
        guard try identity(of: ancestor.epoch, catalog) == ancestor.digest else { throw refusal }
    }

    /// The identity of the state of a checkpoint, or nil if there is none of that epoch.
    private func identity(
        of epoch: UInt64, _ catalog: Catalog
    ) throws(RepositoryError) -> UInt64? {
        guard catalog.isFull(epoch) else { return catalog.entry(epoch)?.commit.state }
        return try CheckpointReader(storage: storage, epoch: epoch).manifest.identity
    }
}
