import Caesura
import CaesuraFormat
import Testing

@testable import CaesuraRepository

/// Bytes that are not those that were written.
@Suite struct DamageTests {
    private let pack = "packs/00000000000000000001-0000.pack"
    private let manifest = "manifests/00000000000000000001.json"

    /// A storage with one checkpoint, of epoch 1.
    private func checkpoint(
        _ count: UInt64, partitionBits: Int, large: UInt64? = nil
    ) async throws -> MemoryStorage {
        let storage = MemoryStorage()
        let service = try SessionStore(partitionBits: partitionBits)
        service.fill(count)
        if let large {
            service.sessions[large] = Session(
                visits: 1, token: String(repeating: "x", count: 1_200_000))
        }
        let written = try await Repository.open(.storage(storage)).checkpoint(service.store)
        #expect(written.epoch == 1)
        return storage
    }

    private func open(_ storage: MemoryStorage) async throws -> Repository {
        try await Repository.open(.storage(storage), for: .read)
    }

    @Test
    func `each flipped bit of a small checkpoint is told with its file, and restores nothing`()
        async throws
    {
        let storage = try await checkpoint(3, partitionBits: 1)
        let sound = try CheckpointReader(storage: storage, epoch: 1).manifest
        let restored = try SessionStore()
        for path in [pack, manifest] {
            for offset in try #require(storage.bytes(path)).indices {
                let damaged = storage.image { true }
                damaged.flip(path, at: offset, 1 << UInt8(offset % 8))
                let repository = try await open(damaged)
                let error = await #expect(throws: RepositoryError.self, "\(path), \(offset)") {
                    try await repository.restore(into: restored.store)
                }
                #expect(error?.code == .damaged || error?.code == .unsupported, "\(offset)")
                #expect(error?.path == "memory:/" + path)
                #expect(error?.epoch == 1)
                #expect(restored.sessions.count == 0)
                let report = try await repository.verify()
                #expect(report.problems.count == 1, "\(path), \(offset): \(report.problems)")
                guard path == pack else { continue }
                let chunk = sound.chunks.firstIndex {
                    $0.offset <= offset && offset < $0.offset + $0.facts.length
                }
                #expect(report.problems.first?.chunk == chunk)
            }
        }
    }

    @Test func `a checkpoint cut short anywhere is refused`() async throws {
        let storage = try await checkpoint(3, partitionBits: 1)
        let restored = try SessionStore()
        for path in [pack, manifest] {
            let bytes = try #require(storage.bytes(path))
            for length in bytes.indices {
                let damaged = storage.image { true }
                damaged.replace(path, with: Array(bytes[..<length]))
                let repository = try await open(damaged)
                let error = await #expect(throws: RepositoryError(.damaged, ""), "\(length)") {
                    try await repository.restore(into: restored.store)
                }
                #expect(error?.path == "memory:/" + path)
                #expect(restored.sessions.count == 0)
            }
        }
    }

    @Test func `a refusal says what is good and which other checkpoints there are`() async throws {
        let storage = MemoryStorage()
        let service = try SessionStore(partitionBits: 2)
        let repository = try await Repository.open(.storage(storage))
        for _ in 0..<2 {
            service.fill(100)
            try await repository.checkpoint(service.store)
        }
        let chunk = try await repository.reader().manifest.chunks[2]
        storage.flip("packs/00000000000000000002-0000.pack", at: chunk.offset + 70)
        let error = await #expect(throws: RepositoryError(.damaged, "")) {
            try await repository.restore(into: SessionStore().store)
        }
        let good = 100 - chunk.facts.rows
        #expect(
            error?.message
                == "a chunk's body differs from what was written; \(good) of 100 rows are good")
        #expect(
            error?.hint
                == "restore another checkpoint (epochs 1), or salvage what is good of this one")
        #expect(error?.chunk == 2)
    }

    @Test func `salvage brings back each partition that is whole`() async throws {
        let storage = try await checkpoint(600, partitionBits: 3, large: 77)
        let sound = try CheckpointReader(storage: storage, epoch: 1).manifest
        for index in sound.chunks.indices {
            let chunk = sound.chunks[index]
            let damaged = storage.image { true }
            damaged.flip(pack, at: chunk.offset + chunk.facts.length - 1)
            let restored = try SessionStore()
            let report = try await open(damaged).salvage(into: restored.store)
            #expect(report.problems.map(\.chunk) == [index])
            let lost = chunk.facts.region == nil ? [] : [chunk.facts.partition]
            #expect(report.regions[0].damagedPartitions == lost)
            #expect(report.regions[0].partitionCount == 8)
            #expect(report.regions[0].rows == 600)
            #expect(restored.sessions.count == report.regions[0].goodRows)
            let key = HashKey(k0: 1, k1: 2)
            for i in 0..<600 as Range<UInt64> {
                let isLost = lost.contains(Int(key.hash(i) >> 61))
                #expect((restored.sessions[i] == nil) == isLost)
            }
        }
    }

    @Test func `salvage leaves out a partition whose last chunk cannot be decoded`() async throws {
        let storage = try await checkpoint(20_000, partitionBits: 1)
        var forged = try ForgedCheckpoint(storage, epoch: 1)
        // Metadata, two chunks for each partition, end.
        try #require(forged.chunks.count == 6)
        forged.change(2) { chunk, body in chunk[body] = 99 }
        let repository = try await open(forged.write())
        #expect(try await repository.verify().isGood)
        let restored = try SessionStore()
        let report = try await repository.salvage(into: restored.store)
        #expect(report.problems.map(\.chunk) == [2])
        #expect(report.regions[0].damagedPartitions == [0])
        #expect(restored.sessions.count == report.regions[0].goodRows)
        let key = HashKey(k0: 1, k1: 2)
        for i in 0..<20_000 as Range<UInt64> {
            #expect((restored.sessions[i] == nil) == (key.hash(i) >> 63 == 0))
        }
    }

    @Test func `a chunk out of its sequence, and totals that are wrong, are told`() async throws {
        let storage = try await checkpoint(20_000, partitionBits: 1)
        let sound = try ForgedCheckpoint(storage, epoch: 1)
        #expect(try await open(sound.write()).verify().isGood)
        var forged = sound
        forged.change(2) { chunk, _ in chunk[ForgedCheckpoint.varint(6, of: chunk)] = 7 }
        #expect(try await open(forged.write()).verify().problems.map(\.chunk) == [2])
        // The end chunk: its count of bytes, and the last region's of chunks.
        forged = sound
        forged.change(5) { chunk, body in chunk[body + 1] ^= 1 }
        #expect(try await open(forged.write()).verify().problems.map(\.chunk) == [5])
        forged = sound
        forged.change(5) { chunk, _ in chunk[chunk.count - 1] ^= 1 }
        #expect(try await open(forged.write()).verify().problems.map(\.chunk) == [5])
    }

    @Test func `a damaged manifest is made anew from whole packs`() async throws {
        let storage = try await checkpoint(600, partitionBits: 3, large: 77)
        storage.flip(manifest, at: 300)
        let restored = try SessionStore()
        let report = try await open(storage).salvage(into: restored.store)
        #expect(report.problems.map(\.path) == ["memory:/" + manifest])
        #expect(report.regions[0].goodRows == 600)
        #expect(restored.sessions.count == 600)
        #expect(restored.sessions[5] == SessionStore.row(5, 0))
        #expect(restored.sessions[77]?.token.utf8.count == 1_200_000)
        // With a pack damaged too, nobody can tell what is missing.
        for offset in [0, 60, 5000, try #require(storage.bytes(pack)).count - 1] {
            let worse = storage.image { true }
            worse.flip(pack, at: offset)
            let error = await #expect(throws: RepositoryError(.damaged, "")) {
                try await open(worse).salvage(into: SessionStore().store)
            }
            #expect(error?.path == "memory:/" + pack)
        }
        try storage.remove(pack)
        await #expect(throws: RepositoryError(.damaged, "")) {
            try await open(storage).salvage(into: SessionStore().store)
        }
    }

    @Test func `a salvage leaves out all of a partition that cannot be applied whole`() async throws
    {
        // Whole bytes of a writer that broke a rule: two keys of the last chunk have changed places.
        let service = try SessionStore(partitionBits: 1)
        service.fill(40_000)
        let source = try SnapshotSource(service.store.cut())
        let metadata = source.metadata
        var stream = StreamWriter(metadata: metadata, to: ByteArraySink())
        let worker = SnapshotSource.Worker(for: source)
        var chunks: [[UInt8]] = []
        while let job = try source.next() {
            try unsafe source.encode(
                job, with: worker,
                emit: { (_, bytes) throws(StoreError) in unsafe chunks.append([UInt8](bytes)) },
                refused: { $0 })
        }
        let layout = try RegionLayout(metadata.regions[0])
        let batch = ColumnBatch(leaves: layout.leaves)
        var encoder = ChunkEncoder()
        var decoder = ChunkDecoder()
        let last = chunks.removeLast()
        try unsafe last.withUnsafeBytes { bytes in
            let chunk = try unsafe VerifiedChunk(verifying: bytes)
            try decoder.decode(core: chunk, layout: layout, into: batch)
            let keys = unsafe batch.columns[0].values.assumingMemoryBound(to: UInt64.self)
            unsafe swap(&keys[0], &keys[1])
            encoder.encode(core: batch, header: chunk.header)
        }
        unsafe chunks.append([UInt8](encoder.bytes))
        for chunk in chunks {
            unsafe chunk.withUnsafeBytes { bytes in unsafe stream.append(bytes) }
        }
        let bytes = stream.finish().bytes
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        try repository.claim()
        let writer = try repository.beginCheckpoint(
            Manifest(metadata: metadata, created: .now, writer: "test"))
        try unsafe bytes.withUnsafeBytes { bytes in
            var start = 0
            while start < bytes.count {
                let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[start...])
                let header = try unsafe ChunkHeader(reading: rest)
                let chunk = unsafe UnsafeRawBufferPointer(rebasing: rest[..<header.chunkLength])
                try unsafe writer.append(RawSpan(_unsafeBytes: chunk), ChunkFacts(header))
                start += header.chunkLength
            }
        }
        _ = try writer.commit(Manifest.Timings())
        repository.endCheckpoint()
        #expect(try await repository.verify().isGood)
        let restored = try SessionStore()
        let report = try await repository.salvage(into: restored.store)
        #expect(report.regions[0].damagedPartitions == [1])
        #expect(restored.sessions.count == report.regions[0].goodRows)
        #expect(report.regions[0].goodRows > 0 && report.regions[0].goodRows < 40_000)
    }

    @Test func `of a short pack the front is salvaged, of a missing one nothing`() async throws {
        let storage = try await checkpoint(2_000, partitionBits: 4)
        let sound = try CheckpointReader(storage: storage, epoch: 1).manifest
        let short = storage.image { true }
        let bytes = try #require(short.bytes(pack))
        short.replace(pack, with: Array(bytes[..<sound.chunks[9].offset]))
        let report = try await open(short).salvage(into: SessionStore().store)
        #expect(report.problems.count == 1)
        #expect(report.problems.first?.message.hasPrefix("the pack has") == true)
        #expect(report.regions[0].damagedPartitions == Array(8..<16))

        let missing = storage.image { true }
        try missing.remove(pack)
        let nothing = try await open(missing).verify()
        #expect(nothing.problems.map(\.message) == ["the pack is missing"])
        #expect(nothing.regions[0].goodRows == 0)
    }

    @Test func `a whole chunk in the wrong place is damage`() async throws {
        // Two stores with the same sizes; the chunk of one in the pack of the other.
        let storage = try await checkpoint(64, partitionBits: 0)
        let other = MemoryStorage()
        let service = try SessionStore(partitionBits: 0)
        service.fill(64, generation: 0)
        let row = SessionStore.row(3, 0)
        service.sessions[3] = Session(visits: row.visits, token: String(row.token.reversed()))
        try await Repository.open(.storage(other)).checkpoint(service.store)
        let mine = try CheckpointReader(storage: storage, epoch: 1).manifest.chunks[1]
        let theirs = try CheckpointReader(storage: other, epoch: 1).manifest.chunks[1]
        try #require(mine.facts.length == theirs.facts.length)
        var bytes = try #require(storage.bytes(pack))
        let range = mine.offset..<mine.offset + mine.facts.length
        bytes.replaceSubrange(range, with: try #require(other.bytes(pack))[range])
        storage.replace(pack, with: bytes)
        let report = try await open(storage).verify()
        #expect(report.problems.map(\.chunk) == [1])
        #expect(
            report.problems.first?.message.contains("not the one that the manifest names") == true)
    }
}
