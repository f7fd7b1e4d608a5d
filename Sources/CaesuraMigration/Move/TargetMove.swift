public import CaesuraFormat

/// The side of a move that gets the partition: `docs/MIGRATION.md` section 4, "The target, state by state".
///
///                                       ┌─► pulling ─┬─► ended, without rows
///                                       │            ▼
///     receiving ─► adopting ─► appending ─────────► owning ─► ended
///       │   ▲          └───────────┴────────────────────┐
///       ▼   │ the same attempt                          ▼
///     waiting ───────────────────────────────────────► ended
///
/// A machine without I/O, clock and randomness, as ``SourceMove``.
public struct TargetMove: Hashable, Sendable {
    /// What has happened.
    public enum Event: Hashable, Sendable {
        /// The source has sent something about the move; ``MoveRequest`` again over another connection.
        case received(MigrationMessage)
        /// The connection is gone.
        case disconnected
        /// The chunk that was to be applied is; `digest` when the round has ended with it.
        case applied(byteCount: Int, digest: UInt64?)
        /// The content of the first round's end was looked at.
        case audited(Audit)
        /// The rows are the store's.
        case adopted
        /// What became of the entry that was to be appended; nil if it is not known.
        case appended(OwnerAppending?)
        /// Somebody waits for rows of a slice that is missing.
        case wanted(HashRange)
        /// A durable checkpoint has the partition.
        case durable
        /// The time that was asked for is over.
        case timedOut
        /// The operator, or what carries out the actions, gives up: a chunk that cannot be applied, no memory.
        case stop(MigrationProblem)
    }

    /// What is to be done, in order.
    public enum Action: Hashable, Sendable {
        /// Send a message about the move.
        case send(MigrationMessage)
        /// Begin a round of the incoming rows.
        case beginRound(Round)
        /// Apply the chunk that has just come.
        case apply
        /// Look at the content of what has come, beside all else.
        case audit
        /// Make the rows the store's, and serve none of them yet.
        case adopt
        /// Make the rows the store's that the round which has just begun leaves as they are: all but those of these slices.
        case adoptExcept(Set<HashRange>)
        /// Make the rows of a slice the store's.
        case adoptSlice(HashRange)
        /// Do what there is to do for an entry before writes stop.
        case prepare(OwnerEntry)
        /// Append an entry to the register.
        case append(OwnerEntry)
        /// Let writes begin under an entry that this node has appended, and take a checkpoint.
        case serve(OwnerEntry)
        /// Let writes begin under an entry that this node has appended, but for those that touch rows of these slices. No
        /// checkpoint has the partition yet.
        case serveExcept(OwnerEntry, Set<HashRange>)
        /// Let writes begin that touch rows of a slice.
        case open(HashRange)
        /// All rows are there: let all writes begin, and take a checkpoint.
        case complete(OwnerEntry)
        /// Close the connection: over another one the source sends again what was damaged on its way.
        case reconnect
        /// Drop what has come, or take it out of the store again; nobody has seen it.
        case drop
        /// Give ``Event/timedOut`` after so long, instead of what was asked for before; nil never.
        case wait(Duration?)
        /// The move has ended.
        case end(Outcome)
    }

    /// How a move has ended.
    public enum Outcome: Hashable, Sendable {
        /// This node owns the partition, and has it in a checkpoint.
        case moved(OwnerEntry)
        /// It is another node's, as before.
        case givenUp(MigrationProblem)
        /// The register has another entry than the one that was to be appended.
        case refused(OwnerEntry)
        /// This node owns the partition, and what it had of the rows is of no use: the source has to send them all.
        case incomplete(OwnerEntry, MigrationProblem)
    }

    /// How far it is.
    public enum State: Hashable, Sendable {
        case receiving
        case waiting
        case adopting
        case appending
        /// It owns the partition, and some slices are still to come.
        case pulling(OwnerEntry)
        case owning(OwnerEntry)
        case ended(Outcome)
    }

    /// How far it is.
    public private(set) var state = State.receiving
    /// What the source asked for first.
    public let request: MoveRequest
    /// The name of this node.
    public let node: String
    /// How long what has come is kept for another connection.
    private let patience: Duration

    private var isConnected = true
    /// The last round that was begun.
    private var round: Round?
    private var chunks: UInt64 = 0
    private var bytes: UInt64 = 0
    /// That of the last round's end; nil while a round is under way.
    private var digest: UInt64?
    /// What was found at the end of the first round.
    private var audit: Audit?
    /// The entry whose fate is not known yet.
    private var appending: OwnerEntry?
    /// The slices that are still to come; nil if all rows had come before the handover.
    public private(set) var missing: Set<HashRange>?
    /// Slices that somebody waits for and the source was asked for, in that order.
    private var wanted: [HashRange] = []
    /// Whether the source has asked what there is while that was being decided.
    private var isAsked = false
    /// How often in succession a chunk was damaged on its way.
    private var damages = 0

    /// How long what has come is kept for another connection, unless told otherwise.
    public static let patience = Duration.seconds(60)
    /// How often in succession a chunk may be damaged until everything is sent again.
    static let damageLimit = 3

    /// Begins a move that a source has asked for, of a partition that this node may take.
    ///
    /// In a recovery this node owns the partition already, under the request's entry or one that it has appended behind it.
    ///
    /// - Parameters:
    ///   - request: What the source has sent.
    ///   - node: The name of this node.
    ///   - patience: How long what has come is kept for another connection.
    public init(_ request: MoveRequest, node: String, patience: Duration = Self.patience) {
        self.request = request
        self.node = node
        self.patience = patience
    }

    /// Whether a request goes on with this move over another connection.
    public func isAbout(_ request: MoveRequest) -> Bool {
        switch state {
        // Its purpose has changed since: what the source asks about is this node's.
        case .adopting, .appending, .pulling, .owning: request.attempt == self.request.attempt
        case .receiving, .waiting, .ended: request == self.request
        }
    }

    /// What is done first.
    public var firstActions: [Action] { [.send(.have(holding))] }

    private var holding: Holding {
        if case .owning(let entry) = state { return .owns(entry) }
        guard let round else { return .nothing }
        return .part(
            Holding.Part(round: round.number, epoch: round.epoch, chunks: chunks, bytes: bytes))
    }

    // MARK: Events

    /// Takes an event.
    ///
    /// - Returns: What is to be done, in order.
    public mutating func handle(_ event: Event) -> [Action] {
        var actions: [Action] = []
        switch event {
        case .received(let message): received(message, &actions)
        case .disconnected: disconnected(&actions)
        case .applied(let byteCount, let digest): applied(byteCount, digest, &actions)
        case .audited(let audit):
            self.audit = audit
            if isConnected, case .receiving = state { actions.append(.send(.audit(audit))) }
        case .adopted: adopted(&actions)
        case .appended(let appending): appended(appending, &actions)
        case .wanted(let slice): want(slice, &actions)
        case .durable: durable(&actions)
        case .timedOut: timedOut(&actions)
        case .stop(let problem): giveUp(problem, &actions)
        }
        return actions
    }

    private mutating func received(_ message: MigrationMessage, _ actions: inout [Action]) {
        switch (state, message) {
        case (.ended, _): break
        case (_, .move(let request)): asked(request, &actions)
        case (.receiving, .round(let round)) where isNext(round):
            self.round = round
            chunks = 0
            bytes = 0
            digest = nil
            actions.append(.beginRound(round))
        case (.receiving, .chunk) where round != nil && digest == nil: actions.append(.apply)
        case (.pulling, .chunk) where digest == nil: actions.append(.apply)
        case (.pulling, .sliceEnd(let end)): ended(end, &actions)
        case (.receiving, .handoverAhead(let handover))
        where request.purpose == .handover && handover.epoch == round?.epoch
            && round?.baseEpoch != 0 && chunks == 0 && digest == nil:
            state = .adopting
            missing = handover.missing
            actions.append(.adoptExcept(handover.missing))
        case (.receiving, .handover(let handover))
        where request.purpose == .handover && handover.digest == digest
            && handover.epoch == round?.epoch:
            state = .adopting
            actions.append(.adopt)
        case (.adopting, .giveUp), (.appending, .giveUp), (.owning, .giveUp), (.pulling, .giveUp):
            // The source will append its abort, or find this node's entry.
            break
        case (.adopting, .aborted), (.appending, .aborted), (.owning, .aborted),
            (.pulling, .aborted):
            // The register says so, too.
            break
        case (_, .giveUp(let problem)): drop(.givenUp(problem), &actions)
        // Whose the partition is then, the register says.
        case (_, .aborted):
            drop(.givenUp(MigrationProblem(.stopped, "the source has taken it back")), &actions)
        default:
            giveUp(
                MigrationProblem(.malformed, "\(message.name) does not come now"), &actions)
        }
    }

    /// Whether a round builds on what has come.
    private func isNext(_ next: Round) -> Bool {
        guard let round else { return next.number == 1 && next.baseEpoch == 0 }
        return digest != nil && next.number == round.number + 1
            && next.baseEpoch == round.epoch && next.baseDigest == digest
            && next.epoch > round.epoch
    }

    private mutating func asked(_ request: MoveRequest, _ actions: inout [Action]) {
        isConnected = true
        switch state {
        case .waiting where request == self.request:
            state = .receiving
            actions += [.wait(nil), .send(.have(holding))]
            // It may have been lost with the connection.
            if let audit { actions.append(.send(.audit(audit))) }
        // Asked again over one connection, it says what is there; what was on the way has come.
        case .receiving where request == self.request, .owning:
            actions.append(.send(.have(holding)))
        case .pulling where request.attempt == self.request.attempt:
            actions.append(.send(.have(holding)))
            for slice in wanted { actions.append(.send(.pull(slice))) }
        case .pulling(let entry):
            // It has none of the state that it was to send: what it has is that of a checkpoint.
            let problem = MigrationProblem(.stopped, "the source has begun anew")
            lose(entry, problem, isTold: true, &actions)
        case .adopting, .appending: isAsked = true
        case .receiving, .waiting:
            drop(
                .givenUp(MigrationProblem(.stopped, "the source has begun another move")),
                &actions)
        case .ended: break
        }
    }

    private mutating func disconnected(_ actions: inout [Action]) {
        isConnected = false
        guard case .receiving = state else { return }
        state = .waiting
        actions.append(.wait(patience))
    }

    private mutating func applied(
        _ byteCount: Int, _ digest: UInt64?, _ actions: inout [Action]
    ) {
        guard let round else { preconditionFailure("a chunk is of a round") }
        chunks += 1
        bytes += UInt64(byteCount)
        damages = 0
        self.digest = digest
        if isConnected {
            let applied = Applied(
                round: round.number, chunks: chunks, bytes: bytes, isComplete: digest != nil)
            switch state {
            case .receiving, .pulling: actions.append(.send(.applied(applied)))
            case .waiting, .adopting, .appending, .owning, .ended: break
            }
        }
        if digest != nil, case .pulling(let entry) = state {
            state = .owning(entry)
            return actions.append(.complete(entry))
        }
        guard digest != nil, round.number == 1 else { return }
        switch (state, request.purpose) {
        case (.receiving, .recovery), (.waiting, .recovery):
            state = .adopting
            actions += [.wait(nil), .adopt]
        case (.receiving, .handover), (.waiting, .handover):
            actions += [.audit, .prepare(next(.commit, behind: request.entry))]
        case (.adopting, _), (.appending, _), (.pulling, _), (.owning, _), (.ended, _): break
        }
    }

    // MARK: Slices

    /// Takes the end of a slice; over another connection it may come once more.
    private mutating func ended(_ end: SliceEnd, _ actions: inout [Action]) {
        guard let missing, missing.contains(end.slice) else { return }
        guard end.chunks == chunks else {
            return giveUp(
                MigrationProblem(
                    .malformed, "a slice ends behind \(end.chunks) chunks, and \(chunks) have come"
                ), &actions)
        }
        self.missing?.remove(end.slice)
        wanted.removeAll { $0 == end.slice }
        actions += [.adoptSlice(end.slice), .open(end.slice)]
    }

    private mutating func want(_ slice: HashRange, _ actions: inout [Action]) {
        guard case .pulling = state, let missing, missing.contains(slice),
            !wanted.contains(slice)
        else { return }
        wanted.append(slice)
        if isConnected { actions.append(.send(.pull(slice))) }
    }

    /// Gives up what has come of a partition that is this node's: only all of it is of use.
    private mutating func lose(
        _ entry: OwnerEntry, _ problem: MigrationProblem, isTold: Bool, _ actions: inout [Action]
    ) {
        if isConnected, !isTold { actions.append(.send(.giveUp(problem))) }
        end(.incomplete(entry, problem), &actions)
    }

    // MARK: Taking over

    private mutating func adopted(_ actions: inout [Action]) {
        guard case .adopting = state else { return }
        state = .appending
        append(request.purpose == .handover ? .commit : .abort, behind: request.entry, &actions)
    }

    /// Appends this node's entry; behind one of its own, it is a return of the owner.
    private mutating func append(
        _ change: OwnerEntry.Change, behind entry: OwnerEntry, _ actions: inout [Action]
    ) {
        let next = next(change, behind: entry)
        appending = next
        actions += [.wait(nil), .append(next)]
    }

    private func next(_ change: OwnerEntry.Change, behind entry: OwnerEntry) -> OwnerEntry {
        guard let next = try? OwnerEntry(change, of: entry, to: node) else {
            preconditionFailure("an entry of the register can be followed by another")
        }
        return next
    }

    private mutating func appended(
        _ appending: OwnerAppending?, _ actions: inout [Action]
    ) {
        guard case .appending = state, let entry = self.appending else { return }
        switch appending {
        case nil: actions.append(.wait(SourceMove.registerPause))
        case .appended:
            if let missing {
                state = .pulling(entry)
                actions.append(.serveExcept(entry, missing))
            } else {
                state = .owning(entry)
                actions.append(.serve(entry))
            }
            guard isConnected else { break }
            actions.append(.send(.owned(entry)))
            if isAsked, missing != nil { actions.append(.send(.have(holding))) }
        // Of an append whose outcome was not known, or of another process of this name: this one follows it.
        case .refused(let last) where last.owner == node: append(.abort, behind: last, &actions)
        case .refused(let last): drop(.refused(last), &actions)
        }
    }

    private mutating func durable(_ actions: inout [Action]) {
        guard case .owning(let entry) = state else { return }
        if isConnected { actions.append(.send(.durable(entry))) }
        end(.moved(entry), &actions)
    }

    // MARK: Giving up

    private mutating func timedOut(_ actions: inout [Action]) {
        switch state {
        case .waiting:
            drop(
                .givenUp(
                    MigrationProblem(.timedOut, "the source did not come back for \(patience)")
                ), &actions)
        case .appending:
            if let appending { actions.append(.append(appending)) }
        case .receiving, .adopting, .pulling, .owning, .ended: break
        }
    }

    private mutating func giveUp(_ problem: MigrationProblem, _ actions: inout [Action]) {
        switch state {
        case .receiving, .waiting, .adopting:
            if isConnected { actions.append(.send(.giveUp(problem))) }
            drop(.givenUp(problem), &actions)
        case .pulling(let entry):
            damages += 1
            guard problem.code == .damaged, damages < Self.damageLimit else {
                return lose(entry, problem, isTold: false, &actions)
            }
            isConnected = false
            actions.append(.reconnect)
        // Decided, or being decided.
        case .appending, .owning, .ended: break
        }
    }

    private mutating func drop(_ outcome: Outcome, _ actions: inout [Action]) {
        actions.append(.drop)
        end(outcome, &actions)
    }

    private mutating func end(_ outcome: Outcome, _ actions: inout [Action]) {
        state = .ended(outcome)
        actions += [.wait(nil), .end(outcome)]
    }
}
