import Caesura
import Synchronization
import Testing

@testable import CaesuraRepository

/// Checkpoints taken again and again while the store serves.
@Suite struct ContinuousTests {
    /// What a service was told of, in order.
    private final class Log: Sendable {
        let events = Mutex<[ContinuousCheckpoints.Event]>([])

        var checkpoints: [Checkpoint] {
            events.withLock { events in
                events.compactMap { if case .checkpoint(let taken) = $0 { taken } else { nil } }
            }
        }
        var failures: [RepositoryError] {
            events.withLock { events in
                events.compactMap { if case .failed(let error) = $0 { error } else { nil } }
            }
        }
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

    /// The store of the process that comes after a crash in which nothing survived that was not synced.
    private func afterCrash(_ storage: MemoryStorage) async throws -> SessionStore {
        let image = storage.image { false }
        let restored = try SessionStore()
        try await Repository.open(.storage(image)).restore(into: restored.store)
        return restored
    }

    @Test func `what durable was awaited for survives a crash at once`() async throws {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try SessionStore()
        let checkpoints = repository.checkpoints(of: service.store, every: .seconds(3600))
        try await run(checkpoints) {
            for generation in 0..<20 as Range<UInt64> {
                service.fill(30, generation: generation)
                try await checkpoints.durable()
                #expect(try await afterCrash(storage).holds(30, generation: generation))
            }
        }
        // The first is full; the last one, when it is stopped, finds nothing new.
        #expect(checkpoints.counts.checkpoints == 20)
        #expect(storage.files(in: "manifests").count == 1)
    }

    @Test func `callers of durable share checkpoints, and each finds its own write on disk`()
        async throws
    {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try SessionStore()
        let checkpoints = repository.checkpoints(of: service.store, every: .seconds(3600))
        try await run(checkpoints) {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for caller in 0..<40 as Range<UInt64> {
                    group.addTask {
                        for round in 0..<5 as Range<UInt64> {
                            let row = SessionStore.row(caller, round)
                            service.sessions[caller] = row
                            try await checkpoints.durable()
                            let restored = try await self.afterCrash(storage)
                            #expect(restored.sessions[caller] == row)
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
        #expect(checkpoints.counts.checkpoints < 200)
    }

    @Test func `an interval without a write writes nothing`() async throws {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try SessionStore()
        service.fill(10)
        let checkpoints = repository.checkpoints(of: service.store, every: .milliseconds(1))
        try await run(checkpoints) {
            try await checkpoints.durable()
            let operations = storage.operations
            for _ in 0..<10 { try await checkpoints.durable() }
            #expect(storage.operations == operations)
        }
        #expect(checkpoints.counts.checkpoints == 1)
        #expect(checkpoints.counts.skipped >= 10)
    }

    @Test func `the last checkpoint is taken when it is stopped`() async throws {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try SessionStore()
        let checkpoints = repository.checkpoints(of: service.store, every: .seconds(3600))
        try await run(checkpoints) {
            try await checkpoints.durable()
            service.fill(25, generation: 2)
        }
        #expect(try await afterCrash(storage).holds(25, generation: 2))
        await #expect(throws: RepositoryError(.cancelled, "")) { try await checkpoints.durable() }
    }

    @Test func `a restored store goes on with deltas`() async throws {
        let storage = MemoryStorage()
        for start in 0..<3 as Range<UInt64> {
            let repository = try await Repository.open(.storage(storage))
            let service = try SessionStore()
            let restored = try await repository.restore(into: service.store)
            #expect((restored == nil) == (start == 0))
            let checkpoints = repository.checkpoints(of: service.store, every: .seconds(3600))
            let log = Log()
            try await run(checkpoints) {
                try await checkpoints.durable()
                service.fill(20, generation: start)
                try await checkpoints.durable()
            }
            _ = log
            repository.close()
        }
        #expect(storage.files(in: "manifests").count == 1)
    }

    @Test func `a slow disk makes the next checkpoint later, and never two at a time`() async throws
    {
        let storage = MemoryStorage()
        let syncs = Mutex((now: 0, most: 0))
        let observed = ObservedStorage(
            inner: storage,
            beforeSync: { (_) throws(RepositoryError) in
                syncs.withLock { syncs in
                    syncs.now += 1
                    syncs.most = max(syncs.most, syncs.now)
                }
                // The disk's own time.
                let end = ContinuousClock.now + .milliseconds(3)
                while ContinuousClock.now < end {}
                syncs.withLock { $0.now -= 1 }
            })
        let repository = try await Repository.open(.storage(observed))
        let service = try SessionStore()
        let log = Log()
        var options = ContinuousCheckpoints.Options()
        options.observer = { event in log.events.withLock { $0.append(event) } }
        let checkpoints = repository.checkpoints(
            of: service.store, every: .milliseconds(1), options: options)
        try await run(checkpoints) {
            var generation: UInt64 = 0
            while log.checkpoints.count < 8 {
                generation += 1
                service.fill(5, generation: generation)
                await Task.yield()
            }
        }
        #expect(checkpoints.counts.stretched >= 7)
        #expect(syncs.withLock { $0.most } == 1)
        let stretches = log.events.withLock { events in
            events.compactMap { if case .stretched(let time) = $0 { time } else { nil } }
        }
        #expect(stretches.allSatisfy { $0 > .zero })
        #expect(stretches.max() ?? .zero >= .milliseconds(3))
    }

    @Test
    func `a full disk fails those that wait, and the next checkpoint has all when there is room`()
        async throws
    {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try SessionStore()
        let log = Log()
        var options = ContinuousCheckpoints.Options()
        options.observer = { event in log.events.withLock { $0.append(event) } }
        let checkpoints = repository.checkpoints(
            of: service.store, every: .seconds(3600), options: options)
        try await run(checkpoints) {
            service.fill(10, generation: 1)
            try await checkpoints.durable()
            storage.plan(.full(from: 0))
            service.fill(10, generation: 2)
            await #expect(throws: RepositoryError(.outOfSpace, "")) {
                try await checkpoints.durable()
            }
            #expect(try await afterCrash(storage).holds(10, generation: 1))
            storage.refill()
            try await checkpoints.durable()
            #expect(try await afterCrash(storage).holds(10, generation: 2))
        }
        #expect(log.failures.count == 1)
    }

    @Test func `a long chain gets a full checkpoint beside it, and old ones go`() async throws {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try SessionStore()
        let log = Log()
        var options = ContinuousCheckpoints.Options()
        options.checkpoint.policy.longest = 5
        options.retention = Retention(newest: 3)
        options.observer = { event in log.events.withLock { $0.append(event) } }
        let checkpoints = repository.checkpoints(
            of: service.store, every: .seconds(3600), options: options)
        try await run(checkpoints) {
            var generation: UInt64 = 0
            while checkpoints.counts.full < 6 {
                generation += 1
                service.fill(30, generation: generation)
                try await checkpoints.durable()
                if generation % 10 == 0 {
                    #expect(try await afterCrash(storage).holds(30, generation: generation))
                }
            }
        }
        let failures = log.events.withLock { events in
            events.compactMap { if case .maintenanceFailed(let error) = $0 { error } else { nil } }
        }
        #expect(failures.isEmpty, "\(failures)")
        // All but the first are deltas to begin with.
        #expect(log.checkpoints.filter(\.isFull).count == 1)
        #expect(storage.files(in: "manifests").count <= 3)
        #expect(storage.files(in: "packs").count <= 8)
        for epoch in try await repository.epochs() {
            #expect(try await repository.verify(at: epoch).isGood)
            try await repository.restore(into: SessionStore().store, at: epoch)
        }
    }

    @Test func `a store of another history is refused`() async throws {
        let storage = MemoryStorage()
        let first = try await Repository.open(.storage(storage))
        let service = try SessionStore()
        service.fill(10)
        try await first.checkpoint(service.store)
        let other = try SessionStore()
        other.fill(3)
        let checkpoints = first.checkpoints(of: other.store, every: .milliseconds(1))
        await #expect(throws: RepositoryError(.exists, "")) { try await checkpoints.run() }
    }

    @Test func `when the newest checkpoint is removed, the next is full`() async throws {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try SessionStore()
        let checkpoints = repository.checkpoints(of: service.store, every: .seconds(3600))
        try await run(checkpoints) {
            for generation in 1...2 as ClosedRange<UInt64> {
                service.fill(10, generation: generation)
                try await checkpoints.durable()
            }
            let newest = try #require(try await repository.newest())
            try await repository.remove(at: newest)
            // Nothing was written since, and what was written is on disk no more.
            try await checkpoints.durable()
            #expect(try await afterCrash(storage).holds(10, generation: 2))
        }
    }

    @Test func `a name that could not be synced is not taken for durable`() async throws {
        let storage = MemoryStorage()
        let failures = Mutex((after: 0, count: 0))
        let observed = ObservedStorage(
            inner: storage,
            beforeDirectorySync: { (path) throws(RepositoryError) in
                let fails = failures.withLock { failures in
                    guard path == Layout.manifests else { return false }
                    failures.after -= 1
                    guard failures.after < 0, failures.count > 0 else { return false }
                    failures.count -= 1
                    return true
                }
                if fails { throw RepositoryError(.storage, "cannot sync", path: path) }
            })
        let repository = try await Repository.open(.storage(observed))
        let service = try SessionStore()
        service.fill(10, generation: 1)
        // The sync before the checkpoint succeeds. That of its name fails, and the one of tidying up.
        failures.withLock { $0 = (after: 1, count: 2) }
        let checkpoints = repository.checkpoints(of: service.store, every: .seconds(3600))
        try await run(checkpoints) {
            while checkpoints.counts.failed == 0 { await Task.yield() }
            let names = storage.files(in: Layout.manifests)
            #expect(names.contains { Layout.epoch(ofManifest: $0) != nil })
            try await checkpoints.durable()
            #expect(try await afterCrash(storage).holds(10, generation: 1))
        }
    }

    @Test func `a full checkpoint beside the chain counts though old ones cannot be removed`()
        async throws
    {
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
                storage.replace(Layout.manifest(0), with: [1, 2, 3])
            case .maintenanceFailed: counts.withLock { $0.failed += 1 }
            default: break
            }
        }
        let checkpoints = repository.checkpoints(
            of: service.store, every: .seconds(3600), options: options)
        try await run(checkpoints) {
            var generation: UInt64 = 0
            while counts.withLock({ $0.failed }) == 0, generation < 10_000 {
                generation += 1
                service.fill(30, generation: generation)
                try await checkpoints.durable()
            }
            // The chain is short again: no other full one is made at once.
            for _ in 0..<3 {
                generation += 1
                service.fill(30, generation: generation)
                try await checkpoints.durable()
            }
        }
        #expect(counts.withLock { $0.full } == 1)
        #expect(counts.withLock { $0.failed } == 1)
        #expect(checkpoints.counts.full == 1)
    }

    @Test func `a repository that is closed ends them`() async throws {
        let repository = try await Repository.open(.storage(MemoryStorage()))
        let service = try SessionStore()
        let checkpoints = repository.checkpoints(of: service.store, every: .milliseconds(1))
        let running = Task { try await checkpoints.run() }
        try await checkpoints.durable()
        repository.close()
        await #expect(throws: RepositoryError(.storage, "")) { try await running.value }
        await #expect(throws: RepositoryError(.cancelled, "")) { try await checkpoints.durable() }
    }

    @Test func `a full checkpoint beside the chain does not hold up the end`() async throws {
        let memory = MemoryStorage()
        var storage = ObservedStorage(inner: memory)
        let (begun, isEnding) = (Monitor(0), Monitor(false))
        storage.beforeCreate = { path in
            guard path.hasPrefix(Layout.packs), path.hasSuffix(".pack") else { return }
            // The first one is no full checkpoint beside a chain.
            guard
                begun.withLock({
                    $0 += 1; return $0
                }) == 2
            else { return }
            isEnding.wait { $0 ? () : nil }
        }
        let repository = try await Repository.open(.storage(storage))
        let service = try SessionStore()
        let log = Log()
        var options = ContinuousCheckpoints.Options()
        options.checkpoint.policy.longest = 2
        options.observer = { event in log.events.withLock { $0.append(event) } }
        let checkpoints = repository.checkpoints(
            of: service.store, every: .seconds(3600), options: options)
        let running = Task { try await checkpoints.run() }
        var generation: UInt64 = 0
        while begun.withLock({ $0 }) < 2 {
            generation += 1
            service.fill(30, generation: generation)
            try await checkpoints.durable()
        }
        service.fill(30, generation: generation + 1)
        running.cancel()
        isEnding.withLock { $0 = true }
        try await running.value
        #expect(checkpoints.counts.full == 0)
        log.events.withLock { events in
            for case .maintenanceFailed(let error) in events { Issue.record("\(error)") }
        }
        #expect(memory.files(in: Layout.manifests).count == 1)
        #expect(memory.files(in: Layout.packs).count { $0.hasSuffix(".pack") } == 1)
        #expect(try await afterCrash(memory).holds(30, generation: generation + 1))
    }

    @Test func `what fails is not tried again at once, though many ask for it`() async throws {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try SessionStore()
        let checkpoints = repository.checkpoints(of: service.store, every: .milliseconds(1))
        let start = ContinuousClock.now
        try await run(checkpoints) {
            storage.plan(.full(from: 0))
            service.fill(10)
            for _ in 0..<4 {
                await #expect(throws: RepositoryError(.outOfSpace, "")) {
                    try await checkpoints.durable()
                }
            }
            storage.refill()
        }
        #expect(ContinuousClock.now - start >= .milliseconds(300))
    }

    @Test func `a full checkpoint beside the chain that fails is not begun at once again`()
        async throws
    {
        let memory = MemoryStorage()
        var storage = ObservedStorage(inner: memory)
        let begun = Mutex(0)
        storage.beforeCreate = { (path) throws(RepositoryError) in
            guard path.hasPrefix(Layout.packs), path.hasSuffix(".pack"),
                begun.withLock({
                    $0 += 1; return $0
                }) > 1
            else { return }
            throw RepositoryError(.outOfSpace, "no room for a full one", path: path)
        }
        let repository = try await Repository.open(.storage(storage))
        let service = try SessionStore()
        let failures = Mutex(0)
        var options = ContinuousCheckpoints.Options()
        options.checkpoint.policy.longest = 2
        options.observer = { event in
            if case .maintenanceFailed = event { failures.withLock { $0 += 1 } }
        }
        let checkpoints = repository.checkpoints(
            of: service.store, every: .seconds(3600), options: options)
        let start = ContinuousClock.now
        try await run(checkpoints) {
            for generation in 1...200 as ClosedRange<UInt64> {
                service.fill(30, generation: generation)
                try await checkpoints.durable()
            }
            while failures.withLock({ $0 }) == 0 { try await Task.sleep(for: .milliseconds(1)) }
        }
        let time = ContinuousClock.now - start
        #expect(failures.withLock { $0 } <= 1 + time.components.seconds)
        #expect(try await afterCrash(memory).holds(30, generation: 200))
    }
}
