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
            Rows come in the order of their keys' hashes. Fields marked sensitive are left out. Integers are \
            printed in full: some JSON readers round those above 2^53.
            """)

    @OptionGroup var checkpoint: CheckpointArguments
    @Option(help: ArgumentHelp("The table, if there are several.", valueName: "name"))
    var table: String?
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
        let index = try region(of: reader.manifest)
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

    private func region(of manifest: Manifest) throws(ToolError) -> Int {
        let names = manifest.regions.map(\.name)
        if let table {
            guard let index = names.firstIndex(of: table) else {
                throw ToolError(
                    "epoch \(manifest.epoch) has no table \(table)",
                    hint: names.isEmpty ? nil : "it has \(names.joined(separator: ", "))",
                    exitCode: .usage)
            }
            return index
        }
        guard names.count == 1 else {
            throw ToolError(
                names.isEmpty
                    ? "epoch \(manifest.epoch) has no table"
                    : "epoch \(manifest.epoch) has \(names.count) tables",
                hint: names.isEmpty
                    ? nil : "name one with --table: \(names.joined(separator: ", "))",
                exitCode: names.isEmpty ? .failure : .usage)
        }
        return 0
    }
}
