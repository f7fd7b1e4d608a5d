import Caesura
public import CaesuraMigration

/// Moves out of here.
extension Node {
    // MARK: Asking

    /// Moves a partition to another node, once its turn has come; ``Report/ended(_:)`` says how that went.
    ///
    /// - Parameters:
    ///   - partition: One that is served here.
    ///   - target: The name of the node that is to have it.
    ///   - budget: What the blackout may take.
    ///   - policy: What is done when it does not come to fit the budget.
    /// - Returns: What is to be done, in order.
    /// - Throws: `notOwner` when this node does not serve the partition; `busy` when it is moving already; `malformed` when
    ///   there is no such partition, or the target is this node.
    public func move(
        _ partition: PartitionNumber, to target: String, budget: Duration = .milliseconds(1),
        policy: SourceMove.Policy = .fail, at now: Duration
    ) throws(MigrationProblem) -> [Action] {
        guard gates[partition] != nil, target != configuration.name else {
            throw MigrationProblem(
                .malformed, "partition \(partition) cannot move to node \(target)")
        }
        guard case .serving = holdings[partition] else {
            throw MigrationProblem(
                .notOwner, "partition \(partition) is not served by node \(configuration.name)")
        }
        guard outgoingMove(of: partition) == nil,
            !wishes.contains(where: { $0.partition == partition })
        else { throw MigrationProblem(.busy, "partition \(partition) is moving already") }
        wishes.append(
            Wish(partition: partition, target: target, budget: budget, policy: policy))
        var actions: [Action] = []
        beginMoves(now, &actions)
        return actions
    }

    /// Gives a move up, if it is not decided yet.
    ///
    /// - Returns: What is to be done, in order.
    public func stop(_ partition: PartitionNumber, at now: Duration) -> [Action] {
        var actions: [Action] = []
        let problem = MigrationProblem(.stopped, "the operator has stopped the move")
        for wish in wishes where wish.partition == partition { refuse(wish, problem, &actions) }
        wishes.removeAll { $0.partition == partition }
        guard let number = outgoingMove(of: partition) else { return actions }
        postponeUnlessSealed(number, now, &actions)
        feed(.stop(problem), number, now, &actions)
        proceed(now, &actions)
        return actions
    }

    /// How far the moves out of here are: those under way, then those that wait their turn.
    public var moves: [MoveStatus] {
        outgoing.keys.sorted().compactMap { number in
            outgoing[number].flatMap { MoveStatus($0.move.machine, sentBytes: $0.move.sentBytes) }
        } + wishes.map { MoveStatus($0.partition, to: $0.target) }
    }

    /// Says of a move that was asked for that it comes to nothing.
    private func refuse(
        _ wish: Wish, _ problem: MigrationProblem, _ actions: inout [Action]
    ) {
        let end = MoveEnd(wish.partition, to: wish.target, .givenUp(problem), MoveCost())
        actions.append(.report(.ended(end)))
    }

    func outgoingMove(of partition: PartitionNumber) -> UInt64? {
        outgoing.keys.sorted().first {
            outgoing[$0]?.move.machine.plan.partition == partition
        }
    }

    /// Whether nothing has been decided in a move yet.
    func isCopying(_ number: UInt64) -> Bool {
        switch outgoing[number]?.move.machine.state {
        case .connecting, .asking, .copying: true
        // Its writes go on until its turn has come.
        case .sealing: stage.isAsking(number)
        default: false
        }
    }

    /// Begins as many moves as may be under way.
    func beginMoves(_ now: Duration, _ actions: inout [Action]) {
        var later: [Wish] = []
        for wish in wishes {
            guard case .serving(let entry, let isDurable) = holdings[wish.partition] else {
                let problem = MigrationProblem(
                    .notOwner,
                    "partition \(wish.partition) is not served by node \(configuration.name) any more"
                )
                refuse(wish, problem, &actions)
                continue
            }
            // What is given away must not be lost with the node that gets it and the one that it came from.
            guard isDurable,
                outgoing.values.filter({ !$0.isLettingGo }).count
                    < configuration.outgoingLimit
            else {
                later.append(wish)
                continue
            }
            let plan = SourceMove.Plan(
                partition: wish.partition, entry: entry, target: wish.target,
                attempt: random.next(), budget: wish.budget, policy: wish.policy,
                window: configuration.window)
            // The other side's agreement decides what is compared, and comes with the connection.
            let number = begin(plan, isLettingGo: false, now, &actions)
            actions.append(.probe(ticket(.probe(number, since: now))))
            feedRegisterTime(number, now, &actions)
        }
        wishes = later
        connectMoves(now, &actions)
    }

    /// Lets rows go that another node's came from.
    func letGo(
        _ partition: PartitionNumber, _ last: OwnerEntry, _ now: Duration,
        _ actions: inout [Action]
    ) {
        holdings[partition] = .lettingGo(last)
        gates[partition]?.close(last)
        begin(
            SourceMove.Plan(
                partition: partition, entry: last, target: last.owner, attempt: random.next(),
                window: configuration.window), isLettingGo: true, now, &actions)
        connectMoves(now, &actions)
    }

    @discardableResult private func begin(
        _ plan: SourceMove.Plan, isLettingGo: Bool, _ now: Duration, _ actions: inout [Action]
    ) -> UInt64 {
        guard let part = division.part(plan.partition) else {
            preconditionFailure("a partition of this node")
        }
        lastNumber += 1
        let number = lastNumber
        let move =
            isLettingGo
            ? OutgoingMove(lettingGo: plan, of: part, in: store)
            : OutgoingMove(plan, of: part, in: store)
        outgoing[number] = Outgoing(move: move, began: now)
        carryOut(move.begin(), number, now, &actions)
        return number
    }

    /// Gives the moves that have no connection one, or gets one.
    private func connectMoves(_ now: Duration, _ actions: inout [Action]) {
        for number in outgoing.keys.sorted() {
            guard let move = outgoing[number], move.link == nil else { continue }
            let name = move.move.machine.plan.target
            guard let link = links[name] else {
                dial(name, &actions)
                continue
            }
            guard sessions[link]?.agreement != nil else { continue }
            outgoing[number]?.link = link
            feed(.connected, number, now, &actions)
        }
    }

    // MARK: Events

    func feed(
        _ event: SourceMove.Event, _ number: UInt64, _ now: Duration, _ actions: inout [Action]
    ) {
        guard let move = outgoing[number] else { return }
        if case .connected = event, let link = move.link, let session = sessions[link] {
            move.move.audited = auditedRegions(over: link)
            move.move.sliceBits = min(
                store.partitionBits, Int(session.agreement?.peer.partitionBits ?? 0))
            feedRoundTrip(number, now, &actions)
        }
        carryOut(move.move.handle(event, at: now), number, now, &actions)
        // Who cannot take it back may not be who has it any more.
        if case .received(.giveUp(let problem)) = event, problem.code == .notOwner,
            let plan = outgoing[number]?.move.machine.plan
        {
            actions += read(plan.partition)
        }
    }

    /// Tells a move how long the way to its target and back is, if that is known.
    func feedRoundTrip(_ number: UInt64, _ now: Duration, _ actions: inout [Action]) {
        guard let link = outgoing[number]?.link,
            let time = sessions[link]?.roundTrips.shortest
        else { return }
        feed(.roundTrip(time), number, now, &actions)
    }

    /// Tells a move how long the register takes, if that is known.
    func feedRegisterTime(_ number: UInt64, _ now: Duration, _ actions: inout [Action]) {
        guard let time = registerTimes.shortest else { return }
        feed(.registerTime(time), number, now, &actions)
    }

    func carryOut(
        _ actions: [SourceMove.Action], _ number: UInt64, _ now: Duration,
        _ others: inout [Action]
    ) {
        for action in actions {
            guard let move = outgoing[number] else { return }
            let plan = move.move.machine.plan
            switch action {
            case .connect: dial(plan.target, &others)
            case .send(let message):
                if case .chunk(let bytes) = message { pace.note(bytes.count, at: now) }
                send(message, number, over: move.link, &others)
            case .seal: stage.ask(number, at: now)
            case .slow(let delay): gates[plan.partition]?.delay = delay
            case .append(let entry):
                others.append(.append(entry, to: plan.partition, ticket(.outgoing(number))))
            case .serve(let entry):
                noteBlackout(number, now)
                serve(plan.partition, entry, isDurable: true, &others)
            case .forward(let entry): forward(plan.partition, entry, number, now, &others)
            // Until its turn comes, it runs for that; from when writes stop, anew.
            case .wait(let time): others.append(.wait(.outgoing(number), time))
            case .end(let outcome): end(number, outcome, now, &others)
            case .beginRound, .demand, .encode, .acknowledge, .resend, .audit, .remove:
                preconditionFailure("a move does it itself")
            }
        }
    }

    private func forward(
        _ partition: PartitionNumber, _ entry: OwnerEntry, _ number: UInt64, _ now: Duration,
        _ actions: inout [Action]
    ) {
        holdings[partition] = .lettingGo(entry)
        gates[partition]?.close(entry)
        noteBlackout(number, now)
        let blackout = outgoing[number]?.blackout ?? .zero
        actions.append(.report(.handedOver(partition, entry, blackout: blackout)))
    }

    /// Notes for how long writes had stopped.
    private func noteBlackout(_ number: UInt64, _ now: Duration) {
        if let sealed = outgoing[number]?.sealed { outgoing[number]?.blackout = now - sealed }
    }

    private func end(
        _ number: UInt64, _ outcome: SourceMove.Outcome, _ now: Duration,
        _ actions: inout [Action]
    ) {
        guard let move = outgoing.removeValue(forKey: number) else { return }
        let plan = move.move.machine.plan
        if let removal = move.move.removal { removals.append(removal) }
        stage.leave(number)
        actions.append(.report(.ended(move.end(outcome, at: now))))
        switch outcome {
        case .moved: holdings[plan.partition] = .absent
        case .givenUp, .aborted: break
        case .overtaken: actions += read(plan.partition)
        }
    }

    /// Forgets a move: its partition is another node's.
    func drop(_ number: UInt64, _ now: Duration, _ actions: inout [Action]) {
        guard let move = outgoing.removeValue(forKey: number) else { return }
        if let removal = move.move.removal { removals.append(removal) }
        stage.leave(number)
        let plan = move.move.machine.plan
        let problem = MigrationProblem(.notOwner, "the partition has another owner")
        send(.giveUp(problem), number, over: move.link, &actions)
        gates[plan.partition]?.delay = .zero
        actions += [
            .wait(.outgoing(number), nil), .report(.ended(move.end(.givenUp(problem), at: now))),
        ]
    }

    // MARK: The stage

    /// Lets the move on the stage stop its writes, as soon as nothing of another is in its way.
    func proceedOnStage(_ now: Duration, _ actions: inout [Action]) {
        stage.update { number in outgoing[number]?.move.machine }
        guard let (number, waited) = stage.ready(at: now, inFlight: bytesInFlight) else { return }
        guard let move = outgoing[number] else { return }
        if waited > Stage.patience {
            stage.postpone()
            return feed(.postponed, number, now, &actions)
        }
        stage.enter()
        outgoing[number]?.sealed = now
        let plan = move.move.machine.plan
        actions.append(.wait(.outgoing(number), plan.handoverLimit))
        let (ticket, notify) = (ticket(.outgoing(number)), notify)
        gates[plan.partition]?.seal { notify(.drained(ticket)) }
    }

    /// Takes a move off the stage that waits for it, if it does: its writes go on, and so does it.
    @discardableResult func postponeUnlessSealed(
        _ number: UInt64, _ now: Duration, _ actions: inout [Action]
    ) -> Bool {
        guard outgoing[number]?.move.machine.state == .sealing, stage.isAsking(number) else {
            return false
        }
        stage.leave(number)
        feed(.postponed, number, now, &actions)
        return true
    }

    /// Bytes of all moves but one that are on their way over its connection.
    private func bytesInFlight(besides number: UInt64) -> UInt64 {
        let link = outgoing[number]?.link
        return outgoing.reduce(0) { sum, other in
            other.key == number || other.value.link != link
                ? sum : sum + other.value.move.machine.unacknowledgedBytes
        }
    }
}

extension Node.Outgoing {
    /// Whether its partition is another node's already.
    var isLettingGo: Bool {
        if case .lettingGo = move.machine.state { true } else { false }
    }

    /// How it has ended.
    func end(_ outcome: SourceMove.Outcome, at now: Duration) -> MoveEnd {
        let machine = move.machine
        return MoveEnd(
            machine.plan.partition, to: machine.plan.target, outcome,
            MoveCost(
                rounds: machine.round, sentBytes: move.sentBytes, duration: now - began,
                blackout: blackout))
    }
}

extension Node.Purpose {
    /// Whether only somebody's curiosity waits for the answer.
    var isProbe: Bool { if case .probe = self { true } else { false } }
}
