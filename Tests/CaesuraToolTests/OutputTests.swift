import Foundation
import Testing

/// What the program does when nobody can hear it.
@Suite(
    .enabled(if: CaesuraProgram.path != nil, "the program `caesura` was not built beside the tests")
)
struct OutputTests {
    @Test(arguments: [#""$@" 2>&-"#, #""$@" 2>/dev/full"#])
    func `a standard error that cannot be written changes no exit code`(script: String) throws {
        try CaesuraProgram.withDirectory { directory in
            #expect(try CaesuraProgram.run(["verify", directory], script: script).exitCode == 1)
            #expect(try CaesuraProgram.run(["foo"], script: script).exitCode == 64)
            let replay = try CaesuraProgram.run(
                ["replay", "routes", "--rib", "-", "--repository", directory],
                input: RouteReplayTests.table[0] + "\nnonsense\n", script: script)
            #expect(replay.exitCode == 0)
        }
    }

    @Test func `a result that cannot be written is an error`() throws {
        try CaesuraProgram.withDirectory { directory in
            let state = directory + "/state"
            _ = try CaesuraProgram.run(
                ["replay", "routes", "--rib", "-", "--repository", state],
                input: RouteReplayTests.table[0])
            for arguments in [
                ["inspect", state], ["inspect", state, "--json"], ["verify", state],
                ["verify", state, "--json"], ["restore", state, "--check"],
                ["restore", state, "--check", "--salvage"], ["export", state],
                ["replay", "routes", "--rib", "-", "--repository", directory + "/other"],
                ["demo", "--rows", "1", "--directory", directory + "/demo"], ["--help"],
                ["--version"],
            ] {
                let run = try CaesuraProgram.run(
                    arguments, input: RouteReplayTests.table[0], script: #""$@" >/dev/full"#)
                #expect(run.exitCode == 1, "\(arguments)")
                #expect(
                    run.errors == """
                        caesura: error: cannot write to standard output: No space left on device

                        """)
            }
        }
    }

    @Test func `no file takes the place of a closed standard output`() throws {
        try CaesuraProgram.withDirectory { directory in
            let run = try CaesuraProgram.run(
                ["replay", "routes", "--rib", "-", "--repository", directory],
                input: RouteReplayTests.table[0], script: #""$@" >&-"#)
            #expect(run.exitCode == 1)
            #expect(
                run.errors == """
                    caesura: error: cannot write to standard output: Bad file descriptor

                    """)
            #expect(try CaesuraProgram.run(["verify", directory]).exitCode == 0)
        }
    }
}
