import Caesura
public import CaesuraMigration

/// Moves into here.
extension Node {
    /// The moves into here that are under way.
    public var incomingMoves: [TargetMove] {
        incoming.keys.sorted().compactMap { incoming[$0]?.move.machine }
    }

    // MARK: Requests

    func receivedIncoming(
        _ link: Link, _ number: UInt64, _ message: MigrationMessage, _ now: Duration,
        _ actions: inout [Action]
    ) {
        if case .move(let request) = message {
            return asked(request, link, number, now, &actions)
        }
        guard let partition = sessions[link]?.incoming[number],
            let move = incoming[partition], move.link == link, move.number == number
        else { return disown(message, number, link, &actions) }
        feed(.received(message), partition, now, &actions)
    }

    /// Tells a peer that there is no move of which it has sent something: it has ended here, and the peer has not been told.
    func disown(
        _ message: MigrationMessage, _ number: UInt64, _ link: Link, _ actions: inout [Action]
    ) {
        switch message {
        // A source that gave up while its target read the register gets what the target has after that.
        case .round, .handover, .applied, .audit, .have(.nothing), .have(.part):
            let problem = MigrationProblem(
                .stopped, "node \(configuration.name) has ended the move")
            send(.giveUp(problem), number, over: link, &actions)
        default: break
        }
    }

    private func asked(
        _ request: MoveRequest, _ link: Link, _ number: UInt64, _ now: Duration,
        _ actions: inout [Action]
    ) {
        let partition = request.partition
        guard gates[partition] != nil else {
            let problem = MigrationProblem(
                .mismatch, "partition \(partition) is none of 2^\(division.bits)")
            return send(.giveUp(problem), number, over: link, &actions)
        }
        if let move = incoming[partition] {
            if move.move.machine.isAbout(request) {
                if move.link != link || move.number != number {
                    feed(.disconnected, partition, now, &actions)
                    place(partition, link, number)
                }
                return feed(.received(.move(request)), partition, now, &actions)
            }
            // An attempt that its source has forgotten is dropped for the next one.
            if sessions[move.link]?.agreement?.peer.node == peer(link)
                || sessions[move.link] == nil
            {
                feed(.received(.move(request)), partition, now, &actions)
            }
        }
        if case .serving(let entry, let isDurable) = holdings[partition] {
            send(.have(.owns(entry)), number, over: link, &actions)
            if isDurable {
                send(.durable(entry), number, over: link, &actions)
            } else {
                askers[partition, default: []].removeAll { $0.link == link }
                askers[partition, default: []].append((link, number))
            }
            return
        }
        // Of several requests the last counts: its source has given the others up.
        let isFirst =
            sessions[link]?.requests.updateValue((request, number), forKey: partition) == nil
        if isFirst { actions.append(.read(partition, ticket(.answer(partition, link)))) }
    }

    /// Notes where messages about the move of a partition come from.
    private func place(_ partition: PartitionNumber, _ link: Link, _ number: UInt64) {
        if let move = incoming[partition] { sessions[move.link]?.incoming[move.number] = nil }
        incoming[partition]?.link = link
        incoming[partition]?.number = number
        sessions[link]?.incoming[number] = partition
    }

    private func peer(_ link: Link) -> String? { sessions[link]?.agreement?.peer.node }

    /// Answers a request, now that the register was read.
    func answer(
        _ request: MoveRequest, _ link: Link, _ number: UInt64, _ last: OwnerEntry??,
        _ now: Duration, _ actions: inout [Action]
    ) {
        func refuse(_ code: MigrationProblem.Code, _ message: String) {
            send(.giveUp(MigrationProblem(code, message)), number, over: link, &actions)
        }
        let partition = request.partition
        guard sessions[link] != nil else { return }
        guard let last = last ?? nil else {
            return refuse(
                .notOwner, "the register has no entry of partition \(partition), or cannot be read")
        }
        // It was sent twice.
        if let move = incoming[partition], move.link == link, move.number == number { return }
        guard incoming[partition] == nil, incoming.count < configuration.incomingLimit else {
            return refuse(.busy, "node \(configuration.name) takes no more moves now")
        }
        switch request.purpose {
        case .handover where !takesPartitions:
            return refuse(.stopped, "node \(configuration.name) is about to end")
        case .handover:
            guard last == request.entry, last.owner == peer(link) else {
                return refuse(
                    .notOwner,
                    "entry \(last.number) of partition \(partition) counts, and names \(last.owner)"
                )
            }
        case .recovery:
            // It may not have learned of this node's latest ones; what follows its entry is appended, so none is made up.
            let entry = request.entry
            guard last.owner == configuration.name, entry.owner == last.owner,
                entry.tenure == last.tenure,
                entry == last
                    || entry.number < last.number && entry.fencingEpoch < last.fencingEpoch
            else {
                return refuse(
                    .notOwner,
                    "entry \(last.number) of partition \(partition) counts, and names \(last.owner)"
                )
            }
        }
        // An owner that gives a partition away has it in a checkpoint: what is here of before is not needed. And an entry of a
        // process before this one may have come to be after this one has read.
        settle(partition, last, now, &actions)
        switch (holdings[partition], request.purpose) {
        case (.absent, .handover), (.missing, .recovery): break
        default:
            if case .lettingGo = holdings[partition], let move = outgoingMove(of: partition) {
                drop(move, now, &actions)
                holdings[partition] = .absent
                remove(partition)
                break
            }
            return refuse(
                .busy,
                "node \(configuration.name) has not settled what it has of partition \(partition)")
        }
        begin(request, link, number, now, &actions)
    }

    private func begin(
        _ request: MoveRequest, _ link: Link, _ number: UInt64, _ now: Duration,
        _ actions: inout [Action]
    ) {
        guard let part = division.part(request.partition) else {
            preconditionFailure("a partition of this node")
        }
        let move = IncomingMove(
            request, node: configuration.name, of: part, into: store,
            auditing: auditedRegions(over: link),
            patience: configuration.patience)
        incoming[request.partition] = Incoming(move: move, link: link, number: number)
        sessions[link]?.incoming[number] = request.partition
        carryOut(move.begin(), request.partition, now, &actions)
    }

    // MARK: Events

    func feed(
        _ event: TargetMove.Event, _ partition: PartitionNumber, _ now: Duration,
        _ actions: inout [Action]
    ) {
        guard let move = incoming[partition] else { return }
        carryOut(move.move.handle(event), partition, now, &actions)
    }

    func carryOut(
        _ actions: [TargetMove.Action], _ partition: PartitionNumber, _ now: Duration,
        _ others: inout [Action]
    ) {
        for action in actions {
            guard let move = incoming[partition] else { return }
            let attempt = move.move.machine.request.attempt
            switch action {
            case .send(let message): send(message, move.number, over: move.link, &others)
            case .prepare(let entry): others.append(.prepare(entry, for: partition))
            case .append(let entry):
                let ticket = ticket(.incoming(partition, attempt: attempt))
                others.append(.append(entry, to: partition, ticket))
            case .serve(let entry):
                serve(partition, entry, isDurable: false, &others)
                others.append(.makeDurable(ticket(.incoming(partition, attempt: attempt))))
            case .serveExcept(let entry, let slices):
                serve(partition, entry, except: slices, &others)
            case .open(let slice): gates[partition]?.open(slice)
            case .complete(let entry):
                mark(partition, entry)
                gates[partition]?.complete()
                others.append(.makeDurable(ticket(.incoming(partition, attempt: attempt))))
            case .reconnect:
                others.append(.close(move.link))
                closed(move.link, now, &others)
            case .wait(let time): others.append(.wait(.incoming(partition), time))
            case .end(let outcome):
                incoming[partition] = nil
                sessions[move.link]?.incoming[move.number] = nil
                switch outcome {
                case .moved: break
                case .givenUp: others += read(partition)
                case .refused(let last): settle(partition, last, now, &others)
                case .incomplete(let entry, _): miss(partition, entry, &others)
                }
            case .beginRound, .apply, .audit, .adopt, .adoptExcept, .adoptSlice, .drop:
                preconditionFailure("a move does it itself")
            }
        }
    }
}
