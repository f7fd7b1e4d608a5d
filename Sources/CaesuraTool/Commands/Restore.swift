import ArgumentParser
import Caesura
import CaesuraRepository
import Foundation

/// `caesura restore --check`.
struct Restore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Restore a checkpoint into memory and say whether that works.",
        discussion: """
            A service restores with Repository.restore(into:); this does the same without the service, and keeps \
            nothing. Ends with exit code 65 if anything is damaged.
            """)

    @OptionGroup var checkpoint: CheckpointArguments
    @Flag(help: "Restore into memory and throw it away.")
    var check = false
    @Flag(help: "Restore what is good of a damaged checkpoint, and list what is lost.")
    var salvage = false
    @Flag(help: "Print it as JSON.")
    var json = false

    mutating func validate() throws {
        guard check else {
            throw ValidationError("only --check is there: the tool has no service to restore into")
        }
    }

    func run() async throws {
        let repository = try await checkpoint.open()
        let store = Store()
        let start = MonotonicClock.now()
        if salvage {
            let report = try await stopping {
                try await repository.salvage(into: store, at: checkpoint.at)
            }
            let health = CheckpointHealth(report)
            if json {
                try StandardOutput.writeJSON(health)
            } else {
                try StandardOutput.write(health.text)
            }
            guard health.isGood else { throw Self.refusal(health) }
            return
        }
        let restored = try await stopping {
            try await repository.restore(into: store, at: checkpoint.at)
        }
        guard let restored else { throw ToolError("\(checkpoint.directory) has no checkpoint yet") }
        let result = RestoreCheck(restored, store: store, time: MonotonicClock.now() - start)
        if json {
            try StandardOutput.writeJSON(result)
        } else {
            try StandardOutput.write(result.text)
        }
        guard result.regions.allSatisfy({ $0.rows == $0.restoredRows }) else {
            throw ToolError("the store has other numbers of rows than the manifest says")
        }
    }

    private static func refusal(_ health: CheckpointHealth) -> ToolError {
        health.hasAllRows
            ? ToolError(
                "epoch \(health.epoch) is damaged, but all of its rows came back",
                hint: "a service gets them with Repository.salvage(into:at:)", exitCode: .damage)
            : ToolError(
                "not all of epoch \(health.epoch) could be brought back",
                hint: "the lines above say what is lost", exitCode: .damage)
    }
}

/// What `caesura restore --check` found.
struct RestoreCheck: Codable {
    var epoch: UInt64
    /// Nanoseconds, verifying included.
    var time: UInt64
    var regions: [Region]

    /// One region.
    struct Region: Codable {
        var name: String
        /// By the manifest.
        var rows: Int
        /// In the store.
        var restoredRows: Int
    }

    init(_ checkpoint: Checkpoint, store: Store, time: UInt64) {
        epoch = checkpoint.epoch
        self.time = time
        regions = checkpoint.regions.map {
            Region(name: $0.name, rows: $0.rows, restoredRows: store.rowCount(of: $0.name) ?? 0)
        }
    }

    /// What a person reads.
    var text: String {
        let rows = regions.reduce(0) { $0 + $1.restoredRows }
        var text =
            "epoch \(epoch): \(rows.grouped) rows restored in \(durationText(time))"
            + (rows > 0 ? ", \(durationText(time / UInt64(rows))) a row\n" : "\n")
        for region in regions { text += "  \(region.name): \(region.restoredRows.grouped) rows\n" }
        return text
    }
}
