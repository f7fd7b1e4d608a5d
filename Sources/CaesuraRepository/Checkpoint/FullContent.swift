import Caesura
import CaesuraFormat

/// What a full checkpoint is made of: what is encoded, and what is there already.
struct FullContent {
    private(set) var source: SnapshotSource
    private(set) var kept = LogPacks()
    /// Without chunks.
    var manifest: Manifest
    /// When it was begun.
    let start = ContinuousClock.now
    /// For the logs, by their regions, the position behind the last row.
    private(set) var logEnds: [Int: UInt64] = [:]
    let cut: Cut

    init(
        _ cut: Cut, as epoch: UInt64, _ created: WallClock, _ options: CheckpointOptions
    ) throws(RepositoryError) {
        self.cut = cut
        source = try Self.source(cut, as: epoch, options, keeping: [:])
        manifest = Manifest(
            metadata: source.metadata, created: created, writer: Manifest.thisWriter)
        var heads = source.heads.makeIterator()
        for index in manifest.regions.indices
        where manifest.regions[index].schema.kind == .log {
            let head = heads.next() ?? 0
            manifest.regions[index].head = head
            logEnds[index] = head + UInt64(cut.rowCount(of: manifest.regions[index].name) ?? 0)
        }
    }

    /// The same without what packs of an earlier checkpoint hold, from whose state the cut's store goes on.
    func leavingOut(
        packsOf earlier: Manifest, in storage: any Storage, _ options: CheckpointOptions
    ) throws(RepositoryError) -> FullContent {
        var rest = self
        rest.kept = try LogPacks(of: earlier, for: manifest, in: storage)
        guard !rest.kept.packs.isEmpty else { return self }
        rest.source = try Self.source(
            cut, as: manifest.epoch, options, keeping: rest.kept.positions(in: manifest.regions))
        return rest
    }

    private static func source(
        _ cut: Cut, as epoch: UInt64, _ options: CheckpointOptions,
        keeping kept: [String: Range<UInt64>]
    ) throws(RepositoryError) -> SnapshotSource {
        do throws(FormatError) {
            return try SnapshotSource(
                cut, as: epoch, compression: options.compression, keeping: kept)
        } catch {
            throw RepositoryError(
                .mismatch, "the store has a schema that cannot be written: \(error)")
        }
    }
}
