/// When which of some moves begin: so many at once, of as many sources as possible.
///
///     var schedule = MoveSchedule(plan.moves, atOnce: 8)
///     while let move = schedule.next() { begin(move) }
///     // whenever one has ended, however it did:
///     schedule.end(move)
///
/// It is told how moves go, and orders nothing itself.
public struct MoveSchedule: Sendable {
    /// Moves at the same time that a node takes; those beyond come to nothing (`docs/MIGRATION.md` section 7).
    public static let incomingLimit = 16

    private let atOnce: Int
    private let perTarget: Int
    /// Moves that have not begun by source and target, the first one last.
    private var waiting: [String: [String: [RebalancingPlan.Move]]] = [:]
    private var underWay: Set<RebalancingPlan.Move> = []
    private var leaving: [String: Int] = [:]
    private var arriving: [String: Int] = [:]

    /// Takes moves up.
    ///
    /// - Parameters:
    ///   - moves: In the order in which those between two nodes are to begin.
    ///   - atOnce: So many are under way at the same time, at least 1.
    ///   - perTarget: So many of them to one node, at least 1.
    public init(
        _ moves: [RebalancingPlan.Move], atOnce: Int = 8,
        perTarget: Int = MoveSchedule.incomingLimit
    ) {
        precondition(atOnce > 0 && perTarget > 0, "none would ever begin")
        self.atOnce = atOnce
        self.perTarget = perTarget
        for move in moves.reversed() {
            waiting[move.source, default: [:]][move.target, default: []].append(move)
        }
    }

    /// Whether all have ended.
    public var isDone: Bool { waiting.isEmpty && underWay.isEmpty }

    /// Those that have begun and not ended, by number of partition.
    public var ongoing: [RebalancingPlan.Move] {
        underWay.sorted { $0.partition < $1.partition }
    }

    /// A move that is to begin now; nil if none is.
    ///
    /// It is of the source out of which the fewest moves are under way, and to the target into which the fewest are.
    ///
    /// - Complexity: O(s · t) for s sources and t targets.
    public mutating func next() -> RebalancingPlan.Move? {
        guard underWay.count < atOnce else { return nil }
        var best: (leaving: Int, arriving: Int, source: String, target: String)?
        for (source, targets) in waiting {
            for target in targets.keys where arriving[target, default: 0] < perTarget {
                let pair = (
                    leaving[source, default: 0], arriving[target, default: 0], source, target
                )
                if best.map({ pair < $0 }) ?? true { best = pair }
            }
        }
        guard let best, let move = waiting[best.source]?[best.target]?.popLast() else {
            return nil
        }
        if waiting[best.source]?[best.target]?.isEmpty ?? false {
            waiting[best.source]?[best.target] = nil
            if waiting[best.source]?.isEmpty ?? false { waiting[best.source] = nil }
        }
        underWay.insert(move)
        leaving[move.source, default: 0] += 1
        arriving[move.target, default: 0] += 1
        return move
    }

    /// Notes that a move has ended; one that is not under way is ignored.
    public mutating func end(_ move: RebalancingPlan.Move) {
        guard underWay.remove(move) != nil else { return }
        leaving[move.source, default: 0] -= 1
        arriving[move.target, default: 0] -= 1
    }

    /// Gives up the moves out of a node that have not begun.
    ///
    /// - Returns: Those, by number of partition.
    public mutating func abandon(from source: String) -> [RebalancingPlan.Move] {
        (waiting.removeValue(forKey: source) ?? [:]).values.joined()
            .sorted { $0.partition < $1.partition }
    }

    /// Gives up all moves that have not begun.
    ///
    /// - Returns: Those, by number of partition.
    public mutating func abandon() -> [RebalancingPlan.Move] {
        waiting.keys.sorted().flatMap { abandon(from: $0) }.sorted { $0.partition < $1.partition }
    }
}
