import Caesura
import Synchronization
import Testing

@testable import CaesuraRepository

/// A storage whose reads call back.
private struct WatchedStorage: Storage {
    let base: MemoryStorage
    let onRead: @Sendable () throws(RepositoryError) -> Void

    private struct Reader: StorageReader {
        let base: any StorageReader
        let onRead: @Sendable () throws(RepositoryError) -> Void
        var size: Int { base.size }
        func read(at offset: Int, into buffer: inout MutableRawSpan) throws(RepositoryError) {
            try onRead()
            try base.read(at: offset, into: &buffer)
        }
    }

    func open(_ path: String) throws(RepositoryError) -> any StorageReader {
        Reader(base: try base.open(path), onRead: onRead)
    }
    func makeDirectory(_ path: String) throws(RepositoryError) { try base.makeDirectory(path) }
    func create(_ path: String) throws(RepositoryError) -> any StorageWriter {
        try base.create(path)
    }
    func link(_ path: String, as name: String) throws(RepositoryError) {
        try base.link(path, as: name)
    }
    func remove(_ path: String) throws(RepositoryError) { try base.remove(path) }
    func syncDirectory(_ path: String) throws(RepositoryError) { try base.syncDirectory(path) }
    func syncFile(_ path: String) throws(RepositoryError) { try base.syncFile(path) }
    func list(_ path: String) throws(RepositoryError) -> [String] { try base.list(path) }
    func lock(_ path: String) throws(RepositoryError) -> any StorageLock { try base.lock(path) }
    func display(_ path: String) -> String { base.display(path) }
}

/// Restores that fail half way, and what the store is good for afterwards.
@Suite struct RestoreTests {
    @Test func `a refused restore declares nothing`() async throws {
        let repository = try Repository(location: .storage(MemoryStorage()), access: .write)
        let service = try SessionStore()
        service.fill(10)
        _ = try service.store.table("other", key: UInt64.self, row: Session.self)
        try await repository.checkpoint(service.store)
        let store = Store()
        let sessions = try store.table("sessions", key: UInt64.self, row: Session.self)
        sessions[1] = SessionStore.row(1, 0)
        let before = store.regions
        await #expect(throws: RepositoryError(.mismatch, "")) {
            try await repository.restore(into: store)
        }
        #expect(store.regions == before)
    }

    static let count: UInt64 = 5_000

    /// A storage with checkpoints of epochs 1 and 2, of generations 1 and 2.
    static func checkpoints() async throws -> MemoryStorage {
        let storage = MemoryStorage()
        let service = try SessionStore()
        let repository = try await Repository.open(.storage(storage))
        for generation in 1...2 as ClosedRange<UInt64> {
            service.fill(count, generation: generation)
            try await repository.checkpoint(service.store)
        }
        return storage
    }

    @Test func `a row set during a restore makes it fail, and the store is empty again`()
        async throws
    {
        let storage = try await Self.checkpoints()
        let restored = try SessionStore()
        let isWritten = Mutex(false)
        let watched = WatchedStorage(base: storage) {
            isWritten.withLock { isWritten in
                // The epoch goes on when rows are about to come.
                if restored.store.epoch.rawValue < 2 || isWritten { return }
                isWritten = true
                restored.fill(Self.count)
            }
        }
        let repository = try await Repository.open(.storage(watched), for: .read)
        let error = await #expect(throws: RepositoryError(.disturbed, "")) {
            try await repository.restore(into: restored.store)
        }
        #expect(
            error?.description
                == "rows were set while they were restored; let nothing write until the restore has ended "
                + "(epoch 2)")
        #expect(
            error?.hint == "the store is empty: restore again while nothing writes to it")
        #expect(restored.sessions.count == 0)
        // An older checkpoint, and then the newest, as if nothing had happened.
        try await repository.restore(into: restored.store, at: 1)
        #expect(restored.holds(Self.count, generation: 1))
        restored.store.removeAll()
        try await repository.restore(into: restored.store)
        #expect(restored.holds(Self.count, generation: 2))
    }

    @Test func `a salvage that something disturbs leaves nothing behind`() async throws {
        let restored = try SessionStore()
        let isWritten = Mutex(false)
        let watched = WatchedStorage(base: try await Self.checkpoints()) {
            isWritten.withLock { isWritten in
                if restored.store.epoch.rawValue < 2 || isWritten { return }
                isWritten = true
                restored.fill(Self.count)
            }
        }
        let repository = try await Repository.open(.storage(watched), for: .read)
        await #expect(throws: RepositoryError(.disturbed, "")) {
            try await repository.salvage(into: restored.store)
        }
        #expect(restored.sessions.count == 0)
        #expect(try await repository.salvage(into: restored.store).isGood)
        #expect(restored.holds(Self.count, generation: 2))
    }

    @Test func `a disk that fails at any read of a restore leaves the store empty`() async throws {
        let storage = try await Self.checkpoints()
        let restored = try SessionStore()
        let left = Atomic(Int.max)
        let watched = WatchedStorage(base: storage) { () throws(RepositoryError) in
            if left.subtract(1, ordering: .relaxed).newValue == 0 {
                throw RepositoryError(.storage, "the disk does not answer")
            }
        }
        let repository = try await Repository.open(.storage(watched), for: .read)
        var reads = 0
        while true {
            reads += 1
            try #require(reads < 1_000)
            left.store(reads, ordering: .relaxed)
            do {
                try await repository.restore(into: restored.store)
                break
            } catch {
                #expect(error.code == .storage)
                #expect(restored.sessions.count == 0)
            }
        }
        // The manifest, then all chunks twice.
        #expect(reads > 16)
        #expect(restored.holds(Self.count, generation: 2))
    }

    @Test func `a restore beside a writer fails whole or brings all`() async throws {
        let storage = try await Self.checkpoints()
        let repository = try await Repository.open(.storage(storage), for: .read)
        for _ in 0..<10 {
            let restored = try SessionStore()
            let isStopped = Atomic(false)
            let written = Atomic(0)
            let writer = Task.detached {
                var key = Self.count
                while !isStopped.load(ordering: .acquiring) {
                    restored.sessions[key] = Session(visits: key, token: "written")
                    written.add(1, ordering: .relaxed)
                    restored.sessions.remove(key)
                    key += 1
                    // Two of such writers would leave nobody a thread on a machine of two cores.
                    await Task.yield()
                }
            }
            while written.load(ordering: .relaxed) == 0 { await Task.yield() }
            let result: RepositoryError?
            do {
                try await repository.restore(into: restored.store)
                result = nil
            } catch {
                result = error
            }
            isStopped.store(true, ordering: .releasing)
            await writer.value
            switch result?.code {
            case nil: #expect(restored.holds(Self.count, generation: 2))
            case .mismatch?, .disturbed?:
                // Only what the writer sets may be there, and it takes that away again.
                #expect(restored.sessions.count == 0)
                try await repository.restore(into: restored.store, at: 1)
                #expect(restored.holds(Self.count, generation: 1))
            default: Issue.record("\(String(describing: result))")
            }
        }
    }
}
