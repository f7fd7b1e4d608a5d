import Caesura
import CaesuraFormat
import Testing

@testable import CaesuraRepository

/// Checkpoints that are deltas.
@Suite struct ChainTests {
    private static var holding: CheckpointOptions {
        var options = CheckpointOptions()
        options.holdsBase = true
        return options
    }

    /// A service that changes at random, beside a copy of what it was at each checkpoint.
    private struct History {
        let service: SessionStore
        var states: [UInt64: [UInt64: Session]] = [:]
        var now: [UInt64: Session] = [:]

        init(partitionBits: Int = 3) throws {
            service = try SessionStore(partitionBits: partitionBits)
        }

        mutating func change(_ count: Int, using generator: inout SeededGenerator) {
            for _ in 0..<count {
                let key = UInt64.random(in: 0..<400, using: &generator)
                if Int.random(in: 0..<4, using: &generator) == 0 {
                    service.sessions.remove(key)
                    now[key] = nil
                } else {
                    let row = SessionStore.row(key, generator.next() % 1000)
                    service.sessions[key] = row
                    now[key] = row
                }
            }
        }

        /// Whether a store has what the service had at an epoch.
        func isEqual(_ restored: SessionStore, at epoch: UInt64) -> Bool {
            guard let rows = states[epoch], restored.sessions.count == rows.count else {
                return false
            }
            return rows.allSatisfy { restored.sessions[$0.key] == $0.value }
        }
    }

    private func expectAll(
        _ history: History, in repository: Repository, _ note: String = ""
    ) async throws {
        for epoch in try await repository.epochs() {
            let restored = try SessionStore()
            try await repository.restore(into: restored.store, at: epoch)
            #expect(history.isEqual(restored, at: epoch), "epoch \(epoch) \(note)")
        }
    }

    @Test func `each checkpoint of a chain comes back as it was`() async throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("chains from seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        var history = try History()
        for step in 0..<30 {
            history.change(step == 0 ? 300 : step % 7, using: &generator)
            let checkpoint = try await repository.checkpoint(
                history.service.store, options: Self.holding)
            history.states[checkpoint.epoch] = history.now
            #expect(checkpoint.isFull == (step == 0))
            #expect(checkpoint.rows == history.now.count)
        }
        #expect(storage.files(in: "manifests").count == 1)
        #expect(storage.files(in: "packs").count == 2)
        #expect(try await repository.epochs() == history.states.keys.sorted())
        try await expectAll(history, in: repository, "seed \(seed)")
        for epoch in history.states.keys {
            #expect(try await repository.verify(at: epoch).isGood)
        }
        #expect(repository.deltaMisses == DeltaMisses())
    }

    @Test func `an unchanged store makes a delta of no rows`() async throws {
        let repository = try await Repository.open(.storage(MemoryStorage()))
        let service = try SessionStore()
        service.fill(100)
        try await repository.checkpoint(service.store, options: Self.holding)
        let second = try await repository.checkpoint(service.store, options: Self.holding)
        #expect(second.changes == 0)
        #expect(second.storedBytes < 200)
        let restored = try SessionStore()
        try await repository.restore(into: restored.store)
        #expect(restored.holds(100))
    }

    @Test func `a base that is not held makes the next checkpoint full`() async throws {
        let repository = try await Repository.open(.storage(MemoryStorage()))
        let service = try SessionStore()
        service.fill(100)
        try await repository.checkpoint(service.store, options: Self.holding)
        #expect(try await !repository.checkpoint(service.store).isFull)
        #expect(try await repository.checkpoint(service.store).isFull)
        #expect(service.store.memoryUse.retained == 0)
    }

    @Test func `a base that kept too much memory is a miss, and the checkpoint full`() async throws
    {
        let repository = try await Repository.open(.storage(MemoryStorage()))
        let service = try SessionStore(retainedByteLimit: 20_000)
        service.fill(2_000)
        try await repository.checkpoint(service.store, options: Self.holding)
        service.fill(2_000, generation: 1)
        let second = try await repository.checkpoint(service.store, options: Self.holding)
        #expect(second.isFull)
        #expect(repository.deltaMisses.baseGone == 1)
        let restored = try SessionStore()
        try await repository.restore(into: restored.store)
        #expect(restored.holds(2_000, generation: 1))
    }

    @Test func `a table declared since the base is a miss, and the checkpoint full`() async throws {
        let repository = try await Repository.open(.storage(MemoryStorage()))
        let service = try SessionStore()
        service.fill(10)
        try await repository.checkpoint(service.store, options: Self.holding)
        let more = try service.store.table("more", key: UInt64.self, row: Session.self)
        more[1] = SessionStore.row(1, 1)
        #expect(try await repository.checkpoint(service.store, options: Self.holding).isFull)
        #expect(repository.deltaMisses.regionsChanged == 1)
        more[2] = SessionStore.row(2, 1)
        let third = try await repository.checkpoint(service.store, options: Self.holding)
        #expect(third.changes == 1)
        #expect(third.regions.map(\.name) == ["more", "sessions"])
        #expect(third.regions.map(\.rows) == [2, 10])
    }

    @Test func `the policy ends a chain by its length, its bytes and its age`() async throws {
        for limit in 0..<3 {
            let repository = try await Repository.open(.storage(MemoryStorage()))
            let service = try SessionStore()
            var options = Self.holding
            switch limit {
            case 0: options.policy.longest = 2
            case 1: options.policy.deltaBytes = 0
            default: options.policy.age = .zero
            }
            var full: [Bool] = []
            for generation in 0..<7 as Range<UInt64> {
                service.fill(100, generation: generation)
                full.append(
                    try await repository.checkpoint(service.store, options: options).isFull)
            }
            switch limit {
            case 0: #expect(full == [true, false, false, true, false, false, true])
            case 1: #expect(full == [true, false, true, false, true, false, true])
            default: #expect(full.allSatisfy { $0 })
            }
        }
    }

    @Test func `a chain goes on after the next start, in a file of its own`() async throws {
        let storage = MemoryStorage()
        var service = try SessionStore()
        service.fill(50)
        for start in 0..<4 as Range<UInt64> {
            let repository = try await Repository.open(.storage(storage))
            if start > 0 {
                service = try SessionStore()
                try await repository.restore(into: service.store)
                #expect(service.holds(50, generation: start * 10 - 1))
                try await repository.holdBase(service.store)
            }
            for generation in start * 10..<start * 10 + 10 {
                service.fill(50, generation: generation)
                let checkpoint = try await repository.checkpoint(
                    service.store, options: Self.holding)
                #expect(checkpoint.isFull == (generation == 0))
            }
            repository.close()
        }
        #expect(storage.files(in: "manifests").count == 1)
        #expect(storage.files(in: "packs").filter { $0.hasSuffix(".chain") }.count == 4)
    }

    @Test func `a store that was written to since its restore has no base`() async throws {
        let storage = MemoryStorage()
        let first = try await Repository.open(.storage(storage))
        let service = try SessionStore()
        service.fill(50)
        try await first.checkpoint(service.store)
        first.close()
        let second = try await Repository.open(.storage(storage))
        let restored = try SessionStore()
        try await second.restore(into: restored.store)
        restored.fill(1, generation: 3)
        #expect(try await !second.holdBase(restored.store))
        #expect(try await second.checkpoint(restored.store).isFull)
    }

    @Test func `a delta that is made full is the same state, for what builds on it too`()
        async throws
    {
        let seed = UInt64.random(in: 0 ... .max)
        print("compactions from seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        var history = try History(partitionBits: 2)
        for step in 0..<24 {
            history.change(step == 0 ? 300 : 5, using: &generator)
            let checkpoint = try await repository.checkpoint(
                history.service.store, options: Self.holding)
            history.states[checkpoint.epoch] = history.now
            #expect(checkpoint.isFull == (step == 0))
            if step % 8 == 5 {
                let planned = try await repository.compact(isDryRun: true)
                #expect(planned?.epoch == checkpoint.epoch)
                let compacted = try await repository.compact()
                #expect(compacted?.epoch == checkpoint.epoch)
                #expect(compacted?.isFull == true)
                #expect(try await repository.compact() == nil)
            }
        }
        #expect(storage.files(in: "manifests").count == 4)
        try await expectAll(history, in: repository)
        // All that came before the newest full checkpoint goes.
        let pruned = try await repository.prune(keeping: Retention(newest: 2))
        #expect(pruned.removed.count == 22)
        #expect(try await repository.epochs() == pruned.kept)
        #expect(storage.files(in: "manifests").count == 1)
        try await expectAll(history, in: repository)
        history.change(9, using: &generator)
        let next = try await repository.checkpoint(history.service.store, options: Self.holding)
        history.states[next.epoch] = history.now
        #expect(!next.isFull)
        try await expectAll(history, in: repository)
    }

    @Test func `removing keeps what others need`() async throws {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try SessionStore()
        var epochs: [UInt64] = []
        for generation in 0..<6 as Range<UInt64> {
            service.fill(20, generation: generation)
            epochs.append(
                try await repository.checkpoint(service.store, options: Self.holding).epoch)
        }
        let before = storage.files(in: "packs")
        let plan = try await repository.prune(keeping: Retention(newest: 2), isDryRun: true)
        #expect(plan.removed == Array(epochs[..<4]))
        #expect(plan.files.isEmpty)
        #expect(try await repository.epochs() == epochs)
        try await repository.prune(keeping: Retention(newest: 2))
        #expect(storage.files(in: "packs") == before)
        #expect(try await repository.epochs() == Array(epochs[4...]))
        await #expect(throws: RepositoryError(.notFound, "")) {
            try await repository.restore(into: SessionStore().store, at: epochs[0])
        }
        let restored = try SessionStore()
        try await repository.restore(into: restored.store, at: epochs[4])
        #expect(restored.holds(20, generation: 4))
        // The next checkpoint after the newest was removed is full.
        try await repository.remove(at: epochs[5])
        #expect(try await repository.epochs() == [epochs[4]])
        let next = try await repository.checkpoint(service.store, options: Self.holding)
        #expect(next.isFull)
        #expect(next.epoch > epochs[5])
    }

    @Test(arguments: [false, true])
    func `the file that a service is appending to stays`(_ isShortened: Bool) async throws {
        let repository = try await Repository.open(.storage(MemoryStorage()))
        let service = try SessionStore()
        func checkpoint(_ generation: UInt64) async throws -> Checkpoint {
            service.fill(20, generation: generation)
            return try await repository.checkpoint(service.store, options: Self.holding)
        }
        _ = try await checkpoint(1)
        _ = try await checkpoint(2)
        if isShortened { repository.chain.shorten(fullBytes: 1, length: 1, deltaBytes: 1) }
        _ = try await checkpoint(3)
        #expect(try await repository.compact()?.isFull == true)
        // Nothing that is kept needs the file now, but for what comes next.
        #expect(try await repository.prune(keeping: Retention(newest: 1)).removed.count == 2)
        let newest = try await checkpoint(4)
        #expect(!newest.isFull)
        let restored = try SessionStore()
        #expect(try await repository.restore(into: restored.store)?.epoch == newest.epoch)
        #expect(restored.holds(20, generation: 4))
    }

    /// A full checkpoint, deltas, and the last of them made full, too.
    private static func compacted(
        isReversible: Bool, in storage: MemoryStorage
    ) async throws -> (Repository, History) {
        let seed = UInt64.random(in: 0 ... .max)
        print("a chain with a full checkpoint at both ends from seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let repository = try await Repository.open(.storage(storage))
        var history = try History(partitionBits: 2)
        var options = holding
        options.isReversible = isReversible
        for step in 0..<20 {
            history.change(step == 0 ? 300 : 5, using: &generator)
            let checkpoint = try await repository.checkpoint(
                history.service.store, options: options)
            history.states[checkpoint.epoch] = history.now
        }
        try await repository.compact()
        return (repository, history)
    }

    /// What is there, but for a bit in the middle of each pack of a full checkpoint.
    private static func image(
        of storage: MemoryStorage, damaged epoch: UInt64
    ) -> MemoryStorage {
        let image = storage.image { true }
        for name in image.files(in: Layout.packs) where Layout.epoch(ofPack: name) == epoch {
            let path = Layout.packs + "/" + name
            image.flip(path, at: (image.bytes(path)?.count ?? 0) / 2)
        }
        return image
    }

    @Test func `a checkpoint comes back by the shorter way`() async throws {
        let storage = MemoryStorage()
        let (repository, history) = try await Self.compacted(isReversible: true, in: storage)
        try await expectAll(history, in: repository)
        let epochs = try await repository.epochs()
        let catalog = try Catalog(storage)
        let directions = try epochs.map { try catalog.paths(to: $0, in: storage)[0].isBackwards }
        #expect(!directions[1] && directions[18] && !directions[19])
        #expect(directions == directions.prefix { !$0 } + directions.drop { !$0 })
        // What comes next builds on what was gone back to.
        let service = try SessionStore()
        try await repository.restore(into: service.store, at: epochs[17])
        #expect(try await repository.advance(service.store, to: epochs[18])?.epoch == epochs[18])
        #expect(history.isEqual(service, at: epochs[18]))
    }

    @Test func `a checkpoint comes back by the way that is good`() async throws {
        let storage = MemoryStorage()
        let (repository, history) = try await Self.compacted(isReversible: true, in: storage)
        let epochs = try await repository.epochs()
        for end in [epochs[0], epochs[19]] {
            let damaged = try await Repository.open(.storage(Self.image(of: storage, damaged: end)))
            for epoch in epochs where epoch != epochs[0] || end != epochs[0] {
                let restored = try SessionStore()
                try await damaged.restore(into: restored.store, at: epoch)
                #expect(history.isEqual(restored, at: epoch))
            }
            // Nothing leads to the first but itself.
            guard end == epochs[0] else { continue }
            await #expect(throws: RepositoryError(.damaged, "")) {
                try await damaged.restore(into: SessionStore().store, at: end)
            }
        }
    }

    @Test(arguments: [RepositoryError.Code.storage, .notFound])
    func `a checkpoint comes back though the files of one way cannot be read`(
        _ code: RepositoryError.Code
    ) async throws {
        let storage = MemoryStorage()
        let (repository, history) = try await Self.compacted(isReversible: true, in: storage)
        let epochs = try await repository.epochs()
        for end in [epochs[0], epochs[19]] {
            var observed = ObservedStorage(inner: storage.image { true })
            observed.beforeOpen = { (path) throws(RepositoryError) in
                let name = String(path.split(separator: "/").last ?? "")
                guard Layout.epoch(ofPack: name) == end else { return }
                throw RepositoryError(code, "the disk cannot read it", path: path)
            }
            let unreadable = try await Repository.open(.storage(observed))
            for epoch in epochs[1...] {
                let restored = try SessionStore()
                try await unreadable.restore(into: restored.store, at: epoch)
                #expect(history.isEqual(restored, at: epoch))
            }
        }
    }

    @Test func `deltas without the way back are not undone`() async throws {
        let storage = MemoryStorage()
        let (repository, history) = try await Self.compacted(isReversible: false, in: storage)
        try await expectAll(history, in: repository)
        let epochs = try await repository.epochs()
        let damaged = try await Repository.open(
            .storage(Self.image(of: storage, damaged: epochs[0])))
        for epoch in epochs.dropLast() {
            let restored = try SessionStore()
            await #expect(throws: RepositoryError(.damaged, "")) {
                try await damaged.restore(into: restored.store, at: epoch)
            }
            #expect(restored.sessions.count == 0)
        }
    }

    @Test func `a text of 64 MiB that changes in the middle writes about one segment`()
        async throws
    {
        let repository = try await Repository.open(.storage(MemoryStorage()))
        let service = try SessionStore()
        service.fill(10)
        // Nothing that repeats, so that what is written is what is sent.
        var generator = SeededGenerator(seed: 64)
        var bytes = (0..<64 << 20).map { _ in UInt8(97 + Int(generator.next() >> 60)) }
        func set() {
            service.sessions[3] = Session(visits: 1, token: String(decoding: bytes, as: UTF8.self))
        }
        set()
        #expect(try await repository.checkpoint(service.store, options: Self.holding).isFull)
        bytes[33 << 20] ^= 1
        set()
        let delta = try await repository.checkpoint(service.store, options: Self.holding)
        #expect(!delta.isFull)
        #expect(delta.storedBytes < 1_100_000, "\(delta.storedBytes) bytes")
        print("a byte of a text of 64 MiB: \(delta.storedBytes) bytes")
        let restored = try SessionStore()
        try await repository.restore(into: restored.store)
        #expect(restored.sessions[3] == service.sessions[3])
    }

    @Test func `a full checkpoint and its first delta may come to be while a reader looks`()
        async throws
    {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try SessionStore()
        service.fill(20, generation: 1)
        try await repository.checkpoint(service.store)
        let isFirst = Monitor(true)
        let observed = ObservedStorage(
            inner: storage,
            beforeList: { path in
                guard path == Layout.packs else { return }
                let looks = isFirst.withLock { isFirst in
                    defer { isFirst = false }
                    return isFirst
                }
                guard looks else { return }
                do {
                    for generation in 2...3 as ClosedRange<UInt64> {
                        service.fill(20, generation: generation)
                        try repository.claim()
                        defer { repository.endCheckpoint() }
                        _ = try repository.write(service.store, Self.holding, Cancellation())
                    }
                } catch {
                    Issue.record(error)
                }
            })
        let reader = try await Repository.open(.storage(observed), for: .read)
        let restored = try SessionStore()
        #expect(try await reader.restore(into: restored.store)?.isFull == false)
        #expect(restored.holds(20, generation: 3))
    }

    @Test func `numbers of rows that cannot be counted together make no entry`() async throws {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try SessionStore()
        _ = try service.store.table("other", key: UInt64.self, row: Session.self)
        service.fill(10, generation: 1)
        let full = try await repository.checkpoint(service.store)
        let manifest = try await repository.reader().manifest
        let writer = ChainWriter(storage: storage)
        for (epoch, rows) in [(full.epoch, [10, Int.max - 11]), (full.epoch + 1, [.max, .max])] {
            let state = writer.state == 0 ? manifest.identity : writer.state
            try writer.begin(
                from: epoch, to: epoch + 1,
                totals: StreamEnd(regionCount: 2, baseDigest: state))
            _ = try writer.commit(created: .now, timings: Manifest.Timings(), rows: rows)
        }
        let log = try await repository.log()
        #expect(log.checkpoints.map(\.epoch) == [full.epoch, full.epoch + 1])
        #expect(log.checkpoints.last?.rows == Int.max - 1)
        #expect(log.unfinished.count == 1)
    }

    @Test(.timeLimit(.minutes(60)))
    func `what is lost is looked for in one pass, however much looks like a chunk`()
        async throws
    {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try SessionStore()
        for generation in 0..<2 as Range<UInt64> {
            service.fill(10, generation: generation)
            try await repository.checkpoint(service.store, options: Self.holding)
        }
        let path = "packs/" + storage.files(in: "packs").first { $0.hasSuffix(".chain") }!
        let magics = Array(repeating: ChunkHeader.magicBytes, count: 1 << 16).joined()
        storage.replace(path, with: storage.bytes(path)! + magics)
        let chain = try #require(try Catalog(storage).chains.first)
        #expect(chain.entries.count == 1)
        #expect(chain.tail?.lostEpoch == nil)
        #expect(chain.tail?.length == magics.count)
    }
}
