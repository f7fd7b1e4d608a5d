import ArgumentParser
import CaesuraFormat

extension Schema {
    /// `caesura schema show`.
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the schemas of a repository, of a stream, or of a lock.",
            discussion: "Of a lock every version, or the one that is asked for.")

        @Argument(help: ArgumentHelp(Schema.sourceHelp, valueName: "data"))
        var source: SchemaSource
        @Option(help: ArgumentHelp("Only this region.", valueName: "name"))
        var region: String?
        @Option(help: ArgumentHelp("Only this version.", valueName: "number"))
        var version: UInt32?

        func run() async throws {
            let schemas = try await source.schemas(allVersions: true).filter {
                ($0.name == region ?? $0.name) && ($0.row.version == version ?? $0.row.version)
            }
            guard !schemas.isEmpty else {
                throw ToolError(
                    "\(source.name) has no such region or version",
                    hint: "without --region and --version all are shown")
            }
            try StandardOutput.write(schemas.map { "\($0)\n" }.joined(separator: "\n"))
        }
    }
}
