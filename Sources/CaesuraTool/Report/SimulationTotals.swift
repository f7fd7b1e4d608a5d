/// What came of several runs of `caesura simulate`.
struct SimulationTotals: Codable {
    /// The release of this tool: a seed means the same in no other.
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

    init(version: String) { self.version = version }

    mutating func add(_ run: SimulatedRun, _ seed: UInt64) {
        seeds += 1
        simulatedHours += run.simulatedSeconds / 3_600
        answered += run.answered
        moved += run.moved
        givenUp += run.givenUp
        if run.violations.isEmpty { return }
        failed += 1
        failedSeeds.append(seed)
    }

    /// What stands beside a bar.
    var progress: String { counted(seeds, "seed") + (failed > 0 ? ", \(failed) wrong" : "") }

    /// What a person reads.
    var text: String {
        "\(counted(seeds, "run")) of \(simulatedHours.short) simulated hours: "
            + "\(counted(answered, "request")) answered, \(counted(moved, "move")) done and "
            + "\(givenUp.grouped) given up, \(failed.grouped) wrong\n"
    }
}
