import ArgumentParser
import CaesuraSimulation

/// `caesura simulate`.
struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Move partitions in a simulated world in which things go wrong.",
        discussion: """
            Nodes, clients, a network, disks and an owner register run in one thread under one \
            clock. A seed settles all that happens, so a failure can be run again. Ends with exit \
            code 1 if a run goes wrong; Ctrl-C prints the totals so far.
            """)

    @Option(help: ArgumentHelp("The first seed.", valueName: "number"))
    var seed: UInt64 = 0
    @Option(help: ArgumentHelp("How many seeds to run.", valueName: "number"))
    var count: UInt64 = 1
    @Option(
        help: ArgumentHelp(
            "For how long things go wrong, 1 to 3600; each is a run of its own.",
            valueName: "number"))
    var seconds = 20
    @Flag(help: "Print what happens, a line each.")
    var trace = false
    @Flag(help: "Find a shorter run with fewer faults that fails, too.")
    var minimize = false
    @Flag(help: "Print how often which fault has hit which step of a move.")
    var coverage = false
    @Flag(help: "Print a line of JSON for each seed, and one of totals.")
    var json = false
    @Option(
        help: ArgumentHelp("Put a mistake in, to see that it is found.", valueName: "name"),
        transform: Self.mistake(named:))
    var mistake: Simulation.Mistake?

    mutating func validate() throws {
        if count < 1 { throw ValidationError("--count is at least 1") }
        if !(1...3_600).contains(seconds) { throw ValidationError("--seconds is 1 to 3600") }
        if trace, count > 1 { throw ValidationError("--trace is of one seed: leave --count out") }
        if trace, json { throw ValidationError("--trace prints text: leave --json out") }
        if seed.addingReportingOverflow(count).overflow {
            throw ValidationError("--seed and --count are too large together")
        }
    }

    private var version: String {
        let release = CaesuraCommand.configuration.version
        return SourceCommit.current().map { "\(release) at commit \($0)" } ?? release
    }

    private static func mistake(named name: String) throws -> Simulation.Mistake {
        guard let mistake = Simulation.Mistake(rawValue: name) else {
            let names = Simulation.Mistake.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("there is no mistake '\(name)': they are \(names)")
        }
        return mistake
    }

    func run() throws {
        var totals = SimulationTotals(version: version, withCoverage: coverage)
        var bar = ProgressBar("simulating")
        defer { bar.clear() }
        do {
            for seed in seed..<seed + count {
                try run(seed, &totals, &bar)
                bar.update(Double(totals.seeds) / Double(count), totals.progress)
            }
        } catch is CancellationError {
            // What has come to its end counts.
            bar.clear()
            try write(totals)
            throw ToolError.interrupted
        }
        bar.clear()
        try write(totals)
        if totals.failed > 0 {
            throw ToolError(
                "\(totals.failed) of \(counted(totals.seeds, "run")) went wrong",
                hint: "run one again with --seed and --trace, or with --minimize")
        }
    }

    /// Runs a seed, and tells what came of it.
    private func run(
        _ seed: UInt64, _ totals: inout SimulationTotals, _ bar: inout ProgressBar
    ) throws {
        var plan = Simulation.Plan(seed: seed, duration: .seconds(seconds))
        plan.mistake = mistake
        let outcome = try self.outcome(of: plan, isTraced: trace && !minimize)
        var run = SimulatedRun(plan, outcome, version: version)
        totals.add(run, hitting: outcome.coverage)
        let isWrong = !run.violations.isEmpty
        guard isWrong || json else { return }
        if isWrong, minimize {
            do {
                run = try minimized(plan, &bar)
            } catch is CancellationError {
                // The long one fails as well.
                bar.clear()
                try write(run)
                throw CancellationError()
            }
        }
        bar.clear()
        try write(run)
    }

    private func outcome(
        of plan: Simulation.Plan, isTraced: Bool
    ) throws -> Simulation.Outcome {
        let narrate: (String) -> Void = { line in try? StandardOutput.write(line + "\n") }
        return try Simulation(plan, narrate: isTraced ? narrate : nil) {
            Interruption.isRequested
        }
        .run()
    }

    private func minimized(
        _ plan: Simulation.Plan, _ bar: inout ProgressBar
    ) throws -> SimulatedRun {
        var runs = 0
        let shortest = try plan.minimized { plan in
            runs += 1
            bar.update(nil, "seed \(plan.seed) goes wrong, \(counted(runs, "shorter run")) tried")
            return try !outcome(of: plan, isTraced: false).violations.isEmpty
        }
        bar.clear()
        return SimulatedRun(
            shortest, try outcome(of: shortest, isTraced: trace), version: version)
    }

    private func write(_ run: SimulatedRun) throws {
        if json {
            try StandardOutput.writeJSONLine(run)
        } else {
            try StandardOutput.write(run.text)
        }
    }

    private func write(_ totals: SimulationTotals) throws {
        if json {
            try StandardOutput.writeJSONLine(totals)
        } else {
            try StandardOutput.write(totals.text)
        }
    }
}
