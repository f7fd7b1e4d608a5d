import ArgumentParser
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
        let reader = try await checkpoint.open().reader(at: checkpoint.at)
        let index = try index(in: reader.manifest)
        var rows = try CheckpointRows(
            reader, region: index,
            RowPrinter(
                reader.manifest.regions[index].schema, format: format,
                includingSensitive: sensitive))
        var progress = ProgressBar("exporting")
        defer { progress.clear() }
        // What standard output shows is already progress.
        let isSilent = isatty(STDOUT_FILENO) == 1
        while let share = try rows.next() {
            try Interruption.check()
            try StandardOutput.write(rows.lines)
            if !isSilent { progress.update(share) }
        }
    }

    private func index(in manifest: Manifest) throws(ToolError) -> Int {
        let names = manifest.regions.map(\.name)
        if let region {
            guard let index = names.firstIndex(of: region) else {
                throw ToolError(
                    "epoch \(manifest.epoch) has no region \(region)",
                    hint: names.isEmpty ? nil : "it has \(names.joined(separator: ", "))",
                    exitCode: .usage)
            }
            return index
        }
        guard names.count == 1 else {
            throw ToolError(
                names.isEmpty
                    ? "epoch \(manifest.epoch) has no region"
                    : "epoch \(manifest.epoch) has \(names.count) regions",
                hint: names.isEmpty
                    ? nil : "name one with --region: \(names.joined(separator: ", "))",
                exitCode: names.isEmpty ? .failure : .usage)
        }
        return 0
    }
}
