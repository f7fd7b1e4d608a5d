import CaesuraMigration
import CaesuraNodeService
import Synchronization

/// Node a in this process, node b in another one, and the moves between them.
final class TwoNodes: Sendable {
    let own: SessionNode
    let rings: RequestRings
    let watch = ResourceWatch()
    /// Only one task uses it at a time.
    nonisolated(unsafe) let other: OtherProcess
    private let setting: NodeSetting
    nonisolated(unsafe) private let shared: ScratchDirectory
    /// Writes that were done, of all loads.
    private let writes = Atomic<Int>(0)

    /// Sets the nodes up, with all rows at a; the other process runs then.
    ///
    /// - Parameter relay: Where b says that it is; nil for where it listens.
    init(_ setting: NodeSetting, relay: NetworkAddress? = nil) async throws {
        self.setting = setting
        shared = try ScratchDirectory(in: "/dev/shm")
        let path = shared.path + "/rings"
        rings = try RequestRings(in: path)
        own = try await SessionNode(NodeSetting.names.own, setting) {
            OtherProcess.complain(about: $0)
        }
        other = try OtherProcess(setting, rings: path, advertised: relay.map { "\($0)" })
    }

    /// Runs node a as long as `body` does.
    func run(_ body: @escaping @Sendable () async throws -> Void) async throws {
        try await withThrowingTaskGroup { group in
            group.addTask { [own] in try await own.service.run() }
            try await own.isSettled()
            try await body()
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    // MARK: Writes

    /// Notes writes that were done.
    func note(_ count: Int) { writes.add(count, ordering: .relaxed) }

    /// Throws unless the rows of both nodes have changed as often as writes were done.
    func check() throws {
        let there = try own.visits() + (try other.ask(.visits).first ?? 0)
        let done = there - SessionNode.visitsAtFirst(rows: setting.rows)
        let writes = writes.load(ordering: .relaxed)
        guard done == writes else { throw Failure("\(writes) writes have changed \(done) rows") }
    }

    // MARK: Moves

    enum Direction: Sendable { case out, back }

    /// Moves a partition.
    ///
    /// - Returns: How it has ended.
    func move(
        _ partition: PartitionNumber, _ direction: Direction, budget: Duration,
        policy: SourceMove.Policy = .fail
    ) async throws -> MoveEnd {
        try await move([partition], direction, budget: budget, policy: policy)[0]
    }

    /// Orders moves of several partitions at once.
    ///
    /// - Returns: How each has ended.
    func move(
        _ partitions: [PartitionNumber], _ direction: Direction, budget: Duration,
        policy: SourceMove.Policy = .fail
    ) async throws -> [MoveEnd] {
        switch direction {
        case .out:
            return try await withThrowingTaskGroup { group in
                for partition in partitions {
                    group.addTask { [service = own.service] in
                        try await service.move(
                            partition, to: NodeSetting.names.other, budget: budget, policy: policy)
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
        case .back:
            guard let address = NetworkAddress(other.address) else {
                throw Failure("node b listens at \(other.address)")
            }
            let connection = try await NodeOperator(
                of: NodeSetting.names.other, at: address, security: try setting.security)
            let order = MoveOrder(
                of: partitions, to: NodeSetting.names.own, budget: budget, policy: policy)
            var ends: [MoveEnd] = []
            for try await answer in connection.answers(to: .move(order)) {
                if case .ended(let end) = answer { ends.append(end) }
            }
            await connection.close()
            guard ends.count == partitions.count else {
                throw Failure("node b does not say how a move has ended")
            }
            return ends
        }
    }
}

/// What moves of all partitions have taken.
struct MoveCosts: Sendable {
    var costs: [MoveCost] = []
    /// Moves that were given up, because the budget was too small.
    var givenUp = 0
    /// How long something moved.
    private(set) var seconds = 0.0

    /// Moves all partitions, ordered at once, as `caesura migrate` does.
    ///
    /// Those that the budget is too small for are tried again with twice the budget.
    mutating func moveAtOnce(
        _ partitions: Range<Int>, _ direction: TwoNodes.Direction, of nodes: TwoNodes,
        budget: Duration, policy: SourceMove.Policy = .fail
    ) async throws {
        let start = now()
        var budget = budget
        var rest = partitions.map(SessionNode.partition)
        while !rest.isEmpty {
            let ends = try await nodes.move(rest, direction, budget: budget, policy: policy)
            rest = []
            for end in ends {
                switch end.outcome {
                case .moved: costs.append(end.cost)
                case .givenUp(let problem)
                where problem.code == .doesNotConverge && budget < .seconds(1):
                    rest.append(end.partition)
                default: throw Failure("a move has ended otherwise: \(end.outcome)")
                }
            }
            givenUp += rest.count
            budget *= 2
        }
        seconds += Double(now() - start) / 1e9
    }

    /// Moves all partitions, one after the other.
    ///
    /// One that the budget is too small for is tried again with twice the budget, which those after it have, too.
    mutating func move(
        _ partitions: Range<Int>, _ direction: TwoNodes.Direction, of nodes: TwoNodes,
        budget: Duration, policy: SourceMove.Policy = .fail, in stretches: Stretches
    ) async throws {
        var budget = budget
        for partition in partitions {
            while true {
                stretches.begin(direction == .out ? .out : .back, partition)
                let end = try await nodes.move(
                    SessionNode.partition(partition), direction, budget: budget, policy: policy)
                if case .moved = end.outcome {
                    costs.append(end.cost)
                    seconds += end.cost.duration / .seconds(1)
                    break
                }
                guard case .givenUp(let problem) = end.outcome, problem.code == .doesNotConverge,
                    budget < .seconds(1)
                else { throw Failure("a move has ended otherwise: \(end.outcome)") }
                givenUp += 1
                budget *= 2
            }
        }
    }

    var sentBytes: UInt64 { costs.reduce(0) { $0 + $1.sentBytes } }
    var rounds: UInt32 { costs.reduce(0) { $0 + $1.rounds } }
    var blackouts: [UInt64] { costs.map { UInt64($0.blackout / .nanoseconds(1)) } }
}
