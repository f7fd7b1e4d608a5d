public import CaesuraFormat
import Synchronization

/// One checkpoint, open for reading by any number of threads.
///
/// For tools that look into a checkpoint; a service restores with ``Repository/restore(into:at:)``. Calls
/// block on the storage.
public final class CheckpointReader: Sendable {
    /// What the checkpoint consists of; it is sound.
    public let manifest: Manifest
    private let storage: any Storage
    private let packs: Mutex<[(any StorageReader)?]>

    /// Opens the checkpoint of an epoch.
    ///
    /// - Throws: `notFound`, or `damaged` if its manifest is.
    init(storage: any Storage, epoch: UInt64) throws(RepositoryError) {
        let path = Layout.manifest(epoch)
        let bytes: [UInt8]
        do throws(RepositoryError) {
            bytes = try storage.contents(of: path, upTo: Manifest.byteLimit)
        } catch  where error.code == .notFound {
            throw RepositoryError(
                .notFound, "there is no checkpoint of epoch \(epoch)",
                path: storage.display(Layout.manifests), epoch: epoch)
        }
        do throws(RepositoryError) {
            manifest = try Manifest(parsing: bytes, path: storage.display(path), epoch: epoch)
        } catch {
            var error = error
            error.epoch = epoch
            throw error
        }
        self.storage = storage
        packs = Mutex(Array(repeating: nil, count: manifest.packs.count))
    }

    /// Opens a checkpoint whose manifest is known, and sound.
    init(storage: any Storage, manifest: Manifest) {
        self.storage = storage
        self.manifest = manifest
        packs = Mutex(Array(repeating: nil, count: manifest.packs.count))
    }

    /// The pack's file as people should see it.
    public func path(ofPack pack: Int) -> String {
        storage.display(Layout.pack(manifest.epoch, pack))
    }

    /// Calls `body` with a chunk whose bytes are those that the manifest names.
    ///
    /// - Parameters:
    ///   - index: The chunk, counted from 0 in the manifest's order.
    ///   - buffer: Memory to use, and to use again for the next chunk.
    /// - Throws: `damaged` with file, offset and chunk if they are not, `storage` if they cannot be read.
    public func withChunk<Result>(
        _ index: Int, buffer: inout [UInt8],
        _ body: (VerifiedChunk) throws(RepositoryError) -> Result
    ) throws(RepositoryError) -> Result {
        try read(index, into: &buffer)
        return try check(index, buffer, body)
    }

    /// Calls `body` with a chunk that has been read, if its bytes are those that the manifest names.
    func check<Result>(
        _ index: Int, _ buffer: [UInt8],
        _ body: (VerifiedChunk) throws(RepositoryError) -> Result
    ) throws(RepositoryError) -> Result {
        let chunk = manifest.chunks[index]
        return try unsafe buffer.withUnsafeBufferPointer { (bytes) throws(RepositoryError) in
            let verified: VerifiedChunk
            do throws(FormatError) {
                verified = try unsafe VerifiedChunk(
                    verifying: UnsafeRawBufferPointer(bytes), origin: chunk.offset)
            } catch {
                throw problem(error, index)
            }
            guard ChunkFacts(verified.header) == chunk.facts,
                verified.header.targetEpoch == manifest.epoch(of: chunk.facts.region),
                verified.header.baseEpoch == 0
            else {
                throw problem(
                    FormatError(
                        .malformed,
                        "the chunk is a whole one, but not the one that the manifest names",
                        at: chunk.offset), index)
            }
            return try body(verified)
        }
    }

    /// What is wrong with a chunk, with its place.
    func problem(_ error: FormatError, _ index: Int) -> RepositoryError {
        RepositoryError(
            error.code == .unsupported ? .unsupported : .damaged, error.message,
            path: path(ofPack: manifest.chunks[index].pack), offset: error.offset,
            epoch: manifest.epoch, chunk: index)
    }

    /// The header of a chunk, which is the one that the manifest names.
    ///
    /// - Throws: `damaged` with file, offset and chunk if it is not, `storage` if it cannot be read.
    func header(of index: Int) throws(RepositoryError) -> ChunkHeader {
        let chunk = manifest.chunks[index]
        let file = try pack(chunk.pack)
        // A header's own length is one byte.
        var buffer = [UInt8](repeating: 0, count: min(255, chunk.facts.length))
        var span = buffer.mutableSpan
        var bytes = unsafe span.mutableBytes
        try file.read(at: chunk.offset, into: &bytes)
        do throws(FormatError) {
            let header = try unsafe buffer.withUnsafeBufferPointer { (bytes) throws(FormatError) in
                try unsafe ChunkHeader(
                    reading: UnsafeRawBufferPointer(bytes), origin: chunk.offset)
            }
            guard ChunkFacts(header) == chunk.facts else {
                throw FormatError(
                    .malformed, "the chunk is not the one that the manifest names",
                    at: chunk.offset)
            }
            return header
        } catch {
            throw problem(error, index)
        }
    }

    /// Reads a chunk's bytes, as they are, in place of what `buffer` has.
    func read(_ index: Int, into buffer: inout [UInt8]) throws(RepositoryError) {
        let chunk = manifest.chunks[index]
        let file = try pack(chunk.pack)
        if buffer.count < chunk.facts.length {
            buffer.append(contentsOf: repeatElement(0, count: chunk.facts.length - buffer.count))
        } else {
            buffer.removeLast(buffer.count - chunk.facts.length)
        }
        var span = buffer.mutableSpan
        var bytes = unsafe span.mutableBytes
        do throws(RepositoryError) {
            try file.read(at: chunk.offset, into: &bytes)
        } catch {
            var error = error
            error.epoch = manifest.epoch
            error.chunk = index
            throw error
        }
    }

    /// Checks that a pack is there and as long as the manifest says.
    func checkPack(_ index: Int) throws(RepositoryError) {
        let expected = manifest.packs[index].bytes
        let actual = try pack(index).size
        guard actual == expected else {
            throw RepositoryError(
                .damaged, "the pack has \(actual) bytes, and its manifest says \(expected)",
                path: path(ofPack: index), offset: min(actual, expected), epoch: manifest.epoch)
        }
    }

    private func pack(_ index: Int) throws(RepositoryError) -> any StorageReader {
        if let open = packs.withLock({ $0[index] }) { return open }
        let file: any StorageReader
        do throws(RepositoryError) {
            file = try storage.open(Layout.pack(manifest.epoch, index))
        } catch  where error.code == .notFound {
            throw RepositoryError(
                .damaged, "the pack is missing", path: path(ofPack: index), epoch: manifest.epoch)
        }
        packs.withLock { $0[index] = file }
        return file
    }
}
