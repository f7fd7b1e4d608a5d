import ArgumentParser
import CaesuraRepository
import Foundation
import Synchronization

/// `caesura verify`.
struct Verify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read every byte of the checkpoints and compare it with its checksums.",
        discussion: "Ends with exit code 65 if anything is damaged.")

    @Argument(help: ArgumentHelp("The repository.", valueName: "directory"))
    var directory: String
    @Option(help: ArgumentHelp("One checkpoint; all of them unless told.", valueName: "epoch"))
    var at: UInt64?
    @Flag(help: "Print it as JSON.")
    var json = false

    func run() async throws {
        let repository = try await Repository.open(.directory(directory), for: .read)
        try await repository.checkEpoch(at, in: directory)
        let epochs = if let at { [at] } else { try await repository.epochs() }
        guard !epochs.isEmpty else {
            throw ToolError("\(directory) has no checkpoint yet")
        }
        var healths: [CheckpointHealth] = []
        for epoch in epochs {
            let health = CheckpointHealth(try await verify(epoch, of: repository))
            if !json { try StandardOutput.write(health.text) }
            healths.append(health)
        }
        if json { try StandardOutput.writeJSON(healths) }
        let damaged = healths.filter { !$0.isGood }.map(\.epoch)
        guard damaged.isEmpty else {
            throw ToolError(damaged: damaged, of: healths.count, in: directory)
        }
    }

    private func verify(_ epoch: UInt64, of repository: Repository) async throws -> VerifyReport {
        let size = try? await repository.reader(at: epoch).manifest.storedBytes
        let bar = Mutex(ProgressBar("verifying epoch \(epoch)"))
        defer { bar.withLock { $0.clear() } }
        return try await stopping {
            try await repository.verify(at: epoch) { read in
                bar.withLock {
                    $0.update(size.map { Double(read) / Double(max($0, 1)) }, byteText(read))
                }
            }
        }
    }
}

/// What `caesura verify` and `caesura restore --check` say of one checkpoint.
struct CheckpointHealth: Codable {
    var epoch: UInt64
    var isGood: Bool
    var bytesRead: Int
    /// What is wrong and where.
    var problems: [String]
    var regions: [Region]

    /// What is left of a region.
    struct Region: Codable {
        var name: String
        var rows: Int
        var goodRows: Int
        var damagedPartitions: [Int]
    }

    init(_ report: VerifyReport) {
        epoch = report.epoch
        isGood = report.isGood
        bytesRead = report.bytesRead
        problems = report.problems.map(\.description)
        regions = report.regions.map {
            Region(
                name: $0.name, rows: $0.rows, goodRows: $0.goodRows,
                damagedPartitions: $0.damagedPartitions)
        }
    }

    /// Whether no row is lost, whatever else is: a manifest can be made anew from its packs.
    var hasAllRows: Bool { !regions.isEmpty && regions.allSatisfy { $0.goodRows == $0.rows } }

    /// What a person reads.
    var text: String {
        let rows = regions.reduce(0) { $0 + $1.rows }
        if isGood {
            return "epoch \(epoch): good, \(rows.grouped) rows, \(byteText(bytesRead)) read\n"
        }
        var text = "epoch \(epoch): DAMAGED\n"
        // The first dozen show where it lies; a broken disk can have thousands.
        for problem in problems.prefix(12) { text += "  \(problem)\n" }
        if problems.count > 12 { text += "  … and \((problems.count - 12).grouped) more\n" }
        for region in regions {
            text +=
                "  \(region.name): \(region.goodRows.grouped) of \(region.rows.grouped) rows good"
            if !region.damagedPartitions.isEmpty {
                let list = region.damagedPartitions.prefix(12).map(String.init)
                    .joined(separator: ", ")
                text += ", damaged partitions \(list)"
                if region.damagedPartitions.count > 12 {
                    text += " and \(region.damagedPartitions.count - 12) more"
                }
            }
            text += "\n"
        }
        return text
    }
}
