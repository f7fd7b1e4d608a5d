internal import CaesuraFormat

/// Appends deltas to a chain file: `docs/REPOSITORY.md` sections 5 and 6, "Write a delta".
///
///     begin ─► append … append ─► commit ──► chunks, end and commit chunk, one sync
///
/// After a failure the file is left as it is, and the writer is of no further use. One thread at a time
/// uses it, and its calls block on the disk.
final class ChainWriter {
    /// A file is closed once it has this many bytes: one that is removed with its last checkpoint should not
    /// keep much that nobody wants, and a thousand checkpoints of 1 % of 10 MB still share one.
    static let fileBytes = 64 << 20

    private let storage: any Storage
    private var file: BufferedWriter?
    private var path = ""
    private var isNew = false
    private var hasFailed = false
    private var entry: Entry?
    private var encoder = ChunkEncoder()

    /// The delta that is being written.
    private struct Entry {
        var base: UInt64
        var target: UInt64
        var offset: Int
        var totals: StreamEnd
        var changes = 0
    }

    init(storage: any Storage) { self.storage = storage }

    deinit { file?.close() }

    /// Whether the next delta begins a file.
    var isAtEndOfFile: Bool { (file?.count ?? .max) >= Self.fileBytes }

    /// Begins a delta, in a new file if there is none or the present one is long enough.
    ///
    /// - Parameters:
    ///   - base: The epoch that it builds on, that of the delta before it in the same file.
    ///   - totals: Those of the delta without chunks, which begin with the base's identity.
    func begin(
        from base: UInt64, to target: UInt64, totals: StreamEnd
    ) throws(RepositoryError) {
        precondition(entry == nil && !hasFailed, "one delta after the other")
        hasFailed = true
        if isAtEndOfFile { try open(base) }
        entry = Entry(
            base: base, target: target, offset: file?.count ?? 0,
            totals: totals)
    }

    /// Adds the next chunk.
    func append(_ header: ChunkHeader, _ bytes: UnsafeRawBufferPointer) throws(RepositoryError) {
        entry?.totals.add(header)
        entry?.changes += header.rowCount
        try unsafe write(bytes)
    }

    /// The identity of the state that the chunks so far lead to.
    var state: UInt64 { entry?.totals.digest ?? 0 }

    /// Ends the delta and makes it durable.
    func commit(
        created: WallClock, timings: Manifest.Timings, rows: [Int]
    ) throws(RepositoryError) -> ChainEntry {
        guard let entry, let file else { preconditionFailure("no delta was begun") }
        encoder.encode(end: entry.totals, epoch: entry.target, baseEpoch: entry.base)
        try unsafe write(encoder.bytes)
        let commit = DeltaCommit(
            state: entry.totals.digest, byteCount: UInt64(file.count - entry.offset),
            created: created.microseconds, pause: timings.pause, encode: timings.encode,
            total: timings.total, rows: rows.map { UInt64($0) })
        encoder.encode(commit: commit, epoch: entry.target, baseEpoch: entry.base)
        try unsafe write(encoder.bytes)
        try file.sync()
        if isNew { try storage.syncDirectory(Layout.packs) }
        isNew = false
        hasFailed = false
        self.entry = nil
        return ChainEntry(
            file: path, offset: entry.offset, length: file.count - entry.offset,
            end: entry.totals, changes: entry.changes, epoch: entry.target,
            baseEpoch: entry.base, commit: commit)
    }

    private func open(_ base: UInt64) throws(RepositoryError) {
        file?.close()
        file = nil
        let names = try storage.list(Layout.packs)
        let used = names.compactMap(Layout.parts(ofChain:)).filter { $0.baseEpoch == base }
        let index = (used.map(\.index).max() ?? -1) + 1
        path = Layout.chain(base, index)
        file = BufferedWriter(try storage.create(path))
        isNew = true
    }

    private func write(_ bytes: UnsafeRawBufferPointer) throws(RepositoryError) {
        guard let file else { preconditionFailure("a file is open") }
        try unsafe file.append(RawSpan(_unsafeBytes: bytes))
    }
}
