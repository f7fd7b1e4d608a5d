internal import Caesura
internal import CaesuraFormat

/// Reads the deltas of chain files, chunk by chunk.
struct DeltaReader {
    private let storage: any Storage
    /// The file that was used last.
    private var open: (path: String, file: any StorageReader)?
    private var buffer: [UInt8] = []
    /// Bytes read so far.
    private(set) var bytesRead = 0

    init(_ storage: any Storage) { self.storage = storage }

    /// Checks every byte of an entry, and that it builds on a state.
    ///
    /// - Parameter base: The identity of the state that it builds on; nil if that is not known.
    mutating func verify(_ entry: ChainEntry, base: UInt64?) throws(RepositoryError) {
        var digest = base ?? 0
        try forEachChunk(of: entry) { (chunk) throws(RepositoryError) in
            digest = Checksum.of(digest, chunk.header.identity)
        }
        guard base == nil || digest == entry.commit.state else {
            throw RepositoryError(
                .damaged,
                "the delta to epoch \(entry.epoch) builds on another state of epoch \(entry.baseEpoch)",
                path: storage.display(entry.file), offset: entry.offset, epoch: entry.epoch)
        }
    }

    /// Checks every byte of a path's deltas, and that each builds on what is before it.
    mutating func verify(
        _ path: Catalog.Path, from manifest: Manifest, _ cancellation: Cancellation
    ) throws(RepositoryError) {
        var identity = manifest.identity
        for entry in path.deltas {
            try cancellation.check()
            try verify(entry, base: identity)
            identity = entry.commit.state
        }
    }

    /// Checks every byte of a path's deltas to undo, and that each carries the way back to what is behind it.
    ///
    /// - Throws: `damaged`; `unsupported` if one does not carry the way back.
    mutating func verify(
        back path: Catalog.Path, from manifest: Manifest, _ cancellation: Cancellation
    ) throws(RepositoryError) {
        let states = path.deltas.dropFirst().map(\.commit.state) + [path.target?.commit.state]
        for (entry, base) in zip(path.deltas, states) {
            try cancellation.check()
            try verify(entry, base: base)
            guard try isReversible(entry) else {
                throw RepositoryError(
                    .unsupported,
                    "the delta to epoch \(entry.epoch) does not carry the way back",
                    path: storage.display(entry.file), offset: entry.offset, epoch: entry.epoch)
            }
        }
        guard let first = path.deltas.first, first.commit.state == manifest.identity else {
            throw RepositoryError(
                .damaged,
                "the full checkpoint of epoch \(manifest.epoch) is another state than the delta to it leads to",
                path: storage.display(Layout.manifest(manifest.epoch)), epoch: manifest.epoch)
        }
    }

    /// Whether all chunks of an entry carry the way back.
    private mutating func isReversible(_ entry: ChainEntry) throws(RepositoryError) -> Bool {
        var isReversible = true
        var decoder = ChunkDecoder()
        let reader = DeltaReader(storage)
        try forEachChunk(of: entry) { (chunk) throws(RepositoryError) in
            guard chunk.header.role == .delta else { return }
            do throws(FormatError) {
                if try !decoder.isReversible(delta: chunk) { isReversible = false }
            } catch {
                throw reader.problem(error, entry)
            }
        }
        return isReversible
    }

    /// Brings a store from an entry's base to its target; backwards, from its target to its base.
    mutating func apply(
        _ entry: ChainEntry, to store: Store, isBackwards: Bool = false,
        _ cancellation: Cancellation
    ) throws(RepositoryError) {
        let applier: DeltaApplier
        do throws(StoreError) {
            applier =
                isBackwards
                ? try DeltaApplier(
                    store, undoing: entry.end, at: entry.epoch, backTo: entry.baseEpoch)
                : try DeltaApplier(store)
        } catch {
            throw Self.disturbance(error, entry)
        }
        let worker = DeltaApplier.Worker(for: applier)
        // For the errors: the closure cannot use `self` while that reads.
        let reader = DeltaReader(storage)
        try forEachChunk(of: entry) { (chunk) throws(RepositoryError) in
            try cancellation.check()
            do {
                _ = try applier.apply(chunk, with: worker)
            } catch let error as FormatError {
                throw reader.problem(error, entry)
            } catch let error as StoreError {
                throw Self.disturbance(error, entry)
            } catch {
                preconditionFailure("only these are thrown")
            }
        }
        do throws(StoreError) {
            try applier.finish(entry.end, at: isBackwards ? entry.baseEpoch : entry.epoch)
        } catch {
            throw Self.disturbance(error, entry)
        }
    }

    /// What verified deltas do not fit is a store that something else has written to.
    private static func disturbance(_ error: StoreError, _ entry: ChainEntry) -> RepositoryError {
        RepositoryError(
            .disturbed, error.message, epoch: entry.epoch, hint: Restoration.disturbanceHint)
    }

    /// Calls `body` with each chunk of an entry but the end and commit chunks, which its scan has checked.
    mutating func forEachChunk(
        of entry: ChainEntry, _ body: (VerifiedChunk) throws(RepositoryError) -> Void
    ) throws(RepositoryError) {
        let file = try file(entry.file)
        var offset = entry.offset
        for _ in 0..<entry.chunkCount {
            let length = try chunkLength(file, offset, entry)
            try read(file, offset, min(length, file.size - offset))
            try unsafe buffer.withUnsafeBufferPointer { (bytes) throws(RepositoryError) in
                let chunk: VerifiedChunk
                do throws(FormatError) {
                    chunk = try unsafe VerifiedChunk(
                        verifying: UnsafeRawBufferPointer(bytes), origin: offset)
                } catch {
                    throw problem(error, entry)
                }
                try body(chunk)
            }
            offset += length
            bytesRead += length
        }
    }

    private mutating func chunkLength(
        _ file: any StorageReader, _ offset: Int, _ entry: ChainEntry
    ) throws(RepositoryError) -> Int {
        // A header's own length is one byte.
        try read(file, offset, min(255, file.size - offset))
        do throws(FormatError) {
            return try unsafe buffer.withUnsafeBufferPointer { (bytes) throws(FormatError) in
                try unsafe ChunkHeader(reading: UnsafeRawBufferPointer(bytes), origin: offset)
                    .chunkLength
            }
        } catch {
            throw problem(error, entry)
        }
    }

    /// What is wrong with an entry, with its place.
    private func problem(_ error: FormatError, _ entry: ChainEntry) -> RepositoryError {
        RepositoryError(
            error.code == .unsupported ? .unsupported : .damaged, error.message,
            path: storage.display(entry.file), offset: error.offset, epoch: entry.epoch)
    }

    private mutating func file(_ path: String) throws(RepositoryError) -> any StorageReader {
        if let open, open.path == path { return open.file }
        let file: any StorageReader
        do throws(RepositoryError) {
            file = try storage.open(path)
        } catch  where error.code == .notFound {
            throw RepositoryError(
                .damaged, "the chain file is missing", path: storage.display(path))
        }
        open = (path, file)
        return file
    }

    private mutating func read(
        _ file: any StorageReader, _ offset: Int, _ count: Int
    ) throws(RepositoryError) {
        guard count >= 0 else {
            throw RepositoryError(
                .damaged, "the file ends before the bytes that should be here",
                path: open.map { storage.display($0.path) }, offset: offset)
        }
        if buffer.count != count { buffer = [UInt8](repeating: 0, count: count) }
        var span = buffer.mutableSpan
        var bytes = unsafe span.mutableBytes
        try file.read(at: offset, into: &bytes)
    }
}
