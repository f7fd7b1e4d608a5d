import CaesuraSimulation
import Testing

/// Whole worlds of nodes and clients in which things go wrong: `docs/FAULTS.md`.
struct SimulationTests {
    /// Two seconds each, in a build for debugging; longer runs are for the tool.
    @Test(arguments: 0..<200 as Range<UInt64>)
    func `whatever goes wrong, each write is there once and one node owns it`(
        seed: UInt64
    ) throws {
        let plan = Simulation.Plan(seed: seed, duration: .seconds(2))
        let outcome = try Simulation(plan).run()
        #expect(outcome.violations.isEmpty, "seed \(seed)")
    }

    /// Without a checkpoint of who created it, nobody would have it after both crashed.
    @Test func `a partition is given away once it is durable where it was created`() throws {
        for seed in 0..<1 as Range<UInt64> {
            var plan = Simulation.Plan(seed: seed, duration: .milliseconds(500))
            plan.faults = [
                Fault(time: .zero, kind: .diskFull(node: 0, .seconds(10))),
                Fault(
                    time: .zero,
                    kind: .aimed(
                        at: .owning, after: .zero,
                        .crashBoth(0, .milliseconds(5), 1, .milliseconds(5)))),
            ]
            plan.answersAreDurable = true
            let outcome = try Simulation(plan).run()
            #expect(outcome.violations.isEmpty, "seed \(seed)")
        }
    }

    /// In one an abort's entry was not tried again, for another move had the stage; in the other a process had found out that it
    /// does not own a partition before an entry of the one before it came to be.
    @Test(arguments: [2_691, 2_054])
    func `seeds that went wrong once`(seed: UInt64) throws {
        let plan = Simulation.Plan(seed: seed, duration: .seconds(10))
        #expect(try Simulation(plan).run().violations.isEmpty)
    }

    @Test func `the same seed gives the same trace`() throws {
        let outcomes = try (0..<2).map { _ in
            try Simulation(Simulation.Plan(seed: 77, duration: .seconds(5))).run()
        }
        #expect(outcomes[0] == outcomes[1])
    }

    @Test(arguments: Simulation.Mistake.allCases)
    func `mistakes that are put in are found`(mistake: Simulation.Mistake) throws {
        let isFound = try (0..<100 as Range<UInt64>).contains { seed in
            var plan = Simulation.Plan(seed: seed, duration: .seconds(5))
            plan.mistake = mistake
            return try !Simulation(plan).run().violations.isEmpty
        }
        #expect(isFound)
    }
}
