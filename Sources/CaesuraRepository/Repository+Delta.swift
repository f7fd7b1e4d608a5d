public import Caesura
public import CaesuraFormat

/// A checkpoint that is a delta: what its chain file says of it.
///
/// For tools that look into a repository.
public struct DeltaContents: Hashable, Sendable {
    /// The checkpoint.
    public var checkpoint: Checkpoint
    /// The chain file that holds it.
    public var path: String
    /// The regions, as the full checkpoint says that the chain begins with; empty if it cannot be read.
    public var schemas: [RegionSchema]
    /// The chunks, in order; their regions are those of ``schemas``.
    public var chunks: [Chunk] = []

    /// One chunk: where it is and what it holds.
    public struct Chunk: Hashable, Sendable {
        /// Bytes from the start of the chain file.
        public var offset: Int
        /// What it holds; of a delta chunk, its rows are changes.
        public var facts: ChunkFacts
    }
}

extension Repository {
    /// What the checkpoint of an epoch consists of, if it is a delta; nil if it is a full one.
    ///
    /// - Throws: `notFound`; `damaged` if what the delta builds on is missing.
    public func delta(at epoch: UInt64) async throws(RepositoryError) -> DeltaContents? {
        try await OwnThread.run { () throws(RepositoryError) -> DeltaContents? in
            let catalog = try Catalog(self.storage)
            guard let entry = try catalog.path(to: epoch, in: self.storage).deltas.last else {
                return nil
            }
            var manifests = ManifestCache(self.storage)
            let manifest = manifests.beginning(of: entry, catalog)
            var contents = DeltaContents(
                checkpoint: Checkpoint(entry, regions: manifest?.regions.map(\.name) ?? []),
                path: self.storage.display(entry.file),
                schemas: manifest?.regions.map(\.schema) ?? [])
            var offset = entry.offset
            var reader = DeltaReader(self.storage)
            try reader.forEachChunk(of: entry) { (chunk) throws(RepositoryError) in
                contents.chunks.append(
                    DeltaContents.Chunk(offset: offset, facts: ChunkFacts(chunk.header)))
                offset += chunk.header.chunkLength
            }
            return contents
        }
    }

    /// Brings a store on from the checkpoint that it was restored from to a later one, by the deltas between them.
    ///
    /// Every byte of the deltas is verified before the first is applied; an open cut keeps the earlier state.
    /// Nothing else should write to the store meanwhile.
    ///
    /// - Parameters:
    ///   - store: A store that was restored from this repository and not written to since.
    ///   - epoch: The checkpoint.
    /// - Returns: The checkpoint; nil if no deltas lead to it from where the store is, and the store is as it was:
    ///   restore it into another one then.
    /// - Throws: `notFound`; `damaged`, and the store is as it was; `disturbed` if the store was written to
    ///   before the call, and it is as it was; `disturbed` if something wrote to it meanwhile, and `cancelled`: the store is
    ///   empty then.
    public func advance(
        _ store: Store, to epoch: UInt64
    ) async throws(RepositoryError) -> Checkpoint? {
        try await OwnThread.run { (cancellation) throws(RepositoryError) -> Checkpoint? in
            let catalog = try Catalog(self.storage)
            _ = try catalog.path(to: epoch, in: self.storage)
            guard let ancestor = store.ancestor, ancestor.isExact,
                ancestor.place == self.storage.display(""),
                ancestor.epoch < epoch, store.takesDeltas(of: ancestor),
                let entries = catalog.deltas(from: ancestor.epoch, to: epoch)
            else { return nil }
            guard !store.isWritten(since: ancestor.writeMark) else {
                throw RepositoryError(
                    .disturbed,
                    "the store was written to since it was restored, and a delta changes exactly what that brought",
                    epoch: ancestor.epoch, hint: "restore epoch \(epoch) into an empty store")
            }
            var reader = DeltaReader(self.storage)
            var identity = ancestor.digest
            for entry in entries {
                try cancellation.check()
                do throws(RepositoryError) {
                    try reader.verify(entry, base: identity)
                } catch {
                    throw Self.advised(error, instead: epoch, catalog)
                }
                identity = entry.commit.state
            }
            do throws(RepositoryError) {
                for entry in entries { try reader.apply(entry, to: store, cancellation) }
            } catch {
                store.abandon()
                throw error
            }
            return entries.last.map { Checkpoint($0, regions: ancestor.regions) }
        }
    }
}
