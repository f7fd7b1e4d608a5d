public import Caesura
public import CaesuraFormat
public import CaesuraMigration

/// A node's part in serving and moving partitions: `docs/MIGRATION.md` section 4.
///
///     let node = try Node(configuration, store, seed: …, notify: { … })
///     carryOut(node.start(at: now))
///     // whenever something happens, and when there is time:
///     carryOut(node.handle(event, at: now))
///     while node.hasWork(at: now) { carryOut(node.work(at: now)) }
///
/// It holds the moves out and in, the gates, and what is known of each partition's owner, and ties them to the store. It has
/// no sockets, no files, no threads, no clock and no randomness but its seed: whoever uses it carries out the actions, and
/// the simulator is one who does. One thread at a time uses it, and no call takes longer than the encoding or applying of
/// one chunk, but the one that begins a move: that prepares memory. Gates may be used by all threads at any time.
public final class Node {
    /// What a node is set up with.
    public struct Configuration: Sendable {
        /// Its name: 1 to 255 bytes of UTF-8, of no other node.
        public var name: String
        /// b: the rows of tables are in 2 to the power b partitions; the same on all nodes.
        public var moveBits: Int
        /// Whether it creates partitions that the register has no entry of: true on one node of those that share a register.
        public var createsPartitions: Bool
        /// Moves out of here at once; others wait their turn.
        public var outgoingLimit = 4
        /// Moves into here at once; the next is told that the node is busy.
        public var incomingLimit = MoveSchedule.incomingLimit
        /// Whether a node without rows takes over the hash key of one that sends it some; false where something else settles it.
        public var takesHashKey = true
        /// How long what has come of a move is kept while its source is not connected.
        public var patience = TargetMove.patience
        /// Bytes of chunks that may be on the way to here over a connection.
        public var window: UInt64 = 16 << 20
        /// Bytes of chunks a second that leave while writers go on; nil for as many as go.
        public var bytesPerSecond: UInt64?

        /// Sets a node up; its partitions are 16 and that of logs and cells.
        public init(name: String, moveBits: Int = 4, createsPartitions: Bool = false) {
            self.name = name
            self.moveBits = moveBits
            self.createsPartitions = createsPartitions
        }
    }

    /// A connection, as whoever carries out the actions numbers it.
    public struct Link: Hashable, Sendable, Comparable {
        /// Its number; no two connections of a process have the same.
        public var number: UInt64

        /// The connection of a number.
        public init(number: UInt64) { self.number = number }

        /// Orders by number.
        public static func < (a: Self, b: Self) -> Bool { a.number < b.number }
    }

    /// Something that was asked for, in its answer.
    public struct Ticket: Hashable, Sendable {
        /// Its number.
        public let number: UInt64
    }

    /// What there may be a timer of.
    public enum Timer: Hashable, Sendable {
        /// A handshake that takes too long.
        case handshake(Link)
        /// A move out of here.
        case outgoing(UInt64)
        /// A move into here.
        case incoming(PartitionNumber)
        /// A register that could not be reached.
        case register(PartitionNumber)
        /// A peer that could not be reached.
        case dial(String)
        /// The limit of bytes a second.
        case pace
    }

    /// What has happened.
    public enum Event: Sendable {
        /// The last entry of a partition was read; nil inside if it has none, nil outside if the register could not be read.
        case read(Ticket, OwnerEntry??)
        /// What became of an entry that was to be appended; nil if it is not known.
        case appended(Ticket, OwnerAppending?)
        /// A probe of the register has come to its end.
        case probed(Ticket)
        /// A connection to a node that was to be dialled is there.
        case dialled(String, Link)
        /// It could not be had, and why.
        case notDialled(String, MigrationProblem)
        /// A peer has opened a connection; the names that it may have, by its certificate: nil for any.
        case accepted(Link, names: Set<String>?)
        /// A message has come.
        case received(Link, move: UInt64, MigrationMessage)
        /// A message has come back after so long.
        case roundTrip(Link, Duration)
        /// A connection is gone.
        case closed(Link)
        /// No write is inside a gate any more that lets none begin.
        case drained(Ticket)
        /// A write waits for rows of a slice that is still to come.
        case wanted(PartitionNumber, HashRange)
        /// All that was in the store when it was asked for is durable.
        case durable(Ticket)
        /// The time that was asked for is over.
        case timedOut(Timer)
        /// A request has come with a later fencing epoch than this node's.
        case overtaken(PartitionNumber)
    }

    /// What is to be done, in order.
    public enum Action: Sendable {
        /// Read the last entry of a partition.
        case read(PartitionNumber, Ticket)
        /// Have the register do what there is to do for an entry before it is appended; nothing need be told.
        case prepare(OwnerEntry, for: PartitionNumber)
        /// Append an entry to the register.
        case append(OwnerEntry, to: PartitionNumber, Ticket)
        /// Have the register do what it does for an entry that was prepared, without effect; if it cannot, nothing need be told.
        case probe(Ticket)
        /// Open a connection to a node.
        case dial(String)
        /// Send a message.
        case send(Link, move: UInt64, MigrationMessage)
        /// Close a connection when what was sent has left; ``Event/closed(_:)`` need not be told.
        case close(Link)
        /// Make durable what is in the store now, and tell; at once if the node keeps nothing.
        case makeDurable(Ticket)
        /// Give ``Event/timedOut(_:)`` after so long, instead of what was asked for before; nil never.
        case wait(Timer, Duration?)
        /// Tell people, and whoever has asked for a move.
        case report(Report)
    }

    /// What people are told.
    public enum Report: Hashable, Sendable {
        /// A partition is served here from now on.
        case serves(PartitionNumber, OwnerEntry)
        /// It is another node's, which this one's writes go to.
        case handedOver(PartitionNumber, OwnerEntry, blackout: Duration)
        /// This node owns it and has lost its rows; another one that has them will send them.
        case misses(PartitionNumber, OwnerEntry)
        /// A move out of here has ended.
        case ended(MoveEnd)
        /// A peer cannot be reached, or does not go with this node.
        case unreachable(String, MigrationProblem)
    }

    /// What is known of a partition.
    enum Holding: Hashable {
        /// The register is being read.
        case unknown
        /// An entry is being appended: its creation, or the return of this process.
        case appending(OwnerEntry)
        /// It is served here, or its writes have stopped for a handover.
        case serving(OwnerEntry, isDurable: Bool)
        /// It is this node's, and its rows are not here.
        case missing(OwnerEntry)
        /// It is another node's; the rows are here until that one has them in a checkpoint.
        case lettingGo(OwnerEntry)
        /// It is another node's, or nobody's.
        case absent
    }

    /// What an answer of the register, or of the repository, is for.
    enum Purpose: Hashable {
        /// To find out who owns a partition.
        case settle(PartitionNumber)
        /// To answer who has asked last to move a partition, over a connection.
        case answer(PartitionNumber, Link)
        /// An entry of this process's start.
        case begin(PartitionNumber)
        /// A checkpoint of what this process has created.
        case keep(PartitionNumber, OwnerEntry)
        /// An entry of a move out of here.
        case outgoing(UInt64)
        /// An entry, or a checkpoint, of a move into here.
        case incoming(PartitionNumber, attempt: UInt64)
        /// To remove rows that are of no use.
        case remove(PartitionNumber)
        /// To know how long the register takes, for a move out of here; and when that was asked.
        case probe(UInt64, since: Duration)
    }

    /// A connection and what is settled on it.
    struct Session {
        var handshake: Handshake
        /// The node that was dialled; nil if the peer has dialled.
        var dialled: String?
        /// Once it is agreed.
        var agreement: Handshake.Agreement?
        /// The moves into here, by the numbers that the peer has given them.
        var incoming: [UInt64: PartitionNumber] = [:]
        /// The last request for each partition that waits for the register, with its number.
        var requests: [PartitionNumber: (request: MoveRequest, number: UInt64)] = [:]
        /// How long messages took to come back.
        var roundTrips = RecentTimes()
    }

    /// A move out of here.
    struct Outgoing {
        var move: OutgoingMove
        /// When it began.
        var began: Duration
        var link: Link?
        /// When writes stopped.
        var sealed: Duration?
        /// For how long they had; zero before they go on.
        var blackout = Duration.zero
    }

    /// A move into here.
    struct Incoming {
        var move: IncomingMove
        var link: Link
        var number: UInt64
    }

    /// A move that waits its turn.
    struct Wish: Hashable {
        var partition: PartitionNumber
        var target: String
        var budget: Duration
        var policy: SourceMove.Policy
    }

    /// Whether it takes partitions from others; who is about to end does not.
    ///
    /// What it owns already and has lost it takes back.
    public var takesPartitions = true
    /// What it was set up with.
    public let configuration: Configuration
    /// Into which partitions its state is divided.
    public let division: Division
    /// The gates of the partitions.
    public let gates: [PartitionNumber: PartitionGate]

    let store: Store
    let notify: @Sendable (Event) -> Void
    var marks: Marks
    var holdings: [PartitionNumber: Holding] = [:]
    var purposes: [UInt64: Purpose] = [:]
    /// How long the register takes to append, as probes have found.
    var registerTimes = RecentTimes()
    /// The partitions whose last entry is being read.
    var reading: Set<PartitionNumber> = []
    var sessions: [Link: Session] = [:]
    /// The connections to nodes that were dialled.
    var links: [String: Link] = [:]
    var dialling: Set<String> = []
    /// Why nodes were not reached the last time.
    var unreached: [String: MigrationProblem] = [:]
    var outgoing: [UInt64: Outgoing] = [:]
    var incoming: [PartitionNumber: Incoming] = [:]
    /// Rows that have gone, whose memory is given back when there is time.
    var removals: [PartRemoval] = []
    var wishes: [Wish] = []
    /// Who has asked for a durable checkpoint of a partition, and is told when there is one.
    var askers: [PartitionNumber: [(link: Link, move: UInt64)]] = [:]
    var stage = Stage()
    var pace: Pace
    var lastNumber: UInt64 = 0
    var random: SplitMix
    /// The move out of here that had work last.
    var lastWorked: UInt64 = 0

    /// How long it takes until a register or a peer that could not be reached is tried again.
    static let pause = Duration.milliseconds(100)

    /// Sets a node up over a store, which has the newest checkpoint.
    ///
    /// - Parameters:
    ///   - store: Its regions are declared already: what the other nodes have not is refused by them.
    ///   - seed: A random number of this process: by it, moves of other processes are told from this one's.
    ///   - notify: Is called by threads that use gates, with what goes into ``handle(_:at:)``: ``Event/drained(_:)`` by the one
    ///     that leaves a sealed gate last, ``Event/wanted(_:_:)`` by one that waits.
    /// - Throws: `regionConflict` when the store has other regions of the names that begin with "caesura.".
    /// - Precondition: The name has 1 to 255 bytes; the store has at least 2 to the power `moveBits` partitions.
    public init(
        _ configuration: Configuration, _ store: Store, seed: UInt64,
        notify: @escaping @Sendable (Event) -> Void
    ) throws(StoreError) {
        precondition(
            (1...OwnerEntry.ownerLimit).contains(configuration.name.utf8.count),
            "a node's name has 1 to \(OwnerEntry.ownerLimit) bytes")
        precondition(
            (0...store.partitionBits).contains(configuration.moveBits),
            "a partition that moves consists of whole ones of the store, which has 2^\(store.partitionBits)"
        )
        self.configuration = configuration
        self.store = store
        self.notify = notify
        division = Division(bits: configuration.moveBits)
        marks = try Marks(in: store, division)
        pace = Pace(bytesPerSecond: configuration.bytesPerSecond)
        random = SplitMix(seed: seed)
        var gates: [PartitionNumber: PartitionGate] = [:]
        for partition in division.partitions {
            gates[partition] = PartitionGate()
            holdings[partition] = .unknown
        }
        self.gates = gates
    }

    /// What is done first: to find out what this node owns.
    public func start(at now: Duration) -> [Action] {
        division.partitions.flatMap { read($0) }
    }

    /// Whether it has found out of all partitions whose they are, and waits for no answer.
    public var isSettled: Bool {
        purposes.values.allSatisfy(\.isProbe)
            && holdings.values.allSatisfy { holding in
                switch holding {
                case .unknown, .appending: false
                case .serving, .missing, .lettingGo, .absent: true
                }
            }
    }

    // MARK: Events

    /// Takes an event.
    ///
    /// - Parameter now: The time since some beginning.
    /// - Returns: What is to be done, in order.
    public func handle(_ event: Event, at now: Duration) -> [Action] {
        var actions: [Action] = []
        switch event {
        case .read(let ticket, let answer): hasRead(ticket, answer, now, &actions)
        case .appended(let ticket, let outcome): appended(ticket, outcome, now, &actions)
        case .probed(let ticket): probed(ticket, now, &actions)
        case .dialled(let name, let link): dialled(name, link, &actions)
        case .notDialled(let name, let problem): notDialled(name, problem, &actions)
        case .accepted(let link, let names): accepted(link, names, &actions)
        case .received(let link, let move, let message):
            received(link, move, message, now, &actions)
        case .roundTrip(let link, let time):
            sessions[link]?.roundTrips.note(time)
            for number in moves(over: link) { feedRoundTrip(number, now, &actions) }
        case .closed(let link): closed(link, now, &actions)
        case .drained(let ticket): drained(ticket, now, &actions)
        case .wanted(let partition, let slice): feed(.wanted(slice), partition, now, &actions)
        case .durable(let ticket): durable(ticket, now, &actions)
        case .timedOut(let timer): timedOut(timer, now, &actions)
        case .overtaken(let partition): actions += read(partition)
        }
        proceed(now, &actions)
        return actions
    }

    private func timedOut(_ timer: Timer, _ now: Duration, _ actions: inout [Action]) {
        switch timer {
        case .handshake(let link): shake(link, .timedOut, now, &actions)
        case .outgoing(let number):
            if !postponeUnlessSealed(number, now, &actions) {
                feed(
                    problem(reaching: number).map { .stop($0) } ?? .timedOut, number, now, &actions)
            }
        case .incoming(let partition): feed(.timedOut, partition, now, &actions)
        case .register(let partition): actions += read(partition)
        case .dial(let name):
            dialling.remove(name)
            if isNeeded(name) { dial(name, &actions) } else { unreached[name] = nil }
        case .pace: break
        }
    }

    /// Begins what waited for something that may have come.
    func proceed(_ now: Duration, _ actions: inout [Action]) {
        beginMoves(now, &actions)
        proceedOnStage(now, &actions)
    }

    // MARK: What is asked for

    func ticket(_ purpose: Purpose) -> Ticket {
        lastNumber += 1
        purposes[lastNumber] = purpose
        return Ticket(number: lastNumber)
    }

    /// Reads the register to find out who owns a partition; once, if several ask.
    func read(_ partition: PartitionNumber) -> [Action] {
        guard reading.insert(partition).inserted else { return [] }
        return [.read(partition, ticket(.settle(partition)))]
    }

    private func hasRead(
        _ ticket: Ticket, _ answer: OwnerEntry??, _ now: Duration, _ actions: inout [Action]
    ) {
        switch purposes.removeValue(forKey: ticket.number) {
        case .settle(let partition):
            reading.remove(partition)
            if let answer {
                settle(partition, answer, now, &actions)
            } else {
                actions.append(.wait(.register(partition), Self.pause))
            }
        case .answer(let partition, let link):
            if let (request, number) = sessions[link]?.requests.removeValue(forKey: partition) {
                self.answer(request, link, number, answer, now, &actions)
            }
        case .begin, .keep, .outgoing, .incoming, .remove, .probe, nil: break
        }
    }

    private func appended(
        _ ticket: Ticket, _ outcome: OwnerAppending?, _ now: Duration, _ actions: inout [Action]
    ) {
        switch purposes.removeValue(forKey: ticket.number) {
        case .begin(let partition): begun(partition, outcome, now, &actions)
        case .outgoing(let number): feed(.appended(outcome), number, now, &actions)
        case .incoming(let partition, let attempt):
            guard incoming[partition]?.move.machine.request.attempt == attempt else { break }
            feed(.appended(outcome), partition, now, &actions)
        case .settle, .answer, .keep, .remove, .probe, nil: break
        }
    }

    private func probed(_ ticket: Ticket, _ now: Duration, _ actions: inout [Action]) {
        guard case .probe(let number, let began) = purposes.removeValue(forKey: ticket.number)
        else { return }
        registerTimes.note(now - began)
        feedRegisterTime(number, now, &actions)
    }

    private func drained(_ ticket: Ticket, _ now: Duration, _ actions: inout [Action]) {
        switch purposes.removeValue(forKey: ticket.number) {
        case .outgoing(let number): feed(.sealed, number, now, &actions)
        case .remove(let partition): remove(partition)
        case .settle, .answer, .begin, .keep, .incoming, .probe, nil: break
        }
    }

    private func durable(_ ticket: Ticket, _ now: Duration, _ actions: inout [Action]) {
        switch purposes.removeValue(forKey: ticket.number) {
        case .keep(let partition, let entry):
            guard holdings[partition] == .serving(entry, isDurable: false) else { return }
            becameDurable(partition, &actions)
        case .incoming(let partition, let attempt):
            guard incoming[partition]?.move.machine.request.attempt == attempt else { return }
            becameDurable(partition, &actions)
            feed(.durable, partition, now, &actions)
        case .settle, .answer, .begin, .outgoing, .remove, .probe, nil: break
        }
    }

    private func becameDurable(_ partition: PartitionNumber, _ actions: inout [Action]) {
        guard case .serving(let entry, _) = holdings[partition] else { return }
        holdings[partition] = .serving(entry, isDurable: true)
        for asker in askers.removeValue(forKey: partition) ?? [] {
            send(.durable(entry), asker.move, over: asker.link, &actions)
        }
    }
}
