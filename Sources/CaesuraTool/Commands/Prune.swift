import ArgumentParser
import CaesuraRepository
import Foundation

/// `caesura prune`.
struct Prune: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Remove checkpoints for good, but for the ones to keep.",
        discussion: """
            Times count back from the newest checkpoint, in UTC. A file goes once no checkpoint that is kept is \
            restored through it. Works beside a service that takes checkpoints.
            """)

    @Argument(help: ArgumentHelp("The repository.", valueName: "directory"))
    var directory: String
    @Option(help: ArgumentHelp("How many of the newest to keep.", valueName: "number"))
    var keep: Int
    @Option(
        help: ArgumentHelp(
            "Also keep the last of each hour for so long: 48h, 2d.", valueName: "time"))
    var hourly: TimeSpan?
    @Option(
        help: ArgumentHelp(
            "Also keep the last of each day for so long: 30d, 8w.", valueName: "time"))
    var daily: TimeSpan?
    @Flag(help: "Only say what would be done.")
    var dryRun = false
    @Flag(help: "Print it as JSON.")
    var json = false

    mutating func validate() throws {
        if keep < 1 { throw ValidationError("--keep is at least 1: the newest checkpoint stays") }
    }

    func run() async throws {
        let repository = try await Repository.open(.directory(directory), for: .maintain)
        let retention = Retention(
            newest: keep, hourly: hourly?.duration ?? .zero, daily: daily?.duration ?? .zero)
        let isDryRun = dryRun
        let before = try await repository.log()
        let pruning = try await stopping {
            try await repository.prune(keeping: retention, isDryRun: isDryRun)
        }
        let removal = Removal(pruning, of: before, isDryRun: dryRun)
        if json {
            try StandardOutput.writeJSON(removal)
        } else {
            try StandardOutput.write(removal.text(in: directory))
        }
    }
}

/// A length of time as it is typed: `90m`, `48h`, `30d`, `8w`.
struct TimeSpan: ExpressibleByArgument, Equatable {
    var duration: Duration

    private static let seconds: [Character: Int64] = [
        "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800,
    ]

    init?(argument: String) {
        guard let unit = argument.last.flatMap({ Self.seconds[$0] }),
            let count = Int64(argument.dropLast()), count >= 0
        else { return nil }
        let (seconds, isTooLong) = count.multipliedReportingOverflow(by: unit)
        // A century is all that anybody means; it keeps sums of microseconds in range.
        guard !isTooLong, seconds <= 100 * 366 * 86_400 else { return nil }
        duration = .seconds(seconds)
    }
}

/// What `caesura prune` did, or would do.
struct Removal: Codable {
    var isDryRun: Bool
    /// Epochs, oldest first.
    var kept: [UInt64]
    /// Epochs, oldest first.
    var removed: [UInt64]
    /// Files that go.
    var files: [String]
    /// Bytes of these.
    var byteCount: Int
    /// The oldest kept checkpoint that is restored through a removed one, so that files of that stay.
    var needsRemoved: UInt64?

    init(_ pruning: Pruning, of log: CheckpointLog, isDryRun: Bool) {
        self.isDryRun = isDryRun
        kept = pruning.kept
        removed = pruning.removed
        files = pruning.files
        byteCount = pruning.byteCount
        let isGone = Set(removed).union(log.underlying.map(\.epoch))
        let isKept = Set(kept)
        needsRemoved =
            log.checkpoints.first { checkpoint in
                isKept.contains(checkpoint.epoch) && checkpoint.base.map(isGone.contains) ?? false
            }?.epoch
    }

    /// What a person reads.
    func text(in directory: String) -> String {
        let all = (kept + removed).sorted()
        let would = isDryRun ? "would be " : ""
        var text = ""
        if removed.isEmpty {
            text += "no checkpoint \(isDryRun ? "would be" : "was") removed\n"
        } else {
            text +=
                "\(counted(removed.count, "checkpoint")) \(would)removed: "
                + "\(epochText(removed, among: all))\n"
        }
        if !kept.isEmpty {
            text +=
                "\(counted(kept.count, "checkpoint")) \(would)kept: "
                + "\(epochText(kept, among: all))\n"
        }
        text +=
            "\(counted(files.count, "file")) \(would)removed, \(byteText(byteCount)) \(would)freed\n"
        if let needsRemoved {
            text +=
                "files of removed checkpoints stay, because epoch \(needsRemoved) is restored through them;\n"
                + "  caesura compact \(directory) --at \(needsRemoved) makes it a full one\n"
        }
        return text
    }
}
