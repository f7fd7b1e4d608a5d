import CaesuraRepository
import Foundation
import Testing

/// What `caesura demo` leaves alone, and what it leaves behind when it does not come to its end.
@Suite(
    .enabled(if: CaesuraProgram.path != nil, "the program `caesura` was not built beside the tests")
)
struct DemoCommandTests {
    @Test func `a demo refuses a directory that is not its own`() throws {
        try CaesuraProgram.withDirectory { directory in
            try "mine".write(
                toFile: directory + "/thesis.txt", atomically: true, encoding: .utf8)
            let run = try CaesuraProgram.run(["demo", "--directory", directory])
            #expect(run.exitCode == 1)
            #expect(
                run.errors == """
                    caesura: error: \(directory) holds files that no demo made
                    caesura: hint: name an empty or a new directory with --directory

                    """)
            #expect(FileManager.default.fileExists(atPath: directory + "/thesis.txt"))
        }
    }

    @Test func `a second demo is refused while another one runs, and takes nothing away`()
        async throws
    {
        try await withDemo { directory in
            let repository = try await Repository.open(.directory(directory + "/state"))
            let run = try CaesuraProgram.run(["demo", "--directory", directory])
            #expect(run.exitCode == 75)
            #expect(run.errors.hasPrefix("caesura: error: another writer has this repository: "))
            #expect(
                run.errors.hasSuffix(
                    "\ncaesura: hint: wait until that demo has ended, or name another directory with "
                        + "--directory\n"))
            #expect(
                try contents(directory) == [
                    ".caesura-demo", "mine.txt", "report.html", "sessions.json", "state", "sub",
                ])
            repository.close()
        }
    }

    @Test func `a file that cannot be written is named, and files of others stay`() async throws {
        try await withDemo { directory in
            // 32 KiB: enough for a repository, too few for the sessions.
            let run = try CaesuraProgram.run(
                ["demo", "--rows", "1000", "--directory", directory],
                script: #"trap '' XFSZ; ulimit -f 64; exec "$@""#)
            #expect(run.exitCode == 1)
            #expect(
                run.errors == """
                    caesura: error: cannot write \(directory)/sessions.json: File too large
                    caesura: hint: raise the limit on the size of files (ulimit -f)

                    """)
            #expect(try contents(directory) == [".caesura-demo", "mine.txt", "state", "sub"])
        }
    }

    @Test func `Ctrl-C leaves no sessions behind`() async throws {
        try await withDemo { directory in
            let demo = try CaesuraProgram.start(["demo", "--directory", directory])
            // Taken away once the lock is taken.
            while FileManager.default.fileExists(atPath: directory + "/sessions.json") {
                try #require(demo.process.isRunning)
            }
            demo.process.interrupt()
            #expect(demo.finish().exitCode == 130)
            #expect(try contents(directory) == [".caesura-demo", "mine.txt", "state", "sub"])
        }
    }

    // MARK: Shorthand

    /// A directory as an earlier demo left it, in which somebody put files of their own.
    private func withDemo(_ body: (String) async throws -> Void) async throws {
        try await CaesuraProgram.withDirectory { (directory) async throws in
            for name in [".caesura-demo", "mine.txt", "report.html", "sessions.json"] {
                try Data().write(to: URL(filePath: directory + "/" + name))
            }
            try FileManager.default.createDirectory(
                atPath: directory + "/sub", withIntermediateDirectories: false)
            try await body(directory)
        }
    }

    private func contents(_ directory: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
    }
}
