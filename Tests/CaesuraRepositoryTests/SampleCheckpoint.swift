@testable import CaesuraRepository

/// A small checkpoint whose bytes follow from its epoch: one table of two partitions.
///
/// Its chunks are no real chunks: what is tested with it does not look inside.
struct SampleCheckpoint {
    let epoch: UInt64
    var chunks: [(facts: ChunkFacts, bytes: [UInt8])] = []

    init(epoch: UInt64) {
        self.epoch = epoch
        add(.metadata)
        add(.core, partition: 0, rows: 5)
        add(.segment, partition: 1)
        add(.core, partition: 1, rows: 7)
        add(.end)
    }

    private mutating func add(_ role: ChunkFacts.Role, partition: Int? = nil, rows: Int = 0) {
        var generator = SeededGenerator(seed: epoch &* 100 &+ UInt64(chunks.count))
        let bytes = (0..<40 + 10 * chunks.count).map { _ in
            UInt8(truncatingIfNeeded: generator.next())
        }
        let facts = ChunkFacts(
            role: role, region: partition == nil ? nil : 0, partition: partition ?? 0,
            prefixBits: partition == nil ? 0 : 1, prefix: UInt64(partition ?? 0) << 63, rows: rows,
            length: bytes.count, checksum: generator.next())
        chunks.append((facts, bytes))
    }

    var manifest: Manifest {
        Manifest(
            epoch: epoch, created: WallClock(microseconds: 1_777_000_000_000_000), writer: "test",
            hashKey: Array(0..<16), partitionBits: 1, codec: "none",
            regions: [
                Manifest.Region(
                    name: "routes", kind: .table, wireFingerprint: [1, 2],
                    resolutionFingerprint: [3, 4],
                    schemaText: ["table routes \"quoted\"", "  1 key: uint64"], schema: [9, 8, 7])
            ])
    }

    /// Writes it, in packs of at least 100 bytes.
    func write(to repository: Repository) throws(RepositoryError) {
        let writer = try repository.beginCheckpoint(manifest, packBytes: 100)
        defer { repository.endCheckpoint() }
        do throws(RepositoryError) {
            for chunk in chunks { try unsafe writer.append(chunk.bytes.span.bytes, chunk.facts) }
            _ = try writer.commit(Manifest.Timings())
        } catch {
            writer.abort()
            throw error
        }
    }

    /// Whether the repository has exactly this under its epoch.
    func isWhole(in storage: any Storage) throws -> Bool {
        let reader = try CheckpointReader(storage: storage, epoch: epoch)
        guard reader.manifest.chunks.map(\.facts) == chunks.map(\.facts) else { return false }
        var buffer: [UInt8] = []
        for index in chunks.indices {
            try reader.read(index, into: &buffer)
            guard buffer == chunks[index].bytes else { return false }
        }
        return true
    }

    /// The manifest file it gets.
    func encodedManifest() throws -> [UInt8] {
        let storage = MemoryStorage()
        try write(to: Repository(location: .storage(storage), access: .write))
        return storage.bytes(Layout.manifest(epoch))!
    }
}
