import Foundation
import Testing

/// Two processes that move partitions to each other while clients count, one of which is killed or stands still for longer
/// than the other waits, at each step of the protocol.
///
/// What is looked at is in `Tests/TestNode`: each write has one effect, one of them owns each partition, and they go on.
@Suite(.serialized, .timeLimit(.minutes(60)))
struct ProcessTests {
    static let steps = [
        "connecting", "asking", "copying", "sealing", "finishing", "handingOver", "aborting",
        "lettingGo", "asked", "receiving", "waiting", "appending", "owning", "recovering",
        "greeting", "negotiating", "reading", "returning", "missing", "queued", "unanswered",
    ]

    /// The program that lies beside the tests.
    private static let program: URL? = CommandLine.arguments.map {
        URL(filePath: $0).deletingLastPathComponent().appending(path: "TestNode")
    }.first { FileManager.default.isExecutableFile(atPath: $0.path) }

    @Test(arguments: steps, ["kill", "stop"])
    func `whoever is hit, each write has one effect and the moves go on`(
        step: String, fault: String
    ) async throws {
        try await Self.trial(step, fault, [])
    }

    /// The steps that are others where partitions are handed over before all of their rows have gone.
    @Test(
        arguments: ["handingOver", "lettingGo", "appending", "pulling", "owning"], ["kill", "stop"])
    func `the same where rows follow their owner`(step: String, fault: String) async throws {
        try await Self.trial(step, fault, ["--postcopy"])
    }

    private static func trial(
        _ step: String, _ fault: String, _ options: [String]
    ) async throws {
        let process = Process()
        process.executableURL = try #require(program)
        process.arguments = ["trial", "--step", step, "--fault", fault] + options
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        let status = try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
        // It says less than a pipe holds.
        let text = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        #expect(status == 0, "\(text)")
    }
}
