import CaesuraMigration
import Testing

@testable import CaesuraRepository

/// The owner register in a shared directory: several nodes, crashes, failures, damage.
@Suite struct DirectoryOwnerRegisterTests {
    private static let partition = PartitionNumber(index: 1, bits: 1)

    /// What nodes were told.
    private struct Told {
        var appended: [OwnerEntry] = []
        var read: [OwnerEntry] = []
    }

    /// A life of a partition: created, moved, a move given up, taken over; with a loser each time.
    private func life(_ storage: MemoryStorage, _ told: inout Told) async throws {
        let register = DirectoryOwnerRegister(storage: storage)
        var last = try OwnerEntry(creating: "a")
        var next = [last, try OwnerEntry(creating: "b")]
        for change in [OwnerEntry.Change.commit, .abort, .takeover, .commit] {
            try await register.prepare(next[0], for: Self.partition)
            // Then what is prepared is not what is appended.
            if change == .abort { try await register.prepare(next[1], for: Self.partition) }
            for entry in next {
                switch try await register.append(entry, to: Self.partition) {
                case .appended: told.appended.append(entry)
                case .refused(let other): told.read.append(other)
                }
            }
            guard let read = try await register.last(of: Self.partition) else {
                Issue.record("an entry that was appended is not there")
                return
            }
            told.read.append(read)
            last = read
            next = [
                try OwnerEntry(change, of: last, to: "c"),
                try OwnerEntry(.abort, of: last, to: last.owner),
            ]
        }
    }

    /// What was told holds: entries that were appended or read are there or have others behind them.
    private func check(_ storage: MemoryStorage, _ told: Told, _ note: String) async throws {
        let register = DirectoryOwnerRegister(storage: storage)
        let last = try await register.last(of: Self.partition)
        for entry in told.appended + told.read {
            #expect(last?.number ?? 0 >= entry.number, "\(note): \(entry) was told")
            #expect(try file(entry.number, storage)?.entry == entry, "\(note): \(entry) was told")
        }
        // Whoever comes next goes on.
        let next =
            try last.map { try OwnerEntry(.takeover, of: $0, to: "d") } ?? OwnerEntry(creating: "d")
        #expect(try await register.append(next, to: Self.partition) == .appended, "\(note)")
        #expect(try await register.last(of: Self.partition) == next, "\(note)")
    }

    private func file(_ number: UInt64, _ storage: MemoryStorage) throws -> OwnerFile? {
        try OwnerFile(reading: number, of: Self.partition, in: storage)
    }

    @Test func `what was told survives a crash at any operation`() async throws {
        let whole = MemoryStorage()
        var told = Told()
        try await life(whole, &told)
        #expect(told.appended.map(\.fencingEpoch) == [1, 2, 4, 7])
        #expect(told.appended.map(\.number) == [1, 2, 3, 4])
        let seed = UInt64.random(in: 0 ... .max)
        print("crash images from seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        for operation in 0..<whole.operations {
            let storage = MemoryStorage()
            storage.plan(.crash(at: operation))
            var told = Told()
            try? await life(storage, &told)
            for image in 0..<8 {
                let next = storage.image {
                    image == 0 ? false : image == 1 ? true : Bool.random(using: &generator)
                }
                try await check(next, told, "operation \(operation), image \(image), seed \(seed)")
            }
            // Another node reads what a killed one left, and then the machine stops, too.
            let killed = storage.afterKill()
            let register = DirectoryOwnerRegister(storage: killed)
            if let last = try await register.last(of: Self.partition) { told.read.append(last) }
            let stopped = killed.image { false }
            try await check(stopped, told, "operation \(operation), killed and stopped")
            try await check(killed, told, "operation \(operation), killed")
        }
    }

    @Test func `after a failure it is read what became of an entry`() async throws {
        let whole = MemoryStorage()
        var told = Told()
        try await life(whole, &told)
        var unknown = 0
        for operation in 0..<whole.operations {
            let storage = MemoryStorage()
            storage.plan(.fail(at: operation))
            var told = Told()
            do {
                try await life(storage, &told)
            } catch let error as OwnerRegisterError {
                unknown += 1
                #expect(error.code == .unavailable)
            }
            storage.refill()
            try await check(storage, told, "operation \(operation)")
        }
        #expect(unknown > 20)
    }

    @Test func `an append of what was prepared syncs once, and leaves nothing`() async throws {
        let storage = MemoryStorage()
        let register = DirectoryOwnerRegister(storage: storage)
        let first = try OwnerEntry(creating: "a")
        try await register.prepare(first, for: Self.partition)
        #expect(try await register.append(first, to: Self.partition) == .appended)
        let names = try storage.list(OwnerFile.directory(of: Self.partition))
        let second = try OwnerEntry(.commit, of: first, to: "b")
        try await register.prepare(try OwnerEntry(.commit, of: first, to: "c"), for: Self.partition)
        try await register.prepare(second, for: Self.partition)
        try await register.prepare(second, for: Self.partition)
        #expect(try storage.list(OwnerFile.directory(of: Self.partition)).count == names.count + 1)
        let operations = storage.log.count
        #expect(try await register.append(second, to: Self.partition) == .appended)
        #expect(storage.log[operations...].count { $0.hasPrefix("sync") } == 1)
        #expect(try await register.last(of: Self.partition) == second)

        // Somebody has tidied up.
        let third = try OwnerEntry(.commit, of: second, to: "c")
        try await register.prepare(third, for: Self.partition)
        for name in try storage.list(OwnerFile.directory(of: Self.partition))
        where OwnerFile.number(ofName: name) == nil {
            try storage.remove(OwnerFile.directory(of: Self.partition) + "/" + name)
        }
        #expect(try await register.append(third, to: Self.partition) == .appended)
        #expect(try storage.list(OwnerFile.directory(of: Self.partition)).count == 3)

        // Another node was first.
        let fourth = try OwnerEntry(.commit, of: third, to: "d")
        try await register.prepare(fourth, for: Self.partition)
        let abort = try OwnerEntry(.abort, of: third, to: "c")
        let other = DirectoryOwnerRegister(storage: storage)
        #expect(try await other.append(abort, to: Self.partition) == .appended)
        #expect(try await register.append(fourth, to: Self.partition) == .refused(abort))
        #expect(try storage.list(OwnerFile.directory(of: Self.partition)).count == 4)
    }

    @Test func `of nodes that append at once exactly one wins each place`() async throws {
        let directory = TemporaryDirectory()
        let path = directory.path
        let rounds = 30
        let wins = try await withThrowingTaskGroup(of: [UInt64: String].self) { group in
            for node in 0..<4 {
                group.addTask {
                    let register = try await DirectoryOwnerRegister(path)
                    var wins: [UInt64: String] = [:]
                    var last = try await register.last(of: Self.partition)
                    while last?.number ?? 0 < rounds {
                        let owner = "node \(node)"
                        let next =
                            try last.map { try OwnerEntry(.takeover, of: $0, to: owner) }
                            ?? OwnerEntry(creating: owner)
                        switch try await register.append(next, to: Self.partition) {
                        case .appended:
                            wins[next.number] = owner
                            last = next
                        case .refused(let other):
                            #expect(other.number >= next.number)
                            last = other
                        }
                    }
                    return wins
                }
            }
            var all: [UInt64: String] = [:]
            for try await wins in group {
                all.merge(wins) { first, second in
                    Issue.record("\(first) and \(second) won one place")
                    return first
                }
            }
            return all
        }
        #expect(wins.keys.sorted() == Array(1...UInt64(rounds)))
        let register = try await DirectoryOwnerRegister(path)
        #expect(
            try await register.last(of: Self.partition)?.owner == wins[UInt64(rounds)])
        // Nothing is left but entries.
        let storage = try DirectoryStorage(path)
        #expect(
            try storage.list(OwnerFile.directory(of: Self.partition)).count == rounds)
    }

    @Test func `a damaged entry is an error, and never one less`() async throws {
        let storage = MemoryStorage()
        var told = Told()
        try await life(storage, &told)
        let path = OwnerFile.path(of: 4, of: Self.partition)
        let bytes = try #require(storage.bytes(path))
        for offset in bytes.indices {
            storage.flip(path, at: offset, 1 << UInt8(offset % 8))
            let register = DirectoryOwnerRegister(storage: storage)
            await #expect(throws: OwnerRegisterError(.damaged, "")) {
                try await register.last(of: Self.partition)
            }
            let next = try OwnerEntry(.commit, of: told.appended[3], to: "x")
            await #expect(throws: OwnerRegisterError(.damaged, "")) {
                try await register.append(next, to: Self.partition)
            }
            storage.replace(path, with: bytes)
        }
        storage.replace(path, with: Array(bytes.dropLast()))
        await #expect(throws: OwnerRegisterError(.damaged, "")) {
            try await DirectoryOwnerRegister(storage: storage).last(of: Self.partition)
        }
    }

    @Test func `an entry is written as on the page`() throws {
        let file = OwnerFile(
            entry: try OwnerEntry(.commit, of: OwnerEntry(creating: "node-a"), to: "node-b"),
            attempt: 8_917_231)
        let text = String(decoding: file.encoded, as: UTF8.self)
        #expect(
            text.hasPrefix(
                """
                {
                  "format": "caesura-owner",
                  "version": 1,
                  "number": 2,
                  "owner": "node-b",
                  "fencingEpoch": 2,
                  "tenure": 2,
                  "previousTenure": 1,
                  "attempt": 8917231,
                  "digest": "
                """))
        #expect(OwnerFile.number(ofName: "00000000000000000002.json") == 2)
        for name in ["2.json", "00000000000000000002.tmp", "0000000000000000000x.json", "ff.tmp"] {
            #expect(OwnerFile.number(ofName: name) == nil)
        }
    }
}
