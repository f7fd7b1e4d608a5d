import Caesura
import CaesuraFormat

@testable import CaesuraRepository

/// A repository of one full checkpoint and of deltas in several chain files, with what the store was at each.
struct HostileChain {
    let storage = MemoryStorage()
    /// What each row was at each checkpoint: the generation it was set in.
    private(set) var states: [UInt64: [UInt64: UInt64]] = [:]
    /// The chain files as they were written.
    private(set) var files: [ChainFile] = []

    /// Each start of the service begins a file.
    init(starts: Int, deltas: Int, using generator: inout SeededGenerator) async throws {
        var now: [UInt64: UInt64] = [:]
        for start in 0..<starts {
            let repository = try Repository(location: .storage(storage), access: .write)
            let service = try SessionStore(partitionBits: 1)
            if start == 0 {
                // No two chains begin with the same state.
                let generation = generator.next()
                service.fill(30, generation: generation)
                for key in 0..<30 as Range<UInt64> { now[key] = generation }
            } else {
                try await repository.restore(into: service.store)
                try await repository.holdBase(service.store)
            }
            for step in 0...deltas where start == 0 || step > 0 {
                for _ in 0..<Int.random(in: 0..<4, using: &generator) where step > 0 {
                    let key = UInt64.random(in: 0..<40, using: &generator)
                    let generation = generator.next()
                    service.sessions[key] = SessionStore.row(key, generation)
                    now[key] = generation
                }
                var options = CheckpointOptions()
                options.holdsBase = true
                options.encoders = 1
                let checkpoint = try await repository.checkpoint(service.store, options: options)
                states[checkpoint.epoch] = now
            }
            repository.close()
        }
        files = try Catalog(storage).chains
    }

    /// A copy in which a chain file has other bytes.
    func image(_ path: String, _ bytes: [UInt8]) -> MemoryStorage {
        let image = storage.image { true }
        image.replace(path, with: bytes)
        return image
    }

    /// Whether a store has the rows of a checkpoint.
    func holds(_ epoch: UInt64, _ restored: SessionStore) -> Bool {
        guard let rows = states[epoch], restored.sessions.count == rows.count else { return false }
        return rows.allSatisfy { restored.sessions[$0.key] == SessionStore.row($0.key, $0.value) }
    }

    /// The chunks of a chain file, and the entry that each belongs to.
    func chunks(_ file: ChainFile) throws -> [(bytes: [UInt8], entry: Int)] {
        let bytes = storage.bytes(file.path) ?? []
        var chunks: [(bytes: [UInt8], entry: Int)] = []
        for (index, entry) in file.entries.enumerated() {
            var offset = entry.offset
            while offset < entry.offset + entry.length {
                let header = try unsafe bytes[offset...].withUnsafeBytes {
                    try unsafe ChunkHeader(reading: $0)
                }
                chunks.append((Array(bytes[offset..<offset + header.chunkLength]), index))
                offset += header.chunkLength
            }
        }
        return chunks
    }
}

/// Files whose readers count what they read.
final class CountingStorage: Storage {
    private let inner: MemoryStorage
    private let count = Monitor(0)

    init(_ inner: MemoryStorage) { self.inner = inner }

    /// Bytes read so far.
    var bytesRead: Int { count.withLock { $0 } }

    private struct Reader: StorageReader {
        let inner: any StorageReader
        let count: Monitor<Int>
        var size: Int { inner.size }

        func read(
            at offset: Int, into buffer: inout MutableRawSpan
        ) throws(RepositoryError) {
            let more = buffer.byteCount
            count.withLock { $0 += more }
            try inner.read(at: offset, into: &buffer)
        }
    }

    func open(_ path: String) throws(RepositoryError) -> any StorageReader {
        Reader(inner: try inner.open(path), count: count)
    }

    func makeDirectory(_ path: String) throws(RepositoryError) { try inner.makeDirectory(path) }
    func create(_ path: String) throws(RepositoryError) -> any StorageWriter {
        try inner.create(path)
    }
    func link(_ path: String, as name: String) throws(RepositoryError) {
        try inner.link(path, as: name)
    }
    func remove(_ path: String) throws(RepositoryError) { try inner.remove(path) }
    func syncFile(_ path: String) throws(RepositoryError) { try inner.syncFile(path) }
    func syncDirectory(_ path: String) throws(RepositoryError) { try inner.syncDirectory(path) }
    func list(_ path: String) throws(RepositoryError) -> [String] { try inner.list(path) }
    func lock(_ path: String) throws(RepositoryError) -> any StorageLock { try inner.lock(path) }
    func display(_ path: String) -> String { inner.display(path) }
}
