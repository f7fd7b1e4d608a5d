/// Moves partitions until no node has much more than its share of all loads: ``RebalancingPlan/Measure/load(tolerance:)``.
///
/// An *allowance* is what all nodes together may have, each of it in proportion to its weight, rounded down: that is its limit.
/// An attempt at an allowance takes from each node that is over its limit as few partitions as bring it under that, the
/// heaviest and at last the lightest that suffices, and those of nodes that are to be emptied. Then it gives them, heaviest
/// first, each to the node that has the least in proportion to its weight afterwards (longest processing time first: Graham
/// 1969). It comes to nothing if that is over the limit. Each plan that keeps these limits must take as many from each node, so an
/// attempt that succeeds has the fewest moves.
///
/// Heavy partitions that are taken may find no place, where some light ones would have; so the next attempts take only
/// partitions that are at most as heavy as the most room that a node has, or half of that, and so on.
///
/// At an allowance of t + (n − 1) · m, for n nodes, t all loads and m the heaviest partition, the first attempt succeeds: if a
/// partition of load p fits nowhere, the loads of all nodes plus p each, which are at most t − p + n · p, are more than the
/// allowance. All arithmetic is in integers, so this holds to the last unit.
struct LoadRebalancing {
    /// What came of it.
    struct Solution {
        /// The node to which each item moves; nil where it stays.
        var targets: [Int?]
        var bound: Double
        var isWithinTolerance: Bool
        var leastMoves: Int
    }

    private let items: [RebalancingItem]
    private let weights: [UInt128]
    private let weightSum: UInt128
    private let loadSum: UInt64
    /// The items of each node, heaviest first.
    private let held: [[Int]]
    private let homeless: [Int]
    private let loads: [UInt64]

    /// How often the weight of partitions that are taken is halved, when they find no place.
    private static let halvings = 8
    /// Bisection ends when an allowance is known to be too small that is less than 1/1,000 of all loads below: no measured load
    /// is more precise.
    private static let precision: UInt128 = 1_000

    /// - Parameter weights: Those of the nodes, in the order of their names; more than 0.
    init(_ items: [RebalancingItem], _ weights: [UInt64]) {
        self.items = items
        self.weights = weights.map { UInt128($0) }
        weightSum = self.weights.reduce(0, +)
        loadSum = items.reduce(0) { $0 + $1.load }
        var held: [[Int]] = Array(repeating: [], count: weights.count)
        var homeless: [Int] = []
        for index in Self.heaviestFirst(items.indices, items) {
            if let owner = items[index].owner {
                held[owner].append(index)
            } else {
                homeless.append(index)
            }
        }
        self.held = held
        self.homeless = homeless
        loads = held.map { indices in indices.reduce(0) { $0 + items[$1].load } }
    }

    private static func heaviestFirst(
        _ indices: some Sequence<Int>, _ items: [RebalancingItem]
    ) -> [Int] {
        indices.sorted { (items[$1].load, $0) < (items[$0].load, $1) }
    }

    /// The moves at the smallest allowance that is found.
    func solution(_ tolerance: Double) -> Solution {
        let sum = UInt128(loadSum)
        let wanted = sum + UInt128(UInt64(tolerance * Double(loadSum)))
        if let targets = targets(allowing: wanted) { return solution(targets, wanted, wanted) }
        let heaviest = UInt128(items.map(\.load).max() ?? 0)
        var (tooSmall, enough) = (wanted, sum + UInt128(weights.count - 1) * heaviest)
        guard var best = targets(allowing: enough) else {
            preconditionFailure("this allowance leaves room for each partition somewhere")
        }
        while enough - tooSmall > max(1, sum / Self.precision) {
            let middle = tooSmall + (enough - tooSmall) / 2
            if let targets = targets(allowing: middle) {
                (best, enough) = (targets, middle)
            } else {
                tooSmall = middle
            }
        }
        return solution(best, enough, wanted)
    }

    private func solution(
        _ targets: [Int?], _ allowance: UInt128, _ wanted: UInt128
    ) -> Solution {
        let limits = limits(allowance)
        let taken = held.indices.reduce(0) { sum, node in
            sum + (surplus(of: node, over: limits[node], upTo: .max)?.count ?? 0)
        }
        return Solution(
            targets: targets,
            bound: loadSum == 0 ? 1 : Double(allowance) / Double(loadSum),
            isWithinTolerance: allowance <= wanted, leastMoves: taken + homeless.count)
    }

    // MARK: One allowance

    private func limits(_ allowance: UInt128) -> [UInt128] {
        weights.map { allowance * $0 / weightSum }
    }

    private func targets(allowing allowance: UInt128) -> [Int?]? {
        let limits = limits(allowance)
        if let targets = targets(limits, taking: .max) { return targets }
        var largest = zip(limits, loads).map { $0 > $1 ? $0 - UInt128($1) : 0 }.max() ?? 0
        for _ in 0...Self.halvings where largest > 0 {
            let taking = UInt64(clamping: largest)
            if let targets = targets(limits, taking: taking) { return targets }
            largest /= 2
        }
        return nil
    }

    /// An attempt that takes partitions of at most some load; nil if it comes to nothing.
    private func targets(_ limits: [UInt128], taking largest: UInt64) -> [Int?]? {
        var (loads, counts) = (loads, held.map { UInt128($0.count) })
        var moving = homeless
        for node in held.indices {
            guard let surplus = surplus(of: node, over: limits[node], upTo: largest) else {
                return nil
            }
            for index in surplus { loads[node] -= items[index].load }
            counts[node] -= UInt128(surplus.count)
            moving += surplus
        }
        var targets = [Int?](repeating: nil, count: items.count)
        for index in Self.heaviestFirst(moving, items) {
            let load = items[index].load
            /// Whether a node has less than another with this partition, each in proportion to its weight.
            func isBetter(_ a: Int, _ b: Int) -> Bool {
                let (heavy, light) = (
                    UInt128(loads[a] + load) * weights[b], UInt128(loads[b] + load) * weights[a]
                )
                if heavy != light { return heavy < light }
                return (counts[a] + 1) * weights[b] < (counts[b] + 1) * weights[a]
            }
            // Where it comes from it does not fit: no fewer could be taken there.
            let others = weights.indices.lazy.filter { $0 != items[index].owner }
            guard var best = others.first else { return nil }
            for node in others where isBetter(node, best) { best = node }
            guard UInt128(loads[best] + load) <= limits[best] else { return nil }
            loads[best] += load
            counts[best] += 1
            targets[index] = best
        }
        return targets
    }

    /// As few items of a node as bring it under its limit; nil if those of at most some load do not.
    private func surplus(of node: Int, over limit: UInt128, upTo largest: UInt64) -> ArraySlice<
        Int
    >? {
        guard UInt128(loads[node]) > limit else { return [] }
        let excess = loads[node] - UInt64(limit)
        let candidates = held[node].drop { items[$0].load > largest }
        var taken: UInt64 = 0
        for place in candidates.indices {
            let load = items[candidates[place]].load
            guard taken + load >= excess else {
                taken += load
                continue
            }
            // The last one need not be heavier than what is left.
            let rest = candidates[place...].prefix { items[$0].load >= excess - taken }
            return candidates[..<place] + rest.suffix(1)
        }
        return nil
    }
}
