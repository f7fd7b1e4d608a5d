import CaesuraSimulation

/// What `caesura simulate` says of one run.
struct SimulatedRun: Codable {
    var seed: UInt64
    /// The release of this tool, and its commit where that is known: a seed means the same in no other.
    var version: String
    var nodes: Int
    var partitions: Int
    /// Seconds for which things go wrong.
    var duration: Double
    /// Seconds that passed in the world until it had come to rest.
    var simulatedSeconds: Double
    /// What was to go wrong, and when.
    var faults: [String]
    /// Requests that were answered.
    var answered: Int
    /// Moves that came to their end.
    var moved: Int
    /// Moves that were given up, or aborted.
    var givenUp: Int
    /// What is wrong; nothing if it is empty.
    var violations: [String]
    /// A checksum of all that happened, 16 hexadecimal digits.
    var trace: String

    init(_ plan: Simulation.Plan, _ outcome: Simulation.Outcome, version: String) {
        seed = plan.seed
        self.version = version
        nodes = plan.nodes
        partitions = 1 << plan.moveBits
        duration = plan.duration / .seconds(1)
        simulatedSeconds = outcome.duration / .seconds(1)
        faults = plan.faults.map(\.description)
        answered = outcome.answered
        moved = outcome.moved
        givenUp = outcome.givenUp
        violations = outcome.violations
        let digits = String(outcome.trace, radix: 16)
        trace = String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// What a person reads of a run that went wrong.
    var text: String {
        var text = "seed \(seed), caesura \(version): \(counted(nodes, "node")), "
        text += "\(counted(partitions, "partition")), \(duration.short) s\n"
        for fault in faults { text += "  \(fault)\n" }
        for violation in violations { text += "  wrong: \(violation)\n" }
        return text
    }
}
