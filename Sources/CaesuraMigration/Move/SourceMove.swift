public import CaesuraFormat

/// The side of a move that has the partition: `docs/MIGRATION.md` section 4, "The source, state by state".
///
///     connecting ─► asking ─► copying ─► sealing ─► finishing ─► handing over ─► letting go ─► ended
///         ▲            │         │          └───────────┴──────────────┴──► aborting ─┬─► ended, serving
///         └────────────┴─────────┘ connection lost                                    └─► letting go
///
/// A machine without I/O, clock and randomness: it is given events and the time, and says what is to be done. Whoever
/// carries that out keeps the chunks that were sent and not acknowledged.
public struct SourceMove: Hashable, Sendable {
    /// What is settled when a move begins.
    public struct Plan: Hashable, Sendable {
        /// The partition.
        public var partition: PartitionNumber
        /// The entry under which the source serves it.
        public var entry: OwnerEntry
        /// The node that is to have it.
        public var target: String
        /// A random number, by which the target knows the move over another connection.
        public var attempt: UInt64
        /// What the blackout may take.
        public var budget: Duration
        /// What is done when it does not come to fit the budget.
        public var policy: Policy
        /// Bytes that may be on the way.
        public var window: UInt64
        /// How long the last round and the handover may take before an abort is tried.
        public var handoverLimit: Duration

        /// Settles a move.
        public init(
            partition: PartitionNumber, entry: OwnerEntry, target: String, attempt: UInt64,
            budget: Duration = .milliseconds(1), policy: Policy = .fail,
            window: UInt64 = 16 << 20, handoverLimit: Duration = .seconds(1)
        ) {
            self.partition = partition
            self.entry = entry
            self.target = target
            self.attempt = attempt
            self.budget = budget
            self.policy = policy
            self.window = window
            self.handoverLimit = handoverLimit
        }
    }

    /// What is done when rounds do not make the blackout fit the budget.
    public enum Policy: Hashable, Sendable {
        /// The move is given up.
        case fail
        /// Writes of the partition wait, a little longer each time, up to a limit; then the move is given up.
        case slow(limit: Duration)
        /// The target owns the partition before it has what changed last, and gets that in the order of demand. The move of
        /// logs and cells, which have no slices, is given up. With a budget of zero that is done as soon as the first round was
        /// audited.
        case postcopy
    }

    /// What has happened.
    public enum Event: Hashable, Sendable {
        /// A session with the target is there; both have settled their schemas.
        case connected
        /// It is gone, and what was on the way with it.
        case disconnected
        /// The target has sent something.
        case received(MigrationMessage)
        /// The cut of a round was taken, and encoding can begin; `missing` are the slices of a round of slices.
        case roundBegan(
            epoch: UInt64, baseEpoch: UInt64, baseDigest: UInt64, missing: Set<HashRange> = [])
        /// A chunk was encoded, sent and kept; `digest` with the last one of the round.
        case encoded(byteCount: Int, digest: UInt64?)
        /// The content of the first round's cut was looked at.
        case audited(Audit)
        /// No write to the partition is under way any more.
        case sealed
        /// ``Action/seal`` could not be done at once, so that more was written than was thought: another round goes first.
        case postponed
        /// What became of the entry that was to be appended; nil if it is not known.
        case appended(OwnerAppending?)
        /// A message has come back after so long.
        case roundTrip(Duration)
        /// The register takes so long to append an entry, as the target will.
        case registerTime(Duration)
        /// The time that was asked for is over.
        case timedOut
        /// The operator, or what carries out the actions, gives up.
        case stop(MigrationProblem)
    }

    /// What is to be done, in order.
    public enum Action: Hashable, Sendable {
        /// Get a session with the target, and try again until there is one.
        case connect
        /// Send a message about the move.
        case send(MigrationMessage)
        /// Take a cut and prepare a round.
        case beginRound(RoundKind)
        /// Have a slice go next.
        case demand(HashRange)
        /// Encode the next chunk, send it, and keep it until it is acknowledged.
        case encode
        /// Forget the first chunks of the present round that are kept: so many of it were applied.
        case acknowledge(chunks: UInt64)
        /// Send the kept chunks once more: the target has none of them.
        case resend
        /// Look at the content of the first round's cut, beside all else.
        case audit
        /// Let no more writes begin; those that come wait.
        case seal
        /// Let every write wait so long before it begins.
        case slow(Duration)
        /// Append an entry to the register.
        case append(OwnerEntry)
        /// Let writes go on under an entry that this node has appended.
        case serve(OwnerEntry)
        /// Give writes that wait, and those that come, to the owner.
        case forward(OwnerEntry)
        /// Take the partition's rows out.
        case remove
        /// Give ``Event/timedOut`` after so long, instead of what was asked for before; nil never.
        case wait(Duration?)
        /// The move has ended: its cuts are of no use any more.
        case end(Outcome)
    }

    /// What a round has.
    public enum RoundKind: Hashable, Sendable {
        /// All rows.
        case snapshot
        /// What changed since the round before.
        case delta
        /// The same, slice by slice, in the order in which they are asked for.
        case slices
    }

    /// How a move has ended.
    public enum Outcome: Hashable, Sendable {
        /// The target owns the partition, and has it in a checkpoint.
        case moved(OwnerEntry)
        /// The source serves as before: nothing was decided.
        case givenUp(MigrationProblem)
        /// The source serves under a new entry.
        case aborted(OwnerEntry, MigrationProblem)
        /// Somebody else owns the partition: this node must not serve it.
        case overtaken(OwnerEntry)
    }

    /// How far it is.
    public enum State: Hashable, Sendable {
        case connecting
        case asking
        case copying
        case sealing
        case finishing
        case handingOver
        case aborting(MigrationProblem)
        case lettingGo(OwnerEntry)
        case ended(Outcome)
    }

    /// How far it is.
    public internal(set) var state = State.connecting
    /// What was settled.
    public let plan: Plan
    /// What the blackout is predicted from.
    public internal(set) var convergence: Convergence
    /// The present round, from 1; 0 before the first.
    public internal(set) var round: UInt32 = 0

    /// Bytes of the present round that were sent, and of which the target has not said that they are applied; none before it has
    /// said what it has of them.
    public var unacknowledgedBytes: UInt64 {
        awaitsHolding ? 0 : flow.sentBytes - flow.appliedBytes
    }

    var isConnected = false
    /// Whether the target has yet to say what it has, or has given up what it had.
    var awaitsHolding = false
    var flow = Flow()
    var audits = Audits()
    /// Whether the next round waits for the audit.
    var awaitsAudit = false
    var roundTrip = Duration.zero
    var registerTime = Duration.zero
    var delay = Duration.zero
    var lastCut = Duration.zero
    /// The entry whose fate is not known yet.
    var appending: OwnerEntry?
    /// Whether the target is to own the partition before the last round has gone.
    var handsOverAhead = false

    /// How far a round is.
    struct Flow: Hashable, Sendable {
        var epoch: UInt64 = 0
        var baseEpoch: UInt64 = 0
        var baseDigest: UInt64 = 0
        /// When its cut was taken.
        var began = Duration.zero
        /// Since the cut before.
        var interval = Duration.zero
        var hasBegun = false
        var isEncoding = false
        /// That of its end, once all is encoded.
        var digest: UInt64?
        var sentChunks: UInt64 = 0
        var sentBytes: UInt64 = 0
        var appliedChunks: UInt64 = 0
        var appliedBytes: UInt64 = 0
    }

    /// What both sides have found.
    struct Audits: Hashable, Sendable {
        var own: Audit?
        var others: Audit?
    }

    /// The longest delay that *slow* begins with.
    static let firstDelay = Duration.microseconds(10)
    /// How long the target may take to say what it has, from when there was no connection: a peer that is gone without a word is
    /// noticed after 30 s.
    static let patience = Duration.seconds(60)
    /// How long the register is left alone when it could not be reached.
    static let registerPause = Duration.milliseconds(100)
    /// How long a target is left alone that could not take back what it owns.
    static let recoveryPause = Duration.seconds(1)
    /// What stopping and encoding take at least, whatever the delta.
    static let fixedOverhead = Duration.microseconds(100)

    /// Begins a move.
    public init(_ plan: Plan) {
        self.plan = plan
        convergence = Convergence(budget: plan.budget, overhead: Self.fixedOverhead)
    }

    /// Goes on where another process of this node ended: it has the rows of a partition that the target owns.
    public init(_ plan: Plan, lettingGo entry: OwnerEntry) {
        self.init(plan)
        state = .lettingGo(entry)
    }

    /// What is done first.
    public var firstActions: [Action] {
        state == .connecting ? [.connect, .wait(Self.patience)] : [.connect]
    }

    // MARK: Events

    /// Takes an event.
    ///
    /// - Parameters:
    ///   - event: What has happened.
    ///   - now: The time since some beginning.
    /// - Returns: What is to be done, in order.
    public mutating func handle(_ event: Event, at now: Duration) -> [Action] {
        var actions: [Action] = []
        switch event {
        case .connected: connected(&actions)
        case .disconnected: disconnected(&actions)
        case .received(let message): received(message, now, &actions)
        case .roundBegan(let epoch, let baseEpoch, let baseDigest, let missing):
            roundBegan(epoch, baseEpoch, baseDigest, missing, now, &actions)
        case .encoded(let byteCount, let digest): encoded(byteCount, digest, &actions)
        case .audited(let audit):
            audits.own = audit
            compareAudits(&actions)
        case .sealed:
            if case .sealing = state {
                state = .finishing
                beginRound(&actions)
            }
        case .postponed:
            if case .sealing = state {
                state = .copying
                handsOverAhead = false
                actions.append(.wait(nil))
                beginRound(&actions)
            }
        case .appended(let appending): appended(appending, &actions)
        case .roundTrip(let time):
            roundTrip = roundTrip == .zero ? time : (roundTrip * 7 + time) / 8
            estimateOverhead()
        case .registerTime(let time):
            registerTime = time
            estimateOverhead()
        case .timedOut: timedOut(&actions)
        case .stop(let problem): giveUp(problem, &actions)
        }
        return actions
    }

    mutating func estimateOverhead() {
        convergence.overhead = Self.fixedOverhead + registerTime + roundTrip
    }

    mutating func connected(_ actions: inout [Action]) {
        isConnected = true
        switch state {
        case .connecting:
            state = .asking
            ask(.handover, &actions)
        // It is asked now, and not once more before it has answered.
        case .lettingGo:
            actions.append(.wait(nil))
            ask(.recovery, &actions)
        case .asking, .copying, .sealing, .finishing, .handingOver, .aborting, .ended: break
        }
    }

    mutating func disconnected(_ actions: inout [Action]) {
        guard isConnected else { return }
        isConnected = false
        awaitsHolding = true
        let problem = MigrationProblem(
            .timedOut, "the connection was lost while writes had stopped")
        switch state {
        // The time that it has goes on.
        case .asking:
            state = .connecting
            actions.append(.connect)
        case .copying:
            state = .connecting
            actions += [.connect, .wait(Self.patience)]
        case .sealing, .finishing, .handingOver: abort(problem, &actions)
        case .lettingGo: actions.append(.connect)
        case .connecting, .aborting, .ended: break
        }
    }

    /// Asks the target what it has.
    mutating func ask(_ purpose: MoveRequest.Purpose, _ actions: inout [Action]) {
        awaitsHolding = true
        actions.append(.send(.move(request(purpose))))
    }

    private func request(_ purpose: MoveRequest.Purpose) -> MoveRequest {
        var entry = plan.entry
        if case .lettingGo(let owned) = state { entry = owned }
        return MoveRequest(
            partition: plan.partition, attempt: plan.attempt, purpose: purpose, entry: entry)
    }

    mutating func received(
        _ message: MigrationMessage, _ now: Duration, _ actions: inout [Action]
    ) {
        switch (state, message) {
        case (.ended, _): break
        case (.asking, .have(let holding)): asked(holding, now, &actions)
        // It has lost them: a snapshot of what nobody writes to any more.
        case (.lettingGo, .have(let holding)):
            if case .owns = holding { break }
            // Who asks anew has not heard of what is on its way.
            actions.append(.wait(nil))
            asked(holding, now, &actions)
        case (.copying, .applied(let applied)), (.finishing, .applied(let applied)),
            (.lettingGo, .applied(let applied)):
            self.applied(applied, now, &actions)
        // Ahead of the round no chunk of it has gone.
        case (.handingOver, .applied(let applied)) where !handsOverAhead:
            self.applied(applied, now, &actions)
        // A target sends it once more over another connection, and that may be all it waited for.
        case (.copying, .audit(let audit)), (.sealing, .audit(let audit)),
            (.finishing, .audit(let audit)), (.handingOver, .audit(let audit)):
            audits.others = audit
            compareAudits(&actions)
        case (.handingOver, .owned(let entry)) where entry == committed:
            letGo(entry, &actions)
            // What was handed over ahead.
            encodeMore(&actions)
        case (.lettingGo(let entry), .durable(let durable))
        where durable.fencingEpoch >= entry.fencingEpoch && durable.owner == entry.owner:
            actions.append(.remove)
            end(.moved(durable), &actions)
        case (.lettingGo, .pull(let slice)): actions.append(.demand(slice))
        // It could not take them back yet, or has not learned yet of the latest entry that it has appended.
        case (.lettingGo, .giveUp):
            awaitsHolding = true
            actions.append(.wait(Self.recoveryPause))
        case (.lettingGo, .durable): actions.append(.wait(Self.recoveryPause))
        // Nothing waits for it, but the moves that wait until all that is on its way has arrived.
        case (.aborting, .applied(let applied)) where !handsOverAhead && fits(applied):
            acknowledge(chunks: applied.chunks, bytes: applied.bytes, &actions)
        case (.aborting, .giveUp): awaitsHolding = true
        case (.lettingGo, _), (.aborting, _): break
        case (_, .giveUp(let problem)):
            awaitsHolding = true
            giveUp(problem, isTold: true, &actions)
        default:
            giveUp(
                MigrationProblem(.malformed, "\(message.name) does not come now"), &actions)
        }
    }

    mutating func asked(
        _ holding: Holding, _ now: Duration, _ actions: inout [Action]
    ) {
        if case .owns(let entry) = holding { return end(.overtaken(entry), &actions) }
        awaitsHolding = false
        if case .asking = state {
            state = .copying
            actions.append(.wait(nil))
        }
        switch holding {
        case .part(let part)
        where flow.hasBegun && part.round == round && part.epoch == flow.epoch
            && (flow.appliedChunks...flow.sentChunks).contains(part.chunks)
            && (flow.appliedBytes...flow.sentBytes).contains(part.bytes):
            acknowledge(chunks: part.chunks, bytes: part.bytes, &actions)
            actions.append(.resend)
            proceed(now, &actions)
        // All of the round before, and nothing of this one.
        case .part(let part)
        where flow.hasBegun && part.round == round - 1 && part.epoch == flow.baseEpoch
            && flow.appliedChunks == 0:
            actions += [.send(.round(announcement)), .resend]
            proceed(now, &actions)
        case .nothing, .part, .owns:
            // From the beginning.
            round = 0
            audits = Audits()
            beginRound(&actions)
        }
    }

    var announcement: Round {
        Round(
            number: round, epoch: flow.epoch, baseEpoch: flow.baseEpoch,
            baseDigest: flow.baseDigest)
    }
}
