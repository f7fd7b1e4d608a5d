import CaesuraMigration
import CaesuraNode

/// An operator who lets partitions move until the nodes have their shares.
extension Simulation {
    /// Now and then an operator wants other nodes to have partitions, or the same ones other shares; what was under way of an
    /// earlier plan is left to itself.
    func scheduleRebalancing() {
        schedule(after: .milliseconds(balancing.below(4_000))) { [self] in
            if isCalm { return }
            scheduleRebalancing()
            let subset = 1 + balancing.below((1 << plan.nodes) - 1)
            let nodes = (0..<plan.nodes).filter { subset >> $0 & 1 == 1 }.map { index in
                RebalancingPlan.Node(name(index), weight: UInt32(1 + balancing.below(3)))
            }
            let measure: RebalancingPlan.Measure =
                balancing.below(2) == 0
                ? .count : .load(tolerance: [0, 0.1, 0.5][balancing.below(3)])
            let (atOnce, budget) = (
                1 + balancing.below(8), Duration.milliseconds([1, 20, 200][balancing.below(3)])
            )
            let loads = division.partitions.map { _ in UInt64(balancing.below(1_000)) }
            // The operator asks the register, too.
            if register.outage > agenda.now { return }
            rebalance(over: nodes, by: measure, loads, atOnce: atOnce, budget: budget)
        }
    }

    private var division: Division { Division(bits: plan.moveBits) }

    private func rebalance(
        over nodes: [RebalancingPlan.Node], by measure: RebalancingPlan.Measure, _ loads: [UInt64],
        atOnce: Int, budget: Duration
    ) {
        let partitions = zip(division.partitions, loads).map { partition, load in
            RebalancingPlan.Partition(
                partition, owner: register.last(of: partition)?.owner, load: load)
        }
        do throws(RebalancingError) {
            let plan = try RebalancingPlan(of: partitions, over: nodes, by: measure)
            rebalancing = SimulatedRebalancing(
                plan: plan, schedule: MoveSchedule(plan.moves, atOnce: atOnce), budget: budget)
            note(
                "an operator rebalances over \(nodes.map(\.name)): \(plan.moves.count) moves",
                UInt64(plan.moves.count))
        } catch {
            return fail("there is no plan: \(error)")
        }
        orderMoves()
    }

    /// Gives the orders whose turn it is.
    private func orderMoves() {
        while let move = rebalancing?.schedule.next() {
            if !order(move, budget: rebalancing?.budget ?? .zero) {
                rebalancing?.schedule.end(move)
            }
        }
    }

    /// Orders a move of its source; false if that comes to nothing.
    private func order(_ move: RebalancingPlan.Move, budget: Duration) -> Bool {
        let source = processes.compactMap(\.self).first { name($0.index) == move.source }
        guard let source, !source.isPaused else { return false }
        do throws(MigrationProblem) {
            let actions = try source.node.move(
                move.partition, to: move.target, budget: budget, at: clock(source))
            note("\(move.source) is to move \(move.partition) to \(move.target), by plan")
            carryOut(actions, source)
            attend(source)
            return true
        } catch {
            // Another node has it, or it is moving.
            return false
        }
    }

    /// Lets the next moves begin after one of a plan has ended.
    func noteRebalanced(_ end: MoveEnd, _ process: SimulatedProcess) {
        rebalancing?.schedule.end(
            .init(end.partition, from: name(process.index), to: end.target))
        // Not in the middle of what the node wants done.
        schedule(after: .zero) { [self] in orderMoves() }
    }

    /// Gives up what a node that has ended was ordered.
    func forgetRebalancing(of index: Int) {
        let ongoing = rebalancing?.schedule.ongoing ?? []
        for move in ongoing where move.source == name(index) { rebalancing?.schedule.end(move) }
        schedule(after: .zero) { [self] in orderMoves() }
    }

    // MARK: At rest

    /// Rebalances over all nodes while nothing goes wrong: each move must come to its end, and each node have its quota then.
    ///
    /// - Returns: Whether the world is at rest again.
    func rebalanceAtRest() throws -> Bool {
        let nodes = (0..<plan.nodes).map { RebalancingPlan.Node(name($0)) }
        rebalance(
            over: nodes, by: .count, division.partitions.map { _ in 1 }, atOnce: 4,
            budget: .seconds(1))
        let end = agenda.now + .seconds(100)
        while !isBalanced, let event = try next(before: end) { event() }
        guard isBalanced else {
            fail("a rebalancing does not come to its end: " + unrest)
            return false
        }
        for balance in rebalancing?.plan.balances ?? [] {
            let serving = processes.compactMap(\.self).filter { name($0.index) == balance.node }
                .flatMap(\.node.partitions).count { $0.holding == .served }
            if serving != balance.partitionsAfter {
                fail(
                    "\(balance.node) serves \(serving) partitions, and \(balance.partitionsAfter) by plan"
                )
            }
        }
        return true
    }

    private var isBalanced: Bool { isAtRest && rebalancing?.schedule.isDone ?? true }
}
