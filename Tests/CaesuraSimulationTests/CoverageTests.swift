import CaesuraSimulation
import Testing

/// What faults hit, and that those that wait for a step hit it: `docs/FAULTS.md`, "The matrix".
struct CoverageTests {
    @Test(arguments: [
        ProtocolStep.copying, .sealing, .finishing, .handingOver, .lettingGo, .receiving,
        .appending, .owning, .negotiating,
    ])
    func `a fault that is aimed at a step hits it`(step: ProtocolStep) throws {
        var coverage = Coverage()
        // In one run node 0 may give nothing away while somebody writes.
        for seed in 5..<13 as Range<UInt64> {
            let (outcome, faults) = try Self.run(
                .aimed(at: step, after: .zero, .crash(node: 0, downtime: .milliseconds(300))),
                seed: seed)
            #expect(outcome.violations.isEmpty, "seed \(seed), \(faults)")
            coverage.add(outcome.coverage)
        }
        #expect(coverage[step, .sourceStops] > 0)
        #expect(coverage[step, .targetStops] == 0)
    }

    @Test func `a fault of two nodes hits both sides of a move`() throws {
        let (outcome, _) = try Self.run(.aimed(at: .finishing, after: .zero, .disconnect(0, 1)))
        #expect(outcome.violations.isEmpty)
        #expect(outcome.coverage[.finishing, .disconnect] > 0)
        #expect(outcome.coverage[.receiving, .disconnect] > 0)
    }

    @Test func `nothing is hit where nothing goes wrong`() throws {
        var plan = Simulation.Plan(seed: 5, duration: .seconds(1))
        plan.faults = []
        let outcome = try Simulation(plan).run()
        #expect(outcome.coverage == Coverage())
        #expect(outcome.moved > 0)
    }

    @Test func `what runs have hit adds up`() throws {
        let (outcome, _) = try Self.run(.aimed(at: .copying, after: .zero, .stop(node: 0)))
        let count = outcome.coverage[.copying, .stop]
        #expect(count > 0)
        var sum = outcome.coverage
        sum.add(outcome.coverage)
        #expect(sum[.copying, .stop] == 2 * count)
    }

    @Test func `a run leaves nothing behind`() throws {
        weak var world: Simulation?
        try {
            let simulation = Simulation(.init(seed: 5, duration: .seconds(1)))
            world = simulation
            _ = try simulation.run()
        }()
        #expect(world == nil)
    }

    @Test func `a run that is cancelled throws`() throws {
        let simulation = Simulation(.init(seed: 5, duration: .seconds(1)), isCancelled: { true })
        #expect(throws: CancellationError.self) { try simulation.run() }
    }

    /// Runs two seconds in which nothing but a few faults of one kind goes wrong.
    private static func run(
        _ kind: Fault.Kind, seed: UInt64 = 5
    ) throws -> (outcome: Simulation.Outcome, faults: [Fault]) {
        var plan = Simulation.Plan(seed: seed, duration: .seconds(2))
        plan.faults = [0, 500, 1_000].map { Fault(time: .milliseconds($0), kind: kind) }
        plan.answersAreDurable = true
        return (try Simulation(plan).run(), plan.faults)
    }
}
