import Caesura
import Glibc
import Testing

@testable import CaesuraRepository

/// A writer that the system stops for longer than anybody waits, while another takes over: on a file system
/// whose locks keep nobody out.
@Suite struct FenceTests {
    private let directory = TemporaryDirectory()
    private static let rows: UInt64 = 50

    private static func holding() -> CheckpointOptions {
        var options = CheckpointOptions()
        options.holdsBase = true
        return options
    }

    private static func open(
        _ path: String, stopping: @escaping @Sendable (String) -> Bool = { _ in false }
    ) throws -> Repository {
        let inner = try DirectoryStorage(path + "/state", creating: true)
        // Called with the name of a file to be synced, or with the word "link".
        let stop: @Sendable (String) -> Void = { name in
            if stopping(name) {
                // Whoever reads this waits until the process stands still.
                _ = try? DirectoryStorage(path).create("pid-\(getpid())")
                raise(SIGSTOP)
            }
        }
        return try Repository(
            location: .storage(
                ObservedStorage(
                    inner: inner, locks: false,
                    beforeSync: { (name) throws(RepositoryError) in stop(name) },
                    beforeLink: { _ in stop("link") })),
            access: .write)
    }

    /// Goes on from what is there, and stands still before the next checkpoint is committed; ends with
    /// code 42 when it is told that another writer has taken over, and with 43 for another error.
    private static func stopsWithin(_ path: String, _ part: String, deltas: Bool) async throws {
        let repository = try open(path) { $0.contains(part) }
        let service = try SessionStore()
        try await repository.restore(into: service.store)
        if deltas { try await repository.holdBase(service.store) }
        service.fill(rows, generation: 66)
        do throws(RepositoryError) {
            try await repository.checkpoint(service.store, options: holding())
        } catch {
            exit(error.code == .fenced ? 42 : 43)
        }
        exit(0)
    }

    /// What the other writer has done.
    private struct TakeOver {
        var epochs: [UInt64] = []
        var generation: UInt64 = 0
    }

    /// Waits until the process stands still, takes over, and lets it go on.
    ///
    /// On a thread of its own: waiting for the process may take the threads of the tests.
    private func takeOverMeanwhile() -> Monitor<Swift.Result<TakeOver, any Error>?> {
        let outcome = Monitor<Swift.Result<TakeOver, any Error>?>(nil)
        let path = directory.path
        OwnThread.start {
            let result = Swift.Result { () throws -> TakeOver in
                let process = try Self.stoppedProcess(path)
                defer { kill(process, SIGCONT) }
                return try Self.takeOver(Self.open(path))
            }
            outcome.withLock { $0 = result }
        }
        return outcome
    }

    /// The process that says it stands still, once it does.
    private static func stoppedProcess(_ path: String) throws -> pid_t {
        let storage = try DirectoryStorage(path)
        while true {
            if let name = try storage.list("").first(where: { $0.hasPrefix("pid-") }),
                let process = pid_t(name.dropFirst(4)), isStopped(process)
            {
                return process
            }
            sched_yield()
        }
    }

    private static func isStopped(_ process: pid_t) -> Bool {
        guard let file = unsafe fopen("/proc/\(process)/stat", "r") else { return false }
        defer { unsafe fclose(file) }
        var line = [CChar](repeating: 0, count: 512)
        guard unsafe fgets(&line, 512, file) != nil else { return false }
        let text = String(
            decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // The state follows the name, which is in parentheses.
        return text.split(separator: ")").last?.split(separator: " ").first == "T"
    }

    /// The other writer: it restores, takes checkpoints, and removes all older ones.
    @discardableResult
    private static func takeOver(_ repository: Repository) throws -> TakeOver {
        let service = try SessionStore()
        let catalog = try Catalog(repository.storage)
        _ = try repository.restore(
            catalog.path(to: catalog.epochs.last ?? 0, in: repository.storage),
            into: service.store, newest: catalog.newestEpoch, Cancellation())
        // Not the epoch that the other was about to write: a name that is taken would be refused at once.
        service.store.cut().close()
        for generation in 10..<13 as Range<UInt64> {
            service.fill(rows, generation: generation)
            try repository.claim()
            _ = try repository.write(service.store, CheckpointOptions(), Cancellation())
            repository.endCheckpoint()
        }
        try repository.removeOld(keeping: Retention(newest: 1))
        return TakeOver(epochs: try repository.listEpochs(), generation: 12)
    }

    private func prepare() async throws {
        let repository = try Self.open(directory.path)
        let service = try SessionStore()
        service.fill(Self.rows, generation: 1)
        try await repository.checkpoint(service.store)
    }

    private func expectNothingCameBack(_ other: TakeOver) async throws {
        let repository = try Self.open(directory.path)
        #expect(try await repository.epochs() == other.epochs)
        let restored = try SessionStore()
        try await repository.restore(into: restored.store)
        #expect(restored.holds(Self.rows, generation: other.generation))
        #expect(try await repository.verify().isGood)
    }

    @Test func `a writer that stood still before it named its manifest does not name it any more`()
        async throws
    {
        // The other writer has taken its unfinished manifest away.
        try await prepare()
        let path = directory.path
        let outcome = takeOverMeanwhile()
        await #expect(processExitsWith: .exitCode(43)) { [path = path as String] in
            try await Self.stopsWithin(path, "link", deltas: false)
        }
        try await expectNothingCameBack(outcome.wait { $0 }.get())
    }

    @Test func `a writer that stood still in a chain that is gone learns that it is too late`()
        async throws
    {
        try await prepare()
        let path = directory.path
        let outcome = takeOverMeanwhile()
        await #expect(processExitsWith: .exitCode(42)) { [path = path as String] in
            try await Self.stopsWithin(path, ".chain", deltas: true)
        }
        try await expectNothingCameBack(outcome.wait { $0 }.get())
    }

    @Test func `a manifest that appears after its checkpoint was removed is taken away again`()
        async throws
    {
        try await prepare()
        let path = directory.path
        let inner = try DirectoryStorage(path + "/state")
        // While this one stands still, the other neither has its lock nor sees its unfinished files.
        let others = ObservedStorage(inner: inner, locks: false, keepsTemporaryNames: true)
        let isFirst = Monitor(true)
        let storage = ObservedStorage(
            inner: inner, locks: false,
            beforeLink: { _ in
                let stops = isFirst.withLock { isFirst in
                    defer { isFirst = false }
                    return isFirst
                }
                guard stops else { return }
                _ = try? Self.takeOver(Repository(location: .storage(others), access: .write))
            })
        let repository = try Repository(location: .storage(storage), access: .write)
        let service = try SessionStore()
        try await repository.restore(into: service.store)
        service.fill(Self.rows, generation: 66)
        await #expect(throws: RepositoryError(.fenced, "")) {
            try await repository.checkpoint(service.store)
        }
        let epochs = try repository.listEpochs()
        #expect(epochs.count == 1)
        try await expectNothingCameBack(TakeOver(epochs: epochs, generation: 12))
    }

    @Test func `a delta that was kept by whoever removed its base is there`() async throws {
        let storage = MemoryStorage()
        let syncs = Monitor(0)
        // Another process removes old checkpoints while the service's delta is visible and not yet durable.
        let observed = ObservedStorage(
            inner: storage,
            beforeSync: { (path) throws(RepositoryError) in
                guard path.hasSuffix(".chain") else { return }
                let count = syncs.withLock { count in
                    count += 1
                    return count
                }
                guard count == 3 else { return }
                try Repository(location: .storage(storage), access: .maintain)
                    .removeOld(keeping: Retention(newest: 1))
            })
        let repository = try await Repository.open(.storage(observed))
        let service = try SessionStore()
        for generation in 0..<6 as Range<UInt64> {
            service.fill(Self.rows, generation: generation)
            let checkpoint = try await repository.checkpoint(
                service.store, options: Self.holding())
            #expect(checkpoint.isFull == (generation == 0))
        }
        #expect(try storage.list(Layout.boundaries).count == 1)
        let restored = try SessionStore()
        try await repository.restore(into: restored.store)
        #expect(restored.holds(Self.rows, generation: 5))
    }

    @Test func `a delta is not taken for another writer's of the same epoch`() async throws {
        let storage = MemoryStorage()
        let before = try Repository(location: .storage(storage), access: .write)
        let first = try SessionStore()
        first.fill(Self.rows, generation: 1)
        try await before.checkpoint(first.store)
        before.close()
        let takeOver = Monitor<(@Sendable () -> Void)?>(nil)
        let observed = ObservedStorage(
            inner: storage, locks: false,
            beforeList: { path in
                guard path == Layout.packs else { return }
                takeOver.withLock { body in
                    defer { body = nil }
                    return body
                }?()
            })
        let repository = try Repository(location: .storage(observed), access: .write)
        let service = try SessionStore()
        try await repository.restore(into: service.store)
        #expect(try await repository.holdBase(service.store))
        service.fill(Self.rows, generation: 66)
        let epoch = service.store.epoch.rawValue
        takeOver.withLock {
            $0 = {
                do {
                    let other = try Repository(
                        location: .storage(ObservedStorage(inner: storage, locks: false)),
                        access: .write)
                    let copy = try SessionStore()
                    let catalog = try Catalog(storage)
                    let path = try catalog.path(to: 1, in: storage)
                    _ = try other.restore(
                        path, into: copy.store, newest: catalog.newestEpoch, Cancellation())
                    copy.fill(Self.rows, generation: 12)
                    while copy.store.epoch.rawValue < epoch { copy.store.cut().close() }
                    try other.claim()
                    defer { other.endCheckpoint() }
                    _ = try other.write(copy.store, CheckpointOptions(), Cancellation())
                    try other.removeOld(keeping: Retention(newest: 1))
                } catch {
                    Issue.record(error)
                }
            }
        }
        await #expect(throws: RepositoryError(.fenced, "")) {
            try await repository.checkpoint(service.store, options: Self.holding())
        }
        let restored = try SessionStore()
        #expect(try await repository.restore(into: restored.store)?.epoch == epoch)
        #expect(restored.holds(Self.rows, generation: 12))
    }
}
