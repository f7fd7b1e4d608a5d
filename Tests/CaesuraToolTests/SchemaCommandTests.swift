import Caesura
import CaesuraRepository
import Foundation
import Testing

@testable import CaesuraTool

/// `caesura schema`.
@Suite(
    .enabled(if: CaesuraProgram.path != nil, "the program `caesura` was not built beside the tests")
)
struct SchemaCommandTests {
    @Schema("account")
    struct First {
        @Field(1) var balance: Int32
        @Field(2) var owner: String
    }

    @Schema("account", version: 2)
    struct Second {
        @Field(1) var balance: Int64
        @Field(2) var owner: String
        @Field(3, since: 2) var note: String = ""
    }

    @Schema("account", version: 3)
    struct Broken {
        @Field(1) var balance: Int64
        @Field(3, since: 2) var note: String = ""
        @Field(4, since: 3) var owner: String = ""
    }

    /// Writes a checkpoint, and one that is a delta, of a program.
    private func write<Row: SchemaStruct>(
        _ row: Row, to path: String, restoring: Bool = false
    ) async throws {
        let repository = try await Repository.open(.directory(path))
        let store = Store()
        let table = try store.table("accounts", key: UInt64.self, row: Row.self)
        if restoring { try await repository.restore(into: store) }
        var options = CheckpointOptions()
        options.holdsBase = true
        for key in 0..<2 as Range<UInt64> {
            table[key] = row
            try await repository.checkpoint(store, options: options)
        }
        repository.close()
    }

    private func run(_ arguments: String...) throws -> CaesuraProgram.Run {
        try CaesuraProgram.run(["schema"] + arguments)
    }

    @Test func `what shipped is locked, and what breaks it is told`() async throws {
        try await CaesuraProgram.withDirectory { (directory) async throws in
            let lock = directory + "/caesura.schema.json"
            let (first, second, broken) = (
                directory + "/first", directory + "/second", directory + "/broken"
            )
            try await write(First(balance: 1, owner: "a"), to: first)
            try await write(Second(balance: 1, owner: "a"), to: second)
            try await write(Broken(balance: 1), to: broken)

            let none = try run("check", first, "--lock", lock)
            #expect(none.exitCode == 1)
            #expect(none.errors.hasPrefix("caesura: error: cannot read \(lock): No such file"))
            let dry = try run("lock", first, "--lock", lock, "--dry-run")
            #expect(dry.output == "region accounts, version 1: would be locked\n")
            #expect(!FileManager.default.fileExists(atPath: lock))
            #expect(
                try run("lock", first, "--lock", lock).output
                    == "region accounts, version 1: locked\n")
            #expect(
                try run("check", first, "--lock", lock).output
                    == "the schemas are those that shipped\n")
            #expect(try run("lock", first, "--lock", lock).output == "nothing new\n")

            let check = try run("check", second, "--lock", lock)
            #expect(check.exitCode == 0)
            #expect(
                check.output == """
                    note: L5 accounts: version 2 has not shipped
                      caesura schema lock adds it when it does
                    warning: B4 accounts.balance: once this version has written, programs of version 1 cannot go on: \
                    the data has int64, they have int32
                      keep the field beside one of the new type and a new number, or be sure that nobody goes back

                    """)
            #expect(try run("check", second, "--lock", lock, "--rollback").exitCode == 1)
            #expect(try run("lock", second, "--lock", lock).exitCode == 0)

            let wrong = try run("check", broken, "--lock", lock)
            #expect(wrong.exitCode == 1)
            #expect(
                wrong.errors == """
                    caesura: error: 4 problems in the schemas of \(broken)
                    caesura: hint: docs/SCHEMAS.md explains each rule

                    """)
            let before = try Data(contentsOf: URL(filePath: lock))
            let refused = try run("lock", broken, "--lock", lock)
            #expect(refused.exitCode == 1)
            #expect(
                refused.errors == """
                    caesura: error: W2 accounts.owner: data of version 1 cannot be read: it has string, the program \
                    neither such a field nor a retired one
                    caesura: hint: caesura schema check \(broken) --lock \(lock) says all that is wrong

                    """)
            #expect(try Data(contentsOf: URL(filePath: lock)) == before)

            let json = try run("check", broken, "--lock", lock, "--format", "json").json
            let problems = try #require(json as? [[String: Any]])
            #expect(
                Set(problems.compactMap { $0["rule"] as? String })
                    == ["L1", "L5", "L7", "W2", "B1"])
            let sarif = try run("check", broken, "--lock", lock, "--format", "sarif").json
            let runs = try #require((sarif as? [String: Any])?["runs"] as? [[String: Any]])
            #expect((runs[0]["results"] as? [Any])?.count == problems.count)
            let notes = try run("check", broken, "--lock", lock, "--format", "github").output
            #expect(
                notes.contains("::error file=\(lock),title=L1 accounts.owner::the name belonged"))
            #expect(notes.split(separator: "\n").allSatisfy { $0.hasPrefix("::") })

            let shown = try run("show", lock, "--version", "1").output
            #expect(shown.contains("@Field(1) var balance: int32"))
            #expect(try run("show", lock).output.contains("version: 2"))
            #expect(try run("show", second).output.contains("@Field(3, since: 2) var note"))
            #expect(try run("show", lock, "--region", "others").exitCode == 1)
        }
    }

    @Test func `versions are retired by region and version, and by nothing else`() async throws {
        try await CaesuraProgram.withDirectory { (directory) async throws in
            let (lock, state) = (directory + "/lock.json", directory + "/state")
            try await write(First(balance: 1, owner: "a"), to: state)
            #expect(try run("lock", state, "--lock", lock).exitCode == 0)
            let before = try Data(contentsOf: URL(filePath: lock))
            for text in ["accounts", "accounts=", "=2", "accounts=x", "accounts=0", "accounts=-1"] {
                let run = try run("lock", state, "--lock", lock, "--retire=\(text)")
                #expect(run.exitCode == 64, "\(text)")
                #expect(run.errors.hasPrefix("caesura: error: the value '\(text)' is invalid for"))
            }
            let other = try run("lock", state, "--lock", lock, "--retire", "others=2")
            #expect(other.exitCode == 64)
            #expect(
                other.errors == """
                    caesura: error: --retire others=2: the lock has no region others
                    caesura: hint: it has accounts

                    """)
            #expect(try Data(contentsOf: URL(filePath: lock)) == before)
            try await write(Broken(balance: 1), to: directory + "/broken")
            #expect(
                try run("check", directory + "/broken", "--lock", lock).output.contains("W2"))
            #expect(
                try run("lock", state, "--lock", lock, "--retire", "accounts=2").exitCode == 0)
            #expect(
                try !run("check", directory + "/broken", "--lock", lock).output.contains("W2"))
        }
    }

    @Test func `an equals sign may be in a region's name`() throws {
        let retirement = try #require(Retirement(argument: "a=b=4"))
        #expect(retirement.region == "a=b")
        #expect(retirement.version == 4)
    }

    @Test func `which versions read which checkpoints`() async throws {
        try await CaesuraProgram.withDirectory { (directory) async throws in
            let (lock, state) = (directory + "/lock.json", directory + "/state")
            try await write(First(balance: 1, owner: "a"), to: state)
            _ = try run("lock", state, "--lock", lock)
            try await write(Second(balance: 1, owner: "a"), to: state, restoring: true)
            _ = try run("lock", state, "--lock", lock)
            let compat = try run("compat", state, "--lock", lock)
            #expect(compat.exitCode == 0)
            #expect(
                compat.output == """
                    epoch 1, accounts of version 1: read by 1, 2
                    epoch 2, accounts of version 1: read by 1, 2
                    epoch 4, accounts of version 2: read by 2; not by 1
                    epoch 5, accounts of version 2: read by 2; not by 1

                    """)
        }
    }

    @Test func `what is no data is told`() throws {
        try CaesuraProgram.withDirectory { directory in
            let file = directory + "/file"
            for content in ["", "no stream", "{ \"format\": 1 }"] {
                try Data(content.utf8).write(to: URL(filePath: file))
                let run = try run("show", file)
                #expect(run.exitCode == 65)
                #expect(run.errors.hasPrefix("caesura: error: \(file)"))
            }
            #expect(try run("show", directory + "/nothing").exitCode == 1)
            #expect(try run("lock", directory, "--lock", file).exitCode == 65)
            #expect(try run("check").exitCode == 64)
        }
    }
}
