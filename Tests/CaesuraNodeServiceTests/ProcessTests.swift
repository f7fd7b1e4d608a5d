import Foundation
import Testing

/// Two processes that move partitions to each other while clients count.
///
/// One of them is killed or stands still for longer than the other waits, at each step of the protocol; or its disk is full;
/// or the network between them is a bad one.
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

    /// How a trial ends that the system does not permit: `EX_NOPERM` of `sysexits.h`.
    private static let deniedStatus: Int32 = 77

    @Test(arguments: steps, ["kill", "stop"])
    func `whoever is hit, each write has one effect and the moves go on`(
        step: String, fault: String
    ) async throws {
        try await run("trial", "--step", step, "--fault", fault)
    }

    /// The steps that are others where partitions are handed over before all of their rows have gone.
    @Test(
        arguments: ["handingOver", "lettingGo", "appending", "pulling", "owning"], ["kill", "stop"])
    func `the same where rows follow their owner`(step: String, fault: String) async throws {
        try await run("trial", "--step", step, "--fault", fault, "--postcopy")
    }

    @Test(arguments: ["nobody", "source", "target", "both"])
    func `with a full disk at the target, the source keeps the rows`(victim: String) async throws {
        try await run("full-disk", "--victim", victim)
    }

    @Test func `over a network that loses, delays and is cut, each write has one effect`()
        async throws
    {
        try await run("hosts")
    }

    /// Runs a trial; there is a warning with the reason if the system does not permit what the trial needs.
    private func run(_ arguments: String...) async throws {
        let program = try #require(Self.program)
        let process = Process()
        process.executableURL = program
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        let status = try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
        // It says less than a pipe holds.
        let text = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        guard status != Self.deniedStatus else {
            Issue.record("not run: \(text)", severity: .warning)
            return
        }
        #expect(status == 0, "\(text)")
    }
}
