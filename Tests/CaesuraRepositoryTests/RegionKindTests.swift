import Caesura
import CaesuraFormat
import Testing

@testable import CaesuraRepository

/// Checkpoints of logs and cells.
@Suite struct RegionKindTests {
    /// A store with a log that was trimmed, one that is empty, a cell and a table.
    struct Service {
        let base: SessionStore
        let visits: Log<Session>
        let empty: Log<Session>
        let latest: Cell<Session>

        static let initial = Session(visits: 0, token: "initial")

        init() throws {
            base = try SessionStore(partitionBits: 1)
            visits = try base.store.log("visits", row: Session.self)
            empty = try base.store.log("empty", row: Session.self)
            latest = try base.store.cell("latest", initial: Self.initial)
        }

        func fill() {
            base.fill(50)
            visits.append(contentsOf: (0..<20_000).map { SessionStore.row($0, 3) })
            visits.trim(before: 5_000)
            var large = SessionStore.row(1, 1)
            large.token = String(repeating: "l", count: 1_200_000)
            visits.append(large)
            empty.append(contentsOf: (0..<10).map { SessionStore.row($0, 3) })
            empty.trim(before: 10)
            latest.value = SessionStore.row(9, 9)
        }

        func hasLog() -> Bool {
            visits.positions == 5_000..<20_001 && visits[20_000]?.token.utf8.count == 1_200_000
                && (5_000..<20_000).allSatisfy { visits[$0] == SessionStore.row($0, 3) }
        }
    }

    static func storage() async throws -> MemoryStorage {
        let storage = MemoryStorage()
        let service = try Service()
        service.fill()
        try await Repository.open(.storage(storage)).checkpoint(service.base.store)
        // Without the lock, which the repository may hold a little longer.
        return storage.image { true }
    }

    @Test func `logs and cells come back from a checkpoint, and go on`() async throws {
        let storage = try await Self.storage()
        let repository = try await Repository.open(.storage(storage))
        let report = try await repository.verify()
        #expect(report.isGood)
        let service = try Service()
        #expect(try await repository.restore(into: service.base.store) != nil)
        let manifest = try await repository.reader().manifest
        #expect(service.hasLog())
        #expect(service.base.holds(50))
        #expect(service.empty.positions == 10..<10)
        #expect(service.latest.value == SessionStore.row(9, 9))
        #expect(manifest.regions.map(\.name) == ["empty", "latest", "sessions", "visits"])
        #expect(manifest.regions.map(\.head) == [10, 0, 0, 5_000])
        #expect(manifest.regions.map(\.rows) == [0, 1, 50, 15_001])
        service.visits.append(SessionStore.row(7, 7))
        try await repository.checkpoint(service.base.store)
        let second = try await repository.reader().manifest
        #expect(second.previousEpoch == manifest.epoch)
        let again = try Service()
        try await repository.restore(into: again.base.store)
        #expect(again.visits.positions == 5_000..<20_002)
        // Chunks of sealed stretches are the same in both.
        func chunks(_ manifest: Manifest) -> [UInt64: UInt64] {
            let found = manifest.chunks.filter { $0.facts.role == .log }
            return Dictionary(
                uniqueKeysWithValues: found.map { ($0.facts.range.first, $0.facts.identity) })
        }
        #expect(chunks(manifest)[8_192] == chunks(second)[8_192])
        #expect(chunks(manifest)[16_384] != chunks(second)[16_384])
    }

    @Test func `a manifest of logs is made anew from the packs`() async throws {
        let storage = try await Self.storage()
        let epoch = try await Repository.open(.storage(storage), for: .read).epochs()[0]
        let manifest = try CheckpointReader(storage: storage, epoch: epoch).manifest
        let rebuilt = try Manifest(rebuildingFrom: storage, epoch: epoch)
        #expect(rebuilt.regions == manifest.regions)
        #expect(rebuilt.chunks == manifest.chunks)
    }

    @Test func `a log with a damaged chunk is lost whole, and goes on behind its rows`()
        async throws
    {
        let storage = try await Self.storage()
        let repository = try await Repository.open(.storage(storage), for: .read)
        let epoch = try await repository.epochs()[0]
        let manifest = try CheckpointReader(storage: storage, epoch: epoch).manifest
        let chunk = try #require(manifest.chunks.first { $0.facts.role == .log })
        storage.flip(
            "packs/" + Layout.packName(epoch, chunk.pack), at: chunk.offset + 100, 4)
        let service = try Service()
        await #expect(throws: RepositoryError(.damaged, "")) {
            try await repository.restore(into: service.base.store)
        }
        #expect(service.latest.value == Service.initial)
        let report = try await repository.salvage(into: service.base.store)
        #expect(report.problems.count == 1)
        #expect(service.visits.positions == 20_001..<20_001)
        #expect(service.empty.positions == 10..<10)
        #expect(service.base.holds(50))
        #expect(service.latest.value == SessionStore.row(9, 9))
    }

    @Test func `a manifest whose logs have gaps or whose cells have ranges is unsound`()
        async throws
    {
        let storage = try await Self.storage()
        let epoch = try await Repository.open(.storage(storage), for: .read).epochs()[0]
        let sound = try CheckpointReader(storage: storage, epoch: epoch).manifest
        func problem(_ change: (inout Manifest) -> Void) -> String? {
            var manifest = sound
            change(&manifest)
            do throws(RepositoryError) {
                _ = try Manifest(parsing: manifest.encoded, path: "7.json", epoch: epoch)
                return nil
            } catch {
                return error.code == .damaged ? error.message : "\(error.code)"
            }
        }
        func index(_ role: ChunkRole, _ number: Int) -> Int {
            sound.chunks.indices.filter { sound.chunks[$0].facts.role == role }[number]
        }
        let (first, second, cell) = (index(.log, 0), index(.log, 1), index(.cell, 0))
        #expect(problem { _ in } == nil)
        #expect(
            problem { $0.regions[3].head = 4_999 }
                == "chunks[\(first)].prefix is 5000, and the log goes on at 4999")
        #expect(problem { $0.regions[0].head = 1 << 63 + 1 } != nil)
        #expect(
            problem { $0.chunks[second].facts.range = .position(8_191) }
                == "chunks[\(second)].prefix is 8191, with rows of two stretches")
        #expect(
            problem { $0.chunks[first].facts.range = .position(.max) }
                == "chunks[\(first)].prefix is 18446744073709551615, with rows of two stretches")
        #expect(
            problem {
                $0.chunks[first].facts.rows -= 1
                $0.regions[3].rows -= 1
            } == "chunks[\(second)].prefix is 8192, and the log goes on at 8191")
        #expect(
            problem { $0.chunks[first].facts.range = .all }
                == "chunks[\(first)].prefixBits is 0, not 64")
        #expect(
            problem { $0.chunks[cell].facts.range = HashRange(prefixBits: 1, prefix: 0) }
                == "chunks[\(cell)].prefixBits is 1, not 0")
        #expect(
            problem {
                $0.chunks[cell].facts.rows = 2
                $0.regions[1].rows = 2
            } == "chunks[\(cell)].rows is 2, and a cell has 1")
        #expect(
            problem { $0.chunks[cell].facts.role = .core }
                == "chunks[\(cell)].role is core in a cell")
        let text = String(decoding: sound.encoded, as: UTF8.self)
        #expect(text.ranges(of: "\"head\":").count == 2)
    }
}
