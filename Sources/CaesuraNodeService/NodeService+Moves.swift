public import CaesuraMigration
import CaesuraNode

/// Moves out of this node, for programs.
extension NodeService {
    /// Moves a partition to another node, and waits for the end of that.
    ///
    /// It goes on when the task is cancelled: ``stop(_:)`` stops it.
    ///
    /// - Parameters:
    ///   - partition: One that is served here.
    ///   - target: The name of the node that is to have it.
    ///   - budget: What the blackout may take.
    ///   - policy: What is done when it does not come to fit the budget.
    /// - Returns: How it has ended; once it is moved and the target has it in a checkpoint, or it is not.
    /// - Throws: `notOwner` when this node does not serve the partition; `busy` when it is moving already; `malformed` when
    ///   there is no such partition, or the target is this node; `stopped` when the service does not run.
    public func move(
        _ partition: PartitionNumber, to target: String, budget: Duration = .milliseconds(1),
        policy: SourceMove.Policy = .fail
    ) async throws(MigrationProblem) -> MoveEnd {
        guard phase == .running else {
            throw MigrationProblem(.stopped, "node \(configuration.node.name) does not run")
        }
        let actions = try node.move(
            partition, to: target, budget: budget, policy: policy, at: now)
        return await withCheckedContinuation { continuation in
            waiting[partition, default: []].append(continuation)
            carryOut(actions)
        }
    }

    /// Gives a move up, if it is not decided yet.
    public func stop(_ partition: PartitionNumber) {
        guard phase == .running else { return }
        carryOut(node.stop(partition, at: now))
    }

    /// How far the moves out of here are.
    public var moves: [MoveStatus] { node.moves }

    /// What the partitions are to this node.
    public var partitions: [PartitionStatus] { node.partitions }

    /// Lets nobody wait any more for the end of a move.
    func endWaiting(_ message: String) {
        let problem = MigrationProblem(.stopped, message)
        for (partition, waiters) in waiting {
            let end = MoveEnd(partition, to: "", .givenUp(problem), MoveCost())
            for waiter in waiters { waiter.resume(returning: end) }
        }
        waiting = [:]
    }
}
