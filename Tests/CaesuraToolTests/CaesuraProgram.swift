import Foundation
import Testing

/// Starts the program that lies beside the tests.
enum CaesuraProgram {
    static let path: String? = {
        // …/debug/caesuraPackageTests.xctest, or a helper that was given its path.
        CommandLine.arguments.compactMap { argument -> String? in
            let path = URL(filePath: argument).deletingLastPathComponent()
                .appending(path: "caesura").path
            return FileManager.default.isExecutableFile(atPath: path) ? path : nil
        }.first
    }()

    struct Run {
        var exitCode: Int32
        var output: String
        var errors: String
        var json: Any? { try? JSONSerialization.jsonObject(with: Data(output.utf8)) }

        /// Ends the test if it has failed.
        func requireSuccess() throws { try #require(exitCode == 0, "\(errors)") }
    }

    struct Started {
        let process: Process
        fileprivate let input = Pipe()
        fileprivate let output: URL
        fileprivate let errors: URL

        /// What it has printed by now.
        var outputSoFar: String { (try? String(contentsOf: output, encoding: .utf8)) ?? "" }

        /// Closes standard input and waits for the end.
        func finish() -> Run {
            try? input.fileHandleForWriting.close()
            process.waitUntilExit()
            defer {
                try? FileManager.default.removeItem(at: output)
                try? FileManager.default.removeItem(at: errors)
            }
            return Run(
                exitCode: process.terminationStatus,
                output: (try? String(contentsOf: output, encoding: .utf8)) ?? "",
                errors: (try? String(contentsOf: errors, encoding: .utf8)) ?? "")
        }
    }

    /// Starts the program; `script` is what a shell does with it, for example `"$@" 2>&-`.
    static func start(_ arguments: [String], script: String = "") throws -> Started {
        let process = Process()
        func file() throws -> URL {
            let url = FileManager.default.temporaryDirectory
                .appending(path: "caesura-\(UUID().uuidString)")
            try Data().write(to: url)
            return url
        }
        let started = Started(process: process, output: try file(), errors: try file())
        let path = try #require(path)
        process.executableURL = URL(filePath: script.isEmpty ? path : "/bin/sh")
        process.arguments = script.isEmpty ? arguments : ["-c", script, "sh", path] + arguments
        process.standardInput = started.input
        // Files, not pipes: nobody has to read them for the program to go on.
        process.standardOutput = try FileHandle(forWritingTo: started.output)
        process.standardError = try FileHandle(forWritingTo: started.errors)
        try process.run()
        return started
    }

    static func run(
        _ arguments: [String], input: String = "", script: String = ""
    ) throws -> Run {
        let started = try start(arguments, script: script)
        try? started.input.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        return started.finish()
    }

    static func withDirectory(_ body: (String) throws -> Void) throws {
        let path = try makeDirectory()
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    static func withDirectory(_ body: (String) async throws -> Void) async throws {
        let path = try makeDirectory()
        defer { try? FileManager.default.removeItem(atPath: path) }
        try await body(path)
    }

    private static func makeDirectory() throws -> String {
        let path = FileManager.default.temporaryDirectory
            .appending(path: "caesura-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }
}
