import ArgumentParser
import Caesura
import CaesuraFormat
import CaesuraRepository
import Foundation

extension RowPrinter.Format: ExpressibleByArgument {}

/// `caesura export`.
struct Export: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the rows of a checkpoint.",
        discussion: """
            Rows of a table come in the order of their keys' hashes, those of a log in their own. Fields marked sensitive are left out. Integers are \
            printed in full: some JSON readers round those above 2^53.
            """)

    @OptionGroup var checkpoint: CheckpointArguments
    @Option(
        name: [.long, .customLong("table")],
        help: ArgumentHelp("The table, log or cell, if there are several.", valueName: "name"))
    var region: String?
    @Option(help: ArgumentHelp("jsonl or csv.", valueName: "format"))
    var format: RowPrinter.Format = .jsonl
    @Flag(help: "Print sensitive fields too.")
    var sensitive = false
    @Flag(help: "The same as --format jsonl.")
    var json = false

    mutating func validate() throws {
        if json, format == .csv {
            throw ValidationError("--json and --format csv exclude each other")
        }
    }

    func run() async throws {
        let repository = try await checkpoint.open()
        let epoch = try await repository.epoch(checkpoint.at, in: checkpoint.directory)
        let rows = try await rows(of: repository, at: epoch)
        var printer = RowPrinter(rows.schema, format: format, includingSensitive: sensitive)
        var progress = ProgressBar("exporting")
        defer { progress.clear() }
        // What standard output shows is already progress.
        let isSilent = isatty(STDOUT_FILENO) == 1
        printer.appendHeading()
        try StandardOutput.write(printer.bytes)
        while let share = try rows.next() {
            try Interruption.check()
            printer.removeAll()
            printer.append(rows.cursor)
            try StandardOutput.write(printer.bytes)
            if !isSilent { progress.update(share) }
        }
    }

    /// The region's rows: from files, or from memory where the checkpoint is a delta.
    private func rows(of repository: Repository, at epoch: UInt64) async throws -> RegionRows {
        guard try await repository.delta(at: epoch) != nil else {
            let reader = try await repository.reader(at: epoch)
            return try RegionRows(
                reader, region: index(in: reader.manifest.regions.map(\.name), epoch))
        }
        let store = Store()
        _ = try await stopping { try await repository.restore(into: store, at: epoch) }
        let chunks = try CutChunks(store.cut())
        return try RegionRows(chunks, region: index(in: chunks.schemas.map(\.name), epoch))
    }

    private func index(in names: [String], _ epoch: UInt64) throws(ToolError) -> Int {
        if let region {
            guard let index = names.firstIndex(of: region) else {
                throw ToolError(
                    "epoch \(epoch) has no region \(region)",
                    hint: names.isEmpty ? nil : "it has \(names.joined(separator: ", "))",
                    exitCode: .usage)
            }
            return index
        }
        guard names.count == 1 else {
            throw ToolError(
                names.isEmpty
                    ? "epoch \(epoch) has no region" : "epoch \(epoch) has \(names.count) regions",
                hint: names.isEmpty
                    ? nil : "name one with --region: \(names.joined(separator: ", "))",
                exitCode: names.isEmpty ? .failure : .usage)
        }
        return 0
    }
}
