/// What an operator asks a node for: `docs/MIGRATION.md` section 6, "Operators".
public enum Order: Hashable, Sendable {
    /// Tell what there is: an answer for each partition, and one for each move.
    case show
    /// Move partitions, and tell how that goes until all have ended.
    case move(MoveOrder)
    /// Give moves up that are not decided yet; of all partitions, if none is named.
    case stop([PartitionNumber])

    /// The most partitions that an order names.
    public static let partitionLimit = 4_096
}

/// An operator wants partitions to move.
public struct MoveOrder: Hashable, Sendable {
    /// Which; all that the node serves, if none is named.
    public var partitions: [PartitionNumber]
    /// The node that is to have them.
    public var target: String
    /// What the blackout of each may take.
    public var budget: Duration
    /// What is done when it does not come to fit the budget.
    public var policy: SourceMove.Policy

    /// Asks for moves.
    public init(
        of partitions: [PartitionNumber] = [], to target: String,
        budget: Duration = .milliseconds(1), policy: SourceMove.Policy = .fail
    ) {
        self.partitions = partitions
        self.target = target
        self.budget = budget
        self.policy = policy
    }
}

/// What a node answers to an order; the last one is ``done(_:)``.
public enum Answer: Hashable, Sendable {
    /// The order is carried out, or why it cannot be.
    case done(MigrationProblem?)
    /// What a partition is to the node.
    case holds(PartitionStatus)
    /// How far a move is.
    case moves(MoveStatus)
    /// A partition is the target's from now on.
    case handedOver(PartitionNumber, OwnerEntry, blackout: Duration)
    /// A move has ended.
    case ended(MoveEnd)
}

/// What a partition is to a node.
public struct PartitionStatus: Hashable, Sendable {
    /// What the node has of it.
    public enum Holding: UInt8, Hashable, Sendable, CaseIterable {
        /// It is finding out.
        case unknown = 0
        /// The node serves it.
        case served = 1
        /// The node owns it, and waits for its rows.
        case missing = 2
        /// It is another's, and the rows are here until that one has them in a checkpoint.
        case lettingGo = 3
        /// It is another's, or nobody's.
        case elsewhere = 4
    }

    /// The partition.
    public var partition: PartitionNumber
    /// What the node has of it.
    public var holding: Holding
    /// The last entry that the node knows.
    public var entry: OwnerEntry?

    /// Describes a partition.
    public init(_ partition: PartitionNumber, _ holding: Holding, _ entry: OwnerEntry?) {
        self.partition = partition
        self.holding = holding
        self.entry = entry
    }
}

/// How far a move out of a node is.
public struct MoveStatus: Hashable, Sendable {
    /// What it is doing.
    public enum Stage: UInt8, Hashable, Sendable, CaseIterable {
        /// Other moves come first.
        case waiting = 0
        /// It looks for the target.
        case connecting = 1
        /// Rounds travel while writers go on.
        case copying = 2
        /// Writes have stopped.
        case handingOver = 3
        /// It goes back.
        case aborting = 4
        /// The target owns the partition, and has no checkpoint of it yet.
        case lettingGo = 5
    }

    /// The partition.
    public var partition: PartitionNumber
    /// The node that is to have it.
    public var target: String
    /// What it is doing.
    public var stage: Stage
    /// The present round, from 1; 0 before the first.
    public var round: UInt32
    /// Bytes of chunks that were sent.
    public var sentBytes: UInt64
    /// Bytes of chunks of the present round that the target has not applied.
    public var pendingBytes: UInt64
    /// Bytes of deltas a second that writers cause; nil where it is not known yet.
    public var dirtyBytesPerSecond: UInt64?
    /// Bytes a second that the target applies; nil where it is not known yet.
    public var appliedBytesPerSecond: UInt64?
    /// How long the blackout would be if writes stopped now; nil where it is not known yet.
    public var prediction: Duration?

    /// Describes a move that has not begun.
    public init(_ partition: PartitionNumber, to target: String) {
        self.partition = partition
        self.target = target
        stage = .waiting
        round = 0
        sentBytes = 0
        pendingBytes = 0
    }

    /// Describes a move; nil if it has ended.
    ///
    /// - Parameter sentBytes: Bytes of chunks that were sent.
    public init?(_ move: SourceMove, sentBytes: UInt64) {
        self.init(move.plan.partition, to: move.plan.target)
        switch move.state {
        case .connecting, .asking: stage = .connecting
        case .copying: stage = .copying
        case .sealing, .finishing, .handingOver: stage = .handingOver
        case .aborting: stage = .aborting
        case .lettingGo: stage = .lettingGo
        case .ended: return nil
        }
        round = move.round
        self.sentBytes = sentBytes
        pendingBytes = move.unacknowledgedBytes
        dirtyBytesPerSecond = move.convergence.dirtyBytesPerSecond.map { UInt64($0) }
        appliedBytesPerSecond = move.convergence.appliedBytesPerSecond.map { UInt64($0) }
        prediction = move.convergence.prediction
    }
}

/// How a move has ended.
public struct MoveEnd: Hashable, Sendable {
    /// The partition.
    public var partition: PartitionNumber
    /// The node that was to have it.
    public var target: String
    /// How it has ended.
    public var outcome: SourceMove.Outcome
    /// What it took.
    public var cost: MoveCost

    /// Describes the end of a move.
    public init(
        _ partition: PartitionNumber, to target: String, _ outcome: SourceMove.Outcome,
        _ cost: MoveCost
    ) {
        self.partition = partition
        self.target = target
        self.outcome = outcome
        self.cost = cost
    }
}

/// What a move took.
public struct MoveCost: Hashable, Sendable {
    /// Rounds that were begun.
    public var rounds: UInt32
    /// Bytes of chunks that were sent.
    public var sentBytes: UInt64
    /// From when it began, which may be later than it was asked for, until it ended.
    public var duration: Duration
    /// How long writes had stopped; zero if they never had to.
    public var blackout: Duration

    /// Describes what a move took.
    public init(
        rounds: UInt32 = 0, sentBytes: UInt64 = 0, duration: Duration = .zero,
        blackout: Duration = .zero
    ) {
        self.rounds = rounds
        self.sentBytes = sentBytes
        self.duration = duration
        self.blackout = blackout
    }
}
