/// What checkpoints that never came to be have left behind.
///
/// A pack is a leftover if no manifest has its epoch; a marker or a manifest with `.tmp` behind its name, in
/// its own directory, always is. Files with other names are not ours and are never touched. Only the holder of the lock looks for leftovers.
enum Leftovers {
    /// Removes them and returns their paths.
    static func remove(from storage: any Storage) throws(RepositoryError) -> [String] {
        // What is visible may not be durable yet, if the last writer was killed. A manifest that it had
        // taken away must not come back after a crash, when its packs are gone.
        try storage.syncDirectory(Layout.manifests)
        let manifests = try storage.list(Layout.manifests)
        let epochs = Set(manifests.compactMap(Layout.epoch(ofManifest:)))
        var leftovers = try storage.list("").filter(Layout.isTemporaryMarker)
        leftovers += manifests.filter(Layout.isTemporaryManifest).map {
            Layout.manifests + "/" + $0
        }
        for name in try storage.list(Layout.packs) {
            guard let epoch = Layout.epoch(ofPack: name), !epochs.contains(epoch) else { continue }
            leftovers.append(Layout.packs + "/" + name)
        }
        for path in leftovers { try storage.remove(path) }
        return leftovers
    }
}
