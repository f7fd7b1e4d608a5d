import Foundation
import Testing

/// The built program, run as a person or a script runs it.
@Suite(
    .enabled(if: CaesuraProgram.path != nil, "the program `caesura` was not built beside the tests")
)
struct CommandTests {
    @Test func `a wrong command line ends with 64 and names the help`() throws {
        let run = try CaesuraProgram.run(["replay", "routes", "--repository", "x"])
        #expect(run.exitCode == 64)
        #expect(run.output.isEmpty)
        #expect(
            run.errors == """
                caesura: error: missing expected argument '--rib <file> ...'
                caesura: hint: caesura replay routes --help shows how it is used

                """)
    }

    @Test func `help goes to standard output and ends with 0`() throws {
        let run = try CaesuraProgram.run(["--help"])
        #expect(run.exitCode == 0)
        #expect(run.errors.isEmpty)
        for command in ["replay", "inspect", "verify", "export", "restore", "demo"] {
            #expect(run.output.contains("\n  \(command) "))
        }
    }

    @Test func `help for a command that is not there ends with 64`() throws {
        let run = try CaesuraProgram.run(["help", "replay", "nope"])
        #expect(run.exitCode == 64)
        #expect(
            run.errors == """
                caesura: error: there is no command 'nope'
                caesura: hint: caesura --help shows the commands there are

                """)
        #expect(try CaesuraProgram.run(["help", "replay", "routes"]).exitCode == 0)
    }

    @Test func `the version is that in a manifest`() throws {
        try CaesuraProgram.withDirectory { directory in
            _ = try CaesuraProgram.run(
                ["replay", "routes", "--rib", "-", "--repository", directory],
                input: RouteReplayTests.table[0])
            let inspect = try CaesuraProgram.run(["inspect", directory, "--json"])
            let inspection = try #require(inspect.json as? [String: Any])
            let checkpoints = try #require(inspection["checkpoints"] as? [[String: Any]])
            let run = try CaesuraProgram.run(["--version"])
            #expect(run.exitCode == 0)
            #expect("caesura " + run.output == "\(checkpoints[0]["writer"] ?? "")\n")
        }
    }

    @Test func `no line of the help is wrapped in the middle of the exit codes`() throws {
        let run = try CaesuraProgram.run(["--help"])
        #expect(run.output.contains("\n  75   another writer is at work\n  130  interrupted\n"))
    }

    @Test(arguments: ["inspect", "verify", "export"])
    func `a directory that is no repository is said to be none`(command: String) throws {
        try CaesuraProgram.withDirectory { directory in
            let run = try CaesuraProgram.run([command, directory])
            #expect(run.exitCode == 1)
            #expect(
                run.errors == """
                    caesura: error: there is no repository here (\(directory))
                    caesura: hint: name the directory that holds caesura.json

                    """)
        }
    }

    @Test func `a hint fits what the system said`() throws {
        try CaesuraProgram.withDirectory { directory in
            let file = directory + "/file"
            try Data().write(to: URL(filePath: file))
            let inFile = try CaesuraProgram.run(["verify", file])
            #expect(inFile.exitCode == 1)
            #expect(
                inFile.errors == """
                    caesura: error: cannot open the file: Not a directory (errno 20) \
                    (\(file)/caesura.json)
                    caesura: hint: name a directory: that, or a part of the path to it, is a file

                    """)
            let name = String(repeating: "a", count: 300)
            let tooLong = try CaesuraProgram.run(["verify", name])
            #expect(tooLong.exitCode == 1)
            #expect(
                tooLong.errors == """
                    caesura: error: cannot find the directory: File name too long (errno 36) (\(name))
                    caesura: hint: give the directory a shorter name, or put it somewhere else

                    """)
        }
    }

    @Test func `what was replayed is inspected, verified, exported and restored`() throws {
        try CaesuraProgram.withDirectory { directory in
            let state = directory + "/state"
            let lines = RouteReplayTests.table + ["nonsense"]
            let replay = try CaesuraProgram.run(
                ["replay", "routes", "--rib", "-", "--repository", state, "--json"],
                input: lines.joined(separator: "\n") + "\n")
            #expect(replay.exitCode == 0)
            #expect(
                replay.errors == """
                    1 bad line, left out:
                               1  the record is not one that bgpdump -m prints
                      standard input, line 7, column 1: the record is not one that bgpdump -m prints

                    """)
            let report = try #require(replay.json as? [String: Any])
            #expect((report["badLines"] as? [String: Int]) == ["unknownRecord": 1])

            let inspect = try CaesuraProgram.run(["inspect", state, "--chunks", "--json"])
            let inspection = try #require(inspect.json as? [String: Any])
            let regions = try #require(inspection["regions"] as? [[String: Any]])
            #expect(regions.map { $0["name"] as? String } == ["routes"])
            #expect(regions.map { $0["rows"] as? Int } == [6])
            #expect((inspection["chunks"] as? [Any])?.isEmpty == false)

            #expect(try CaesuraProgram.run(["verify", state]).exitCode == 0)
            let restore = try CaesuraProgram.run(["restore", state, "--check"])
            #expect(restore.exitCode == 0)
            #expect(restore.output.contains("6 rows restored"))
            let export = try CaesuraProgram.run(["export", state])
            #expect(export.output.split(separator: "\n").count == 6)
            let csv = try CaesuraProgram.run(["export", state, "--format", "csv"])
            #expect(csv.output.split(separator: "\n").count == 7)
            let other = try CaesuraProgram.run(["export", state, "--table", "peers"])
            #expect(other.exitCode == 64)
            #expect(
                other.errors == """
                    caesura: error: epoch 1 has no region peers
                    caesura: hint: it has routes

                    """)
        }
    }

    @Test func `a flipped bit is found, named, and ends with 65`() throws {
        try CaesuraProgram.withDirectory { directory in
            let state = directory + "/state"
            _ = try CaesuraProgram.run(
                ["replay", "routes", "--rib", "-", "--repository", state],
                input: RouteReplayTests.table.joined(separator: "\n"))
            let packs = try FileManager.default.contentsOfDirectory(atPath: state + "/packs")
            let pack = state + "/packs/" + (try #require(packs.first))
            var bytes = try Data(contentsOf: URL(filePath: pack))
            bytes[bytes.count / 2] ^= 4
            try bytes.write(to: URL(filePath: pack))
            let verify = try CaesuraProgram.run(["verify", state])
            #expect(verify.exitCode == 65)
            #expect(verify.output.contains("epoch 1: DAMAGED\n"))
            #expect(verify.output.contains(pack))
            #expect(
                verify.errors == """
                    caesura: error: 1 of 1 checkpoint damaged
                    caesura: hint: caesura restore \(state) --at 1 --check --salvage shows what can be brought back

                    """)
            #expect(try CaesuraProgram.run(["restore", state, "--check"]).exitCode == 65)
            #expect(
                try CaesuraProgram.run(["restore", state, "--check", "--salvage"]).exitCode == 65)

            let inspect = try CaesuraProgram.run(["inspect", pack])
            #expect(inspect.exitCode == 65)
            #expect(
                inspect.errors.hasPrefix("caesura: error: \(pack) is not a whole stream: checksum"))
            #expect(
                inspect.errors.hasSuffix(
                    "\ncaesura: hint: fetch the file again, or verify its repository\n"))
        }
    }

    @Test func `Ctrl-C ends with 130 and leaves the repository free for the next writer`() throws {
        try CaesuraProgram.withDirectory { directory in
            let state = directory + "/state"
            let waiting = try CaesuraProgram.start(
                ["replay", "routes", "--rib", "-", "--repository", state])
            // The lock is taken before the first line is read.
            while !FileManager.default.fileExists(atPath: state + "/caesura.json") {
                try #require(waiting.process.isRunning)
            }
            waiting.process.interrupt()
            // Standard input stays open: its end, seen before the signal, would end the replay too.
            waiting.process.waitUntilExit()
            let run = waiting.finish()
            #expect(run.exitCode == 130)
            #expect(run.errors == "caesura: error: interrupted\n")
            let next = try CaesuraProgram.run(
                ["replay", "routes", "--rib", "-", "--repository", state],
                input: RouteReplayTests.table[0])
            #expect(next.exitCode == 0)
        }
    }
}
