/// What checkpoints that never came to be have left behind.
///
/// A pack is a leftover if no manifest has its epoch; a marker, a manifest or a boundary with `.tmp` behind its
/// name, in its own directory, always is. Files with other names are not ours and are never touched. The holder of
/// `lock` removes those that are newer than the newest checkpoint, the holder of `maintenance` the others: neither
/// takes what the other is making.
enum Leftovers {
    /// Who removes them.
    enum Owner {
        /// Who holds `lock`.
        case writer
        /// Who holds `maintenance`.
        case maintainer
        /// Who holds both.
        case both
    }

    /// Removes them and returns their paths.
    ///
    /// - Parameter newest: The epoch of the newest checkpoint.
    @discardableResult
    static func remove(
        from storage: any Storage, newest: UInt64?, as owner: Owner
    ) throws(RepositoryError) -> [String] {
        // What is visible may not be durable yet, if the last writer was killed. A manifest that it had
        // taken away must not come back after a crash, when its packs are gone.
        try storage.syncDirectory(Layout.manifests)
        func isOurs(_ epoch: UInt64) -> Bool {
            switch owner {
            case .writer: newest.map { epoch > $0 } ?? true
            case .maintainer: newest.map { epoch <= $0 } ?? false
            case .both: true
            }
        }
        let manifests = try storage.list(Layout.manifests)
        let epochs = Set(manifests.compactMap(Layout.epoch(ofManifest:)))
        var leftovers: [String] = []
        if owner != .maintainer {
            leftovers += try storage.list("").filter(Layout.isTemporaryMarker)
        }
        for name in manifests {
            guard let epoch = Layout.epoch(ofTemporaryManifest: name), isOurs(epoch) else {
                continue
            }
            leftovers.append(Layout.manifests + "/" + name)
        }
        for name in try storage.list(Layout.packs) {
            guard let epoch = Layout.epoch(ofPack: name), !epochs.contains(epoch), isOurs(epoch)
            else { continue }
            leftovers.append(Layout.packs + "/" + name)
        }
        if owner != .writer {
            leftovers += try storage.list(Layout.boundaries).filter(Layout.isTemporaryBoundary)
                .map { Layout.boundaries + "/" + $0 }
        }
        for path in leftovers { try storage.remove(path) }
        return leftovers
    }
}
