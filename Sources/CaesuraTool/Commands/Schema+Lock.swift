import ArgumentParser
import CaesuraFormat
import CaesuraSchemas
import Foundation

extension Schema {
    /// `caesura schema lock`.
    struct Lock: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add the present schemas to those that shipped.",
            discussion: "Refuses what caesura schema check calls an error.")

        @Argument(
            help: ArgumentHelp("Data of the present program.", valueName: "directory or file"))
        var source: String
        @OptionGroup var lock: LockArguments
        @Option(
            help: ArgumentHelp(
                "Data of versions before this one of the region need not be read any more.",
                valueName: "region=version"))
        var retire: [String] = []
        @Flag(help: "Write nothing.")
        var dryRun = false

        func run() async throws {
            var file = try lock.read(orEmpty: true)
            let schemas = try await SchemaSource(source).schemas()
            var added: [RegionSchema] = []
            do throws(SchemaLockError) {
                for text in retire {
                    let parts = text.split(separator: "=", maxSplits: 1)
                    guard parts.count == 2, let version = UInt32(parts[1]) else {
                        throw SchemaLockError.wrong(retirement: text)
                    }
                    try file.retire(String(parts[0]), before: version)
                }
                let check = SchemaCheck(schemas, against: file)
                if let problem = check.problems.first(where: { $0.severity == .error }) {
                    throw SchemaLockError.wrong(problem)
                }
                added = try file.add(schemas)
            } catch {
                throw ToolError(
                    "\(error)", hint: "caesura schema check \(source) says all that is wrong")
            }
            if !dryRun {
                do {
                    try file.json.write(to: URL(filePath: lock.lock), options: .atomic)
                } catch {
                    throw ToolError(writing: lock.lock, error)
                }
            }
            let verb = dryRun ? "would be locked" : "locked"
            let lines = added.map { "region \($0.name), version \($0.row.version): \(verb)\n" }
            try StandardOutput.write(lines.isEmpty ? "nothing new\n" : lines.joined())
        }
    }
}

extension SchemaLockError {
    fileprivate static func wrong(retirement text: String) -> SchemaLockError {
        SchemaLockError(.notFound, "--retire takes REGION=VERSION, not '\(text)'")
    }

    fileprivate static func wrong(_ problem: SchemaCheck.Problem) -> SchemaLockError {
        let field = problem.field.map { ".\($0)" } ?? ""
        return SchemaLockError(
            .versionTaken, "\(problem.rule) \(problem.region)\(field): \(problem.message)")
    }
}
