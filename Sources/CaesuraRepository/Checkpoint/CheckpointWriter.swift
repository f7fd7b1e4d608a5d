internal import CaesuraFormat

/// Writes one checkpoint: chunks into packs, then the manifest that makes it exist.
///
///     append … append ──► packs/E-0000.pack, synced when full or last
///     commit ──► sync packs/ ──► manifest.tmp, synced ──► link ──► sync manifests/
///
/// Until the link there is no checkpoint; after the last sync there is one for good. The order is that
/// of `docs/REPOSITORY.md` section 5. It knows no store: it is given encoded chunks and what their
/// headers say. One thread at a time uses it, and its calls block on the disk.
final class CheckpointWriter {
    /// A pack is closed once it has this many bytes: 256 MiB, so that a checkpoint is a few files, each
    /// of which an object store takes in one piece and a copy that broke off need not begin anew.
    static let packBytes = 256 << 20

    private enum State { case writing, ended }

    private let storage: any Storage
    private let packBytes: Int
    private(set) var manifest: Manifest
    private var pack: OpenPack?
    /// For the logs, by their regions: where the last run of rows ends that get packs of their own.
    private let sealedEnds: [Int: UInt64]
    private var state = State.writing
    /// Nanoseconds spent in the storage.
    private(set) var writeTime: UInt64 = 0

    /// Begins a checkpoint; the caller holds the lock and has removed leftovers.
    ///
    /// - Parameter logEnds: For the logs, by their regions, the position behind the last row.
    init(
        storage: any Storage, manifest: Manifest, packBytes: Int = packBytes,
        logEnds: [Int: UInt64] = [:]
    ) {
        self.storage = storage
        self.manifest = manifest
        self.packBytes = packBytes
        sealedEnds = logEnds.mapValues { $0 - $0 % LogPacks.positionsPerRun }
    }

    /// Adds the next chunk of the stream.
    ///
    /// After a failure only ``abort()`` remains.
    func append(_ bytes: borrowing RawSpan, _ facts: ChunkFacts) throws(RepositoryError) {
        precondition(state == .writing, "the checkpoint has ended")
        precondition(bytes.byteCount == facts.length, "a chunk's facts state its length")
        let start = ContinuousClock.now
        defer { writeTime += ContinuousClock.now.nanoseconds(since: start) }
        guard manifest.chunks.count < Manifest.chunkLimit else {
            throw RepositoryError(
                .storage, "the checkpoint has more than \(Manifest.chunkLimit) chunks",
                epoch: manifest.epoch)
        }
        let run = run(of: facts)
        if let pack, run != pack.run || pack.count >= packBytes && isBoundary(facts, pack) {
            try close(pack)
        }
        let pack = if let pack { pack } else { try open(run) }
        note(facts, at: pack.count)
        pack.lastRange = facts.range
        try pack.append(bytes)
    }

    /// Takes over a pack of an earlier checkpoint, whose chunks come next in the stream.
    func append(_ kept: LogPacks.Pack) throws(RepositoryError) {
        precondition(state == .writing, "the checkpoint has ended")
        let start = ContinuousClock.now
        defer { writeTime += ContinuousClock.now.nanoseconds(since: start) }
        if let pack { try close(pack) }
        try checkPackLimit()
        try storage.link(kept.path, as: Layout.pack(manifest.epoch, manifest.packs.count))
        for (chunk, _) in kept.chunks { note(chunk.facts, at: chunk.offset) }
        manifest.packs.append(kept.facts)
    }

    private func note(_ facts: ChunkFacts, at offset: Int) {
        manifest.chunks.append(
            Manifest.Chunk(pack: manifest.packs.count, offset: offset, facts: facts))
        if let region = facts.region {
            manifest.regions[region].rows += facts.rows
            manifest.regions[region].storedBytes += facts.length
        }
    }

    /// The run of a log's rows that a chunk belongs to, if it gets packs of its own.
    private func run(of facts: ChunkFacts) -> LogRun? {
        guard let region = facts.region, let end = sealedEnds[region], facts.range.first < end
        else { return nil }
        return LogRun(region: region, number: facts.range.first / LogPacks.positionsPerRun)
    }

    /// Whether a pack may end before a chunk: one of a run's, only at a stretch's beginning.
    private func isBoundary(_ facts: ChunkFacts, _ pack: OpenPack) -> Bool {
        pack.run == nil
            || facts.range.first % Limits.positionsPerStretch == 0
                && facts.range != pack.lastRange
    }

    /// Makes the checkpoint exist.
    ///
    /// When it returns, the checkpoint survives a crash. When it throws, there is none, with one
    /// exception that the message states: the manifest's name is there and could not be synced.
    func commit(_ timings: Manifest.Timings) throws(RepositoryError) -> Manifest {
        precondition(state == .writing, "the checkpoint has ended")
        let start = ContinuousClock.now
        if let pack { try close(pack) }
        try storage.syncDirectory(Layout.packs)
        writeTime += ContinuousClock.now.nanoseconds(since: start)
        manifest.timings = timings
        manifest.timings.write = writeTime
        try storage.publish(
            manifest.encoded, as: Layout.manifest(manifest.epoch), in: Layout.manifests)
        state = .ended
        return manifest
    }

    /// Gives up: closes the files and leaves them to ``Leftovers``.
    func abort() {
        state = .ended
        pack?.file.close()
        pack = nil
    }

    private func open(_ run: LogRun?) throws(RepositoryError) -> OpenPack {
        try checkPackLimit()
        let path = Layout.pack(manifest.epoch, manifest.packs.count)
        let opened = OpenPack(try storage.create(path), run)
        pack = opened
        return opened
    }

    private func checkPackLimit() throws(RepositoryError) {
        guard manifest.packs.count < Manifest.packLimit else {
            throw RepositoryError(
                .storage, "the checkpoint has more than \(Manifest.packLimit) packs",
                epoch: manifest.epoch)
        }
    }

    private func close(_ pack: OpenPack) throws(RepositoryError) {
        manifest.packs.append(try pack.finish())
        self.pack = nil
    }
}

/// Rows of a log that get packs of their own.
private struct LogRun: Equatable {
    var region: Int
    var number: UInt64
}

/// A pack while chunks are added to it.
private final class OpenPack {
    let file: BufferedWriter
    /// The rows that it is for alone.
    let run: LogRun?
    /// That of the chunk that came last.
    var lastRange = HashRange.all
    private var hasher = DigestHasher()

    init(_ file: any StorageWriter, _ run: LogRun?) {
        self.file = BufferedWriter(file)
        self.run = run
    }

    var count: Int { file.count }

    func append(_ bytes: borrowing RawSpan) throws(RepositoryError) {
        hasher.update(bytes)
        try file.append(bytes)
    }

    func finish() throws(RepositoryError) -> Manifest.Pack {
        try file.sync()
        file.close()
        return Manifest.Pack(bytes: count, digest: hasher.digest)
    }
}

extension ContinuousClock.Instant {
    /// Nanoseconds from `start` to this moment.
    func nanoseconds(since start: ContinuousClock.Instant) -> UInt64 {
        let (seconds, attoseconds) = (self - start).components
        return UInt64(max(0, seconds)) * 1_000_000_000 + UInt64(max(0, attoseconds / 1_000_000_000))
    }
}
