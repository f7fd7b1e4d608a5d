import CaesuraSimulation

/// What came of several runs of `caesura simulate`.
struct SimulationTotals: Codable {
    /// The release of this tool, and its commit where that is known: a seed means the same in no other.
    var version: String
    /// Runs that came to their end.
    var seeds = 0
    /// Hours that passed in their worlds, together.
    var simulatedHours = 0.0
    /// Requests that were answered.
    var answered = 0
    /// Moves that came to their end.
    var moved = 0
    /// Moves that were given up, or aborted.
    var givenUp = 0
    /// Runs in which something was wrong.
    var failed = 0
    /// Their seeds.
    var failedSeeds: [UInt64] = []

    /// How often which fault has hit which step; nil if nobody asks.
    var coverage: [String: [String: Int]]?
    private var hit = Coverage()

    private enum CodingKeys: CodingKey {
        case version, seeds, simulatedHours, answered, moved, givenUp, failed, failedSeeds, coverage
    }

    init(version: String, withCoverage: Bool) {
        self.version = version
        if withCoverage { coverage = hit.counts }
    }

    mutating func add(_ run: SimulatedRun, hitting hits: Coverage) {
        seeds += 1
        simulatedHours += run.simulatedSeconds / 3_600
        answered += run.answered
        moved += run.moved
        givenUp += run.givenUp
        hit.add(hits)
        if coverage != nil { coverage = hit.counts }
        if run.violations.isEmpty { return }
        failed += 1
        failedSeeds.append(run.seed)
    }

    /// What stands beside a bar.
    var progress: String { counted(seeds, "seed") + (failed > 0 ? ", \(failed) wrong" : "") }

    /// What a person reads.
    var text: String {
        (coverage == nil ? "" : hit.text)
            + "\(counted(seeds, "run")) of \(simulatedHours.short) simulated hours: "
            + "\(counted(answered, "request")) answered, \(counted(moved, "move")) done and "
            + "\(givenUp.grouped) given up, \(failed.grouped) wrong\n"
    }
}
