import ArgumentParser
import CaesuraRepository
import Foundation

/// `caesura log`.
struct Log: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the checkpoints of a repository, oldest first.",
        discussion: """
            A delta says what changed since another checkpoint, its base. "restore" is an estimate of how long \
            bringing the checkpoint back takes, for rows of common size on two cores. Ends with exit code 65 if \
            something is damaged; caesura verify reads every byte.
            """)

    @Argument(help: ArgumentHelp("The repository.", valueName: "directory"))
    var directory: String
    @Option(help: ArgumentHelp("Only the newest so many.", valueName: "number"))
    var last: Int?
    @Flag(help: "Print it as JSON.")
    var json = false

    mutating func validate() throws {
        if let last, last < 1 { throw ValidationError("--last is at least 1") }
    }

    func run() async throws {
        let repository = try await Repository.open(.directory(directory), for: .read)
        let listing = Listing(name: directory, try await repository.log(), last: last)
        if json {
            try StandardOutput.writeJSON(listing)
        } else {
            try StandardOutput.write(listing.text)
        }
        guard listing.problems.isEmpty else {
            throw ToolError(
                "\(counted(listing.problems.count, "problem")) in \(directory)",
                hint: "caesura verify \(directory) says what is still good", exitCode: .damage)
        }
    }
}

/// What `caesura log` shows.
struct Listing: Codable {
    /// The repository.
    var name: String
    /// Checkpoints, oldest first; the newest ones if so many were asked for.
    var checkpoints: [Line]
    /// Sums over all checkpoints, whether they are shown or not.
    var total: Total
    /// Removed checkpoints that others are restored through.
    var underlying: Total
    /// Ends of chain files that are no whole deltas.
    var unfinished: [UnfinishedTail]
    /// What is damaged.
    var problems: [String]

    /// One checkpoint.
    struct Line: Codable {
        var epoch: UInt64
        var created: String
        /// The epoch that a delta builds on; nil for a full one.
        var base: UInt64?
        var rows: Int
        /// Changed rows of a delta.
        var changes: Int?
        var byteCount: Int
        /// Nanoseconds.
        var pause: UInt64
        /// Nanoseconds, all threads together.
        var encode: UInt64
        /// Nanoseconds from the cut to the commit.
        var total: UInt64
        /// Nanoseconds, about; nil if what it builds on cannot be had.
        var restoreEstimate: UInt64?
    }

    /// Some checkpoints together.
    struct Total: Codable {
        var checkpoints: Int
        var full: Int
        var byteCount: Int

        init(_ checkpoints: [Checkpoint]) {
            self.checkpoints = checkpoints.count
            full = checkpoints.count(where: \.isFull)
            byteCount = checkpoints.reduce(0) { $0 + $1.storedBytes }
        }
    }

    init(name: String, _ log: CheckpointLog, last: Int?) {
        self.name = name
        let paths = log.restorePaths()
        checkpoints = log.checkpoints.suffix(last ?? .max).map { checkpoint in
            Line(checkpoint, restoreEstimate: paths[checkpoint.epoch]?.estimate.nanoseconds)
        }
        total = Total(log.checkpoints)
        underlying = Total(log.underlying)
        unfinished = log.unfinished.map { UnfinishedTail($0) }
        problems = log.problems.map(\.description)
    }

    /// What a person reads.
    var text: String {
        var text = ""
        if !checkpoints.isEmpty {
            var table = TextTable([
                "epoch", "created", "kind", "rows", "changes", "size", "pause", "encode", "in all",
                "restore",
            ])
            for line in checkpoints { table.append(line.cells) }
            text += table.text
        }
        for problem in problems { text += "damaged: \(problem)\n" }
        for tail in unfinished { text += "skipped: \(tail.text)\n" }
        text += "\(name): \(total.text)"
        if checkpoints.count < total.checkpoints {
            text += "; the newest \(checkpoints.count.grouped) are shown"
        }
        text += "\n"
        if underlying.checkpoints > 0 {
            text +=
                "  and \(underlying.text), removed but kept in files: others are restored through them\n"
        }
        return text
    }
}

extension Listing.Total {
    /// For example `20,001 checkpoints, 1 full, 3.21 MB`.
    fileprivate var text: String {
        "\(counted(checkpoints, "checkpoint")), \(full.grouped) full, \(byteText(byteCount))"
    }
}

extension Listing.Line {
    fileprivate init(_ checkpoint: Checkpoint, restoreEstimate: UInt64?) {
        self.init(
            epoch: checkpoint.epoch, created: "\(checkpoint.created)", base: checkpoint.base,
            rows: checkpoint.rows, changes: checkpoint.changes, byteCount: checkpoint.storedBytes,
            pause: checkpoint.timings.pause, encode: checkpoint.timings.encode,
            total: checkpoint.timings.total, restoreEstimate: restoreEstimate)
    }

    fileprivate var cells: [String] {
        [
            "\(epoch)", created, base.map { "delta of \($0)" } ?? "full", rows.grouped,
            changes?.grouped ?? "–", byteText(byteCount), durationText(pause), durationText(encode),
            durationText(total), restoreEstimate.map { "~" + durationText($0) } ?? "cannot",
        ]
    }
}

/// The end of a chain file that is no whole delta.
struct UnfinishedTail: Codable {
    var file: String
    var offset: Int
    var byteCount: Int
    /// The epoch of the last whole delta before it, or that the file's first would build on.
    var epoch: UInt64

    init(_ unfinished: CheckpointLog.Unfinished) {
        file = unfinished.path
        offset = unfinished.offset
        byteCount = unfinished.byteCount
        epoch = unfinished.epoch
    }

    /// What a person reads.
    var text: String {
        "\(byteText(byteCount)) behind epoch \(epoch), a delta that is being written or never was finished "
            + "(\(file), byte \(offset))"
    }
}

extension Duration {
    /// The whole nanoseconds of a duration that is not negative.
    var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        return UInt64(max(0, seconds)) * 1_000_000_000 + UInt64(max(0, attoseconds / 1_000_000_000))
    }
}
