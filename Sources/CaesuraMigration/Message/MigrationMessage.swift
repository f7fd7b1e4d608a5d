public import CaesuraFormat

/// What the two sides of moves say to each other: `docs/MIGRATION.md` section 6.
@nonexhaustive
public enum MigrationMessage: Hashable, Sendable {
    /// The first message of either side.
    case hello(Hello)
    /// About schemas.
    case schemas(SchemaMessage)
    /// Nothing moves over this connection, and why.
    case refusal(MigrationProblem)
    /// To be sent back.
    case ping(UInt64)
    /// A ping that is sent back.
    case pong(UInt64)
    /// An operator asks for something; nothing moves over this connection.
    case order(Order)
    /// What the node answers to that.
    case answer(Answer)
    /// The source asks the target to take a partition.
    case move(MoveRequest)
    /// The target says what it has of it.
    case have(Holding)
    /// The source begins a round.
    case round(Round)
    /// A chunk of the round.
    case chunk([UInt8])
    /// The target says how much of the round is applied.
    case applied(Applied)
    /// What the target found when it looked at the content of the first round's end.
    case audit(Audit)
    /// The source has stopped writes, and this follows the last chunk: the target may append its entry.
    case handover(Handover)
    /// The target owns the partition.
    case owned(OwnerEntry)
    /// The target has a durable checkpoint of the partition.
    case durable(OwnerEntry)
    /// The sender gives the move up.
    case giveUp(MigrationProblem)
    /// The source owns the partition as before, under a new entry.
    case aborted(OwnerEntry)
    /// The source has stopped writes: the target may append its entry, and some slices will come after that.
    case handoverAhead(HandoverAhead)
    /// Somebody waits for a slice.
    case pull(HashRange)
    /// All of a slice was sent.
    case sliceEnd(SliceEnd)

    /// What it is called in messages to people.
    var name: String {
        switch self {
        case .hello: "a hello"
        case .schemas(let message): message.name + " about schemas"
        case .refusal: "a refusal"
        case .ping: "a ping"
        case .pong: "a pong"
        case .order: "an order"
        case .answer: "an answer to an order"
        case .move: "a request to move"
        case .have: "what is there"
        case .round: "a round"
        case .chunk: "a chunk"
        case .applied: "an acknowledgement"
        case .audit: "an audit"
        case .handover: "a handover"
        case .owned: "an ownership"
        case .durable: "a durable checkpoint"
        case .giveUp: "giving up"
        case .aborted: "an abort"
        case .handoverAhead: "a handover ahead of rows"
        case .pull: "a demand for a slice"
        case .sliceEnd: "the end of a slice"
        }
    }
}

/// The first message of either side of a connection.
public struct Hello: Hashable, Sendable {
    /// The versions of the protocol that the sender speaks.
    public var versions: ClosedRange<UInt16>
    /// The name of the node: 1 to 255 bytes.
    public var node: String
    /// The first half of the key of the hash that places rows.
    public var hashKey0: UInt64
    /// The second half.
    public var hashKey1: UInt64
    /// Whether the node has no rows, and takes another hash key over.
    public var takesHashKey: Bool
    /// b: the node has 2 to the power b partitions that move.
    public var moveBits: UInt8
    /// The number of leading hash bits that choose a table's partition.
    public var partitionBits: UInt8
    /// The largest body that the sender takes.
    public var bodyLimit: UInt32
    /// Bytes of chunks that may be on the way to it.
    public var window: UInt64

    /// What this version says.
    public init(
        node: String, hashKey0: UInt64, hashKey1: UInt64, takesHashKey: Bool, moveBits: UInt8,
        partitionBits: UInt8, versions: ClosedRange<UInt16> = 1...1,
        bodyLimit: UInt32 = UInt32(FrameHeader.chunkLimit), window: UInt64 = 16 << 20
    ) {
        self.versions = versions
        self.node = node
        self.hashKey0 = hashKey0
        self.hashKey1 = hashKey1
        self.takesHashKey = takesHashKey
        self.moveBits = moveBits
        self.partitionBits = partitionBits
        self.bodyLimit = bodyLimit
        self.window = window
    }
}

/// The source asks the target to take a partition.
public struct MoveRequest: Hashable, Sendable {
    /// Why the rows are sent.
    public enum Purpose: UInt8, Hashable, Sendable {
        /// The target is to own the partition.
        case handover = 1
        /// The target owns it, and may have lost it.
        case recovery = 2
    }

    /// The partition.
    public var partition: PartitionNumber
    /// A random number, the same when a move goes on over another connection.
    public var attempt: UInt64
    /// Why the rows are sent.
    public var purpose: Purpose
    /// The entry that the partition has now.
    public var entry: OwnerEntry

    /// Asks for a move.
    public init(
        partition: PartitionNumber, attempt: UInt64, purpose: Purpose, entry: OwnerEntry
    ) {
        self.partition = partition
        self.attempt = attempt
        self.purpose = purpose
        self.entry = entry
    }
}

/// What the target has of a partition.
public enum Holding: Hashable, Sendable {
    /// What has come of a round.
    public struct Part: Hashable, Sendable {
        /// The round, from 1.
        public var round: UInt32
        /// The epoch of its cut.
        public var epoch: UInt64
        /// Its chunks that are applied.
        public var chunks: UInt64
        /// Their bytes.
        public var bytes: UInt64

        /// Says what has come.
        public init(round: UInt32, epoch: UInt64, chunks: UInt64, bytes: UInt64) {
            self.round = round
            self.epoch = epoch
            self.chunks = chunks
            self.bytes = bytes
        }
    }

    /// Nothing of this move.
    case nothing
    /// What has come of it.
    case part(Part)
    /// It owns the partition, and has its rows.
    case owns(OwnerEntry)
}

/// A round begins.
public struct Round: Hashable, Sendable {
    /// Its number, from 1.
    public var number: UInt32
    /// The epoch of its cut.
    public var epoch: UInt64
    /// The epoch that it builds on; 0 in a snapshot.
    public var baseEpoch: UInt64
    /// The digest that it builds on; 0 in a snapshot.
    public var baseDigest: UInt64

    /// Begins a round.
    public init(number: UInt32, epoch: UInt64, baseEpoch: UInt64, baseDigest: UInt64) {
        self.number = number
        self.epoch = epoch
        self.baseEpoch = baseEpoch
        self.baseDigest = baseDigest
    }
}

/// How much of a round is applied.
public struct Applied: Hashable, Sendable {
    /// The round.
    public var round: UInt32
    /// Its chunks.
    public var chunks: UInt64
    /// Their bytes.
    public var bytes: UInt64
    /// Whether its end was among them.
    public var isComplete: Bool

    /// Says how much.
    public init(round: UInt32, chunks: UInt64, bytes: UInt64, isComplete: Bool) {
        self.round = round
        self.chunks = chunks
        self.bytes = bytes
        self.isComplete = isComplete
    }
}

/// What was found when the content of a partition at a cut was looked at.
public struct Audit: Hashable, Sendable {
    /// The epoch of the source's cut.
    public var epoch: UInt64
    /// The content digest.
    public var digest: UInt64
    /// The number of rows.
    public var rows: UInt64

    /// Says what was found.
    public init(epoch: UInt64, digest: UInt64, rows: UInt64) {
        self.epoch = epoch
        self.digest = digest
        self.rows = rows
    }
}

/// The source has stopped writes, and nothing follows.
public struct Handover: Hashable, Sendable {
    /// The epoch of the last cut.
    public var epoch: UInt64
    /// The digest of its round's end.
    public var digest: UInt64

    /// Hands over.
    public init(epoch: UInt64, digest: UInt64) {
        self.epoch = epoch
        self.digest = digest
    }
}

/// The source has stopped writes, and the target has all but what changed in some slices: the policy *postcopy*.
public struct HandoverAhead: Hashable, Sendable {
    /// The epoch of the last cut; its round was announced just before.
    public var epoch: UInt64
    /// The slices that it changes, none of which overlaps another.
    public var missing: Set<HashRange>

    /// The most slices of a partition.
    public static let sliceLimit = 4_096

    /// Hands over.
    public init(epoch: UInt64, missing: Set<HashRange>) {
        self.epoch = epoch
        self.missing = missing
    }
}

/// All chunks of a slice were sent.
public struct SliceEnd: Hashable, Sendable {
    /// The slice.
    public var slice: HashRange
    /// The chunks of the round up to here.
    public var chunks: UInt64

    /// Ends a slice.
    public init(slice: HashRange, chunks: UInt64) {
        self.slice = slice
        self.chunks = chunks
    }
}

/// Why a move, or a connection, comes to nothing.
public struct MigrationProblem: Error, Hashable, Sendable, CustomStringConvertible {
    /// What a caller may act on.
    @nonexhaustive
    public enum Code: UInt8, Hashable, Sendable, CaseIterable {
        /// Bytes, or an order of messages, that break the protocol.
        case malformed = 1
        /// A version, or a feature of one, that the sender does not speak.
        case unsupported = 2
        /// Hash keys, numbers of partitions, or schemas do not go together.
        case mismatch = 3
        /// Too many moves or connections at once, or the target has rows in place of those that are to come.
        case busy = 4
        /// Another entry of the register is the last one.
        case notOwner = 5
        /// Chunks that are not what was sent, or contents that differ.
        case damaged = 6
        /// Memory or disk of the target.
        case noRoom = 7
        /// Writes come faster than they can be moved.
        case doesNotConverge = 8
        /// The operator, or the end of a process.
        case stopped = 9
        /// Nothing came for too long.
        case timedOut = 10
    }

    /// What a caller may act on.
    public var code: Code
    /// What happened, in a sentence of at most 4,096 bytes; longer ones are cut off.
    public var message: String

    /// The longest message that is sent.
    public static let messageLimit = 4_096

    /// Says what is wrong.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The code and the message.
    public var description: String { "\(code): \(message)" }
}
