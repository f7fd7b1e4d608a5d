import Caesura
import Testing

@testable import CaesuraRepository

/// A crash, a full disk or a failing call at every operation of a life with deltas.
@Suite struct ChainCrashTests {
    private static let rows: UInt64 = 12

    /// Which generation each checkpoint holds that a run has promised to be there.
    private final class Promise {
        var generations: [UInt64: UInt64] = [:]
        /// All that were begun, promised or not.
        var begun: [UInt64: UInt64] = [:]
        var newest: UInt64? { generations.keys.max() }
    }

    private static var options: CheckpointOptions {
        var options = CheckpointOptions()
        options.holdsBase = true
        options.encoders = 1
        return options
    }

    private func checkpoint(
        _ service: SessionStore, _ generation: UInt64, to repository: Repository,
        _ promise: Promise
    ) throws {
        service.fill(Self.rows, generation: generation)
        promise.begun[service.store.epoch.rawValue] = generation
        try repository.claim()
        defer { repository.endCheckpoint() }
        let taken = try repository.write(service.store, Self.options, Cancellation())
        promise.generations[taken.epoch] = generation
    }

    /// Opens, writes a chain, makes its end full, goes on, and removes what is not needed any more.
    private func life(_ storage: MemoryStorage, _ promise: Promise) async throws {
        let repository = try Repository(location: .storage(storage), access: .write)
        let service = try SessionStore(partitionBits: 0)
        for generation in 0..<4 as Range<UInt64> {
            try checkpoint(service, generation, to: repository, promise)
        }
        try await repository.compact()
        try checkpoint(service, 4, to: repository, promise)
        // As when a full checkpoint was made beside the chain: the next delta begins a file.
        repository.chain.shorten(fullBytes: 1, length: 3, deltaBytes: 1)
        try checkpoint(service, 5, to: repository, promise)
        // What may be gone is promised no more.
        let kept = promise.generations.keys.sorted().suffix(2)
        promise.generations = promise.generations.filter { kept.contains($0.key) }
        try await repository.prune(keeping: Retention(newest: 2))
        try checkpoint(service, 6, to: repository, promise)
    }

    /// All that was promised is there and all that is there is what it was; the next service goes on.
    private func check(
        _ storage: MemoryStorage, _ promise: Promise, _ note: String
    ) async throws {
        let repository = try Repository(location: .storage(storage), access: .write)
        let epochs = try repository.listEpochs()
        #expect(
            Set(epochs).isSuperset(of: promise.generations.keys),
            "\(note): \(promise.generations.keys.sorted()) was promised, \(epochs) is there")
        for epoch in epochs {
            let restored = try SessionStore(partitionBits: 1)
            try await repository.restore(into: restored.store, at: epoch)
            let generation = try #require(promise.begun[epoch], "\(note): epoch \(epoch)")
            #expect(restored.holds(Self.rows, generation: generation), "\(note): epoch \(epoch)")
        }
        let service = try SessionStore(partitionBits: 0)
        let restored = try await repository.restore(into: service.store)
        #expect(restored?.epoch == epochs.last, "\(note)")
        if restored != nil {
            #expect(try await repository.holdBase(service.store), "\(note)")
        }
        let next = Promise()
        try checkpoint(service, 9, to: repository, next)
        try checkpoint(service, 10, to: repository, next)
        let again = try SessionStore(partitionBits: 0)
        try await repository.restore(into: again.store)
        #expect(again.holds(Self.rows, generation: 10), "\(note)")
        try await repository.prune(keeping: Retention(newest: 1))
        #expect(try repository.listEpochs().count == 1, "\(note)")
        repository.close()
    }

    @Test func `after a crash at any operation each checkpoint is as it was or not there`()
        async throws
    {
        let probe = MemoryStorage()
        let whole = Promise()
        try await life(probe, whole)
        try await check(probe.image { false }, whole, "the end")
        let (count, log) = (probe.operations, probe.log)
        #expect(count > 50)
        let seed = UInt64.random(in: 0 ... .max)
        print("crash images of chains from seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        for operation in 0..<count {
            let storage = MemoryStorage()
            let promise = Promise()
            storage.plan(.crash(at: operation))
            do {
                try await life(storage, promise)
            } catch let error as RepositoryError {
                #expect(error.code == .storage)
            }
            for number in 0..<6 {
                let image = storage.image {
                    number == 0 ? false : number == 1 ? true : Bool.random(using: &generator)
                }
                let note = "operation \(operation), \(log[operation]), image \(number)"
                try await check(image, promise, note)
            }
            // The process is gone and the machine goes on.
            try await check(
                storage.afterKill(), promise, "killed at \(operation), \(log[operation])")
        }
    }

    @Test func `the same service goes on after a failure at any operation`() async throws {
        let probe = MemoryStorage()
        try Repository(location: .storage(probe), access: .write).close()
        let opening = probe.operations
        // A life of its own, so that the log names the operations below, more or less.
        try await life(probe, Promise())
        for operation in opening..<probe.operations {
            let storage = MemoryStorage()
            let promise = Promise()
            storage.plan(.fail(at: operation))
            let repository = try Repository(location: .storage(storage), access: .write)
            let service = try SessionStore(partitionBits: 0)
            var failures = 0
            var generation: UInt64 = 0
            for step in 0..<9 {
                do {
                    switch step {
                    case 4: try await repository.compact()
                    case 7: try await repository.prune(keeping: Retention(newest: 2))
                    default:
                        generation += 1
                        try checkpoint(service, generation, to: repository, promise)
                    }
                    if step == 7 {
                        let kept = try repository.listEpochs()
                        promise.generations = promise.generations.filter {
                            kept.contains($0.key)
                        }
                    }
                } catch let error as RepositoryError {
                    #expect(error.code == .storage)
                    failures += 1
                    if step == 7 {
                        let newest = promise.newest
                        promise.generations = promise.generations.filter { $0.key == newest }
                    }
                }
            }
            #expect(failures <= 1, "\(probe.log[operation])")
            repository.close()
            try await check(storage.image { false }, promise, "failed at \(probe.log[operation])")
        }
    }

    @Test func `a flipped bit in a chain is found, and never taken for a state`() async throws {
        let storage = MemoryStorage()
        let promise = Promise()
        let repository = try Repository(location: .storage(storage), access: .write)
        let service = try SessionStore(partitionBits: 0)
        for generation in 0..<5 as Range<UInt64> {
            try checkpoint(service, generation, to: repository, promise)
        }
        repository.close()
        let path = "packs/" + storage.files(in: "packs").first { $0.hasSuffix(".chain") }!
        let bytes = storage.bytes(path)!
        let chain = try #require(try Catalog(storage).chains.first)
        let last = try #require(chain.entries.last)
        let epochs = try repository.listEpochs()
        for offset in stride(from: 0, to: bytes.count, by: 3) {
            var damaged = bytes
            damaged[offset] ^= 1 << UInt8(offset % 8)
            storage.replace(path, with: damaged)
            let reader = try Repository(location: .storage(storage), access: .read)
            let restored = try SessionStore(partitionBits: 0)
            if offset < last.offset {
                // There is something behind it: the newest is not to be had, and that is said.
                let error = await #expect(throws: RepositoryError(.damaged, "")) {
                    try await reader.restore(into: restored.store)
                }
                #expect(error?.path == storage.display(path), "offset \(offset)")
                #expect(restored.sessions.count == 0)
            } else {
                // The last one looks as if it had never been finished, or is told to be damaged.
                do throws(RepositoryError) {
                    let checkpoint = try await reader.restore(into: restored.store)
                    #expect(checkpoint?.epoch == epochs[3], "offset \(offset)")
                    #expect(restored.holds(Self.rows, generation: 3))
                } catch {
                    #expect(error.code == .damaged)
                }
            }
            // Those before the damage are as they were.
            for (index, epoch) in epochs.enumerated() where index > 0 {
                let copy = try SessionStore(partitionBits: 0)
                do throws(RepositoryError) {
                    try await reader.restore(into: copy.store, at: epoch)
                    #expect(copy.holds(Self.rows, generation: UInt64(index)), "offset \(offset)")
                } catch {
                    #expect(
                        [.damaged, .notFound].contains(error.code), "offset \(offset): \(error)")
                    let entry = chain.entries[index - 1]
                    #expect(offset < entry.offset + entry.length)
                }
            }
        }
    }

    @Test func `a chain that is cut short loses only what it lacks`() async throws {
        let storage = MemoryStorage()
        let promise = Promise()
        let repository = try Repository(location: .storage(storage), access: .write)
        let service = try SessionStore(partitionBits: 0)
        for generation in 0..<4 as Range<UInt64> {
            try checkpoint(service, generation, to: repository, promise)
        }
        repository.close()
        let path = "packs/" + storage.files(in: "packs").first { $0.hasSuffix(".chain") }!
        let bytes = storage.bytes(path)!
        let ends = try Catalog(storage).chains[0].entries.map { $0.offset + $0.length }
        for length in 0...bytes.count {
            storage.replace(path, with: Array(bytes[..<length]))
            let reader = try Repository(location: .storage(storage), access: .read)
            let restored = try SessionStore(partitionBits: 0)
            try await reader.restore(into: restored.store)
            let whole = ends.count { $0 <= length }
            #expect(restored.holds(Self.rows, generation: UInt64(whole)), "length \(length)")
        }
    }

    @Test func `what a damaged chain still has is salvaged, and a service goes on from it`()
        async throws
    {
        let storage = MemoryStorage()
        let promise = Promise()
        let repository = try Repository(location: .storage(storage), access: .write)
        let service = try SessionStore(partitionBits: 0)
        for generation in 0..<5 as Range<UInt64> {
            try checkpoint(service, generation, to: repository, promise)
        }
        repository.close()
        let path = "packs/" + storage.files(in: "packs").first { $0.hasSuffix(".chain") }!
        let entry = try Catalog(storage).chains[0].entries[2]
        // In the body of the first chunk.
        storage.flip(path, at: entry.offset + 80)
        let writer = try Repository(location: .storage(storage), access: .write)
        let restored = try SessionStore(partitionBits: 0)
        let report = try await writer.salvage(into: restored.store)
        #expect(report.epoch == entry.baseEpoch)
        #expect(report.problems.count == 1)
        #expect(restored.holds(Self.rows, generation: 2))
        try checkpoint(restored, 7, to: writer, promise)
        let again = try SessionStore(partitionBits: 0)
        try await writer.restore(into: again.store)
        #expect(again.holds(Self.rows, generation: 7))
    }

    /// A service whose last delta is visible and not synced, after two that are.
    private func killedBeforeSync(
        _ meanwhile: @escaping @Sendable (MemoryStorage) throws(RepositoryError) -> Void = { _ in }
    ) async throws -> MemoryStorage {
        let storage = MemoryStorage()
        let syncs = Monitor(0)
        let observed = ObservedStorage(
            inner: storage,
            beforeSync: { (path) throws(RepositoryError) in
                guard path.hasSuffix(".chain") else { return }
                let count = syncs.withLock { count in
                    count += 1
                    return count
                }
                guard count == 2 else { return }
                try meanwhile(storage)
                throw RepositoryError(.storage, "killed", path: path)
            })
        let repository = try Repository(location: .storage(observed), access: .write)
        let service = try SessionStore(partitionBits: 0)
        let promise = Promise()
        for generation in 0..<2 as Range<UInt64> {
            try checkpoint(service, generation, to: repository, promise)
        }
        #expect(throws: RepositoryError(.storage, "")) {
            try checkpoint(service, 2, to: repository, promise)
        }
        return storage
    }

    @Test func `a service that goes on from what a killed one has not synced makes it durable`()
        async throws
    {
        let storage = try await killedBeforeSync().afterKill()
        let repository = try Repository(location: .storage(storage), access: .write)
        let service = try SessionStore(partitionBits: 0)
        try await repository.restore(into: service.store)
        #expect(service.holds(Self.rows, generation: 2))
        #expect(try await repository.holdBase(service.store))
        try checkpoint(service, 3, to: repository, Promise())
        let restored = try SessionStore(partitionBits: 0)
        try await Repository.open(.storage(storage.image { false })).restore(into: restored.store)
        #expect(restored.holds(Self.rows, generation: 3))
    }

    @Test func `what an unsynced delta replaces is removed only when that is durable`()
        async throws
    {
        let storage = try await killedBeforeSync { (storage) throws(RepositoryError) in
            let maintainer = try Repository(location: .storage(storage), access: .maintain)
            let pruning = try maintainer.removeOld(keeping: Retention(newest: 1))
            #expect(pruning.removed.count == 2)
        }
        let restored = try SessionStore(partitionBits: 0)
        try await Repository.open(.storage(storage.image { false })).restore(into: restored.store)
        #expect(restored.holds(Self.rows, generation: 2))
    }

    @Test func `removing that failed anywhere can be asked for again`() async throws {
        func made() async throws -> (MemoryStorage, Repository) {
            let storage = MemoryStorage()
            let repository = try Repository(location: .storage(storage), access: .write)
            let service = try SessionStore(partitionBits: 0)
            for generation in 0..<3 as Range<UInt64> {
                try checkpoint(service, generation, to: repository, Promise())
            }
            try await repository.compact()
            repository.close()
            return (storage, try Repository(location: .storage(storage), access: .maintain))
        }
        let (probe, whole) = try await made()
        let first = probe.operations
        try await whole.prune(keeping: Retention(newest: 1))
        for operation in first..<probe.operations {
            let (storage, repository) = try await made()
            storage.plan(.fail(at: operation))
            _ = try? await repository.prune(keeping: Retention(newest: 1))
            storage.plan(.none)
            try await repository.prune(keeping: Retention(newest: 1))
            #expect(try repository.listEpochs().count == 1, "\(probe.log[operation])")
            let restored = try SessionStore(partitionBits: 0)
            try await repository.restore(into: restored.store)
            #expect(restored.holds(Self.rows, generation: 2))
        }
    }
}
