import CaesuraMigration

/// What `caesura rebalance` prints.
struct RebalancingReport: Codable, Sendable {
    /// Those that have partitions or are to have some, by name.
    var nodes: [Node]
    /// What is to move, by number of partition.
    var plan: [PlannedMove]
    /// Partitions that nobody owns, hexadecimal.
    var unowned: [String]
    /// By load: no node is to have more than so many times its share.
    var bound: Double?
    /// By load: whether that is within the tolerance.
    var isWithinTolerance: Bool
    /// No plan within the bound has fewer moves.
    var leastMoves: Int
    /// What has become of the moves, in the order in which they ended; none if it is only a plan.
    var moves: [Move] = []

    /// What a node has, and is to have.
    struct Node: Codable, Sendable {
        var node: String
        var partitionsBefore: Int
        var partitionsAfter: Int
        /// In the unit of the file of loads; nil without one.
        var loadBefore: UInt64?
        var loadAfter: UInt64?
    }

    /// A partition that is to move.
    struct PlannedMove: Codable, Sendable {
        /// Hexadecimal.
        var partition: String
        var from: String
        var to: String
    }

    /// A move that has ended.
    struct Move: Codable, Sendable {
        /// Hexadecimal.
        var partition: String
        var from: String
        var to: String
        /// `moved`, `givenUp`, `aborted`, `overtaken`, `unknown` or `notBegun`.
        var outcome: String
        /// Why it has not moved.
        var problem: String?
        var rounds: UInt32
        var sentBytes: UInt64
        /// Nanoseconds.
        var duration: UInt64
        /// Nanoseconds for which its writes had stopped.
        var blackout: UInt64

        /// How a move ends of which its source tells nothing.
        enum Silence: String {
            /// The connection was lost while it was under way: it may go on.
            case unknown
            case notBegun
        }
    }

    init(_ plan: RebalancingPlan, hasLoads: Bool) {
        nodes = plan.balances.map { balance in
            Node(
                node: balance.node, partitionsBefore: balance.partitionsBefore,
                partitionsAfter: balance.partitionsAfter,
                loadBefore: hasLoads ? balance.loadBefore : nil,
                loadAfter: hasLoads ? balance.loadAfter : nil)
        }
        self.plan = plan.moves.map {
            PlannedMove(partition: $0.partition.short, from: $0.source, to: $0.target)
        }
        unowned = plan.unowned.map(\.short)
        bound = plan.bound
        isWithinTolerance = plan.isWithinTolerance
        leastMoves = plan.leastMoves
    }

    /// Partitions that have not moved.
    var stayed: Int { moves.count { $0.outcome != "moved" } }

    // MARK: Text

    /// What a person reads of the plan.
    func planText(withMoves: Bool) -> String {
        let hasLoads = nodes.contains { $0.loadBefore != nil }
        var table = TextTable(
            ["node", "partitions", "then"] + (hasLoads ? ["load", "then"] : []))
        for node in nodes {
            var row = [node.node, "\(node.partitionsBefore)", "\(node.partitionsAfter)"]
            if let before = node.loadBefore, let after = node.loadAfter {
                row += [before.grouped, after.grouped]
            }
            table.append(row)
        }
        var text = table.text
        if !unowned.isEmpty {
            text +=
                "nobody owns \(counted(unowned.count, "partition")): a node with --create takes them\n"
        }
        if let bound {
            text += "no node is to have more than \(bound.fixed(2)) times its share"
            text += isWithinTolerance ? "\n" : ", which is beyond the tolerance\n"
        }
        let owned = nodes.reduce(0) { $0 + $1.partitionsBefore }
        text +=
            plan.isEmpty
            ? "nothing is to move\n" : "\(plan.count) of \(counted(owned, "partition")) to move\n"
        guard withMoves, !plan.isEmpty else { return text }
        table = TextTable(["partition", "from", "to"])
        for move in plan { table.append([move.partition, move.from, move.to]) }
        return text + table.text
    }

    /// What a person reads of how it went.
    var movesText: String {
        var table = TextTable(
            ["partition", "from", "to", "", "rounds", "sent", "time", "writes stopped"])
        for move in moves {
            table.append([
                move.partition, move.from, move.to, move.verdict, "\(move.rounds)",
                byteText(Int(clamping: move.sentBytes)), durationText(move.duration),
                move.blackout == 0 ? "-" : durationText(move.blackout),
            ])
        }
        var text = table.text
        for move in moves {
            if let problem = move.problem { text += "  partition \(move.partition): \(problem)\n" }
        }
        text += "\(moves.count - stayed) of \(counted(moves.count, "partition")) moved"
        let blackouts = moves.filter { $0.outcome == "moved" }.map(\.blackout).sorted()
        if let last = blackouts.last {
            text +=
                "; writes of one stopped for \(durationText(blackouts[blackouts.count / 2])) "
                + "in the middle and \(durationText(last)) at most"
        }
        return text + "\n"
    }
}

extension RebalancingReport.Move {
    /// A move that has ended as its source says.
    init(_ move: RebalancingPlan.Move, _ end: MoveEnd) {
        let end = MigrationReport.Move(end, from: move.source)
        self.init(
            partition: end.partition, from: move.source, to: move.target, outcome: end.outcome,
            problem: end.problem, rounds: end.rounds, sentBytes: end.sentBytes,
            duration: end.duration, blackout: end.blackout)
    }

    /// A move of which its source has told no end.
    init(_ move: RebalancingPlan.Move, _ silence: Silence, _ problem: String) {
        self.init(
            partition: move.partition.short, from: move.source, to: move.target,
            outcome: silence.rawValue, problem: problem, rounds: 0, sentBytes: 0, duration: 0,
            blackout: 0)
    }

    /// A word for how it ended.
    fileprivate var verdict: String {
        switch outcome {
        case "moved": "moved"
        case Silence.unknown.rawValue: "unknown"
        default: "stayed"
        }
    }
}
