import CaesuraMigration

/// All partitions move to the other process and back, with or without load.
struct Trial: Sendable {
    /// What is to be tried.
    struct Plan: Sendable {
        /// Writes a second; 0 for none.
        var rate: Int
        /// What the blackout of each partition may take, at first.
        var budget: Duration
        var policy = SourceMove.Policy.fail
        /// Whether all moves are ordered at once, and not one after the other.
        var isAtOnce = false
        /// How long each of the phases takes in which nothing moves.
        var quiet: Duration
        var keepsTimeline = false
    }

    /// What one side of the moves has used.
    struct Use: Sendable {
        /// Nanoseconds of processor time, without the load's.
        var processor = 0
        /// The most resident bytes.
        var peak = 0

        /// Adds what a process has used between two moments.
        mutating func add(_ before: ResourceUse, _ after: ResourceUse) {
            processor += after.processor - before.processor
            peak = max(peak, after.peak)
        }
    }

    let plan: Plan
    private(set) var moves = MoveCosts()
    private(set) var source = Use()
    private(set) var target = Use()
    private(set) var outcome: OpenLoad.Outcome?
    let stretches = Stretches()

    /// Tries it.
    init(_ plan: Plan, of nodes: TwoNodes) async throws {
        self.plan = plan
        stretches.begin(.before, 0)
        let load = try RunningLoad(plan.rate, of: nodes, stretches, plan.keepsTimeline)
        try await rest(.before)
        var before = (own: nodes.watch.take(), other: try nodes.other.use())
        try await move(.out, nodes)
        var after = (own: nodes.watch.take(), other: try nodes.other.use())
        source.add(before.own, after.own)
        target.add(before.other, after.other)
        try await rest(.between)
        before = (nodes.watch.take(), try nodes.other.use())
        try await move(.back, nodes)
        after = (nodes.watch.take(), try nodes.other.use())
        source.add(before.other, after.other)
        target.add(before.own, after.own)
        try await rest(.after)
        outcome = try load?.finish()
    }

    private mutating func move(
        _ direction: TwoNodes.Direction, _ nodes: TwoNodes
    ) async throws {
        if plan.isAtOnce {
            return try await moves.moveAtOnce(
                0..<NodeSetting.partitions, direction, of: nodes, budget: plan.budget,
                policy: plan.policy)
        }
        try await moves.move(
            0..<NodeSetting.partitions, direction, of: nodes, budget: plan.budget,
            policy: plan.policy, in: stretches)
    }

    /// Lets nothing move for a while, in as many stretches as there are moves.
    private func rest(_ phase: Phase) async throws {
        guard plan.rate > 0 else { return }
        for partition in 0..<NodeSetting.partitions {
            stretches.begin(phase, partition)
            try await Task.sleep(for: plan.quiet / NodeSetting.partitions)
        }
    }
}

/// A load that runs, with its threads in both processes.
struct RunningLoad: Sendable {
    let load: OpenLoad
    private let worker: Worker<OpenLoad.Outcome>
    private let nodes: TwoNodes

    /// Begins it; nil if the rate is 0.
    init?(
        _ rate: Int, of nodes: TwoNodes, _ stretches: Stretches, _ keepsTimeline: Bool = false
    ) throws {
        guard rate > 0 else { return nil }
        try nodes.other.ask(.load)
        let load = OpenLoad(
            nodes.own, nodes.rings, perSecond: rate, stretches, keepsTimeline: keepsTimeline)
        self.load = load
        self.nodes = nodes
        worker = Worker(core: nil) { [watch = nodes.watch] in watch.load { load.run() } }
    }

    /// Ends it, when all is done that was due.
    func finish() throws -> OpenLoad.Outcome {
        load.finish()
        let outcome = worker.wait()
        try nodes.other.ask(.unload)
        guard outcome.latencies.count == outcome.due else {
            throw Failure("\(outcome.latencies.count) of \(outcome.due) writes were done")
        }
        nodes.note(outcome.due)
        return outcome
    }
}
