import ArgumentParser
import CaesuraFormat
import CaesuraRepository
import Foundation

/// `caesura compact`.
struct Compact: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a checkpoint that is a delta a full one.",
        discussion: """
            It is then restored without those before it, and so is what comes after it. The state is rebuilt in \
            memory for that. Nothing is removed: that is what caesura prune is for. Works beside a service that \
            takes checkpoints.
            """)

    @OptionGroup var checkpoint: CheckpointArguments
    @Flag(help: "Only say what would be done.")
    var dryRun = false
    @Flag(help: "Print it as JSON.")
    var json = false

    func run() async throws {
        let directory = checkpoint.directory
        let repository = try await checkpoint.open(for: .maintain)
        let epoch = try await repository.epoch(checkpoint.at, in: directory)
        let path = try await repository.log().restorePaths()[epoch]
        var options = CheckpointOptions()
        if let full = path?.full,
            try await repository.reader(at: full).manifest.codec != "none"
        {
            options.compression = .zstd(level: 3)
        }
        let start = MonotonicClock.now()
        let isDryRun = dryRun
        let made = try await stopping { [options] in
            try await repository.compact(at: epoch, options: options, isDryRun: isDryRun)
        }
        let compaction = Compaction(
            epoch: epoch, made, path, isDryRun: dryRun, time: MonotonicClock.now() - start)
        if json {
            try StandardOutput.writeJSON(compaction)
        } else {
            try StandardOutput.write(compaction.text(in: directory))
        }
    }
}

/// What `caesura compact` did, or would do.
struct Compaction: Codable {
    var epoch: UInt64
    var isDryRun: Bool
    /// Whether there was nothing to do.
    var wasFull: Bool
    var rows: Int?
    /// Bytes of the full checkpoint; nil in a dry run.
    var byteCount: Int?
    /// Nanoseconds; nil in a dry run.
    var time: UInt64?
    /// The full checkpoint that it was restored from before.
    var full: UInt64?
    /// The deltas that were applied to it.
    var deltas: Int?
    /// Changes in these.
    var changes: Int?

    init(
        epoch: UInt64, _ made: Checkpoint?, _ path: RestorePath?, isDryRun: Bool, time: UInt64
    ) {
        self.epoch = epoch
        self.isDryRun = isDryRun
        wasFull = made == nil
        guard let made else { return }
        rows = made.rows
        full = path?.full
        deltas = path?.deltas
        changes = path?.changes
        guard !isDryRun else { return }
        byteCount = made.storedBytes
        self.time = time
    }

    /// What a person reads.
    func text(in directory: String) -> String {
        guard !wasFull else {
            return "epoch \(epoch) is a full checkpoint already: nothing to do\n"
        }
        var text =
            "epoch \(epoch): " + (isDryRun ? "would be made" : "made") + " full, "
            + counted(rows ?? 0, "row")
        if let byteCount, let time { text += ", \(byteText(byteCount)) in \(durationText(time))" }
        text += "\n"
        if let full, let deltas, let changes {
            text +=
                "  until now it takes the full checkpoint of epoch \(full) and "
                + "\(counted(deltas, "delta")) of \(counted(changes, "change"))\n"
        }
        if !isDryRun {
            text += "  what came before stays; caesura prune \(directory) --keep … removes it\n"
        }
        return text
    }
}
