import ArgumentParser
import CaesuraSimulation
import Foundation

/// `caesura simulate`.
struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Move partitions in a simulated world in which things go wrong.",
        discussion: """
            Nodes, clients, a network, disks and an owner register run in one thread under one \
            clock. A seed settles all that happens, so a failure can be run again.
            """)

    @Option(help: ArgumentHelp("The first seed.", valueName: "number"))
    var seed: UInt64 = 0
    @Option(help: ArgumentHelp("How many seeds to run.", valueName: "number"))
    var count: UInt64 = 1
    @Flag(help: "Print what happens, a line each.")
    var trace = false
    @Flag(help: "Find a shorter run with fewer faults that fails, too.")
    var minimize = false
    @Option(
        help: ArgumentHelp("Put a mistake in, to see that it is found.", valueName: "name"),
        transform: Self.mistake(named:))
    var mistake: Simulation.Mistake?

    mutating func validate() throws {
        if count < 1 { throw ValidationError("--count is at least 1") }
        if trace, count > 1 { throw ValidationError("--trace is of one seed: leave --count out") }
        if seed.addingReportingOverflow(count).overflow {
            throw ValidationError("--seed and --count are too large together")
        }
    }

    private static func mistake(named name: String) throws -> Simulation.Mistake {
        guard let mistake = Simulation.Mistake(rawValue: name) else {
            let names = Simulation.Mistake.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("there is no mistake '\(name)': they are \(names)")
        }
        return mistake
    }

    func run() throws {
        var totals = Totals()
        for seed in seed..<seed + count {
            if Interruption.isRequested { throw ToolError.interrupted }
            var plan = Simulation.Plan(seed: seed)
            plan.mistake = mistake
            let outcome = try run(plan, isTraced: trace && !minimize)
            totals.add(outcome)
            if !outcome.violations.isEmpty { try report(plan, outcome) }
        }
        try StandardOutput.write(totals.text)
        if totals.failed > 0 {
            throw ToolError(
                "\(totals.failed) of \(totals.runs) runs went wrong",
                hint: "run one again with --seed and --trace, or with --minimize")
        }
    }

    private func run(
        _ plan: Simulation.Plan, isTraced: Bool
    ) throws -> Simulation.Outcome {
        let narrate: (String) -> Void = { line in try? StandardOutput.write(line + "\n") }
        return try Simulation(plan, narrate: isTraced ? narrate : nil).run()
    }

    private func report(_ plan: Simulation.Plan, _ outcome: Simulation.Outcome) throws {
        var plan = plan
        var outcome = outcome
        if minimize {
            plan = try plan.minimized { plan in
                if Interruption.isRequested { throw ToolError.interrupted }
                return try !run(plan, isTraced: false).violations.isEmpty
            }
            outcome = try run(plan, isTraced: trace)
        }
        var text = "seed \(plan.seed), caesura \(CaesuraCommand.configuration.version): "
        text += "\(plan.nodes) nodes, 2^\(plan.moveBits) partitions, \(plan.duration)\n"
        for fault in plan.faults { text += "  \(fault)\n" }
        for violation in outcome.violations { text += "  wrong: \(violation)\n" }
        try StandardOutput.write(text)
    }
}

extension Simulate {
    /// What came of several runs.
    private struct Totals {
        var runs = 0
        var failed = 0
        var answered = 0
        var moved = 0
        var givenUp = 0
        var duration = Duration.zero

        mutating func add(_ outcome: Simulation.Outcome) {
            runs += 1
            if !outcome.violations.isEmpty { failed += 1 }
            answered += outcome.answered
            moved += outcome.moved
            givenUp += outcome.givenUp
            duration += outcome.duration
        }

        var text: String {
            let hours = duration / .seconds(3_600)
            return "\(runs) runs of \(String(format: "%.1f", hours)) simulated hours: "
                + "\(answered) requests answered, \(moved) moves done and \(givenUp) given up, "
                + "\(failed) runs wrong\n"
        }
    }
}
