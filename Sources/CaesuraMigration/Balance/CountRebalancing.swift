/// Moves partitions until each node has its quota of them: ``RebalancingPlan/Measure/count``.
///
/// Of the partitions that a node has beyond its quota all must move, in any plan that keeps these quotas, and no other ones
/// do here. A node that has more than its share rounded down loses one partition less if its share is rounded up, and another
/// gains nothing by it; so no other quotas spare more moves than those that are rounded up there first.
struct CountRebalancing {
    private let items: [RebalancingItem]
    private let weights: [UInt64]
    private let held: [Int]

    /// - Parameter weights: Those of the nodes, in the order of their names; more than 0.
    init(_ items: [RebalancingItem], _ weights: [UInt64]) {
        self.items = items
        self.weights = weights
        var held = Array(repeating: 0, count: weights.count)
        for case let owner? in items.map(\.owner) { held[owner] += 1 }
        self.held = held
    }

    /// How many partitions each node is to have.
    var quotas: [Int] {
        let sum = weights.reduce(0, +)
        let parts = weights.map { (UInt64(items.count) * $0).quotientAndRemainder(dividingBy: sum) }
        var quotas = parts.map { Int($0.quotient) }
        let left = items.count - quotas.reduce(0, +)
        let order = weights.indices.filter { parts[$0].remainder > 0 }.sorted { a, b in
            let spares = (held[a] > quotas[a], held[b] > quotas[b])
            if spares.0 != spares.1 { return spares.0 }
            if parts[a].remainder != parts[b].remainder {
                return parts[a].remainder > parts[b].remainder
            }
            return a < b
        }
        // Each remainder is less than one partition, so there are more of them than partitions left.
        for node in order.prefix(left) { quotas[node] += 1 }
        return quotas
    }

    /// The node to which each item moves; nil where it stays.
    ///
    /// Those with the smallest numbers stay. The others move, in order, to the node that lacks the most.
    var targets: [Int?] {
        let quotas = quotas
        var lacking = zip(quotas, held).map { max(0, $0 - $1) }
        var staying = zip(quotas, held).map(min)
        var targets = [Int?](repeating: nil, count: items.count)
        for (index, item) in items.enumerated() {
            if let owner = item.owner, staying[owner] > 0 {
                staying[owner] -= 1
                continue
            }
            let most = lacking.max() ?? 0
            precondition(most > 0, "what nodes lack is what others have too much")
            guard let target = lacking.firstIndex(of: most) else { continue }
            lacking[target] -= 1
            targets[index] = target
        }
        return targets
    }
}
