import CaesuraRepository
import Foundation
import Testing

@testable import CaesuraTool

/// What the program says of a repository with three checkpoints, the second of which has a damaged manifest.
@Suite(
    .enabled(if: CaesuraProgram.path != nil, "the program `caesura` was not built beside the tests")
)
struct DamageTests {
    private static let hint =
        "caesura: hint: caesura restore state --at 2 --check --salvage shows what can be brought back\n"

    @Test func `inspect lists the good checkpoints, marks the damaged one, and ends with 65`()
        async throws
    {
        try await withDamage { directory in
            let run = try inState(directory, ["inspect", "state"])
            #expect(run.exitCode == 65)
            #expect(run.errors == "caesura: error: 1 of 3 checkpoints damaged\n" + Self.hint)
            let lines = run.output.split(separator: "\n")
            #expect(lines[0] == "state: 3 checkpoints")
            #expect(lines[2].hasPrefix("  1 "))
            #expect(lines[3].hasPrefix("  2 ") && lines[3].hasSuffix(" DAMAGED"))
            #expect(lines[4].hasPrefix("  3 "))
            #expect(lines[5].hasPrefix("  epoch 2: "))
            #expect(lines[6] == "epoch 3")
        }
    }

    @Test func `inspect shows a good checkpoint beside a damaged one`() async throws {
        try await withDamage { directory in
            let run = try inState(directory, ["inspect", "state", "--at", "1", "--json"])
            #expect(run.exitCode == 0)
            let inspection = try JSONDecoder().decode(
                Inspection.self, from: Data(run.output.utf8))
            #expect(inspection.epoch == 1)
            #expect(inspection.checkpoints?.map(\.epoch) == [1, 3])
            #expect(inspection.damaged?.map(\.epoch) == [2])
            let damaged = try inState(directory, ["inspect", "state", "--at", "2"])
            #expect(damaged.exitCode == 65)
            #expect(damaged.errors == "caesura: error: 1 of 1 checkpoint damaged\n" + Self.hint)
        }
    }

    @Test func `verify names the epoch to salvage`() async throws {
        try await withDamage { directory in
            let run = try inState(directory, ["verify", "state"])
            #expect(run.exitCode == 65)
            #expect(run.errors == "caesura: error: 1 of 3 checkpoints damaged\n" + Self.hint)
        }
    }

    @Test func `a salvage that lost only the manifest says that all rows came back`() async throws {
        try await withDamage { directory in
            let run = try inState(
                directory, ["restore", "state", "--at", "2", "--check", "--salvage"])
            #expect(run.exitCode == 65)
            #expect(run.output.hasSuffix("\n  routes: 6 of 6 rows good\n"))
            #expect(
                run.errors == """
                    caesura: error: epoch 2 is damaged, but all of its rows came back
                    caesura: hint: a service gets them with Repository.salvage(into:at:)

                    """)
        }
    }

    @Test(arguments: [["inspect"], ["verify"], ["export"], ["restore", "--check"]])
    func `an epoch that is not there is answered with those that are`(command: [String])
        async throws
    {
        try await withDamage { directory in
            let run = try inState(directory, command + ["state", "--at", "9"])
            #expect(run.exitCode == 1)
            #expect(
                run.errors == """
                    caesura: error: state has no checkpoint of epoch 9
                    caesura: hint: the epochs it has: 1, 2, 3

                    """)
        }
    }

    // MARK: Shorthand

    private func withDamage(_ body: (String) throws -> Void) async throws {
        try await CaesuraProgram.withDirectory { (directory) async throws in
            let dump = directory + "/dump"
            try RouteReplayTests.table.joined(separator: "\n").write(
                toFile: dump, atomically: true, encoding: .utf8)
            let table = try RoutingTable()
            var file = try RouteFile(path: dump)
            while let line = try file.next() { _ = table.apply(line) }
            let repository = try await Repository.open(.directory(directory + "/state"))
            for _ in 1...3 { try await repository.checkpoint(table.store) }
            repository.close()
            let manifests = directory + "/state/manifests"
            let names = try FileManager.default.contentsOfDirectory(atPath: manifests).sorted()
            let manifest = URL(filePath: manifests + "/" + names[1])
            var bytes = try Data(contentsOf: manifest)
            bytes[bytes.count / 2] ^= 1
            try bytes.write(to: manifest)
            try body(directory)
        }
    }

    /// Runs the program inside the directory, so that messages are the same in each run.
    private func inState(
        _ directory: String, _ arguments: [String]
    ) throws -> CaesuraProgram.Run {
        try CaesuraProgram.run(arguments, script: "cd '\(directory)' && exec \"$@\"")
    }
}
