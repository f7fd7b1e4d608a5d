import Synchronization

/// One checkpoint, open for reading by any number of threads.
///
/// Calls block on the storage.
final class CheckpointReader: Sendable {
    /// What the checkpoint consists of; it is sound.
    let manifest: Manifest
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

    /// The pack's file as people should see it.
    func packPath(_ pack: Int) -> String { storage.display(Layout.pack(manifest.epoch, pack)) }

    /// Reads a chunk's bytes, as they are, in place of what `buffer` has.
    ///
    /// - Throws: `damaged` if the pack is missing or not of the length that the manifest states.
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
        try file.read(at: chunk.offset, into: &bytes)
    }

    private func pack(_ index: Int) throws(RepositoryError) -> any StorageReader {
        if let open = packs.withLock({ $0[index] }) { return open }
        let expected = manifest.packs[index].bytes
        let file: any StorageReader
        do throws(RepositoryError) {
            file = try storage.open(Layout.pack(manifest.epoch, index))
        } catch  where error.code == .notFound {
            throw RepositoryError(
                .damaged, "the pack is missing", path: packPath(index), epoch: manifest.epoch)
        }
        guard file.size == expected else {
            throw RepositoryError(
                .damaged, "the pack has \(file.size) bytes, and its manifest says \(expected)",
                path: packPath(index), offset: min(file.size, expected), epoch: manifest.epoch)
        }
        packs.withLock { $0[index] = file }
        return file
    }
}
