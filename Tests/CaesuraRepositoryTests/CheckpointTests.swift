import Caesura
import CaesuraFormat
import Testing

@testable import CaesuraRepository

@Suite struct CheckpointTests {
    private func repository(_ storage: MemoryStorage) async throws -> Repository {
        try await Repository.open(.storage(storage))
    }

    @Test(arguments: [0, 1, 700, 20_000] as [UInt64])
    func `what a checkpoint holds comes back`(_ count: UInt64) async throws {
        let repository = try await repository(MemoryStorage())
        let service = try SessionStore()
        service.fill(count)
        let manifest = try await repository.checkpoint(service.store)
        #expect(manifest.rows == Int(count))
        #expect(manifest.regions.map(\.name) == ["sessions"])
        #expect(manifest.timings.total > 0)
        let restored = try SessionStore(partitionBits: 5)
        #expect(try await repository.restore(into: restored.store) == manifest)
        #expect(restored.holds(count))
        #expect(try await repository.verify().isGood)
    }

    @Test func `values of any size come back, whatever the number of bytes that may wait`()
        async throws
    {
        let service = try SessionStore()
        service.fill(300)
        let large = [65_536, 65_537, 1 << 20, 2_200_001].enumerated().map { index, length in
            Session(visits: 9, token: String(repeating: "\(index)é", count: length / 3))
        }
        for (index, session) in large.enumerated() {
            service.sessions[UInt64(1000 + index)] = session
        }
        for waiting in [1, 1 << 20, 1 << 30] {
            let repository = try await repository(MemoryStorage())
            var options = CheckpointOptions()
            options.encoders = 3
            options.waitingBytes = waiting
            options.compression = waiting == 1 ? .zstd(level: 1) : .none
            try await repository.checkpoint(service.store, options: options)
            let restored = try SessionStore()
            try await repository.restore(into: restored.store)
            #expect(restored.sessions.count == 304)
            for (index, session) in large.enumerated() {
                #expect(restored.sessions[UInt64(1000 + index)] == session)
            }
        }
    }

    @Test func `the packs are the same bytes for any number of encoders, and those of a stream`()
        async throws
    {
        let service = try SessionStore()
        service.fill(40_000)
        let cut = service.store.cut()
        let stream = try cut.write(to: ByteArraySink()).bytes
        for encoders in 1...5 {
            let storage = MemoryStorage()
            var options = CheckpointOptions()
            options.encoders = encoders
            try await repository(storage).checkpoint(of: cut, options: options)
            let packs = storage.files(in: "packs").flatMap { storage.bytes("packs/" + $0)! }
            #expect(packs == stream, "\(encoders) encoders")
        }
    }

    @Test func `an older checkpoint comes back by its epoch`() async throws {
        let repository = try await repository(MemoryStorage())
        let service = try SessionStore()
        var epochs: [UInt64] = []
        for generation in 0..<3 as Range<UInt64> {
            service.fill(500, generation: generation)
            epochs.append(try await repository.checkpoint(service.store).epoch)
        }
        #expect(try await repository.epochs() == epochs)
        for (generation, epoch) in epochs.enumerated() {
            let restored = try SessionStore()
            try await repository.restore(into: restored.store, at: epoch)
            #expect(restored.holds(500, generation: UInt64(generation)))
        }
        try await repository.remove(at: epochs[1])
        await #expect(throws: RepositoryError(.notFound, "")) {
            try await repository.restore(into: SessionStore().store, at: epochs[1])
        }
    }

    @Test
    func `a restored store goes on with newer epochs, and a store that began anew is refused`()
        async throws
    {
        let repository = try await repository(MemoryStorage())
        let service = try SessionStore()
        #expect(try await repository.restore(into: service.store) == nil)
        service.fill(100)
        try await repository.checkpoint(service.store)
        let last = try await repository.checkpoint(service.store)
        // Also once its own epochs have passed those of the repository.
        let anew = try SessionStore()
        for _ in 0..<last.epoch + 3 {
            let error = await #expect(throws: RepositoryError(.exists, "")) {
                try await repository.checkpoint(anew.store)
            }
            #expect(
                error?.hint?.hasPrefix("restore one of its checkpoints into the store first")
                    == true)
        }
        #expect(try await repository.epochs().last == last.epoch)
        let restored = try SessionStore()
        try await repository.restore(into: restored.store)
        restored.fill(100, generation: 7)
        #expect(try await repository.checkpoint(restored.store).epoch > last.epoch)
        let again = try SessionStore()
        try await repository.restore(into: again.store)
        #expect(again.holds(100, generation: 7))
    }

    @Test func `who restores an older checkpoint goes on from it, newer than all`() async throws {
        let storage = MemoryStorage()
        let first = try await repository(storage)
        let service = try SessionStore()
        var epochs: [UInt64] = []
        for generation in 0..<3 as Range<UInt64> {
            service.fill(100, generation: generation)
            epochs.append(try await first.checkpoint(service.store).epoch)
        }
        let restored = try SessionStore()
        try await first.restore(into: restored.store, at: epochs[0])
        // The store remembers, not the repository.
        first.close()
        let second = try await repository(storage)
        #expect(try await second.checkpoint(restored.store).epoch > epochs[2])
        let again = try SessionStore()
        try await second.restore(into: again.store)
        #expect(again.holds(100, generation: 0))
        // And the one that has written them all may go on too, though another has been there.
        service.store.cut().close()
        service.store.cut().close()
        service.store.cut().close()
        #expect(try await second.checkpoint(service.store).epoch > epochs[2])
    }

    @Test func `whatever call of a first checkpoint fails, the next one succeeds`() async throws {
        var failures = 0
        for operation in 0..<60 {
            let storage = MemoryStorage()
            let repository = try await repository(storage)
            let service = try SessionStore()
            service.fill(100)
            storage.plan(.fail(at: storage.operations + operation))
            do {
                try await repository.checkpoint(service.store)
                if failures > 0 { break }
            } catch {
                failures += 1
            }
            storage.plan(.none)
            let epoch = try await repository.checkpoint(service.store).epoch
            #expect(try await repository.epochs().last == epoch, "operation \(operation)")
        }
        #expect(failures > 5)
    }

    @Test func `a store with more tables than a reader takes is refused`() async throws {
        let repository = try await repository(MemoryStorage())
        var configuration = Store.Configuration()
        configuration.partitionBits = 0
        let store = Store(configuration)
        for index in 0..<1_025 {
            _ = try store.table("t\(index)", key: UInt64.self, row: Session.self)
        }
        let error = await #expect(throws: RepositoryError(.mismatch, "")) {
            try await repository.checkpoint(store)
        }
        #expect(error?.message.contains("1025 regions, and a stream has at most 1024") == true)
        #expect(try await repository.epochs() == [])
    }

    @Test func `a store goes on when its own checkpoint was removed`() async throws {
        let repository = try await repository(MemoryStorage())
        let service = try SessionStore()
        service.fill(100)
        try await repository.checkpoint(service.store)
        let last = try await repository.checkpoint(service.store)
        try await repository.remove(at: last.epoch)
        #expect(try await repository.checkpoint(service.store).epoch > last.epoch)
    }

    @Test func `writers go on while a checkpoint is written, and it holds the state at the cut`()
        async throws
    {
        let repository = try await repository(MemoryStorage())
        let service = try SessionStore()
        service.fill(20_000)
        let cut = service.store.cut()
        async let manifest = repository.checkpoint(of: cut)
        service.fill(20_000, generation: 1)
        _ = try await manifest
        #expect(service.holds(20_000, generation: 1))
        let restored = try SessionStore()
        try await repository.restore(into: restored.store)
        #expect(restored.holds(20_000))
    }

    @Test func `a store that has rows or other fields is refused and left alone`() async throws {
        let repository = try await repository(MemoryStorage())
        let service = try SessionStore()
        service.fill(10)
        try await repository.checkpoint(service.store)
        await #expect(throws: RepositoryError(.mismatch, "")) {
            try await repository.restore(into: service.store)
        }
        #expect(service.holds(10))
        let other = Store()
        _ = try other.table("sessions", key: String.self, row: Session.self)
        await #expect(throws: RepositoryError(.mismatch, "")) {
            try await repository.restore(into: other)
        }
    }

    @Test func `a cut that was given up makes no checkpoint, and the next one does`() async throws {
        let storage = MemoryStorage()
        let repository = try await repository(storage)
        let service = try SessionStore(retainedByteLimit: 10_000)
        service.fill(5_000)
        let cut = service.store.cut()
        service.fill(5_000, generation: 1)
        #expect(cut.isCancelled)
        await #expect(throws: RepositoryError(.cutCancelled, "")) {
            try await repository.checkpoint(of: cut)
        }
        #expect(try await repository.epochs() == [])
        try await repository.checkpoint(service.store)
        let restored = try SessionStore()
        try await repository.restore(into: restored.store)
        #expect(restored.holds(5_000, generation: 1))
    }

    @Test func `a cancelled task makes no checkpoint`() async throws {
        let repository = try await repository(MemoryStorage())
        let service = try SessionStore()
        service.fill(100)
        let task = Task {
            unsafe withUnsafeCurrentTask { task in unsafe task?.cancel() }
            try await repository.checkpoint(service.store)
        }
        await #expect(throws: RepositoryError(.cancelled, "")) { try await task.value }
        #expect(try await repository.epochs() == [])
        try await repository.checkpoint(service.store)
        #expect(try await repository.verify().isGood)
    }

    @Test func `a disk that is full at any operation costs that checkpoint and no other`()
        async throws
    {
        let service = try SessionStore()
        service.fill(2_000)
        let probe = MemoryStorage()
        let first = try await repository(probe)
        let start = probe.operations
        try await first.checkpoint(service.store)
        // The last operation takes a temporary name away, which needs no room.
        for operation in start..<probe.operations - 1 {
            let storage = MemoryStorage()
            let repository = try await repository(storage)
            try await repository.checkpoint(service.store)
            let base = storage.operations
            storage.plan(.full(from: base + operation - start))
            let error = await #expect(throws: RepositoryError(.outOfSpace, "")) {
                try await repository.checkpoint(service.store)
            }
            #expect(error?.hint?.hasPrefix("make room") == true)
            storage.refill()
            try await repository.checkpoint(service.store)
            for epoch in try await repository.epochs() {
                #expect(try await repository.verify(at: epoch).isGood)
            }
        }
    }
}
