import Testing

@testable import CaesuraRepository

/// A crash, a full disk or a failing call at every operation of a repository's life.
@Suite struct CrashTests {
    private static let first = SampleCheckpoint(epoch: 3)
    private static let second = SampleCheckpoint(epoch: 8)

    /// Which checkpoints a run has promised to be there.
    private final class Promise {
        var epochs: [UInt64] = []
    }

    /// Opens, writes two checkpoints, closes.
    private func life(_ storage: MemoryStorage, _ promise: Promise) throws {
        let repository = try Repository(location: .storage(storage), access: .write)
        for sample in [Self.first, Self.second] {
            try sample.write(to: repository)
            promise.epochs.append(sample.epoch)
        }
    }

    /// The repository has all that was promised and nothing that is not whole; the next writer finds it
    /// usable and leaves no leftovers.
    private func check(
        _ storage: MemoryStorage, promised: [UInt64], _ note: String, inOrder: Bool = true
    ) throws {
        let repository = try Repository(location: .storage(storage), access: .write)
        let epochs = try repository.listEpochs()
        #expect(
            epochs.starts(with: promised), "\(note): \(promised) was promised, \(epochs) is there")
        #expect(!inOrder || [3, 8].starts(with: epochs), "\(note): \(epochs)")
        for sample in [Self.first, Self.second] where epochs.contains(sample.epoch) {
            #expect(try sample.isWhole(in: storage), "\(note): epoch \(sample.epoch)")
        }
        let third = SampleCheckpoint(epoch: 9)
        try third.write(to: repository)
        #expect(try third.isWhole(in: storage), "\(note)")
        let packs = try (epochs + [9]).flatMap { epoch in
            let manifest = try CheckpointReader(storage: storage, epoch: epoch).manifest
            return manifest.packs.indices.map { Layout.packName(epoch, $0) }
        }
        #expect(storage.files(in: Layout.packs) == packs, "\(note)")
        #expect(storage.files(in: Layout.manifests).count == epochs.count + 1, "\(note)")
        #expect(storage.files(in: "") == [Layout.marker], "\(note)")
    }

    private func operationsOfALife() throws -> (count: Int, log: [String]) {
        let storage = MemoryStorage()
        try life(storage, Promise())
        return (storage.operations, storage.log)
    }

    @Test func `after a crash at any operation each checkpoint is whole or not there`() throws {
        let (count, log) = try operationsOfALife()
        #expect(count > 30)
        let seed = UInt64.random(in: 0 ... .max)
        print("crash images from seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        for operation in 0...count {
            let storage = MemoryStorage()
            let promise = Promise()
            storage.plan(.crash(at: operation))
            do {
                try life(storage, promise)
                // The last operation takes a temporary name away; nobody is told if it stays.
                #expect(operation >= count - 1)
            } catch let error as RepositoryError {
                #expect(error.code == .storage)
            }
            let place = operation < count ? log[operation] : "the end"
            for image in 0..<12 {
                // The first two images are the extremes: nothing that was not synced, and all of it.
                let next = storage.image {
                    image == 0 ? false : image == 1 ? true : Bool.random(using: &generator)
                }
                let note = "operation \(operation), \(place), image \(image), seed \(seed)"
                try check(next, promised: promise.epochs, note)
            }
        }
    }

    @Test func `when the disk is full at any operation, the writer goes on once it is not`() throws
    {
        let (count, log) = try operationsOfALife()
        // The life ends with taking a temporary name away, which needs no room.
        let last = try #require(log.lastIndex { !$0.hasPrefix("remove") })
        #expect(last == count - 2)
        for operation in 0...last {
            let storage = MemoryStorage()
            let promise = Promise()
            storage.plan(.full(from: operation))
            let error = #expect(throws: RepositoryError.self) { try life(storage, promise) }
            #expect(error?.code == .outOfSpace)
            #expect(error?.hint != nil)
            #expect(error?.path != nil)
            storage.refill()
            try check(storage, promised: promise.epochs, "full at \(operation), \(log[operation])")
        }
    }

    @Test func `the same writer goes on after a failure at any operation of a checkpoint`() throws {
        let probe = MemoryStorage()
        let opened = try Repository(location: .storage(probe), access: .write)
        let start = probe.operations
        try Self.first.write(to: opened)
        let end = probe.operations
        for operation in start..<end {
            let storage = MemoryStorage()
            let repository = try Repository(location: .storage(storage), access: .write)
            storage.plan(.fail(at: operation))
            let place = probe.log[operation]
            if place.hasPrefix("remove") {
                // The temporary name is taken away after the commit; nobody is told if it stays.
                try Self.first.write(to: repository)
            } else {
                let error = #expect(throws: RepositoryError.self) {
                    try Self.first.write(to: repository)
                }
                #expect(error?.code == .storage, "\(place)")
            }
            let isVisible = !storage.files(in: Layout.manifests).isEmpty
            #expect(storage.files(in: Layout.packs).isEmpty != isVisible, "\(place)")
            // The commit of the first may be in doubt: its manifest is there but was not synced.
            try Self.second.write(to: repository)
            #expect(try Self.second.isWhole(in: storage), "\(place)")
            repository.close()
            let next = storage.image { false }
            try check(next, promised: try repository.listEpochs(), place, inOrder: false)
        }
    }

    @Test func `a crash in the middle of removing leftovers does no harm`() throws {
        let storage = MemoryStorage()
        let promise = Promise()
        let (_, log) = try operationsOfALife()
        let secondLink = log.lastIndex { $0.hasPrefix("link manifests/") }!
        storage.plan(.crash(at: secondLink))
        #expect(throws: RepositoryError.self) { try life(storage, promise) }
        let crashed = storage.image { true }
        let probe = crashed.image { true }
        _ = try Repository(location: .storage(probe), access: .write)
        for operation in 0..<probe.operations {
            let again = crashed.image { true }
            again.plan(.crash(at: operation))
            #expect(throws: RepositoryError.self) {
                _ = try Repository(location: .storage(again), access: .write)
            }
            for keep in [false, true] {
                try check(again.image { keep }, promised: promise.epochs, probe.log[operation])
            }
        }
    }

    @Test func `a kill and then a crash, at any two operations, leave whole checkpoints`() throws {
        /// Two checkpoints, of which the first is removed.
        func life(_ storage: MemoryStorage, _ promise: Promise) throws {
            let repository = try Repository(location: .storage(storage), access: .write)
            try Self.first.write(to: repository)
            try Self.second.write(to: repository)
            promise.epochs = [8]
            try repository.removeCheckpoint(at: 3)
        }
        let seed = UInt64.random(in: 0 ... .max)
        print("crash images after a kill from seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let probe = MemoryStorage()
        try life(probe, Promise())
        for operation in 0...probe.operations {
            let promise = Promise()
            let killed = MemoryStorage()
            killed.plan(.crash(at: operation))
            try? life(killed, promise)
            // The process is gone and the machine goes on: what was written is still visible.
            for next in 0... {
                let storage = killed.afterKill()
                storage.plan(.crash(at: next))
                let opened = try? Repository(location: .storage(storage), access: .write)
                for number in 0..<8 {
                    let image = storage.image {
                        number == 0 ? false : number == 1 ? true : Bool.random(using: &generator)
                    }
                    let note = "killed at \(operation), crashed at \(next), image \(number)"
                    let epochs = try Repository(location: .storage(image), access: .write)
                        .listEpochs()
                    #expect(Set(epochs).isSuperset(of: promise.epochs), "\(note): \(epochs)")
                    for sample in [Self.first, Self.second] where epochs.contains(sample.epoch) {
                        #expect(try sample.isWhole(in: image), "\(note): epoch \(sample.epoch)")
                    }
                }
                if opened != nil { break }
            }
        }
    }
}
