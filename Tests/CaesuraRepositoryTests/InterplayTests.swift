import Caesura
import Synchronization
import Testing

@testable import CaesuraRepository

/// Checkpoints, removals and failures that meet.
@Suite struct InterplayTests {
    private static var holding: CheckpointOptions {
        var options = CheckpointOptions()
        options.holdsBase = true
        return options
    }

    private func run(
        _ checkpoints: ContinuousCheckpoints, while body: () async throws -> Void
    ) async throws {
        let running = Task { try await checkpoints.run() }
        do {
            try await body()
        } catch {
            running.cancel()
            _ = await running.result
            throw error
        }
        running.cancel()
        try await running.value
    }

    @Test func `a delta whose base is removed by one who keeps the delta is no reason to stop`()
        async throws
    {
        let storage = MemoryStorage()
        let syncs = Mutex(0)
        let observed = ObservedStorage(
            inner: storage,
            beforeSync: { (path) throws(RepositoryError) in
                guard path.hasSuffix(".chain"),
                    syncs.withLock({
                        $0 += 1; return $0
                    }) == 3
                else { return }
                try Repository(location: .storage(storage), access: .maintain)
                    .removeOld(keeping: Retention(newest: 1))
            })
        let repository = try await Repository.open(.storage(observed))
        let service = try SessionStore()
        for generation in 0..<6 as Range<UInt64> {
            service.fill(10, generation: generation)
            try await repository.checkpoint(service.store, options: Self.holding)
        }
        let restored = try SessionStore()
        try await repository.restore(into: restored.store)
        #expect(restored.holds(10, generation: 5))
    }

    @Test func `durable saves again what was saved and removed`() async throws {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try SessionStore()
        let checkpoints = repository.checkpoints(of: service.store, every: .seconds(3600))
        try await run(checkpoints) {
            service.fill(10, generation: 1)
            try await checkpoints.durable()
            service.fill(10, generation: 2)
            try await checkpoints.durable()
            try await repository.remove(at: try #require(try await repository.newest()))
            try await checkpoints.durable()
            let restored = try SessionStore()
            try await repository.restore(into: restored.store)
            #expect(restored.holds(10, generation: 2))
        }
    }

    @Test func `durable takes no name that was not synced for one that is there for good`()
        async throws
    {
        let storage = MemoryStorage()
        _ = try await Repository.open(.storage(storage))
        let service = try SessionStore()
        service.fill(10, generation: 1)
        // The sync of the name fails, and so does that of cleaning up.
        let failing = FailingDirectory(inner: storage)
        let second = try await Repository.open(.storage(failing))
        let tried = second.checkpoints(of: service.store, every: .seconds(3600))
        try await run(tried) {
            failing.failures.withLock { $0 = (1, 2) }
            await #expect(throws: RepositoryError(.storage, "")) { try await tried.durable() }
            try await tried.durable()
            let restored = try SessionStore()
            try await Repository.open(.storage(failing.inner.image { false })).restore(
                into: restored.store)
            #expect(restored.holds(10, generation: 1))
        }
    }

    @Test func `what a killed writer had not synced is made durable before a delta builds on it`()
        async throws
    {
        let storage = MemoryStorage()
        let killed = Mutex(0)
        let dying = ObservedStorage(
            inner: storage,
            beforeSync: { (path) throws(RepositoryError) in
                guard path.hasSuffix(".chain") else { return }
                if killed.withLock({
                    $0 += 1; return $0
                }) == 2 {
                    throw RepositoryError(.storage, "killed")
                }
            })
        let repository = try await Repository.open(.storage(dying))
        let service = try SessionStore()
        service.fill(10, generation: 0)
        try await repository.checkpoint(service.store, options: Self.holding)
        service.fill(10, generation: 1)
        try await repository.checkpoint(service.store, options: Self.holding)
        service.fill(10, generation: 2)
        await #expect(throws: RepositoryError(.storage, "")) {
            try await repository.checkpoint(service.store, options: Self.holding)
        }
        let machine = storage.afterKill()
        let next = try await Repository.open(.storage(machine))
        let second = try SessionStore()
        try await next.restore(into: second.store)
        #expect(second.holds(10, generation: 2))
        #expect(try await next.holdBase(second.store))
        second.fill(10, generation: 3)
        try await next.checkpoint(second.store, options: Self.holding)
        let after = try SessionStore()
        try await Repository.open(.storage(machine.image { false })).restore(into: after.store)
        #expect(after.holds(10, generation: 3))
    }

    @Test func `what a writer has not synced is made durable before what it replaces is removed`()
        async throws
    {
        let storage = MemoryStorage()
        let killed = Mutex(0)
        let dying = ObservedStorage(
            inner: storage,
            beforeSync: { (path) throws(RepositoryError) in
                guard path.hasSuffix(".chain") else { return }
                if killed.withLock({
                    $0 += 1; return $0
                }) == 2 {
                    try Repository(location: .storage(storage), access: .maintain)
                        .removeOld(keeping: Retention(newest: 1))
                    throw RepositoryError(.storage, "killed")
                }
            })
        let repository = try await Repository.open(.storage(dying))
        let service = try SessionStore()
        service.fill(10, generation: 0)
        try await repository.checkpoint(service.store, options: Self.holding)
        service.fill(10, generation: 1)
        try await repository.checkpoint(service.store, options: Self.holding)
        service.fill(10, generation: 2)
        await #expect(throws: RepositoryError(.storage, "")) {
            try await repository.checkpoint(service.store, options: Self.holding)
        }
        let after = try SessionStore()
        try await Repository.open(.storage(storage.image { false })).restore(into: after.store)
        #expect(after.holds(10, generation: 1) || after.holds(10, generation: 2))
    }

    @Test func `a removal that fails does not undo the full checkpoint before it`() async throws {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try SessionStore()
        let counts = Mutex((full: 0, failed: 0))
        var options = ContinuousCheckpoints.Options()
        options.checkpoint.policy.longest = 5
        options.retention = Retention(newest: 3)
        options.observer = { event in
            switch event {
            case .full:
                counts.withLock { $0.full += 1 }
                // What it names is not known, so nothing is removed.
                storage.replace("manifests/00000000000000000000.json", with: [1, 2, 3])
            case .maintenanceFailed: counts.withLock { $0.failed += 1 }
            default: break
            }
        }
        let checkpoints = repository.checkpoints(
            of: service.store, every: .seconds(3600), options: options)
        try await run(checkpoints) {
            var generation: UInt64 = 0
            while counts.withLock({ $0.failed }) == 0, generation < 1000 {
                generation += 1
                service.fill(30, generation: generation)
                try await checkpoints.durable()
            }
            for _ in 0..<3 {
                generation += 1
                service.fill(30, generation: generation)
                try await checkpoints.durable()
            }
        }
        let (full, failed) = counts.withLock { $0 }
        #expect(full >= 1 && full == failed && checkpoints.counts.full == full)
        // Each has made the chain shorter by the five deltas or more that it took in.
        #expect(full * 5 <= checkpoints.counts.checkpoints)
    }

    @Test func `continuous checkpoints end when their repository is closed`() async throws {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try SessionStore()
        let checkpoints = repository.checkpoints(of: service.store, every: .milliseconds(1))
        service.fill(30, generation: 0)
        let running = Task { try await checkpoints.run() }
        try await checkpoints.durable()
        repository.close()
        service.fill(30, generation: 1)
        await #expect(throws: RepositoryError.self) { try await checkpoints.durable() }
        let end = ContinuousClock.now + .seconds(1)
        let isOver = Mutex(false)
        let watch = Task {
            _ = await running.result; isOver.withLock { $0 = true }
        }
        while ContinuousClock.now < end, !isOver.withLock({ $0 }) { await Task.yield() }
        #expect(isOver.withLock { $0 })
        running.cancel()
        await watch.value
    }

    @Test func `any times of checkpoints can be chosen among`() {
        let retention = Retention(newest: 1, hourly: .seconds(3600))
        let kept = retention.selection(of: [
            (1, WallClock(microseconds: .min)), (2, WallClock(microseconds: 0)),
            (3, WallClock(microseconds: .max)),
        ])
        #expect(kept.contains(3))
        let other = retention.selection(of: [
            (1, WallClock(microseconds: 0)), (2, WallClock(microseconds: .max)),
            (3, WallClock(microseconds: 1_000_000)),
        ])
        #expect(other.contains(3))
    }

    @Test func `a checkpoint and a delta that come between two lists are both seen`() async throws {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try SessionStore()
        service.fill(10, generation: 0)
        try await repository.checkpoint(service.store, options: Self.holding)
        let late = ListingStorage(inner: storage)
        late.before.withLock {
            $0 = {
                try! repository.claim()
                defer { repository.endCheckpoint() }
                repository.chain.end()
                service.fill(10, generation: 1)
                _ = try! repository.write(service.store, Self.holding, Cancellation())
                service.fill(10, generation: 2)
                _ = try! repository.write(service.store, Self.holding, Cancellation())
            }
        }
        let reader = try await Repository.open(.storage(late), for: .read)
        let restored = try SessionStore()
        try await reader.restore(into: restored.store)
        #expect(restored.holds(10, generation: 2))
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

/// A storage in which something happens before the packs are listed.
private final class ListingStorage: Storage {
    let inner: MemoryStorage
    let before = Mutex<(@Sendable () -> Void)?>(nil)
    init(inner: MemoryStorage) { self.inner = inner }
    func makeDirectory(_ path: String) throws(RepositoryError) { try inner.makeDirectory(path) }
    func create(_ path: String) throws(RepositoryError) -> any StorageWriter {
        try inner.create(path)
    }
    func open(_ path: String) throws(RepositoryError) -> any StorageReader { try inner.open(path) }
    func link(_ path: String, as name: String) throws(RepositoryError) {
        try inner.link(path, as: name)
    }
    func remove(_ path: String) throws(RepositoryError) { try inner.remove(path) }
    func syncDirectory(_ path: String) throws(RepositoryError) { try inner.syncDirectory(path) }
    func syncFile(_ path: String) throws(RepositoryError) { try inner.syncFile(path) }
    func list(_ path: String) throws(RepositoryError) -> [String] {
        if path == "packs" {
            let body = before.withLock { b in
                defer { b = nil }; return b
            }
            body?()
        }
        return try inner.list(path)
    }
    func lock(_ path: String) throws(RepositoryError) -> any StorageLock { try inner.lock(path) }
    func display(_ path: String) -> String { inner.display(path) }
}

/// A storage whose syncs of the manifests' names fail for a while.
private final class FailingDirectory: Storage {
    let inner: MemoryStorage
    /// Successes before, and failures then, of syncs of `manifests/`.
    let failures = Mutex((after: 0, count: 0))
    init(inner: MemoryStorage) { self.inner = inner.afterKill() }
    func makeDirectory(_ path: String) throws(RepositoryError) { try inner.makeDirectory(path) }
    func create(_ path: String) throws(RepositoryError) -> any StorageWriter {
        try inner.create(path)
    }
    func open(_ path: String) throws(RepositoryError) -> any StorageReader { try inner.open(path) }
    func link(_ path: String, as name: String) throws(RepositoryError) {
        try inner.link(path, as: name)
    }
    func remove(_ path: String) throws(RepositoryError) { try inner.remove(path) }
    func syncDirectory(_ path: String) throws(RepositoryError) {
        let fails = failures.withLock { f in
            guard path == "manifests" else { return false }
            if f.after > 0 { f.after -= 1; return false }
            if f.count > 0 { f.count -= 1; return true }
            return false
        }
        if fails { throw RepositoryError(.storage, "cannot sync") }
        try inner.syncDirectory(path)
    }
    func syncFile(_ path: String) throws(RepositoryError) { try inner.syncFile(path) }
    func list(_ path: String) throws(RepositoryError) -> [String] { try inner.list(path) }
    func lock(_ path: String) throws(RepositoryError) -> any StorageLock { try inner.lock(path) }
    func display(_ path: String) -> String { inner.display(path) }
}
