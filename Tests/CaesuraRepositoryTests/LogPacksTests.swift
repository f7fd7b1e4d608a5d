import Caesura
import CaesuraFormat
import Foundation
import Testing

@testable import CaesuraRepository

/// Sealed rows of logs, which are written once.
@Suite struct LogPacksTests {
    private struct Service {
        let base: SessionStore
        let events: Log<Session>
        let visits: Log<Session>

        init() throws {
            base = try SessionStore(partitionBits: 0)
            events = try base.store.log("events", row: Session.self)
            visits = try base.store.log("visits", row: Session.self)
        }

        func append(_ count: UInt64) {
            let end = visits.positions.upperBound
            visits.append(contentsOf: (end..<end + count).map { SessionStore.row($0, 0) })
        }

        func holds(_ positions: Range<UInt64>) -> Bool {
            visits.positions == positions
                && positions.allSatisfy { visits[$0] == SessionStore.row($0, 0) }
        }
    }

    private static let run = LogPacks.positionsPerRun

    /// Bytes of an epoch's packs that were written, and how many packs were linked.
    private func written(
        _ epoch: UInt64, in storage: MemoryStorage
    ) -> (bytes: Int, linked: Int) {
        let names = Set(storage.log)
        let packs = storage.files(in: Layout.packs).filter { Layout.epoch(ofPack: $0) == epoch }
            .map { Layout.packs + "/" + $0 }
        let linked = packs.filter { names.contains("link \($0)") }
        let bytes = packs.filter { !linked.contains($0) }
            .reduce(0) { $0 + (storage.bytes($1)?.count ?? 0) }
        return (bytes, linked.count)
    }

    private func expect(
        _ positions: Range<UInt64>, at epoch: UInt64, in repository: Repository
    ) async throws {
        let restored = try Service()
        try await repository.restore(into: restored.base.store, at: epoch)
        #expect(restored.holds(positions))
        #expect(restored.base.holds(20))
        #expect(restored.events.count == 3)
        #expect(try await repository.verify(at: epoch).isGood)
    }

    @Test func `a full checkpoint takes over the packs of sealed rows`() async throws {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try Service()
        service.base.fill(20)
        service.events.append(contentsOf: (0..<3).map { SessionStore.row($0, 0) })
        service.append(2 * Self.run + 10)
        let first = try await repository.checkpoint(service.base.store)
        #expect(written(first.epoch, in: storage).linked == 0)
        service.append(Self.run)
        let second = try await repository.checkpoint(service.base.store)
        #expect(second.isFull)
        // Another run has been sealed.
        #expect(written(second.epoch, in: storage).linked == 2)
        service.append(1)
        let third = try await repository.checkpoint(service.base.store)
        #expect(written(third.epoch, in: storage).linked == 3)
        #expect(written(third.epoch, in: storage).bytes < 5_000)
        #expect(third.storedBytes > 1_000_000)
        try await expect(0..<2 * Self.run + 10, at: first.epoch, in: repository)
        // It is whole without the others.
        try await repository.prune(keeping: Retention(newest: 1))
        #expect(try await repository.epochs() == [third.epoch])
        try await expect(0..<3 * Self.run + 11, at: third.epoch, in: repository)
        // Its manifest can be made anew, too.
        let image = storage.image { true }
        image.flip(Layout.manifest(third.epoch), at: 100)
        let salvaged = try Service()
        _ = try await Repository.open(.storage(image)).salvage(into: salvaged.base.store)
        #expect(salvaged.holds(0..<3 * Self.run + 11))
    }

    @Test func `what is trimmed is in no later checkpoint`() async throws {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try Service()
        service.base.fill(20)
        service.events.append(contentsOf: (0..<3).map { SessionStore.row($0, 0) })
        service.append(3 * Self.run)
        let first = try await repository.checkpoint(service.base.store)
        // Into the middle of a run: what is left of that is written again.
        service.visits.trim(before: Self.run + 5)
        let second = try await repository.checkpoint(service.base.store)
        #expect(written(second.epoch, in: storage).linked == 1)
        try await expect(Self.run + 5..<3 * Self.run, at: second.epoch, in: repository)
        service.append(7)
        let third = try await repository.checkpoint(service.base.store)
        #expect(written(third.epoch, in: storage).linked == 2)
        try await expect(Self.run + 5..<3 * Self.run + 7, at: third.epoch, in: repository)
        try await expect(0..<3 * Self.run, at: first.epoch, in: repository)
        #expect(third.storedBytes < first.storedBytes)
    }

    @Test func `a store that was restored goes on with the packs of what it was restored from`()
        async throws
    {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try Service()
        service.base.fill(20)
        service.events.append(contentsOf: (0..<3).map { SessionStore.row($0, 0) })
        service.append(Self.run)
        let first = try await repository.checkpoint(service.base.store)
        service.append(Self.run)
        _ = try await repository.checkpoint(service.base.store)

        // From the older one, and then other rows come in the same places.
        let other = try Service()
        try await repository.restore(into: other.base.store, at: first.epoch)
        other.visits.append(contentsOf: (0..<Self.run).map { SessionStore.row($0, 77) })
        let third = try await repository.checkpoint(other.base.store)
        #expect(written(third.epoch, in: storage).linked == 1)
        let restored = try Service()
        try await repository.restore(into: restored.base.store)
        #expect(restored.visits.count == Int(2 * Self.run))
        #expect(restored.visits[Self.run - 1] == SessionStore.row(Self.run - 1, 0))
        #expect(restored.visits[Self.run] == SessionStore.row(0, 77))

        // A pack that is not what it was is not taken over.
        let image = storage.image { true }
        let again = try Service()
        let reopened = try await Repository.open(.storage(image))
        try await reopened.restore(into: again.base.store)
        for name in image.files(in: Layout.packs) where Layout.epoch(ofPack: name) == third.epoch {
            image.flip(Layout.packs + "/" + name, at: 3)
        }
        let fourth = try await reopened.checkpoint(again.base.store)
        #expect(written(fourth.epoch, in: image).linked == 0)
        #expect(try await reopened.verify(at: fourth.epoch).isGood)
    }

    @Test func `a delta that is made full takes over what is sealed`() async throws {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try Service()
        service.base.fill(20)
        service.events.append(contentsOf: (0..<3).map { SessionStore.row($0, 0) })
        service.append(2 * Self.run)
        var options = CheckpointOptions()
        options.holdsBase = true
        _ = try await repository.checkpoint(service.base.store, options: options)
        service.append(9)
        service.visits.trim(before: 3)
        let delta = try await repository.checkpoint(service.base.store, options: options)
        #expect(!delta.isFull)
        #expect(try await repository.compact()?.isFull == true)
        #expect(written(delta.epoch, in: storage).linked == 1)
        try await repository.prune(keeping: Retention(newest: 1))
        try await expect(3..<2 * Self.run + 9, at: delta.epoch, in: repository)
    }

    @Test func `a failure or a crash while packs are taken over loses nothing`() async throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("crash images of linked packs from seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try Service()
        service.append(Self.run)
        var newest = try await repository.checkpoint(service.base.store).epoch
        var end = Self.run
        var failures = 0
        for operation in 0..<100 {
            service.append(1)
            storage.plan(.fail(at: storage.operations + operation))
            let isDone: Bool
            do {
                newest = try await repository.checkpoint(service.base.store).epoch
                end = service.visits.positions.upperBound
                isDone = true
            } catch {
                failures += 1
                isDone = false
            }
            // What a power failure leaves of it.
            let image = storage.image { Bool.random(using: &generator) }
            let reopened = try await Repository.open(.storage(image))
            let restored = try Service()
            let checkpoint = try await reopened.restore(into: restored.base.store)
            let found = try #require(checkpoint?.epoch)
            #expect(found >= newest, "operation \(operation), seed \(seed)")
            #expect(restored.visits.count >= Int(end), "operation \(operation), seed \(seed)")
            #expect(restored.visits[Self.run - 1] == SessionStore.row(Self.run - 1, 0))
            // Fewer operations than this make a checkpoint.
            if isDone, operation > 30 { break }
        }
        #expect(failures > 5)
        storage.plan(.none)
        let last = try await repository.checkpoint(service.base.store)
        #expect(written(last.epoch, in: storage).linked == 1)
        let restored = try Service()
        try await repository.restore(into: restored.base.store)
        #expect(restored.holds(0..<service.visits.positions.upperBound))
    }

    @Test func `nothing is taken over once positions may have been given twice`() async throws {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try Service()
        service.append(2 * Self.run)
        let first = try await repository.checkpoint(service.base.store)
        // A restore of something else that breaks off has brought the first run, and the log goes on behind it.
        let small = try Service()
        small.append(Self.run)
        let cut = small.base.store.cut()
        let bytes = try cut.write(to: ByteArraySink()).bytes
        cut.close()
        service.base.store.removeAll()
        var stream = StreamRestorer(into: service.base.store)
        try stream.push(Array(bytes.dropLast(10)))
        service.base.store.removeAll()
        #expect(service.visits.positions == Self.run..<Self.run)
        service.visits.append(contentsOf: (0..<Self.run).map { SessionStore.row($0, 77) })
        let second = try await repository.checkpoint(service.base.store)
        #expect(written(second.epoch, in: storage).linked == 0)
        #expect(written(first.epoch, in: storage).linked == 0)
        let restored = try Service()
        try await repository.restore(into: restored.base.store)
        #expect(restored.visits.positions == Self.run..<2 * Self.run)
        #expect(restored.visits[Self.run] == SessionStore.row(0, 77))
        // What was written since stands.
        let third = try await repository.checkpoint(service.base.store)
        #expect(written(third.epoch, in: storage).linked == 1)
    }

    @Test func `everything is written anew when an earlier pack goes before it is linked`()
        async throws
    {
        let memory = MemoryStorage()
        let service = try Service()
        service.append(2 * Self.run)
        let earlier = try await Repository.open(.storage(memory))
        try await earlier.checkpoint(service.base.store)
        earlier.close()
        let other = try await Repository.open(.storage(memory), for: .maintain)
        let packs = memory.files(in: Layout.packs).map { Layout.packs + "/" + $0 }
        var storage = ObservedStorage(inner: memory)
        storage.beforeLink = { name in
            // Another process prunes between the first look at the packs and the second link.
            guard name.hasPrefix(Layout.packs), name.hasSuffix("1.pack") else { return }
            for pack in packs { try? memory.remove(pack) }
        }
        let repository = try await Repository.open(.storage(storage))
        service.append(3)
        let second = try await repository.checkpoint(service.base.store)
        #expect(packs.allSatisfy { memory.bytes($0) == nil })
        for pack in memory.files(in: Layout.packs) where Layout.epoch(ofPack: pack) == second.epoch
        {
            #expect(memory.log.contains("create \(Layout.packs)/\(pack)"))
        }
        try await other.prune(keeping: Retention(newest: 1))
        #expect(try await repository.verify().isGood)
        let restored = try Service()
        try await repository.restore(into: restored.base.store)
        #expect(restored.holds(0..<2 * Self.run + 3))
    }

    @Test func `a damaged byte is reported of each checkpoint that has it, and one can do without`()
        async throws
    {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try Service()
        service.append(Self.run)
        let first = try await repository.checkpoint(service.base.store)
        let second = try await repository.checkpoint(service.base.store)
        #expect(written(second.epoch, in: storage).linked == 1)
        let pack = try #require(
            storage.log.last { $0.hasPrefix("link " + Layout.packs) }?.dropFirst(5))
        storage.flip(String(pack), at: 300)
        for epoch in [first.epoch, second.epoch] {
            let problem = try #require(try await repository.verify(at: epoch).problems.first)
            #expect(problem.code == .damaged)
            #expect(problem.epoch == epoch)
        }
        var options = CheckpointOptions()
        options.takesOverPacks = false
        let third = try await repository.checkpoint(service.base.store, options: options)
        #expect(written(third.epoch, in: storage).linked == 0)
        let fourth = try await repository.checkpoint(service.base.store)
        #expect(written(fourth.epoch, in: storage).linked == 1)
        #expect(try await repository.verify(at: fourth.epoch).isGood)
    }

    @Test func `in a directory a pack is one file with a name for each checkpoint`() async throws {
        let directory = TemporaryDirectory()
        let repository = try await Repository.open(.directory(directory.path))
        let service = try Service()
        service.append(Self.run)
        let first = try await repository.checkpoint(service.base.store)
        let second = try await repository.checkpoint(service.base.store)
        func inodes(_ epoch: UInt64) throws -> Set<UInt64> {
            let packs = directory.path + "/" + Layout.packs
            return Set(
                try FileManager.default.contentsOfDirectory(atPath: packs)
                    .filter { Layout.epoch(ofPack: $0) == epoch }
                    .map { name in
                        let facts = try FileManager.default.attributesOfItem(
                            atPath: packs + "/" + name)
                        return (facts[.systemFileNumber] as! NSNumber).uint64Value
                    })
        }
        let shared = try inodes(first.epoch).intersection(try inodes(second.epoch))
        #expect(shared.count == 1)
        try await repository.remove(at: first.epoch)
        #expect(try inodes(first.epoch).isEmpty)
        #expect(try inodes(second.epoch).isSuperset(of: shared))
        let restored = try Service()
        try await repository.restore(into: restored.base.store)
        #expect(restored.holds(0..<Self.run))
    }
}
