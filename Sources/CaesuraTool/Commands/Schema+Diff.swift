import ArgumentParser
import CaesuraFormat
import CaesuraSchemas

extension Schema {
    /// `caesura schema diff`.
    struct Diff: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what differs between two schemas, and which program reads which data.",
            discussion: """
                For each region the fields that were + added, - retired or dropped, ~ changed, and whether a program of \
                each side reads data of the other, by the rules of docs/SCHEMAS.md. Migrations are code, and not looked \
                at. Of a lock's version only the regions are compared that have it.

                  caesura schema diff caesura.schema.json@2 caesura.schema.json@3
                  caesura schema diff state caesura.schema.json
                """)

        enum Format: String, ExpressibleByArgument, CaseIterable {
            case text, json
        }

        @Argument(help: ArgumentHelp(Schema.sourceHelp, valueName: "a"))
        var first: SchemaSource
        @Argument(help: ArgumentHelp("What to compare it with, of the same kinds.", valueName: "b"))
        var second: SchemaSource
        @Option(help: ArgumentHelp("Only this region.", valueName: "name"))
        var region: String?
        @Option(help: ArgumentHelp("text or json.", valueName: "format"))
        var format = Format.text

        func validate() throws {
            if first.path == "-", second.path == "-" {
                throw ValidationError("standard input can be read once")
            }
        }

        func run() async throws {
            let old = try await first.schemas()
            let new = try await second.schemas()
            var names = Set((old + new).map(\.name))
            if let region {
                guard names.contains(region) else {
                    throw ToolError(
                        "neither side has a region \(region)",
                        hint: names.isEmpty
                            ? nil : "they have \(names.sorted().joined(separator: ", "))",
                        exitCode: .usage)
                }
                names = [region]
            }
            if first.isLockVersion { names.formIntersection(old.map(\.name)) }
            if second.isLockVersion { names.formIntersection(new.map(\.name)) }
            let differences = SchemaDifference.all(
                from: old.filter { names.contains($0.name) },
                to: new.filter { names.contains($0.name) })
            switch format {
            case .text:
                let isSame = differences.allSatisfy(\.isEmpty)
                let sides = "A is \(first.name)\nB is \(second.name)\n"
                try StandardOutput.write(
                    isSame ? "nothing differs\n" : sides + differences.map(\.text).joined())
            case .json: try StandardOutput.writeJSON(differences.map(SchemaDifferenceReport.init))
            }
        }
    }
}
