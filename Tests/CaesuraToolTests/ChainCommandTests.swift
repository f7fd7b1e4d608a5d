import Caesura
import CaesuraRepository
import Foundation
import Testing

@testable import CaesuraTool

/// What the program says of a repository whose checkpoints are deltas.
@Suite(
    .enabled(if: CaesuraProgram.path != nil, "the program `caesura` was not built beside the tests")
)
struct ChainCommandTests {
    @Schema("account")
    struct Account {
        @Field(1) var balance: Int64
        @Field(2) var owner: String
        @Field(3, .sensitive) var token: String
    }

    /// Runs `body` in a directory with a repository `state` of five checkpoints: epoch 1 is full, 2 to 5 are deltas.
    private func withChain(
        _ body: (String, Repository) async throws -> Void
    ) async throws {
        try await CaesuraProgram.withDirectory { (directory) async throws in
            let store = Store()
            let accounts = try store.table("accounts", key: UInt64.self, row: Account.self)
            let events = try store.log("events", row: Account.self)
            let repository = try await Repository.open(.directory(directory + "/state"))
            var options = CheckpointOptions()
            options.holdsBase = true
            for key in 0..<40 as Range<UInt64> {
                accounts[key] = Account(balance: 100, owner: "owner \(key)", token: "t\(key)")
            }
            try await repository.checkpoint(store, options: options)
            accounts.update(3) { $0.balance = 70 }
            try await repository.checkpoint(store, options: options)
            accounts.update(3) { $0.balance = 71 }
            accounts.update(5) { $0.token = "secret" }
            accounts.remove(7)
            accounts[100] = Account(balance: 1, owner: "new \"one\"", token: "x")
            try await repository.checkpoint(store, options: options)
            events.append(Account(balance: 9, owner: "appended", token: "y"))
            try await repository.checkpoint(store, options: options)
            accounts.update(9) { $0.owner = "moved" }
            try await repository.checkpoint(store, options: options)
            try await body(directory, repository)
        }
    }

    private func inState(
        _ directory: String, _ arguments: String...
    ) throws -> CaesuraProgram.Run {
        try CaesuraProgram.run(arguments, script: "cd '\(directory)' && exec \"$@\"")
    }

    @Test func `log lists full checkpoints and deltas`() async throws {
        try await withChain { directory, _ in
            let run = try inState(directory, "log", "state")
            #expect(run.exitCode == 0)
            #expect(run.errors.isEmpty)
            let lines = run.output.split(separator: "\n")
            #expect(lines.count == 7)
            #expect(lines[1].contains(" full "))
            #expect(lines[3].contains(" delta of 2 "))
            #expect(lines[6].hasPrefix("state: 5 checkpoints, 1 full, "))
            let json = try inState(directory, "log", "state", "--json", "--last", "2")
            let listing = try JSONDecoder().decode(Listing.self, from: Data(json.output.utf8))
            #expect(listing.checkpoints.map(\.epoch) == [4, 5])
            #expect(listing.checkpoints.map(\.changes) == [1, 1])
            #expect(listing.total.checkpoints == 5)
            #expect(listing.checkpoints.allSatisfy { ($0.restoreEstimate ?? 0) > 0 })
        }
    }

    @Test func `diff shows rows and fields, from what to what, both ways`() async throws {
        try await withChain { directory, _ in
            let run = try inState(directory, "diff", "state", "2", "3")
            #expect(run.exitCode == 0)
            let lines = Set(run.output.split(separator: "\n").map(String.init))
            #expect(
                lines == [
                    "~ accounts 3: balance 70 -> 71",
                    "~ accounts 5: token (sensitive) -> (sensitive)",
                    "- accounts 7: balance 100, owner \"owner 7\", token (sensitive)",
                    "+ accounts 100: balance 1, owner \"new \\\"one\\\"\", token (sensitive)",
                    "1 inserted, 2 updated, 1 removed",
                ])
            let back = try inState(directory, "diff", "state", "3", "2", "--sensitive", "--json")
            let objects = try back.output.split(separator: "\n").map {
                try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
            }
            #expect(objects.count == 4)
            let updated = objects.first { $0?["key"] as? Int == 5 } ?? nil
            #expect((updated?["old"] as? [String: String]) == ["token": "secret"])
            #expect((updated?["new"] as? [String: String]) == ["token": "t5"])
            let events = try inState(directory, "diff", "state", "1", "5", "--region", "events")
            #expect(
                events.output.hasPrefix("+ events 0: balance 9, owner \"appended\", token"))
            let same = try inState(directory, "diff", "state", "4", "4")
            #expect(same.output == "nothing differs\n")
        }
    }

    @Test func `diff refuses epochs and regions that are not there`() async throws {
        try await withChain { directory, _ in
            let epoch = try inState(directory, "diff", "state", "2", "9")
            #expect(epoch.exitCode == 1)
            #expect(
                epoch.errors == """
                    caesura: error: state has no checkpoint of epoch 9
                    caesura: hint: the epochs it has: 1, 2, 3, 4, 5

                    """)
            let region = try inState(directory, "diff", "state", "1", "2", "--region", "none")
            #expect(region.exitCode == 64)
            #expect(
                region.errors == """
                    caesura: error: neither epoch has a region none
                    caesura: hint: they have accounts, events

                    """)
        }
    }

    @Test func `a delta is inspected, verified, exported and restored like any other`()
        async throws
    {
        try await withChain { directory, _ in
            let inspected = try inState(directory, "inspect", "state", "--at", "3", "--chunks")
            #expect(inspected.exitCode == 0)
            #expect(inspected.output.contains("a delta of 4 changes since epoch 2"))
            let verified = try inState(directory, "verify", "state")
            #expect(verified.exitCode == 0)
            #expect(verified.output.contains("epochs 2 to 5: 4 deltas good"))
            let full = try inState(
                directory, "export", "state", "--at", "1", "--region", "accounts")
            #expect(full.output.split(separator: "\n").count == 40)
            let exported = try inState(
                directory, "export", "state", "--at", "5", "--region", "accounts")
            #expect(exported.output.split(separator: "\n").count == 40)
            #expect(exported.output.contains("\"owner\":\"moved\""))
            let restored = try inState(directory, "restore", "state", "--at", "4", "--check")
            #expect(restored.exitCode == 0)
            #expect(restored.output.hasPrefix("epoch 4: 41 rows restored in "))
        }
    }

    @Test func `compact and prune work beside the service that holds the writer's lock`()
        async throws
    {
        try await withChain { directory, repository in
            let planned = try inState(directory, "compact", "state", "--dry-run")
            #expect(planned.output.hasPrefix("epoch 5: would be made full, 41 rows\n"))
            let before = try await repository.log().checkpoints
            let compacted = try inState(directory, "compact", "state")
            #expect(compacted.exitCode == 0, "\(compacted.errors)")
            #expect(compacted.output.hasPrefix("epoch 5: made full, 41 rows"))
            #expect(try await repository.log().checkpoints.map(\.epoch) == before.map(\.epoch))
            let again = try inState(directory, "compact", "state")
            #expect(again.output == "epoch 5 is a full checkpoint already: nothing to do\n")
            let dry = try inState(directory, "prune", "state", "--keep", "1", "--dry-run")
            #expect(dry.output.hasPrefix("4 checkpoints would be removed: epochs 1 to 4\n"))
            #expect(try await repository.epochs().count == 5)
            let pruned = try inState(directory, "prune", "state", "--keep", "1", "--json")
            let removal = try JSONDecoder().decode(Removal.self, from: Data(pruned.output.utf8))
            #expect(removal.removed == [1, 2, 3, 4])
            #expect(removal.byteCount > 0)
            #expect(try await repository.epochs() == [5])
            let wrong = try inState(directory, "prune", "state", "--keep", "0")
            #expect(wrong.exitCode == 64)
        }
    }

    @Test func `a damaged delta is named by log, verify and inspect, with exit code 65`()
        async throws
    {
        try await withChain { directory, repository in
            repository.close()
            let packs = directory + "/state/packs"
            let name = try #require(
                try FileManager.default.contentsOfDirectory(atPath: packs)
                    .first { $0.hasSuffix(".chain") })
            let file = URL(filePath: packs + "/" + name)
            var bytes = try Data(contentsOf: file)
            // In the first delta's header.
            bytes[20] ^= 1
            try bytes.write(to: file)
            for command in ["log", "verify", "inspect"] {
                let run = try inState(directory, command, "state")
                #expect(run.exitCode == 65, "\(command): \(run.output) \(run.errors)")
                #expect(run.output.contains("a delta after epoch 1 is damaged"), "\(command)")
            }
            let restored = try inState(directory, "restore", "state", "--check")
            #expect(restored.exitCode == 65)
            #expect(restored.errors.contains("restore another checkpoint (epochs 1)"))
        }
    }

    @Test func `what is restored through a damaged delta is not passed off as good`() async throws {
        try await withChain { directory, repository in
            let delta = try #require(try await repository.delta(at: 3))
            repository.close()
            let chunk = delta.chunks[0]
            var bytes = try Data(contentsOf: URL(filePath: delta.path))
            // The end of its body.
            bytes[chunk.offset + chunk.facts.length - 1] ^= 1
            try bytes.write(to: URL(filePath: delta.path))
            let verified = try inState(directory, "verify", "state")
            #expect(verified.exitCode == 65)
            #expect(verified.output.contains("epoch 2: good"))
            #expect(verified.output.contains("epoch 3: DAMAGED"))
            #expect(
                verified.output.contains("  but restored through epoch 3, which is damaged\n"))
            #expect(
                verified.errors.contains(
                    "1 of 5 checkpoints damaged, and 2 more restored through that"))
            for command in [["restore", "state", "--check"], ["compact", "state"]] {
                let run = try CaesuraProgram.run(
                    command, script: "cd '\(directory)' && exec \"$@\"")
                #expect(run.exitCode == 65)
                #expect(run.errors.contains("restore another checkpoint (epochs 2, 1)"))
            }
            let compared = try inState(directory, "diff", "state", "2", "5")
            #expect(compared.exitCode == 65)
            #expect(compared.errors.contains("restore another checkpoint (epochs 2, 1)"))
        }
    }

    @Test func `a missing base is damage that log tells, and prune removes nothing then`()
        async throws
    {
        try await withChain { directory, repository in
            repository.close()
            try FileManager.default.removeItem(
                atPath: directory + "/state/manifests/00000000000000000001.json")
            let log = try inState(directory, "log", "state")
            #expect(log.exitCode == 65)
            #expect(log.output.contains("damaged: the delta to epoch 2 builds on epoch 1"))
            let pruned = try inState(directory, "prune", "state", "--keep", "1")
            #expect(pruned.exitCode == 65)
            #expect(pruned.errors.contains("nothing is removed while the newest checkpoint"))
            let verified = try inState(directory, "verify", "state")
            #expect(!verified.output.contains("  : "))
            #expect(try await repository.epochs() == [2, 3, 4, 5])
        }
    }

    @Test func `a dry run looks at a directory that others work on or that is read-only`()
        async throws
    {
        try await withChain { directory, _ in
            let lock = try DirectoryStorage(directory + "/state").lock("maintenance")
            defer { lock.release() }
            for command in [["compact", "state"], ["prune", "state", "--keep", "1"]] {
                let script = "cd '\(directory)' && exec \"$@\""
                #expect(try CaesuraProgram.run(command, script: script).exitCode == 75)
                let dry = try CaesuraProgram.run(command + ["--dry-run"], script: script)
                #expect(dry.exitCode == 0)
                #expect(dry.output.contains("would be"))
            }
        }
    }

    @Test(arguments: [["log"], ["compact"], ["prune", "--keep", "1"]])
    func `a directory that is not there is no repository`(_ command: [String]) async throws {
        try await CaesuraProgram.withDirectory { (directory) async throws in
            let run = try CaesuraProgram.run(
                command + ["nowhere"], script: "cd '\(directory)' && exec \"$@\"")
            #expect(run.exitCode == 1)
            #expect(
                run.errors.contains("caesura: error: there is no repository here (nowhere)"))
            #expect(run.errors.contains("caesura: hint: "))
        }
    }

    @Test func `a damaged boundary says what to do`() async throws {
        try await withChain { directory, repository in
            try await repository.prune(keeping: Retention(newest: 2))
            repository.close()
            let file = URL(
                filePath: directory + "/state/boundaries/00000000000000000001.json")
            try Data("{}".utf8).write(to: file)
            let run = try inState(directory, "log", "state")
            #expect(run.exitCode == 65)
            #expect(run.errors.contains("caesura: hint: move the file away"))
            try FileManager.default.removeItem(at: file)
            #expect(try await repository.epochs() == [1, 2, 3, 4, 5])
        }
    }
}
