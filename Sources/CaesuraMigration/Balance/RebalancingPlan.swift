/// Which partitions are to move where, so that nodes get their shares by few moves: `docs/MIGRATION.md` section 4,
/// "Rebalancing".
///
///     let plan = try RebalancingPlan(of: partitions, over: [Node("a"), Node("b", weight: 2)])
///     var schedule = MoveSchedule(plan.moves)
///
/// It is made from what is there, so after moves that came to nothing another one goes on from where they ended. The same
/// input, in whatever order, gives the same plan. It orders nothing, and knows nothing of moves that are under way.
///
/// By ``Measure/count`` it is exact: afterwards each node has its quota, which is its share rounded up or down, and no plan
/// after which that holds has fewer moves. By ``Measure/load(tolerance:)`` what is asked for is NP-hard; how near this comes
/// is said there.
public struct RebalancingPlan: Hashable, Sendable {
    /// A partition as it is before.
    public struct Partition: Hashable, Sendable {
        /// Which.
        public var number: PartitionNumber
        /// The node that owns it; nil for nobody.
        public var owner: String?
        /// Rows, bytes, writes a second, or whatever is to be shared out, in one unit for all.
        public var load: UInt64

        /// Describes a partition.
        public init(_ number: PartitionNumber, owner: String?, load: UInt64 = 1) {
            self.number = number
            self.owner = owner
            self.load = load
        }
    }

    /// A node that is to have partitions.
    public struct Node: Hashable, Sendable {
        /// Its name.
        public var name: String
        /// How much it can bear, beside the others.
        public var weight: UInt32

        /// Describes a node.
        public init(_ name: String, weight: UInt32 = 1) {
            self.name = name
            self.weight = weight
        }
    }

    /// What is to be shared out.
    public enum Measure: Hashable, Sendable {
        /// Partitions, as if each had the same load.
        ///
        /// A node's share of n partitions is n · its weight / all weights, and its quota is that, rounded up or down so that
        /// the quotas add up to n: up first where it spares a move, then where the largest remainder is (Hamilton's method).
        case count
        /// Loads, as far as no node has more than 1 + `tolerance` times its share; a tolerance is from 0 to 1.
        ///
        /// The *bound* is 1 + tolerance if partitions are found that can move so that it holds, or else a larger one that is
        /// found by bisection. However that goes,
        ///
        /// - no node that is to have partitions has more than bound × its share afterwards;
        /// - the bound is at most 1 + tolerance, or 1 + (n − 1) · m / t for n nodes, m the load of the heaviest partition, and t
        ///   all loads (as in list scheduling: Graham, "Bounds on Multiprocessing Timing Anomalies", SIAM J. Appl. Math. 17,
        ///   1969), whichever is more;
        /// - no plan that keeps the bound has fewer moves than ``RebalancingPlan/leastMoves``.
        ///
        /// It is not said that a bound that is exceeded could not have been kept, nor that ``RebalancingPlan/leastMoves`` could
        /// have been reached: both are NP-hard (Aggarwal, Motwani, Zhu: "The Load Rebalancing Problem", SPAA 2003). Where
        /// partitions are small beside shares, as with hashed keys, both are as a rule.
        case load(tolerance: Double)
    }

    /// A partition that is to move.
    public struct Move: Hashable, Sendable {
        /// Which.
        public var partition: PartitionNumber
        /// The node that has it.
        public var source: String
        /// The node that is to have it.
        public var target: String

        /// Describes a move.
        public init(_ partition: PartitionNumber, from source: String, to target: String) {
            self.partition = partition
            self.source = source
            self.target = target
        }
    }

    /// What a node has before and after.
    public struct Balance: Hashable, Sendable {
        /// The node's name.
        public let node: String
        /// Partitions it has before.
        public internal(set) var partitionsBefore = 0
        /// Partitions it has after.
        public internal(set) var partitionsAfter = 0
        /// Their loads before, added up.
        public internal(set) var loadBefore: UInt64 = 0
        /// Their loads after, added up.
        public internal(set) var loadAfter: UInt64 = 0

        init(node: String) { self.node = node }
    }

    /// What is to move, by numbers of partitions.
    public let moves: [Move]
    /// Nodes that have partitions before or are to have some, by name.
    public let balances: [Balance]
    /// Partitions that nobody owns, by number: they are in no share, and no move.
    public let unowned: [PartitionNumber]
    /// No node has more than so many times its share afterwards, by load; by count it is nil, since quotas are exact.
    public let bound: Double?
    /// Whether the tolerance is kept; by count always.
    public let isWithinTolerance: Bool
    /// No plan that is within the bound, or the quotas, has fewer moves than this.
    public let leastMoves: Int

    /// The most that all loads may add up to.
    public static let loadLimit: UInt64 = 1 << 62

    /// Works a plan out.
    ///
    /// - Parameters:
    ///   - partitions: All there are. That of logs and cells is one as any other.
    ///   - nodes: Those that are to have partitions; owners that are not among them are emptied.
    ///   - measure: What is to be shared out.
    /// - Throws: `noNodes`; `duplicate` when a partition or a node is named twice; `malformed` when a node's name is none, a
    ///   weight is 0, loads add up to ``loadLimit`` or more, or the tolerance is not from 0 to 1.
    /// - Complexity: O(p log p + m · n) by count, for p partitions, n nodes and m moves; by load that at most some hundred
    ///   times, and once as a rule.
    public init(
        of partitions: [Partition], over nodes: [Node], by measure: Measure = .count
    ) throws(RebalancingError) {
        let partitions = try Self.sorted(partitions)
        let nodes = try Self.sorted(nodes)
        let indices = Dictionary(
            uniqueKeysWithValues: nodes.enumerated().map { ($1.name, $0) })
        let owned = partitions.filter { $0.owner != nil }
        let items = owned.map { partition in
            RebalancingItem(
                load: partition.load, owner: partition.owner.flatMap { indices[$0] })
        }
        let weights = nodes.map { UInt64($0.weight) }
        let targets: [Int?]
        switch measure {
        case .count:
            targets = CountRebalancing(items, weights).targets
            leastMoves = targets.count { $0 != nil }
            (bound, isWithinTolerance) = (nil, true)
        case .load(let tolerance):
            guard (0...1).contains(tolerance) else {
                throw RebalancingError(
                    .malformed, "a tolerance is from 0 to 1, and not \(tolerance)")
            }
            let solution = LoadRebalancing(items, weights).solution(tolerance)
            targets = solution.targets
            leastMoves = solution.leastMoves
            (bound, isWithinTolerance) = (solution.bound, solution.isWithinTolerance)
        }
        moves = zip(owned, targets).compactMap { partition, target in
            guard let source = partition.owner, let target else { return nil }
            return Move(partition.number, from: source, to: nodes[target].name)
        }
        unowned = partitions.filter { $0.owner == nil }.map(\.number)
        balances = Self.balances(owned, moves, nodes)
    }

    private static func balances(
        _ partitions: [Partition], _ moves: [Move], _ nodes: [Node]
    ) -> [Balance] {
        let targets = Dictionary(uniqueKeysWithValues: moves.map { ($0.partition, $0.target) })
        var balances = Dictionary(
            uniqueKeysWithValues: nodes.map { ($0.name, Balance(node: $0.name)) })
        for partition in partitions {
            guard let owner = partition.owner else { continue }
            let next = targets[partition.number] ?? owner
            balances[owner, default: Balance(node: owner)].partitionsBefore += 1
            balances[owner]?.loadBefore += partition.load
            balances[next]?.partitionsAfter += 1
            balances[next]?.loadAfter += partition.load
        }
        return balances.values.sorted { $0.node < $1.node }
    }

    // MARK: Input

    private static func sorted(
        _ partitions: [Partition]
    ) throws(RebalancingError) -> [Partition] {
        let sorted = partitions.sorted { $0.number < $1.number }
        for (a, b) in zip(sorted, sorted.dropFirst()) where a.number == b.number {
            throw RebalancingError(.duplicate, "partition \(a.number) is there twice")
        }
        var sum: UInt64 = 0
        for partition in sorted {
            guard partition.load < loadLimit - sum else {
                throw RebalancingError(
                    .malformed, "loads add up to \(loadLimit) or more: give them in a larger unit")
            }
            sum += partition.load
        }
        return sorted
    }

    private static func sorted(_ nodes: [Node]) throws(RebalancingError) -> [Node] {
        guard !nodes.isEmpty else {
            throw RebalancingError(.noNodes, "no node is to have partitions")
        }
        let sorted = nodes.sorted { $0.name < $1.name }
        for (a, b) in zip(sorted, sorted.dropFirst()) where a.name == b.name {
            throw RebalancingError(.duplicate, "node \(a.name) is there twice")
        }
        for node in sorted {
            guard (1...OwnerEntry.ownerLimit).contains(node.name.utf8.count) else {
                throw RebalancingError(
                    .malformed,
                    "a node's name has 1 to \(OwnerEntry.ownerLimit) bytes, not \(node.name.utf8.count)"
                )
            }
            guard node.weight > 0 else {
                throw RebalancingError(
                    .malformed,
                    "node \(node.name) has weight 0: leave it out, if it is to be emptied")
            }
        }
        return sorted
    }
}

/// A partition to those who work a plan out.
struct RebalancingItem {
    let load: UInt64
    /// The place of its owner among the nodes; nil if that is to be emptied.
    let owner: Int?
}
