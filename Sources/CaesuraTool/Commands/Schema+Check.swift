import ArgumentParser
import CaesuraSchemas
import Foundation

extension Schema {
    /// `caesura schema check`.
    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Compare the present schemas with all that shipped.",
            discussion: "Ends with exit code 1 if something must not ship.")

        enum Format: String, ExpressibleByArgument, CaseIterable {
            case text, json, github, sarif
        }

        @Argument(help: ArgumentHelp(Schema.presentHelp, valueName: "data"))
        var source: SchemaSource
        @OptionGroup var lock: LockArguments
        @Flag(
            help: "Treat it as an error when the version before cannot go on from this one's data.")
        var rollback = false
        @Option(
            help: ArgumentHelp(
                "text, json, github (annotations), or sarif (2.1.0).", valueName: "format"))
        var format = Format.text

        func run() async throws {
            let check = SchemaCheck(
                try await source.offer(), against: try lock.read(),
                rollback: rollback ? .error : .warning)
            switch format {
            case .text: try StandardOutput.write(check.text)
            case .json: try StandardOutput.writeJSON(check.problems)
            case .github: try StandardOutput.write(check.annotations(in: lock.lock))
            case .sarif: try StandardOutput.writeJSON(Sarif(check, lock: lock.lock))
            }
            guard check.isGood else {
                let count = check.problems.count { $0.severity == .error }
                throw ToolError(
                    "\(counted(count, "problem")) in the schemas of \(source.name)",
                    hint: "docs/SCHEMAS.md explains each rule")
            }
        }
    }
}

extension SchemaCheck {
    /// For people: a problem a paragraph.
    var text: String {
        if problems.isEmpty { return "the schemas are those that shipped\n" }
        return problems.map { problem in
            "\(problem.severity): \(problem.rule) \(problem.place): \(problem.message)\n"
                + "  \(problem.hint)\n"
        }.joined()
    }

    /// Workflow commands that GitHub shows beside the change.
    func annotations(in path: String) -> String {
        problems.map { problem in
            let kind = problem.severity == .note ? "notice" : problem.severity.rawValue
            let title = "\(problem.rule) \(problem.place)"
            return "::\(kind) file=\(Self.escaped(path)),title=\(Self.escaped(title))::"
                + Self.escaped("\(problem.message). \(problem.hint)", isProperty: false) + "\n"
        }.joined()
    }

    /// Escaped as workflow commands want it.
    private static func escaped(_ text: String, isProperty: Bool = true) -> String {
        var text = text.replacing("%", with: "%25").replacing("\r", with: "%0D")
            .replacing("\n", with: "%0A")
        if isProperty { text = text.replacing(":", with: "%3A").replacing(",", with: "%2C") }
        return text
    }
}
