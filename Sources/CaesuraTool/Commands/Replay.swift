import ArgumentParser
import CaesuraRepository
import Foundation

/// `caesura replay`.
struct Replay: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run recorded state through a live table and checkpoint it meanwhile.",
        subcommands: [ReplayRoutes.self])
}

/// `caesura replay routes`.
struct ReplayRoutes: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "routes",
        abstract: "Keep a BGP routing table live and take checkpoints under its updates.",
        discussion: """
            Files hold lines as `bgpdump -m` prints them, plain or in gzip; `-` is standard input. MRT files are \
            read through bgpdump, if it is installed. Bad lines are counted, reported and left out.
            """)

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Table dumps to start from.", valueName: "file"))
    var rib: [String]
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Updates to apply, merged by their times.", valueName: "file"))
    var updates: [String] = []
    @Option(help: ArgumentHelp("The directory for the checkpoints.", valueName: "directory"))
    var repository: String
    @Option(
        help: ArgumentHelp(
            "Updates a second; without it, each follows the one before at once.",
            valueName: "number"))
    var rate: Double?
    @Option(
        help: ArgumentHelp(
            "Seconds from the start of one checkpoint to the next; 1 unless told.",
            valueName: "seconds"))
    var checkpointEvery: Double?
    @Flag(help: "Print the measurements as JSON.")
    var json = false

    mutating func validate() throws {
        guard !repository.isEmpty else {
            throw ValidationError("--repository needs the name of a directory")
        }
        for (option, isGiven) in [
            ("--rate", rate != nil), ("--checkpoint-every", checkpointEvery != nil),
        ] where isGiven && updates.isEmpty {
            throw ValidationError(
                "\(option) needs --updates: without any, the one checkpoint is of the dump")
        }
        if let rate, !(rate >= 1 && rate <= 10_000_000) {
            throw ValidationError("--rate is from 1 to 10000000")
        }
        if let checkpointEvery, !(checkpointEvery > 0 && checkpointEvery <= 86_400) {
            throw ValidationError("--checkpoint-every is above 0 and up to 86400")
        }
        guard (rib + updates).count(where: { $0 == "-" }) <= 1 else {
            throw ValidationError("standard input can be read only once")
        }
    }

    func run() async throws {
        // All that can be refused is refused before the dumps are read, which may take minutes.
        for path in rib + updates { try RouteInput.check(path) }
        let repository = try await Repository.open(.directory(repository))
        guard try await repository.epochs().isEmpty else {
            throw ToolError(
                "\(self.repository) has checkpoints already, and a replay begins anew",
                hint: "name another directory with --repository")
        }
        let replay = RouteReplay(
            table: try RoutingTable(), repository: repository, rate: rate,
            checkpointInterval: UInt64((checkpointEvery ?? 1) * 1e9))
        let (report, badLines) = try await replay.run(
            dumps: rib, updates: updates, directory: self.repository)
        if json {
            try StandardOutput.writeJSON(report)
        } else {
            try StandardOutput.write(report.text)
        }
        StandardError.write(badLines.text)
    }
}
