import Caesura
import CaesuraRepository
import Foundation
import Testing

/// The example of README.md, built and run.
@Suite struct ReadmeTests {
    @Schema("session")
    struct Session {
        @Field(1) var user: UInt64
        @Field(2, .sensitive) var token: String
        @Field(3) var visits: UInt32
    }

    @Test func `the example does what it says`() async throws {
        let directory = TemporaryDirectory()
        for round in 1...2 {
            let store = Store()
            let sessions = try store.table("sessions", key: UInt64.self, row: Session.self)
            let repository = try await Repository.open(.directory(directory.path))
            try await repository.restore(into: store)
            #expect(sessions.count == (round == 1 ? 0 : 1))

            sessions[7] = Session(user: 7, token: "…", visits: 0)
            sessions.update(7) { $0.visits += 1 }
            let visits = sessions.read(7) { $0.visits }
            try await repository.checkpoint(store)
            #expect(visits == 1)
            repository.close()
        }
    }

    @Schema("visit")
    struct Visit {
        @Field(1) var session: UInt64
    }

    @Schema("limits")
    struct Limits {
        @Field(1) var maximum: UInt32
    }

    @Test func `the example of logs and cells does what it says`() throws {
        let store = Store()
        let visits = try store.log("visits", row: Visit.self)
        let limits = try store.cell("limits", initial: Limits(maximum: 10))

        let position = visits.append(Visit(session: 7))
        visits.trim(before: position)
        limits.update { $0.maximum += 1 }
        #expect(visits.positions == 0..<1)
        #expect(limits.value.maximum == 11)
    }

    @Test func `the example of continuous checkpoints does what it says`() async throws {
        let directory = TemporaryDirectory()
        let store = Store()
        let sessions = try store.table("sessions", key: UInt64.self, row: Session.self)
        let repository = try await Repository.open(.directory(directory.path))
        sessions[7] = Session(user: 7, token: "…", visits: 0)

        let checkpoints = repository.checkpoints(of: store, every: .milliseconds(100))
        let running = Task { try await checkpoints.run() }

        sessions.update(7) { $0.visits += 1 }
        try await checkpoints.durable()

        let restored = Store()
        let rows = try restored.table("sessions", key: UInt64.self, row: Session.self)
        let reader = try await Repository.open(.directory(directory.path), for: .read)
        try await reader.restore(into: restored)
        #expect(rows[7]?.visits == 1)
        running.cancel()
        try await running.value
    }

    @Test func `the example is the one that is built here`() throws {
        let here = URL(filePath: #filePath)
        let root = here.deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let readme = try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)
        let built = try String(contentsOf: here, encoding: .utf8)
            .replacing("directory.path", with: "\"/var/lib/service\"")
        let blocks = readme.components(separatedBy: "```")
        let examples = stride(from: 1, to: blocks.count, by: 2).map { blocks[$0] }
            .prefix { !$0.contains(".package(") }
        #expect(examples.count == 3)
        for line in examples.joined(separator: "\n").split(separator: "\n")
        where line != "swift" {
            let code = line.split(separator: "   //")[0].trimmingCharacters(in: .whitespaces)
            #expect(built.contains(code), "\(code) is not built")
        }
    }
}
