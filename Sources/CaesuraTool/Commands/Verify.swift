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
        var healths: [CheckpointHealth] = []
        if let at {
            healths = [CheckpointHealth(try await verify(at, of: repository))]
        } else {
            healths = try await verifyAll(of: repository)
        }
        let losses = at == nil ? try await repository.losses().map(\.description) : []
        guard !healths.isEmpty || !losses.isEmpty else {
            throw ToolError("\(directory) has no checkpoint yet")
        }
        if json {
            try StandardOutput.writeJSON(healths)
        } else {
            try StandardOutput.write(Self.text(healths))
            for loss in losses { try StandardOutput.write("lost: \(loss)\n") }
        }
        let damaged = healths.filter { !$0.isGood }.map(\.epoch)
        guard damaged.isEmpty else {
            throw ToolError(
                damaged: damaged, of: healths.count,
                dependents: healths.count { $0.damagedBase != nil }, in: directory)
        }
        guard losses.isEmpty else {
            throw ToolError(
                "deltas in \(directory) are lost",
                hint: "a store goes on from what is good with Repository.salvage(into:)",
                exitCode: .damage)
        }
    }

    /// A line for each full checkpoint and for each that is damaged; good deltas that follow each other share one.
    static func text(_ healths: [CheckpointHealth]) -> String {
        var text = ""
        var run: [CheckpointHealth] = []
        func endRun() {
            guard let first = run.first, let last = run.last else { return }
            if run.count == 1 {
                text += first.text
            } else {
                let bytes = run.reduce(0) { $0 + $1.bytesRead }
                text +=
                    "epochs \(first.epoch) to \(last.epoch): \(counted(run.count, "delta")) good, "
                    + "\(byteText(bytes)) read\n"
            }
            if let damaged = first.damagedBase {
                text += "  but restored through epoch \(damaged), which is damaged\n"
            }
            run = []
        }
        for health in healths {
            if health.isGood, health.base != nil {
                if health.damagedBase != run.last?.damagedBase { endRun() }
                run.append(health)
            } else {
                endRun()
                text += health.text
            }
        }
        endRun()
        return text
    }

    /// Notes of each good delta which damaged checkpoint it is restored through.
    ///
    /// - Parameter healths: All checkpoints, oldest first: each before what builds on it.
    static func tracingDamage(_ healths: [CheckpointHealth]) -> [CheckpointHealth] {
        var healths = healths
        var damaged: [UInt64: UInt64] = [:]
        for index in healths.indices {
            let epoch = healths[index].epoch
            if !healths[index].isGood {
                damaged[epoch] = epoch
            } else if let base = healths[index].base, let origin = damaged[base] {
                healths[index].damagedBase = origin
                damaged[epoch] = origin
            }
        }
        return healths
    }

    private func verifyAll(of repository: Repository) async throws -> [CheckpointHealth] {
        let size = try await repository.log().checkpoints.reduce(0) { $0 + $1.storedBytes }
        let bar = Mutex(ProgressBar("verifying"))
        defer { bar.withLock { $0.clear() } }
        return try await stopping {
            let healths = Mutex<[CheckpointHealth]>([])
            try await repository.verifyAll { read in
                bar.withLock { $0.update(Double(read) / Double(max(size, 1)), byteText(read)) }
            } report: { report in
                let health = CheckpointHealth(report)
                healths.withLock { $0.append(health) }
            }
            return Self.tracingDamage(healths.withLock { $0 })
        }
    }

    private func verify(_ epoch: UInt64, of repository: Repository) async throws -> VerifyReport {
        let bar = Mutex(ProgressBar("verifying epoch \(epoch)"))
        defer { bar.withLock { $0.clear() } }
        return try await stopping {
            try await repository.verify(at: epoch) { read in
                bar.withLock { $0.update(nil, byteText(read)) }
            }
        }
    }
}

/// What `caesura verify` and `caesura restore --check` say of one checkpoint.
struct CheckpointHealth: Codable, Sendable {
    var epoch: UInt64
    /// The epoch that a delta builds on; nil for a full one.
    var base: UInt64?
    var isGood: Bool
    /// The damaged checkpoint that a good delta is restored through; nil if there is none, or that is not known.
    var damagedBase: UInt64?
    var bytesRead: Int
    /// What is wrong and where.
    var problems: [String]
    var regions: [Region]

    /// What is left of a region.
    struct Region: Codable, Sendable {
        var name: String
        var rows: Int
        var goodRows: Int
        var damagedPartitions: [Int]
    }

    init(_ report: VerifyReport) {
        epoch = report.epoch
        base = report.base
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
        // Where the names are in a manifest that is missing, the problem above is all that is known.
        for region in regions where !region.name.isEmpty {
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
