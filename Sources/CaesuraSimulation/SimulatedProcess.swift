import Caesura
import CaesuraFormat
import CaesuraMigration
import CaesuraNode
import CaesuraRepository
import Synchronization

/// What clients change: a counter, and something to carry.
@Schema("account")
struct Account: Equatable {
    @Field(1) var count: UInt64
    @Field(2) var note: String
    @Field(3) var photo: [UInt8]
}

/// A process of a simulated node: from its start until it crashes.
final class SimulatedProcess {
    /// Which of the nodes.
    let index: Int
    /// No other process has it.
    let number: UInt64
    let store: Store
    let accounts: Table<UInt64, Account>
    let replies: ReplyTable
    let node: Node
    private(set) var isAlive = true
    /// Until when it stands still.
    var pausedUntil = Duration.zero
    /// Whether it does.
    var isPaused = false
    /// What it does once it goes on, in order.
    var postponed: [() -> Void] = []
    /// How far its clock is ahead.
    var clockLead = Duration.zero
    var links: [Node.Link: (connection: SimulatedConnection, isOpener: Bool)] = [:]
    /// The other nodes of its connections, those that are gone included.
    var peers: [Node.Link: Int] = [:]
    /// What was in a step here when it was last looked at.
    var lastPlaces: [Presence] = []
    /// The number of the timer of each kind that counts.
    var timers: [Node.Timer: UInt64] = [:]
    var isWorkScheduled = false
    /// What a checkpoint that is to come makes durable.
    var tickets: [Node.Ticket] = []
    /// Answers that wait for one that has their partition.
    var answers: [(partition: PartitionNumber, answer: () -> Void)] = []
    /// The checkpoint that is being written.
    var checkpoint: SimulatedCheckpoint?
    /// Where checkpoints go.
    let repository: Repository
    /// How many deltas follow a full checkpoint.
    let longestChain: Int
    private let inbox: Inbox

    /// What gates tell, which call from wherever they are left.
    private final class Inbox: Sendable {
        let events = Mutex<[Node.Event]>([])
        let resumed = Mutex<[(UInt64, PartitionGate.Resumption)]>([])
    }

    /// Requests that wait at a gate.
    var waiting: [UInt64: (request: SimulatedClient.Request, ticket: PartitionGate.Ticket)] = [:]

    static let hashKey = HashKey(k0: 5, k1: 6)

    /// Starts from the newest checkpoint of a disk.
    ///
    /// - Throws: What ``SimulatedDisk/restore(into:at:)`` does.
    init(
        index: Int, number: UInt64, _ configuration: Node.Configuration, _ disk: SimulatedDisk,
        longestChain: Int, at now: Duration
    ) throws {
        self.index = index
        self.number = number
        let inbox = Inbox()
        self.inbox = inbox
        var shape = Store.Configuration()
        shape.partitionBits = 3
        shape.hashKey = Self.hashKey
        store = Store(shape)
        accounts = try store.table("accounts", key: UInt64.self, row: Account.self)
        replies = try ReplyTable(in: store)
        repository = try disk.restore(into: store, at: now)
        self.longestChain = longestChain
        node = try Node(configuration, store, seed: number) { event in
            inbox.events.withLock { $0.append(event) }
        }
    }

    /// The node of a name.
    static func index(of name: String) -> Int? { Int(name.dropFirst("node-".count)) }

    /// What gates have told.
    func takeNotices() -> [Node.Event] {
        inbox.events.withLock { events in
            defer { events = [] }
            return events
        }
    }

    /// Requests that are to be tried again, or answered.
    func takeResumed() -> [(UInt64, PartitionGate.Resumption)] {
        inbox.resumed.withLock { resumed in
            defer { resumed = [] }
            return resumed
        }
    }

    /// The rows that a request touches.
    func rows(of request: SimulatedClient.Request) -> [RowReference] {
        let row = accounts.row(request.key)
        guard request.isWrite,
            let range = node.division.range(
                of: node.division.partition(ofHash: request.key.hash(with: Self.hashKey)))
        else { return [row] }
        let client = UInt64(request.client)
        return [row, replies.row(of: client, place: replies.place(of: client, in: range))]
    }

    /// Lets a request wait at a gate.
    func wait(_ request: SimulatedClient.Request, _ number: UInt64, at gate: PartitionGate) {
        let inbox = inbox
        let ticket = gate.wait(touching: rows(of: request)) { resumption in
            inbox.resumed.withLock { $0.append((number, resumption)) }
        }
        if let ticket { waiting[number] = (request, ticket) }
    }

    /// Ends at once.
    func crash() {
        isAlive = false
        checkpoint = nil
        answers = []
        links = [:]
        postponed = []
    }
}
