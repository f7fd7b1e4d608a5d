import CaesuraFormat

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

    private mutating func add(_ role: ChunkRole, partition: Int? = nil, rows: Int = 0) {
        var generator = SeededGenerator(seed: epoch &* 100 &+ UInt64(chunks.count))
        let bytes = (0..<40 + 10 * chunks.count).map { _ in
            UInt8(truncatingIfNeeded: generator.next())
        }
        var facts = ChunkFacts(role: role, length: bytes.count, identity: generator.next())
        if let partition {
            facts.region = 0
            facts.partition = partition
            facts.range = HashRange(partition: partition, bits: 1)
            facts.rows = rows
        }
        chunks.append((facts, bytes))
    }

    static let region = RegionSchema(
        name: "routes", kind: .table,
        key: Schema(name: "key", fields: [Field(number: 1, name: "key", type: .scalar(.uint64))]),
        row: Schema(
            name: "route", version: 2,
            fields: [
                Field(number: 1, name: "origin", type: .scalar(.uint32)),
                Field(number: 2, name: "path", type: .string, flags: .sensitive),
            ]))

    var manifest: Manifest {
        get throws(RepositoryError) {
            do throws(FormatError) {
                return Manifest(
                    metadata: try StreamMetadata(
                        epoch: epoch,
                        hashKey: HashKey(k0: 0x0706_0504_0302_0100, k1: 0x0F0E_0D0C_0B0A_0908),
                        partitionBits: 1, regions: [Self.region]),
                    created: WallClock(microseconds: 1_777_000_000_000_000), writer: "test")
            } catch {
                throw RepositoryError(.damaged, error.message)
            }
        }
    }

    /// Writes it, in packs of at least 100 bytes.
    func write(to repository: Repository) throws(RepositoryError) {
        try repository.claim()
        defer { repository.endCheckpoint() }
        let writer = try repository.beginCheckpoint(try manifest, packBytes: 100)
        do throws(RepositoryError) {
            for chunk in chunks { try unsafe writer.append(chunk.bytes.span.bytes, chunk.facts) }
            _ = try writer.commit(Manifest.Timings())
        } catch {
            repository.abandon(writer, as: .writer)
            throw error
        }
    }

    /// Whether the repository has exactly this under its epoch.
    func isWhole(in storage: any Storage) throws -> Bool {
        let reader = try CheckpointReader(storage: storage, epoch: epoch)
        guard reader.manifest.chunks.map(\.facts) == chunks.map(\.facts) else { return false }
        for pack in reader.manifest.packs.indices { try reader.checkPack(pack) }
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

extension Repository {
    /// Begins a checkpoint of any content, between ``claim()`` and ``endCheckpoint()``.
    func beginCheckpoint(
        _ manifest: Manifest, packBytes: Int = CheckpointWriter.packBytes
    ) throws(RepositoryError) -> CheckpointWriter {
        var manifest = manifest
        manifest.previousEpoch = try newestEpoch()
        try Leftovers.remove(from: storage, newest: manifest.previousEpoch, as: .writer)
        return CheckpointWriter(storage: storage, manifest: manifest, packBytes: packBytes)
    }
}
