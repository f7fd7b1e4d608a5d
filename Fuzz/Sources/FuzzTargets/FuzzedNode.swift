import Caesura
import CaesuraFormat
import CaesuraMigration
import CaesuraNode

/// The register of the nodes.
final class FuzzedRegister {
    private var entries: [PartitionNumber: OwnerEntry] = [:]

    func create(_ partition: PartitionNumber, for owner: String) {
        entries[partition] = try? OwnerEntry(creating: owner)
    }

    func last(of partition: PartitionNumber) -> OwnerEntry? { entries[partition] }

    func append(_ entry: OwnerEntry, to partition: PartitionNumber) -> OwnerAppending? {
        let last = entries[partition]
        if entry.number == (last?.number ?? 0) + 1 {
            entries[partition] = entry
            return .appended
        }
        // One that is to follow an entry that is not there is an error.
        return last.flatMap { $0.number >= entry.number ? .refused($0) : nil }
    }

    func append(
        _ change: OwnerEntry.Change, to owner: String, of partition: PartitionNumber
    ) {
        guard let last = entries[partition],
            let next = try? OwnerEntry(change, of: last, to: owner)
        else { return }
        entries[partition] = next
    }
}

/// A node over a small store, and what it has around it: a register, a disk, connections to a, who sends partitions, and to
/// b, who takes them.
///
/// Pings stand for what else happens, as connections lost, answers of the register, orders and writes: their number says
/// what. A node itself gets none. What it asks for is done at once, unless it is lazy.
final class FuzzedNode {
    static let bits = 1
    static let partitions: [PartitionNumber] = Division(bits: bits).partitions
    /// Bytes on the way over a connection; the last chunk may go beyond.
    private static let window: UInt64 = 4_096
    /// What a store of some rows may use, whatever comes.
    private static let memoryLimit = 64 << 20

    let name: String
    let store: Store
    let node: Node
    let register: FuzzedRegister
    let entries: Table<DeltaPeer, DeltaEntry>
    let sessions: Table<UInt64, DeltaSession>
    let events: Log<DeltaSession>
    /// What it has sent, if that is recorded.
    var sent: [(link: Node.Link, move: UInt64, message: MigrationMessage)] = []
    /// Whether only pings make what was asked for happen.
    var isLazy = false
    /// What was asked for, and is to be told.
    private var answers: [Node.Event] = []
    private var timers: [Node.Timer] = []
    private let notices = Notices()
    private var now = Duration.zero
    private var lastLink: UInt64 = 0
    /// The connection that messages come over: of who has dialled, or that was dialled.
    private var listensToDialled = false
    private(set) var accepted: Node.Link?
    private(set) var dialled: Node.Link?
    /// Partitions that somebody has taken from whoever had them.
    private var lost: Set<PartitionNumber> = []
    /// Whether rows have come.
    private var hasReceived = false
    /// Whether its peers greet by themselves.
    private let isLive: Bool
    private let isRecorded: Bool

    /// What gates have told.
    private final class Notices: @unchecked Sendable {
        // One thread uses it.
        var events: [Node.Event] = []
    }

    /// A node x that serves one partition and may be given the others; a has greeted.
    convenience init(hasLost: Bool, isRecorded: Bool = false) {
        let register = FuzzedRegister()
        for partition in Self.partitions {
            let owner = partition == Self.partitions[2] ? "x" : "a"
            register.create(partition, for: owner)
            register.append(.abort, to: owner, of: partition)
        }
        if hasLost { register.append(.commit, to: "x", of: Self.partitions[1]) }
        self.init(
            "x", register, rowsOf: [Self.partitions[2]], isLive: false, isRecorded: isRecorded)
        begin()
        accept(greeting: RecordedMove.greetings.ofSource)
    }

    /// A node that has the rows of some partitions.
    init(
        _ name: String, _ register: FuzzedRegister, rowsOf partitions: [PartitionNumber] = [],
        isLive: Bool = true, isRecorded: Bool = true
    ) {
        var shape = Store.Configuration()
        shape.partitionBits = 2
        shape.hashKey = HashKey(k0: 1, k1: 2)
        store = Store(shape)
        var configuration = Node.Configuration(name: name, moveBits: Self.bits)
        configuration.window = Self.window
        self.name = name
        self.register = register
        self.isLive = isLive
        self.isRecorded = isRecorded
        do {
            (entries, sessions) = try DeltaBase.declare(in: store)
            events = try store.log("events", row: DeltaSession.self)
            node = try Node(configuration, store, seed: 1) { [notices] event in
                notices.events.append(event)
            }
        } catch {
            fatalError("a store that declares its regions: \(error)")
        }
        fill(partitions)
    }

    private func fill(_ partitions: [PartitionNumber]) {
        for index in 0..<16 {
            let peer = DeltaPeer(name: "peer", id: UInt32(index))
            if partitions.contains(partition(of: peer)) {
                entries[peer] = DeltaBase.entry(index)
            }
            let key = UInt64(index)
            if partitions.contains(partition(of: key)) {
                sessions[key] = DeltaSession(user: key, token: "token \(key)", seen: 7)
            }
        }
        guard partitions.contains(.unkeyed) else { return }
        for index in 0..<5 as Range<UInt64> {
            events.append(DeltaSession(user: index, token: "event", seen: nil))
        }
    }

    private func partition(of key: some TableKey) -> PartitionNumber {
        node.division.partition(ofHash: key.hash(with: HashKey(k0: 1, k1: 2)))
    }

    /// Finds out what it owns.
    func begin() {
        carryOut(node.start(at: now))
        settle()
    }

    // MARK: Connections

    /// Somebody connects, and says so.
    func accept(greeting: [MigrationMessage] = []) {
        let link = nextLink()
        accepted = link
        handle(.accepted(link, names: nil))
        greet(link, greeting)
    }

    private func greet(_ link: Node.Link, _ messages: [MigrationMessage]) {
        settle()
        for message in messages {
            handle(.received(link, move: 0, message))
            settle()
        }
    }

    private func nextLink() -> Node.Link {
        lastLink += 1
        return Node.Link(number: lastLink)
    }

    private func connect(to name: String) {
        let link = nextLink()
        dialled = link
        handle(.dialled(name, link))
        if isLive { return }
        let greetings = RecordedMove.greetings
        greet(link, name == "a" ? greetings.ofOldOwner : greetings.ofTarget)
    }

    private func close(_ link: Node.Link?) {
        guard let link else { return }
        handle(.closed(link))
        forget(link)
    }

    private func forget(_ link: Node.Link) {
        if accepted == link { accepted = nil }
        if dialled == link { dialled = nil }
    }

    // MARK: What the input says

    /// Takes a message of a peer, or what a ping stands for.
    func take(_ move: UInt64, _ message: MigrationMessage) {
        if case .ping(let number) = message {
            happen(Int(number & 0xF), Int(number >> 4 & 0xFFF_FFFF))
        } else if let link = listensToDialled ? dialled : accepted {
            handle(.received(link, move: move, message))
        }
        settle()
        check()
    }

    private func happen(_ what: Int, _ detail: Int) {
        let partition = Self.partitions[detail % 3]
        switch what {
        case 0: answer()
        case 1: answer(isLost: true)
        case 2: work()
        case 3:
            close(accepted)
            accept(greeting: RecordedMove.greetings.ofSource)
        case 4: close(dialled)
        case 5:
            guard !timers.isEmpty else { break }
            handle(.timedOut(timers.remove(at: detail % timers.count)))
        case 6, 7:
            order(partition, to: what == 6 ? "b" : "a")
        case 8: carryOut(node.stop(partition, at: now))
        case 9: listensToDialled = false
        case 10: listensToDialled = true
        case 11: now += .microseconds(detail)
        case 12:
            if let dialled { handle(.roundTrip(dialled, .microseconds(detail))) }
        case 13: handle(.overtaken(partition))
        case 14: write(UInt64(detail))
        default:
            register.append(.takeover, to: "c", of: partition)
            lost.insert(partition)
        }
    }

    /// An operator wants a partition to move.
    ///
    /// Under the policy *postcopy* ahead of its rows.
    func order(
        _ partition: PartitionNumber, to target: String,
        policy: SourceMove.Policy = .slow(limit: .milliseconds(1))
    ) {
        let actions = try? node.move(
            partition, to: target, budget: policy == .postcopy ? .zero : .seconds(1),
            policy: policy, at: now)
        carryOut(actions ?? [])
    }

    /// Writes to a row whose partition it serves.
    private func write(_ key: UInt64) {
        let gate = node.gates[partition(of: key)]
        guard case .serving = gate?.state else { return }
        sessions[key] = DeltaSession(user: key, token: "\(now)", seen: nil)
    }

    // MARK: What it asks for

    func handle(_ event: Node.Event) {
        now += .microseconds(10)
        carryOut(node.handle(event, at: now))
    }

    private func carryOut(_ actions: [Node.Action]) {
        for action in actions {
            switch action {
            case .read(let partition, let ticket):
                answers.append(.read(ticket, .some(register.last(of: partition))))
            case .append(let entry, let partition, let ticket):
                answers.append(.appended(ticket, register.append(entry, to: partition)))
            case .probe(let ticket): answers.append(.probed(ticket))
            case .dial(let name): answers.append(.dialled(name, Node.Link(number: 0)))
            case .send(let link, let move, let message):
                // What it encodes itself must be what may be sent.
                _ = message.frame(about: move)
                if isRecorded { sent.append((link, move, message)) }
            case .close(let link): forget(link)
            case .makeDurable(let ticket): answers.append(.durable(ticket))
            case .wait(let timer, let time):
                timers.removeAll { $0 == timer }
                if time != nil { timers.append(timer) }
            case .report(.serves(let partition, _)):
                if partition != Self.partitions[2] { hasReceived = true }
            default: break
            }
        }
    }

    /// Tells what was asked for first; that it is lost, if that can be.
    private func answer(isLost: Bool = false) {
        guard !answers.isEmpty else { return }
        switch answers.removeFirst() {
        case .dialled(let name, _) where !isLost: connect(to: name)
        case .dialled(let name, _):
            handle(.notDialled(name, MigrationProblem(.timedOut, "nobody is there")))
        case .read(let ticket, _) where isLost: handle(.read(ticket, nil))
        case .appended(let ticket, _) where isLost: handle(.appended(ticket, nil))
        case .durable(let ticket) where isLost: answers.append(.durable(ticket))
        case let event: handle(event)
        }
    }

    private func work() {
        now += .microseconds(10)
        if node.hasWork(at: now) { carryOut(node.work(at: now)) }
    }

    /// Lets all happen that was asked for.
    func settle() {
        if isLazy { return }
        var steps = 0
        while steps < 10_000 {
            steps += 1
            if !notices.events.isEmpty {
                handle(notices.events.removeFirst())
            } else if !answers.isEmpty {
                answer()
            } else if node.hasWork(at: now) {
                work()
            } else {
                return
            }
        }
        fatalError("it asks for ever")
    }

    // MARK: Laws

    private func check() {
        for (partition, gate) in node.gates where !lost.contains(partition) {
            guard case .serving = gate.state else { continue }
            law(
                register.last(of: partition)?.owner == name,
                "who takes writes of a partition has made the last entry of the register")
        }
        for move in node.moves {
            law(
                move.pendingBytes <= Self.window + 64 << 10,
                "no more is on the way than the window, and a chunk")
        }
        law(store.memoryUse.inUse <= Self.memoryLimit, "memory does not grow")
    }

    /// Looks at the rows that it has in the end.
    func end() {
        isLazy = false
        settle()
        check()
        if node.partitions.allSatisfy({ $0.holding == .elsewhere }) {
            law(
                entries.count == 0 && sessions.count == 0,
                "who has nothing has no rows")
        }
        guard hasReceived else { return }
        guard let bytes = try? store.cut().write(to: ByteArraySink()).bytes else {
            fatalError("a store cannot be written")
        }
        let again = Store()
        guard (try? DeltaBase.declare(in: again)) != nil,
            (try? again.log("events", row: DeltaSession.self)) != nil
        else { fatalError("no regions") }
        restore(bytes, into: again)
        law(
            again.rowCount(of: DeltaBase.names[0]) == store.rowCount(of: DeltaBase.names[0]),
            "all rows come back")
    }
}
