import CaesuraSchemas

/// The problems as SARIF 2.1.0 (OASIS), for whoever collects the findings of many tools.
struct Sarif: Encodable {
    struct Run: Encodable {
        struct Tool: Encodable {
            struct Driver: Encodable {
                struct Rule: Encodable { var id: String }
                var name = "caesura"
                var rules: [Rule]
            }
            var driver: Driver
        }
        struct Finding: Encodable {
            struct Message: Encodable { var text: String }
            struct Location: Encodable {
                struct Physical: Encodable {
                    struct Artifact: Encodable { var uri: String }
                    var artifactLocation: Artifact
                }
                struct Logical: Encodable { var fullyQualifiedName: String }
                var physicalLocation: Physical
                var logicalLocations: [Logical]
            }
            var ruleId: String
            var level: String
            var message: Message
            var locations: [Location]
        }
        var tool: Tool
        var results: [Finding]
    }
    var version = "2.1.0"
    var runs: [Run]

    init(_ check: SchemaCheck, lock: String) {
        let rules = Set(check.problems.map(\.rule)).sorted().map(Run.Tool.Driver.Rule.init)
        runs = [
            Run(
                tool: Run.Tool(driver: Run.Tool.Driver(rules: rules)),
                results: check.problems.map { problem in
                    Run.Finding(
                        ruleId: problem.rule, level: problem.severity.rawValue,
                        message: Run.Finding.Message(text: "\(problem.message). \(problem.hint)"),
                        locations: [
                            Run.Finding.Location(
                                physicalLocation: .init(artifactLocation: .init(uri: lock)),
                                logicalLocations: [
                                    .init(
                                        fullyQualifiedName: problem.region
                                            + (problem.field.map { ".\($0)" } ?? ""))
                                ])
                        ])
                })
        ]
    }
}
