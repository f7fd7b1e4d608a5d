import Caesura
import Glibc
import Testing

@testable import CaesuraRepository

/// A real process in a real directory, killed while it writes.
@Suite struct KillTests {
    private static let rows: UInt64 = 1_000
    private let directory = TemporaryDirectory()

    /// Restores, then writes one checkpoint after the other until it is killed.
    ///
    /// Each one that it was told
    /// of leaves a file named after its epoch in `told`.
    private static func serve(_ path: String, killedAfter microseconds: UInt32) async throws {
        let told = try DirectoryStorage(path + "/told", creating: true)
        let repository = try await Repository.open(.directory(path + "/state"))
        let service = try SessionStore()
        try await repository.restore(into: service.store)
        var generation = service.sessions[0]?.visits ?? 0
        OwnThread.start {
            // Not a wait for something to happen: the length is the random instant of the kill.
            usleep(microseconds)
            kill(getpid(), SIGKILL)
        }
        while true {
            generation += 1
            service.fill(rows, generation: generation)
            let manifest = try await repository.checkpoint(service.store)
            _ = try told.create(String(manifest.epoch))
        }
    }

    @Test func `a writer killed at any instant loses no checkpoint that it was told of`()
        async throws
    {
        let path = directory.path
        for round in 0..<8 {
            let delay = UInt32.random(in: 0..<250_000)
            await #expect(processExitsWith: .signal(SIGKILL)) {
                [path = path as String, delay = delay as UInt32] in
                try await Self.serve(path, killedAfter: delay)
            }
            let note = "round \(round), killed after \(delay) us"
            let told = try DirectoryStorage(path + "/told").list("").compactMap { UInt64($0) }
            let repository = try await Repository.open(.directory(path + "/state"))
            let epochs = try await repository.epochs()
            #expect(Set(epochs).isSuperset(of: told), "\(note): \(epochs), told of \(told)")
            for epoch in epochs.suffix(3) {
                let report = try await repository.verify(at: epoch)
                #expect(report.isGood, "\(note), epoch \(epoch): \(report.problems)")
            }
            let restored = try SessionStore()
            if try await repository.restore(into: restored.store) != nil {
                let generation = try #require(restored.sessions[0]).visits
                #expect(restored.holds(Self.rows, generation: generation), "\(note)")
            }
        }
    }

    /// Restores, then goes on with continuous checkpoints of which some are awaited, and a chain that is made
    /// short and pruned all the time, until it is killed.
    ///
    /// Each generation that it was told is durable leaves a file named after it in `told`.
    private static func serveContinuously(
        _ path: String, killedAfter microseconds: UInt32
    ) async throws {
        let told = try DirectoryStorage(path + "/told", creating: true)
        let repository = try await Repository.open(.directory(path + "/state"))
        let service = try SessionStore()
        try await repository.restore(into: service.store)
        var generation = service.sessions[0]?.visits ?? 0
        OwnThread.start {
            // Not a wait for something to happen: the length is the random instant of the kill.
            usleep(microseconds)
            kill(getpid(), SIGKILL)
        }
        var options = ContinuousCheckpoints.Options()
        options.checkpoint.policy.longest = 3
        options.retention = Retention(newest: 2)
        let checkpoints = repository.checkpoints(
            of: service.store, every: .milliseconds(1), options: options)
        async let running: Void = checkpoints.run()
        while true {
            generation += 1
            // Whole generations only: the row of number 0 is the last to be set.
            for i in (0..<rows).reversed() {
                service.sessions[i] = SessionStore.row(i, generation)
            }
            try await checkpoints.durable()
            _ = try told.create(String(generation))
        }
        try await running
    }

    @Test func `a service killed at any instant has all that durable was awaited for`() async throws
    {
        let path = directory.path
        for round in 0..<12 {
            let delay = UInt32.random(in: 0..<250_000)
            await #expect(processExitsWith: .signal(SIGKILL)) {
                [path = path as String, delay = delay as UInt32] in
                try await Self.serveContinuously(path, killedAfter: delay)
            }
            let note = "round \(round), killed after \(delay) us"
            let told = try DirectoryStorage(path + "/told").list("").compactMap { UInt64($0) }.max()
            let repository = try await Repository.open(.directory(path + "/state"))
            let restored = try SessionStore()
            let checkpoint = try await repository.restore(into: restored.store)
            guard let told else { continue }
            #expect(checkpoint != nil, "\(note)")
            // A checkpoint may fall between two rows of a generation that was not finished.
            let generations = Set(
                (0..<Self.rows).compactMap { restored.sessions[$0]?.visits })
            #expect(restored.sessions.count == Int(Self.rows), "\(note)")
            // More may be there than was told: a round may be killed before it tells of anything.
            #expect(
                generations.allSatisfy { $0 >= told } && generations.count <= 2
                    && (generations.max() ?? 0) - (generations.min() ?? 0) <= 1,
                "\(note), told \(told): \(generations)")
            for epoch in try await repository.epochs() {
                let report = try await repository.verify(at: epoch)
                #expect(report.isGood, "\(note), epoch \(epoch): \(report.problems)")
            }
            let files = try DirectoryStorage(path + "/state/packs").list("")
            #expect(files.count < 40, "\(note): \(files.count) files")
        }
    }
}
