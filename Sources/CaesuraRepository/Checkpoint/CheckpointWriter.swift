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
    private var state = State.writing
    /// Nanoseconds spent in the storage.
    private(set) var writeTime: UInt64 = 0

    /// Begins a checkpoint; the caller holds the lock and has removed leftovers.
    init(storage: any Storage, manifest: Manifest, packBytes: Int = packBytes) {
        self.storage = storage
        self.manifest = manifest
        self.packBytes = packBytes
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
        if let pack, pack.count >= packBytes { try close(pack) }
        let pack = if let pack { pack } else { try open() }
        manifest.chunks.append(
            Manifest.Chunk(pack: manifest.packs.count, offset: pack.count, facts: facts))
        if let region = facts.region {
            manifest.regions[region].rows += facts.rows
            manifest.regions[region].storedBytes += facts.length
        }
        try pack.append(bytes)
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

    private func open() throws(RepositoryError) -> OpenPack {
        guard manifest.packs.count < Manifest.packLimit else {
            throw RepositoryError(
                .storage, "the checkpoint has more than \(Manifest.packLimit) packs",
                epoch: manifest.epoch)
        }
        let path = Layout.pack(manifest.epoch, manifest.packs.count)
        let opened = OpenPack(try storage.create(path))
        pack = opened
        return opened
    }

    private func close(_ pack: OpenPack) throws(RepositoryError) {
        manifest.packs.append(try pack.finish())
        self.pack = nil
    }
}

/// A pack while chunks are added to it.
private final class OpenPack {
    let file: BufferedWriter
    private var hasher = DigestHasher()

    init(_ file: any StorageWriter) { self.file = BufferedWriter(file) }

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
