public import Caesura
public import CaesuraMigration
public import CaesuraNode
public import CaesuraRepository
public import CaesuraTransport
public import ServiceLifecycle

/// A node of several processes, which move partitions of their stores to each other while they serve.
///
///     let node = try NodeService(
///         configuration, of: store, register: register, addresses: addresses, checkpoints: checkpoints)
///     let group = ServiceGroup(
///         services: [CheckpointService(checkpoints), server, node], gracefulShutdownSignals: [.sigterm], logger: logger)
///
///     let visits = try await node.write(to: id, until: deadline) { _ in
///         sessions.update(id) { $0.visits += 1; return $0.visits }
///     }
///
/// It carries out what a ``Node`` says: over connections to other nodes, an owner register, and a repository. Of the
/// services of a group name it last: when the group shuts down, it gives its partitions to its successors first, while those
/// before it go on answering, and forward what comes late.
///
/// It has a thread of its own, which is the event loop of its connections, too, and needs none of the cooperative pool: on that, which
/// has a thread a core, requests would wait for chunks to be encoded, and handovers for requests. The handshakes of whoever connects
/// are done on its thread, too, so many a second (``TransportLimits/openingsPerSecond``). Only to look a host up by its name takes a
/// thread of Dispatch, which the pool may keep busy. Gates are used by any.
public actor NodeService: Service {
    /// What a node is set up with.
    public struct Configuration: Sendable {
        /// Its name, partitions and bounds.
        public var node: Node.Configuration
        /// Where other nodes and operators connect; port 0 for one that is free.
        public var listen: NetworkAddress
        /// Who this node is, and whom it believes.
        public var security: TransportSecurity
        /// What others are told in place of `listen`; its port is filled in if that is 0.
        public var advertised: NetworkAddress?
        /// Where its service answers clients, for others to forward requests to.
        public var service: NetworkAddress?
        /// Bounds of connections.
        public var transport = TransportLimits()
        /// The names in certificates of those who may give orders.
        public var operators: Set<String> = ["operator"]
        /// The nodes that get its partitions when it shuts down, in turn; none to keep them for its next process.
        public var successors: [String] = []
        /// What the blackout of a partition may take when it shuts down, at first; four times as much after each try that
        /// this was too little for.
        public var drainBudget = Duration.milliseconds(5)
        /// What is done where that cannot be.
        public var drainPolicy = SourceMove.Policy.slow(limit: .milliseconds(1))
        /// How long the partitions may take to go when it shuts down; what is not gone by then stays.
        public var drainLimit = Duration.seconds(60)
        /// What has happened; called on the node's thread, and should return soon.
        public var observer: (@Sendable (Event) -> Void)?
        /// Sees the node after each event and each piece of work; for tests that hit it at a step of the protocol.
        package var watcher: (@Sendable (Node) -> Void)?

        /// Sets a node up.
        public init(
            _ node: Node.Configuration, listen: NetworkAddress, security: TransportSecurity
        ) {
            self.node = node
            self.listen = listen
            self.security = security
        }
    }

    /// What has happened.
    @nonexhaustive
    public enum Event: Sendable {
        /// It listens at this address.
        case listens(NetworkAddress)
        /// What the node tells.
        case reported(Node.Report)
        /// A connection has come to nothing, or has ended by an error; the node goes on.
        case connectionFailed(TransportError)
        /// The register, or the address book, could not be read or appended to; it is tried again.
        case registerFailed(OwnerRegisterError)
        /// What has come could not be made durable; it is tried again.
        case notDurable(RepositoryError)
    }

    /// An operator's connection.
    struct OperatorSession {
        var connection: NodeConnection
        /// The partitions of an order whose moves are not at their end.
        var partitions: Set<PartitionNumber> = []
    }

    enum Phase { case new, running, ended }

    /// What it was set up with.
    public nonisolated let configuration: Configuration
    /// The gates of the partitions.
    public nonisolated let gates: [PartitionNumber: PartitionGate]
    /// Into which partitions the store's state is divided.
    public nonisolated let division: Division
    nonisolated let store: Store
    let register: any OwnerRegister
    nonisolated let addresses: any AddressBook
    let checkpoints: ContinuousCheckpoints?

    let node: Node
    let loop: ConnectionLoop
    /// What gates tell.
    private let notices: AsyncStream<Node.Event>
    private let origin = ContinuousClock.now

    var phase = Phase.new
    var connections: [Node.Link: NodeConnection] = [:]
    var operators: [Node.Link: OperatorSession] = [:]
    /// Who waits for the end of a move.
    var waiting: [PartitionNumber: [CheckedContinuation<MoveEnd, Never>]] = [:]
    /// Successors that were not reached, and when that was.
    var silent: [String: Duration] = [:]
    /// Whether the time is over in which partitions are given away.
    var isDrainOver = false
    private var lastLink: UInt64 = 0
    private var isWorking = false
    /// What is to be sent with the next ``flush()``, in its order.
    private var unsent: [Node.Link: [NodeConnection.Element]] = [:]
    private var deadlines = Deadlines()
    private var alarm: (time: Duration, cancel: @Sendable () -> Void)?

    /// Sets a node up over a store, which has the newest checkpoint of its repository.
    ///
    /// A store without rows takes over the hash key that the nodes of the register have.
    ///
    /// - Parameters:
    ///   - configuration: What it is set up with.
    ///   - store: Its regions are declared already.
    ///   - register: Who owns what.
    ///   - addresses: Where other nodes are; where this one is is published there.
    ///   - checkpoints: The continuous checkpoints of the store, which somebody else runs; nil if nothing is kept on disk:
    ///     then what is lost with the process is lost.
    /// - Throws: A `StoreError`: `regionConflict` when the store has other regions of the names that begin with "caesura.",
    ///   `notEmpty` when it has rows under another hash key than the nodes of the register, or cuts of it are open. A
    ///   `MigrationProblem`: `mismatch` when they have another number of partitions. An `OwnerRegisterError`.
    /// - Precondition: As ``Node/init(_:_:seed:notify:)``.
    public init(
        _ configuration: Configuration, of store: Store, register: any OwnerRegister,
        addresses: any AddressBook, checkpoints: ContinuousCheckpoints? = nil
    ) async throws {
        let bits = configuration.node.moveBits
        let shape = try await register.shape(
            proposing: OwnerShape(hashKey: store.hashKey, moveBits: bits))
        guard shape.moveBits == bits else {
            throw MigrationProblem(
                .mismatch,
                "the nodes of this register have \(1 << shape.moveBits) partitions, and node "
                    + "\(configuration.node.name) is configured with \(1 << bits)")
        }
        try store.take(shape.hashKey)
        let (notices, sink) = AsyncStream.makeStream(of: Node.Event.self)
        var settled = configuration.node
        settled.takesHashKey = false
        node = try Node(settled, store, seed: .random(in: 0 ... .max)) { event in
            sink.yield(event)
        }
        self.notices = notices
        self.configuration = configuration
        self.store = store
        self.register = register
        self.addresses = addresses
        self.checkpoints = checkpoints
        gates = node.gates
        division = node.division
        loop = ConnectionLoop()
    }

    /// The node's own thread.
    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        // SAFETY: the actor holds the loop as long as it is there.
        unsafe loop.asUnownedSerialExecutor()
    }

    // MARK: Running

    /// Listens, and moves what is to be moved, until the group shuts down or the task is cancelled.
    ///
    /// At a shutdown it gives its partitions away first, if it has successors.
    ///
    /// - Throws: A `TransportError` if it cannot listen, an `OwnerRegisterError` if it cannot say where.
    public func run() async throws {
        precondition(phase == .new, "run() is called once")
        try await withTaskExecutorPreference(loop) { try await self.serve() }
    }

    private func serve() async throws {
        let listener = try await listen()
        phase = .running
        carryOut(node.start(at: now))
        await withTaskGroup { group in
            group.addTask { await self.accept(from: listener) }
            group.addTask { await self.takeNotices() }
            do {
                try await gracefulShutdown()
                await drain()
            } catch {
                // Cancelled: there is no time to give anything away.
            }
            await stop()
            await listener.close()
            group.cancelAll()
        }
    }

    private func takeNotices() async {
        for await event in notices { handle(event) }
    }

    private func stop() async {
        for status in node.moves { carryOut(node.stop(status.partition, at: now)) }
        phase = .ended
        flush()
        alarm?.cancel()
        endWaiting("node \(configuration.node.name) has ended")
        let ending = connections.values + operators.values.map(\.connection)
        (connections, operators) = ([:], [:])
        await withTaskGroup { group in
            for connection in ending { group.addTask { await connection.close() } }
        }
    }

    /// Begins something that waits now and then, on the node's thread.
    nonisolated func begin(_ body: @escaping @Sendable (isolated NodeService) async -> Void) {
        Task(executorPreference: loop) { await body(self) }
    }

    // MARK: Events

    /// Since the node was set up.
    var now: Duration { ContinuousClock.now - origin }

    func handle(_ event: Node.Event) {
        guard phase == .running else { return }
        carryOut(node.handle(event, at: now))
    }

    func carryOut(_ actions: [Node.Action]) {
        respond(actions)
        flush()
    }

    /// Carries actions out, but for what they send: that goes with the next ``flush()``.
    func respond(_ actions: [Node.Action]) {
        for action in actions { carryOut(action) }
        configuration.watcher?(node)
        // Writes wait for a last round, which mostly is a few messages: they go as one.
        var rest = Self.bytesAtOnce
        while rest > 0, node.hasUrgentWork { rest -= workOnce() }
        beginWork()
    }

    // MARK: Sending

    /// Bytes of chunks of a last round that are encoded before anything else is done: so many take about 0.15 ms to encode, as
    /// long as to wake two event loops.
    static let bytesAtOnce = 64 << 10

    /// Has a message go with the next ``flush()``.
    func send(_ message: MigrationMessage, about move: UInt64, to link: Node.Link) {
        unsent[link, default: []].append((move, message))
    }

    /// Sends what is to be sent: over each connection as one write.
    func flush() {
        for (link, messages) in unsent {
            // Whoever reads from the connection finds out how it ended.
            try? connections[link]?.post(contentsOf: messages)
        }
        unsent.removeAll(keepingCapacity: true)
    }

    /// Sets a timer.
    func wait(for timer: Node.Timer, _ time: Duration?) {
        deadlines.set(timer, to: time.map { now + $0 })
        setAlarm()
    }

    /// Sees to it that somebody wakes up for the earliest timer.
    private func setAlarm() {
        guard phase == .running, let time = deadlines.earliest else { return }
        // One that rings too early is set again then.
        if let alarm, alarm.time <= time { return }
        alarm?.cancel()
        alarm = (time, loop.schedule(in: time - now) { self.assumeIsolated { $0.ring() } })
    }

    private func ring() {
        alarm = nil
        for timer in deadlines.takeDue(at: now) { handle(.timedOut(timer)) }
        setAlarm()
    }

    // MARK: Work

    private func beginWork() {
        guard !isWorking, node.hasWork(at: now) else { return }
        isWorking = true
        workSoon()
    }

    /// Works as long as there is something to do, and lets what comes meanwhile go first.
    private func work() {
        guard phase == .running, node.hasWork(at: now) else {
            isWorking = false
            return
        }
        workOnce()
        flush()
        workSoon()
    }

    private func workSoon() {
        loop.afterInput { self.assumeIsolated { $0.work() } }
    }

    /// Does a piece of work; the bytes of chunks that are to be sent for it.
    @discardableResult
    private func workOnce() -> Int {
        var byteCount = 0
        for action in node.work(at: now) {
            if case .send(_, _, .chunk(let bytes)) = action { byteCount += bytes.count }
            carryOut(action)
        }
        configuration.watcher?(node)
        return byteCount
    }

    /// A number that no other connection of this process has.
    func nextLink() -> Node.Link {
        lastLink += 1
        return Node.Link(number: lastLink)
    }
}
