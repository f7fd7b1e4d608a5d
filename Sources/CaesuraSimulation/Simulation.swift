import Caesura
import CaesuraFormat
import CaesuraMigration
import CaesuraNode

/// A world of nodes, clients, a network, disks and an owner register, in one thread under one clock, in which things go
/// wrong: `docs/FAULTS.md`.
///
/// One seed drives everything: the same seed gives the same trace. The nodes are real: their stores, gates, reply tables and
/// moves, down to the bytes of frames. What stands in is what is around them.
public final class Simulation {
    /// What happens in a run.
    public struct Plan: Hashable, Sendable {
        /// By it all that happens by chance is settled.
        public var seed: UInt64
        /// What goes wrong.
        public var faults: [Fault]
        /// When no more goes wrong, and clients begin nothing more.
        public var duration: Duration
        /// The number of nodes.
        public var nodes: Int
        /// b.
        public var moveBits: Int
        /// Whether a write is answered once a checkpoint has it: where processes crash, no other answer is a promise.
        public var answersAreDurable: Bool
        /// What is done otherwise than it should be, to see that it is found.
        public var mistake: Mistake?

        /// The run of a seed.
        ///
        /// - Parameter duration: How long things go wrong; as many in a short time as in a long one.
        public init(seed: UInt64, duration: Duration = .seconds(20)) {
            var random = Random(seed: seed, stream: 1)
            self.seed = seed
            self.duration = duration
            nodes = 2 + random.below(2)
            moveBits = random.below(4)
            // Some runs without faults but of the network, some with few of all kinds, some with many.
            let count = [0, 3, 10, 30, 60][random.below(5)]
            faults = Fault.schedule(count: count, until: duration, nodes: nodes, &random)
            answersAreDurable = faults.contains(where: \.kind.crashes)
        }
    }

    /// A mistake that is put into a run.
    public enum Mistake: String, Hashable, Sendable, CaseIterable {
        /// A source that gives up serves again on its timer, without an entry in the register.
        case servesWithoutEntry
        /// A chunk is sent, and taken, twice.
        case sendsChunkTwice
        /// The replies to clients do not move with the rows.
        case losesReplies
        /// Answers that wait for a checkpoint go when it has been begun.
        case answersEarly
    }

    /// What came of a run.
    public struct Outcome: Hashable, Sendable {
        /// What is wrong; nothing if it is empty.
        public var violations: [String] = []
        /// Requests that were answered.
        public var answered = 0
        /// Moves that have come to their end.
        public var moved = 0
        /// Moves that were given up, or aborted.
        public var givenUp = 0
        /// What faults have hit.
        public var coverage = Coverage()
        /// The time that has passed in the world.
        public var duration = Duration.zero
        /// A checksum of all that has happened.
        public var trace: UInt64 = 0
    }

    let plan: Plan
    var agenda = Agenda()
    var history = History()
    let register = SimulatedRegister()
    var processes: [SimulatedProcess?]
    /// Of each node.
    let disks: [SimulatedDisk]
    var connections: [SimulatedConnection] = []
    /// Until when no connection between two nodes can be opened.
    var partitions: [[Int]: Duration] = [:]
    /// How much longer it takes between two nodes, and until when.
    var delays: [[Int]: (delay: Duration, until: Duration)] = [:]
    var flips: [[Int]: [UInt32]] = [:]
    var duplicates: [[Int]: Int] = [:]
    /// The faults that wait for a step, in the order of their times.
    var armed: [ArmedFault] = []
    /// Whether bytes were changed: moves may end as damaged then.
    var hasDamaged = false
    let clients: [SimulatedClient]
    var network: Random
    var work: Random
    /// What operators do who rebalance: a stream of its own, so that it changes nothing of what else is to happen.
    var balancing: Random
    /// What becomes of what is written to disks.
    var storing: Random
    /// The rebalancing under way.
    var rebalancing: SimulatedRebalancing?
    var lastNumber: UInt64 = 0
    var isCalm = false
    var outcome = Outcome()
    let narrate: ((String) -> Void)?
    private let isCancelled: () -> Bool

    /// Clients write and read rows of so many keys, from 0.
    static let keyCount = 40
    /// How long a client waits for an answer.
    static let patience = Duration.milliseconds(400)
    /// After how long a silent connection is closed: MIGRATION.md section 7.
    static let silence = Duration.seconds(30)
    /// Longer than all time limits one after another: until silence is noticed, and a target has waited for its source.
    static let longPause = silence + .seconds(61)

    /// Prepares a run.
    ///
    /// - Parameters:
    ///   - narrate: Is told what happens, a line each.
    ///   - isCancelled: Whether the run is to end before its end; it is asked all the time.
    public init(
        _ plan: Plan, narrate: ((String) -> Void)? = nil,
        isCancelled: @escaping () -> Bool = { false }
    ) {
        self.plan = plan
        self.narrate = narrate
        self.isCancelled = isCancelled
        processes = Array(repeating: nil, count: plan.nodes)
        disks = (0..<plan.nodes).map { _ in SimulatedDisk() }
        clients = (0..<6).map { SimulatedClient(index: $0) }
        network = Random(seed: plan.seed, stream: 2)
        work = Random(seed: plan.seed, stream: 3)
        balancing = Random(seed: plan.seed, stream: 4)
        storing = Random(seed: plan.seed, stream: 5)
    }

    /// Runs it to its end.
    ///
    /// - Throws: `CancellationError` when it is cancelled; what a node throws that cannot be set up.
    public func run() throws -> Outcome {
        // What is still to happen holds the world, and the world holds it.
        defer {
            agenda = Agenda()
            processes = []
            connections = []
        }
        for index in 0..<plan.nodes { try start(index) }
        for client in clients { schedule(after: think()) { self.ask(client) } }
        scheduleMove()
        scheduleRebalancing()
        for fault in plan.faults { agenda.schedule(at: fault.time) { self.inject(fault) } }
        agenda.schedule(at: plan.duration) { self.calmDown() }
        while let event = try next(before: plan.duration) { event() }
        try settle()
        outcome.violations = history.violations
        outcome.answered = history.answered
        outcome.duration = agenda.now
        return outcome
    }

    /// What happens next; nil when nothing does before a time.
    func next(before end: Duration) throws -> (() -> Void)? {
        if isCancelled() { throw CancellationError() }
        return agenda.next(before: end)
    }

    // MARK: Time

    func schedule(after time: Duration, _ body: @escaping () -> Void) {
        agenda.schedule(at: agenda.now + time, body)
    }

    /// Schedules something that a process does: not after it has crashed, and not while it stands still.
    func schedule(
        after time: Duration, by process: SimulatedProcess, _ body: @escaping () -> Void
    ) {
        schedule(after: time) { [self] in
            guard process.isAlive else { return }
            if process.isPaused { return process.postponed.append(body) }
            body()
            attend(process)
        }
    }

    func microseconds(_ range: Range<Int>) -> Duration {
        .microseconds(range.lowerBound + network.below(range.count))
    }

    /// Notes what happens in the trace.
    func note(_ what: @autoclosure () -> String, _ words: UInt64...) {
        for word in words { outcome.trace = Checksum.of(outcome.trace, word) }
        outcome.trace = Checksum.of(
            outcome.trace, UInt64(agenda.now / .nanoseconds(1)))
        narrate?("\(agenda.now) \(what())")
    }

    func fail(_ what: String) {
        history.violate("at \(agenda.now): \(what)")
        narrate?("\(agenda.now) WRONG: \(what)")
    }
}
