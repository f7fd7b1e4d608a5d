import CaesuraMigration
import Testing

/// Plans beside all that there could be, and beside what they promise.
@Suite struct RebalancingPlanTests {
    // MARK: Small worlds

    @Test(arguments: [[1, 1, 1], [1, 2, 3], [1, 1, 4]] as [[UInt32]])
    func `by count no assignment that keeps quotas is nearer`(weights: [UInt32]) throws {
        for count in 0...6 {
            let worlds = SmallWorlds(loads: Array(repeating: 1, count: count))
            for subset in SmallWorlds.subsets {
                let sum = subset.reduce(0) { $0 + Int(weights[$1]) }
                let balanced = worlds.assignments.filter { owners in
                    (0..<SmallWorlds.nodes).allSatisfy { node in
                        let held = owners.count { $0 == node }
                        guard subset.contains(node) else { return held == 0 }
                        // Less than one partition from the share.
                        return abs(held * sum - count * Int(weights[node])) < sum
                    }
                }
                for owners in worlds.assignments {
                    let plan = try RebalancingPlan(
                        of: worlds.partitions(owners),
                        over: subset.map { .init("\($0)", weight: weights[$0]) })
                    let after = try #require(worlds.after(plan, owners))
                    let fewest = balanced.map { SmallWorlds.distance(owners, $0) }.min()
                    #expect(balanced.contains(after), "\(owners) over \(subset)")
                    #expect(plan.moves.count == fewest, "\(owners) over \(subset)")
                    #expect(plan.leastMoves == fewest && plan.isWithinTolerance)
                }
            }
        }
    }

    @Test(
        arguments: [
            [5, 4, 3, 2, 1], [10, 1, 1, 1, 1], [7, 7, 3, 3, 0], [100, 10, 10, 10, 60],
        ] as [[UInt64]], [0, 0.1, 0.5])
    func `by load the bound is kept, and what is said of moves is true of all assignments`(
        loads: [UInt64], tolerance: Double
    ) throws {
        let worlds = SmallWorlds(loads: loads)
        let weights: [UInt32] = [1, 2, 2]
        let (sum, heaviest) = (Double(loads.reduce(0, +)), Double(try #require(loads.max())))
        for subset in SmallWorlds.subsets {
            let weightSum = subset.reduce(0) { $0 + Double(weights[$1]) }
            func ratio(_ owners: [Int]) -> Double {
                (0..<SmallWorlds.nodes).map { node in
                    let load = owners.indices.reduce(0.0) {
                        owners[$1] == node ? $0 + Double(loads[$1]) : $0
                    }
                    guard subset.contains(node) else {
                        return owners.contains(node) ? .infinity : 0
                    }
                    return load * weightSum / (sum * Double(weights[node]))
                }.max() ?? 0
            }
            let ratios = worlds.assignments.map(ratio)
            for owners in worlds.assignments {
                let plan = try RebalancingPlan(
                    of: worlds.partitions(owners),
                    over: subset.map { .init("\($0)", weight: weights[$0]) },
                    by: .load(tolerance: tolerance))
                let after = try #require(worlds.after(plan, owners))
                let bound = try #require(plan.bound)
                let slack = 1e-9
                #expect(ratio(after) <= bound + slack, "\(owners) over \(subset)")
                let most = max(1 + tolerance, 1 + Double(subset.count - 1) * heaviest / sum)
                #expect(bound <= most + slack, "\(owners) over \(subset)")
                #expect(plan.isWithinTolerance == (bound <= 1 + tolerance + slack))
                var fewest = Int.max
                for (other, ratio) in zip(worlds.assignments, ratios) where ratio <= bound + slack {
                    fewest = min(fewest, SmallWorlds.distance(owners, other))
                }
                #expect(plan.leastMoves <= fewest, "\(owners) over \(subset)")
                #expect(fewest <= plan.moves.count, "\(owners) over \(subset)")
            }
        }
    }

    // MARK: Larger ones

    /// Some hundred partitions, a few of them nobody's, with weights; some owners are to be emptied, some nodes have nothing.
    private static func world(
        _ random: inout Seeded
    ) -> (partitions: [RebalancingPlan.Partition], nodes: [RebalancingPlan.Node]) {
        let nodes = (0..<Int.random(in: 1...12, using: &random)).map { number in
            RebalancingPlan.Node("node-\(number)", weight: .random(in: 1...4, using: &random))
        }
        let heaviest: UInt64 = .random(in: 0...1_000, using: &random)
        let partitions = (0..<UInt64.random(in: 0...400, using: &random)).map { number in
            let owner = Int.random(in: -1..<15, using: &random)
            return RebalancingPlan.Partition(
                PartitionNumber(rawValue: number), owner: owner < 0 ? nil : "node-\(owner)",
                load: .random(in: 0...heaviest, using: &random))
        }
        return (partitions, nodes)
    }

    @Test func `balances are what the moves lead to, and the same in any order of the input`()
        throws
    {
        let seed = UInt64.random(in: 0 ... .max)
        print("rebalancing from seed \(seed)")
        var random = Seeded(state: seed)
        for _ in 0..<60 {
            let (partitions, nodes) = Self.world(&random)
            let measure: RebalancingPlan.Measure =
                Bool.random(using: &random) ? .count : .load(tolerance: 0.1)
            let plan = try RebalancingPlan(of: partitions, over: nodes, by: measure)
            let again = try RebalancingPlan(
                of: partitions.shuffled(using: &random), over: nodes.shuffled(using: &random),
                by: measure)
            #expect(plan == again, "seed \(seed)")
            #expect(plan.unowned == partitions.filter { $0.owner == nil }.map(\.number))
            #expect(plan.moves.count >= plan.leastMoves, "seed \(seed)")
            #expect(plan.moves.map(\.partition) == plan.moves.map(\.partition).sorted())
            var after = Dictionary(uniqueKeysWithValues: partitions.map { ($0.number, $0.owner) })
            for move in plan.moves {
                #expect(after[move.partition] == move.source, "seed \(seed)")
                #expect(move.source != move.target)
                after[move.partition] = move.target
            }
            let owned = partitions.filter { $0.owner != nil }
            for balance in plan.balances {
                let (before, later) = (
                    owned.filter { $0.owner == balance.node },
                    owned.filter { after[$0.number] == balance.node }
                )
                #expect(balance.partitionsBefore == before.count, "seed \(seed)")
                #expect(balance.partitionsAfter == later.count, "seed \(seed)")
                #expect(balance.loadBefore == before.reduce(0) { $0 + $1.load })
                #expect(balance.loadAfter == later.reduce(0) { $0 + $1.load })
            }
            Self.expectShares(plan, owned, nodes, "seed \(seed)")
        }
    }

    private static func expectShares(
        _ plan: RebalancingPlan, _ owned: [RebalancingPlan.Partition],
        _ nodes: [RebalancingPlan.Node], _ comment: Comment
    ) {
        let weights = Dictionary(uniqueKeysWithValues: nodes.map { ($0.name, Int($0.weight)) })
        let weightSum = weights.values.reduce(0, +)
        let loadSum = owned.reduce(0) { $0 + $1.load }
        for balance in plan.balances {
            guard let weight = weights[balance.node] else {
                #expect(balance.partitionsAfter == 0, comment)
                continue
            }
            if let bound = plan.bound {
                let share = Double(loadSum) * Double(weight) / Double(weightSum)
                #expect(Double(balance.loadAfter) <= bound * share + 1e-6, comment)
            } else {
                let difference = balance.partitionsAfter * weightSum - owned.count * weight
                #expect(abs(difference) < weightSum, comment)
            }
        }
    }

    @Test
    func `where partitions are small beside shares, the tolerance is kept by the fewest moves`()
        throws
    {
        let seed = UInt64.random(in: 0 ... .max)
        print("small partitions from seed \(seed)")
        var random = Seeded(state: seed)
        for _ in 0..<20 {
            let nodes = (0..<Int.random(in: 2...8, using: &random)).map {
                RebalancingPlan.Node("\($0)")
            }
            // The heaviest is at most 1/20 of a share.
            let partitions = (0..<UInt64(nodes.count) * 40).map { number in
                RebalancingPlan.Partition(
                    PartitionNumber(rawValue: number),
                    owner: "\(Int.random(in: 0..<9, using: &random))",
                    load: .random(in: 100...200, using: &random))
            }
            let plan = try RebalancingPlan(of: partitions, over: nodes, by: .load(tolerance: 0.1))
            #expect(plan.isWithinTolerance, "seed \(seed)")
            #expect(plan.moves.count == plan.leastMoves, "seed \(seed)")
        }
    }

    @Test func `a plan that was carried out leaves nothing to do`() throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("carried out from seed \(seed)")
        var random = Seeded(state: seed)
        for _ in 0..<40 {
            var (partitions, nodes) = Self.world(&random)
            let plan = try RebalancingPlan(of: partitions, over: nodes)
            for move in plan.moves { partitions[Int(move.partition.rawValue)].owner = move.target }
            #expect(try RebalancingPlan(of: partitions, over: nodes).moves.isEmpty, "seed \(seed)")
        }
    }

    // MARK: By hand

    @Test func `a node that comes gets its share, and nothing else moves`() throws {
        let partitions = (0..<17 as Range<UInt64>).map {
            RebalancingPlan.Partition(PartitionNumber(rawValue: $0), owner: $0 < 9 ? "a" : "b")
        }
        let plan = try RebalancingPlan(of: partitions, over: [.init("a"), .init("b"), .init("c")])
        #expect(plan.balances.map(\.partitionsAfter) == [6, 6, 5])
        #expect(plan.moves.map(\.partition.rawValue) == [6, 7, 8, 15, 16])
        #expect(plan.moves.allSatisfy { $0.target == "c" })
    }

    @Test func `a heavy partition that would fit nowhere stays, and light ones move`() throws {
        let loads: [UInt64] = [100, 10, 10, 10, 10, 60]
        let partitions = loads.enumerated().map { index, load in
            RebalancingPlan.Partition(
                PartitionNumber(rawValue: UInt64(index)), owner: index < 5 ? "a" : "b", load: load)
        }
        let plan = try RebalancingPlan(
            of: partitions, over: [.init("a"), .init("b")], by: .load(tolerance: 0.1))
        #expect(plan.isWithinTolerance)
        #expect(plan.balances.map(\.loadAfter) == [110, 90])
        #expect(plan.moves.map(\.partition.rawValue) == [1, 2, 4])
    }

    @Test func `without loads only nodes that are to be emptied lose partitions`() throws {
        let partitions = (0..<6 as Range<UInt64>).map {
            RebalancingPlan.Partition(
                PartitionNumber(rawValue: $0), owner: $0 < 4 ? "gone" : "a", load: 0)
        }
        let plan = try RebalancingPlan(
            of: partitions, over: [.init("a"), .init("b")], by: .load(tolerance: 0))
        #expect(plan.moves.map(\.target) == ["b", "b", "a", "b"])
        #expect(plan.bound == 1 && plan.isWithinTolerance)
    }

    // MARK: Wrong input

    @Test func `what no plan can be made from is an error that names it`() {
        func expect(
            _ code: RebalancingError.Code, _ part: String,
            _ partitions: [RebalancingPlan.Partition] = [],
            _ nodes: [RebalancingPlan.Node] = [.init("a")],
            _ measure: RebalancingPlan.Measure = .count
        ) {
            let error = #expect(throws: RebalancingError.self) {
                try RebalancingPlan(of: partitions, over: nodes, by: measure)
            }
            #expect(error?.code == code)
            #expect(error?.message.contains(part) ?? false, "\(String(describing: error))")
        }
        expect(.noNodes, "no node", [], [])
        expect(.duplicate, "node a ", [], [.init("a"), .init("b"), .init("a")])
        let partition = RebalancingPlan.Partition(.unkeyed, owner: "a")
        expect(.duplicate, "partition 0000000000000000", [partition, partition])
        expect(.malformed, "node b has weight 0", [], [.init("a"), .init("b", weight: 0)])
        for name in ["", String(repeating: "x", count: 256)] {
            expect(.malformed, "1 to 255 bytes", [], [.init(name)])
        }
        for tolerance in [-0.1, 1.1, .nan, .infinity] {
            expect(.malformed, "tolerance", [], [.init("a")], .load(tolerance: tolerance))
        }
        let heavy = (0..<2 as Range<UInt64>).map {
            RebalancingPlan.Partition(
                PartitionNumber(rawValue: $0), owner: nil, load: RebalancingPlan.loadLimit / 2)
        }
        expect(.malformed, "larger unit", heavy)
    }
}

/// SplitMix64, so that a failing seed can be run again.
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
