import Foundation
import Testing

/// What `caesura replay routes` refuses, and that it does so before there is a repository.
@Suite(
    .enabled(if: CaesuraProgram.path != nil, "the program `caesura` was not built beside the tests")
)
struct ReplayCommandTests {
    @Test func `a dump without a good line fails, and no repository is made`() throws {
        try CaesuraProgram.withDirectory { directory in
            try "some\nnotes\n".write(
                toFile: directory + "/notes", atomically: true, encoding: .utf8)
            let run = try replay(directory, ["--rib", "notes"])
            #expect(run.exitCode == 1)
            #expect(
                run.errors == """
                    caesura: error: notes has no line that bgpdump -m prints: line 1, column 1: \
                    the record is not one that bgpdump -m prints
                    caesura: hint: name what bgpdump -m printed

                    """)
            #expect(!FileManager.default.fileExists(atPath: directory + "/state"))
        }
    }

    @Test func `standard input without a good line leaves no checkpoint`() throws {
        try CaesuraProgram.withDirectory { directory in
            let run = try replay(directory, ["--rib", "-"], input: "\u{0}\u{1}\n")
            #expect(run.exitCode == 1)
            #expect(run.errors.contains("standard input has no line that bgpdump -m prints"))
            let manifests = directory + "/state/manifests"
            #expect(try FileManager.default.contentsOfDirectory(atPath: manifests).isEmpty)
        }
    }

    @Test(arguments: [["--rib", "nope"], ["--rib", "-", "--updates", "nope"]])
    func `a missing input is found before there is a repository`(inputs: [String]) throws {
        try CaesuraProgram.withDirectory { directory in
            let run = try replay(directory, inputs)
            #expect(run.exitCode == 1)
            #expect(
                run.errors == """
                    caesura: error: cannot open nope: No such file or directory
                    caesura: hint: name a file that is there

                    """)
            #expect(!FileManager.default.fileExists(atPath: directory + "/state"))
        }
    }

    @Test func `a repository with checkpoints is refused before the input is read`() throws {
        try CaesuraProgram.withDirectory { directory in
            let first = try replay(directory, ["--rib", "-"], input: RouteReplayTests.table[0])
            #expect(first.exitCode == 0)
            let second = try replay(directory, ["--rib", "-"], input: "nonsense")
            #expect(second.exitCode == 1)
            #expect(
                second.errors == """
                    caesura: error: state has checkpoints already, and a replay begins anew
                    caesura: hint: name another directory with --repository

                    """)
        }
    }

    @Test func `a repository needs a directory above it`() throws {
        try CaesuraProgram.withDirectory { directory in
            let run = try CaesuraProgram.run(
                ["replay", "routes", "--rib", "-", "--repository", directory + "/a/b"])
            #expect(run.exitCode == 1)
            #expect(
                run.errors == """
                    caesura: error: cannot make the directory: No such file or directory (errno 2) \
                    (\(directory)/a/b)
                    caesura: hint: make the directory above it first

                    """)
        }
    }

    @Test(arguments: [
        (["--repository", ""], "--repository needs the name of a directory"),
        (
            ["--repository", "x", "--checkpoint-every", "2"],
            "--checkpoint-every needs --updates: without any, the one checkpoint is of the dump"
        ),
        (
            ["--repository", "x", "--rate", "2"],
            "--rate needs --updates: without any, the one checkpoint is of the dump"
        ),
    ])
    func `an option that would mean nothing is refused`(options: [String], message: String) throws {
        let run = try CaesuraProgram.run(["replay", "routes", "--rib", "-"] + options)
        #expect(run.exitCode == 64)
        #expect(
            run.errors == """
                caesura: error: \(message)
                caesura: hint: caesura replay routes --help shows how it is used

                """)
    }

    /// Runs it inside the directory, into `state`.
    private func replay(
        _ directory: String, _ inputs: [String], input: String = ""
    ) throws -> CaesuraProgram.Run {
        try CaesuraProgram.run(
            ["replay", "routes"] + inputs + ["--repository", "state"], input: input,
            script: "cd '\(directory)' && exec \"$@\"")
    }
}
