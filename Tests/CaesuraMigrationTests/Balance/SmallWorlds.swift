import CaesuraMigration

/// All ways in which some partitions can be owned by nodes "0", "1" and "2".
struct SmallWorlds {
    static let nodes = 3
    let loads: [UInt64]
    /// The owner of each partition, by its place.
    let assignments: [[Int]]

    init(loads: [UInt64]) {
        self.loads = loads
        assignments = loads.reduce([[]]) { shorter, _ in
            shorter.flatMap { some in (0..<Self.nodes).map { some + [$0] } }
        }
    }

    /// All sets of nodes but the empty one.
    static let subsets = (1..<1 << nodes).map { bits in
        (0..<nodes).filter { bits >> $0 & 1 == 1 }
    }

    /// The number of a partition of a place: that of logs and cells is the first.
    static func number(_ place: Int) -> PartitionNumber {
        place == 0 ? .unkeyed : PartitionNumber(rawValue: 7 + UInt64(place))
    }

    static func place(_ number: PartitionNumber) -> Int {
        number == .unkeyed ? 0 : Int(number.rawValue) - 7
    }

    func partitions(_ owners: [Int]) -> [RebalancingPlan.Partition] {
        owners.indices.map {
            .init(Self.number($0), owner: "\(owners[$0])", load: loads[$0])
        }
    }

    /// Who owns what after a plan; nil if it moves what is not where it says.
    func after(_ plan: RebalancingPlan, _ owners: [Int]) -> [Int]? {
        var owners = owners
        for move in plan.moves {
            let place = Self.place(move.partition)
            guard "\(owners[place])" == move.source, let target = Int(move.target) else {
                return nil
            }
            owners[place] = target
        }
        return owners
    }

    /// How many partitions have another owner.
    static func distance(_ a: [Int], _ b: [Int]) -> Int {
        var count = 0
        for place in a.indices where a[place] != b[place] { count += 1 }
        return count
    }
}
