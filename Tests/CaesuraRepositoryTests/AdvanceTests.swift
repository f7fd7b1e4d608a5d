import Caesura
import Testing

@testable import CaesuraRepository

/// A restored store that follows the checkpoints of another one.
@Suite struct AdvanceTests {
    private static var holding: CheckpointOptions {
        var options = CheckpointOptions()
        options.holdsBase = true
        return options
    }

    @Test func `a store follows by deltas, several at a time too, and not past a full checkpoint`()
        async throws
    {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let reader = try await Repository.open(.storage(storage), for: .read)
        let (service, follower) = (try SessionStore(), try SessionStore())
        service.fill(50, generation: 0)
        try await repository.checkpoint(service.store, options: Self.holding)
        try await reader.restore(into: follower.store)
        for step in 1...4 as ClosedRange<UInt64> {
            var newest: UInt64 = 0
            for _ in 0..<step {
                service.fill(50 + step, generation: step)
                newest = try await repository.checkpoint(service.store, options: Self.holding).epoch
            }
            #expect(try await reader.advance(follower.store, to: newest)?.epoch == newest)
            #expect(follower.holds(50 + step, generation: step))
            // Again, and back: there is no way.
            #expect(try await reader.advance(follower.store, to: newest) == nil)
        }
        service.fill(60, generation: 9)
        let last = try await repository.checkpoint(service.store)
        #expect(!last.isFull)
        #expect(try await reader.advance(follower.store, to: last.epoch)?.epoch == last.epoch)
        let next = try await repository.checkpoint(service.store)
        #expect(next.isFull)
        #expect(try await reader.advance(follower.store, to: next.epoch) == nil)
        #expect(follower.holds(60, generation: 9))
    }

    @Test func `a store that lost rows does not advance, and stays as it is`() async throws {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try SessionStore()
        service.fill(100, generation: 0)
        let full = try await repository.checkpoint(service.store, options: Self.holding)
        service.sessions[1_000_000] = SessionStore.row(5, 5)
        let next = try await repository.checkpoint(service.store, options: Self.holding)
        let pack = "packs/" + storage.files(in: "packs").first { $0.hasSuffix(".pack") }!
        storage.flip(pack, at: storage.bytes(pack)!.count / 2)
        let restored = try SessionStore()
        let report = try await repository.salvage(into: restored.store, at: full.epoch)
        #expect(!report.isGood)
        let count = restored.sessions.count
        #expect(try await repository.advance(restored.store, to: next.epoch) == nil)
        #expect(restored.sessions.count == count)
    }

    @Test func `a store whose restore failed at a delta does not hide what is saved`() async throws
    {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try SessionStore()
        service.fill(10, generation: 0)
        try await repository.checkpoint(service.store, options: Self.holding)
        service.fill(10, generation: 1)
        try await repository.checkpoint(service.store, options: Self.holding)
        let restored = try SessionStore()
        try await repository.restore(into: restored.store)
        // What a restore does that fails when rows are in the store already.
        restored.store.abandon()
        #expect(restored.sessions.count == 0)
        await #expect(throws: RepositoryError(.exists, "")) {
            try await repository.checkpoint(restored.store)
        }
    }

    @Test func `a store that was written to does not advance, and stays as it is`() async throws {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try SessionStore()
        service.fill(100, generation: 0)
        let full = try await repository.checkpoint(service.store, options: Self.holding)
        service.sessions[1_000_000] = SessionStore.row(5, 5)
        let next = try await repository.checkpoint(service.store, options: Self.holding)
        let restored = try SessionStore()
        try await repository.restore(into: restored.store, at: full.epoch)
        restored.sessions[3] = SessionStore.row(7, 7)
        await #expect(throws: RepositoryError(.disturbed, "")) {
            try await repository.advance(restored.store, to: next.epoch)
        }
        #expect(restored.sessions.count == 100)
        #expect(restored.sessions[3] == SessionStore.row(7, 7))
    }
}
