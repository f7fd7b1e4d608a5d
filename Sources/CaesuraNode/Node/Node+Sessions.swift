import Caesura
import CaesuraFormat
import CaesuraMigration

/// Connections to other nodes: `docs/MIGRATION.md` section 4, "The handshake".
extension Node {
    private var hello: Hello {
        Hello(
            node: configuration.name, hashKey0: store.hashKey.k0, hashKey1: store.hashKey.k1,
            takesHashKey: takesHashKey, moveBits: UInt8(division.bits),
            partitionBits: UInt8(store.partitionBits), window: configuration.window)
    }

    /// Whether no row lies, or is about to lie, where the hash key has put it.
    private var takesHashKey: Bool {
        configuration.takesHashKey && incoming.isEmpty && hasNoRows
    }

    private var hasNoRows: Bool {
        store.regions.allSatisfy { $0.kind == .cell || store.rowCount(of: $0.name) == 0 }
    }

    // MARK: Opening

    /// Whether a connection to a node is of use.
    func isNeeded(_ name: String) -> Bool {
        outgoing.values.contains { $0.move.machine.plan.target == name }
    }

    /// Gets a connection to a node, unless there is one or one is on its way.
    func dial(_ name: String, _ actions: inout [Action]) {
        guard links[name] == nil, dialling.insert(name).inserted else { return }
        actions.append(.dial(name))
    }

    func dialled(_ name: String, _ link: Link, _ actions: inout [Action]) {
        dialling.remove(name)
        guard isNeeded(name), links[name] == nil else { return actions.append(.close(link)) }
        links[name] = link
        open(link, as: .source, dialled: name, names: [name], &actions)
    }

    func notDialled(_ name: String, _ problem: MigrationProblem, _ actions: inout [Action]) {
        guard dialling.contains(name) else { return }
        unreached[name] = problem
        actions += [.report(.unreachable(name, problem)), .wait(.dial(name), Self.pause)]
    }

    /// Why a move that waits for a connection has none, if that is known.
    func problem(reaching number: UInt64) -> MigrationProblem? {
        guard let machine = outgoing[number]?.move.machine, machine.state == .connecting,
            let problem = unreached[machine.plan.target]
        else { return nil }
        return MigrationProblem(
            .timedOut, "node \(machine.plan.target) is not reached: \(problem.message)")
    }

    func accepted(_ link: Link, _ names: Set<String>?, _ actions: inout [Action]) {
        open(link, as: .target, dialled: nil, names: names, &actions)
    }

    private func open(
        _ link: Link, as role: SchemaNegotiation.Role, dialled: String?, names: Set<String>?,
        _ actions: inout [Action]
    ) {
        let handshake = Handshake(
            as: role, hello, offering: store.schemaOffer, expecting: names)
        sessions[link] = Session(handshake: handshake, dialled: dialled)
        actions += [
            .send(link, move: 0, handshake.firstMessage),
            .wait(.handshake(link), Handshake.timeLimit),
        ]
    }

    // MARK: What comes

    func received(
        _ link: Link, _ number: UInt64, _ message: MigrationMessage, _ now: Duration,
        _ actions: inout [Action]
    ) {
        guard let session = sessions[link] else { return }
        guard session.agreement != nil, number != 0 else {
            return shake(link, .received(message), now, &actions)
        }
        if session.dialled != nil {
            guard outgoing[number]?.link == link else {
                return disown(message, number, link, &actions)
            }
            feed(.received(message), number, now, &actions)
        } else {
            receivedIncoming(link, number, message, now, &actions)
        }
    }

    /// Goes on with a handshake; what comes behind it about no move is of it, too.
    func shake(
        _ link: Link, _ event: Handshake.Event, _ now: Duration, _ actions: inout [Action]
    ) {
        guard var session = sessions[link] else { return }
        let wasAgreed = session.agreement != nil
        for message in session.handshake.handle(event) {
            actions.append(.send(link, move: 0, message))
        }
        switch session.handshake.state {
        case .greeting, .negotiating: sessions[link] = session
        case .agreed(let agreement):
            session.agreement = agreement
            sessions[link] = session
            if wasAgreed { return }
            if let name = session.dialled { unreached[name] = nil }
            actions.append(.wait(.handshake(link), nil))
            if let key = agreement.hashKey, !take(key) {
                let problem = MigrationProblem(
                    .mismatch, "node \(configuration.name) has got rows under another hash key")
                return refuse(link, problem, now, &actions)
            }
            for number in waitingMoves(session.dialled) {
                outgoing[number]?.link = link
                feed(.connected, number, now, &actions)
            }
        case .refused(let problem):
            if let name = session.dialled {
                actions.append(.report(.unreachable(name, problem)))
                let mayPass = problem.code == .timedOut || problem.code == .busy
                if mayPass, !wasAgreed {
                    // A move has its own time for a node that it does not reach.
                    unreached[name] = problem
                } else {
                    give(up: name, problem, now, &actions)
                }
            }
            actions.append(.close(link))
            closed(link, now, &actions)
        }
    }

    private func refuse(
        _ link: Link, _ problem: MigrationProblem, _ now: Duration, _ actions: inout [Action]
    ) {
        actions += [.send(link, move: 0, .refusal(problem)), .close(link)]
        closed(link, now, &actions)
    }

    private func take(_ key: HashKey) -> Bool {
        if key == store.hashKey { return true }
        guard takesHashKey else { return false }
        do throws(StoreError) {
            try store.take(key)
        } catch {
            return false
        }
        marks.rehash(store)
        return true
    }

    /// Moves that wait for a connection to a node.
    private func waitingMoves(_ name: String?) -> [UInt64] {
        guard let name else { return [] }
        return outgoing.keys.sorted().filter {
            outgoing[$0]?.move.machine.plan.target == name && outgoing[$0]?.link == nil
        }
    }

    /// Ends moves to a node that does not go with this one; those that only let go try again.
    private func give(
        up name: String, _ problem: MigrationProblem, _ now: Duration, _ actions: inout [Action]
    ) {
        for number in outgoing.keys.sorted()
        where outgoing[number]?.move.machine.plan.target == name {
            feed(.stop(problem), number, now, &actions)
        }
    }

    /// The regions of which both sides come to the same digest if they have the same rows: those that both store under one schema,
    /// and in chunks of the same ranges.
    func auditedRegions(over link: Link) -> Set<String> {
        guard let agreement = sessions[link]?.agreement,
            Int(agreement.peer.partitionBits) == store.partitionBits
        else { return [] }
        return agreement.schemas.unchanged
    }

    // MARK: The end

    func closed(_ link: Link, _ now: Duration, _ actions: inout [Action]) {
        guard let session = sessions.removeValue(forKey: link) else { return }
        actions.append(.wait(.handshake(link), nil))
        if let name = session.dialled, links[name] == link { links[name] = nil }
        for (partition, askers) in askers {
            self.askers[partition] = askers.filter { $0.link != link }
        }
        let ways = incoming.keys.sorted().filter { incoming[$0]?.link == link }
        for partition in ways { feed(.disconnected, partition, now, &actions) }
        for number in moves(over: link) {
            postponeUnlessSealed(number, now, &actions)
            outgoing[number]?.link = nil
            feed(.disconnected, number, now, &actions)
        }
        guard let name = session.dialled, isNeeded(name) else { return }
        // After a while: it may have been refused.
        if links[name] == nil, dialling.insert(name).inserted {
            actions.append(.wait(.dial(name), Self.pause))
        }
    }

    /// The moves out of here over a connection, in their order.
    func moves(over link: Link) -> [UInt64] {
        outgoing.keys.sorted().filter { outgoing[$0]?.link == link }
    }

    func send(
        _ message: MigrationMessage, _ move: UInt64, over link: Link?, _ actions: inout [Action]
    ) {
        guard let link, sessions[link]?.agreement != nil else { return }
        actions.append(.send(link, move: move, message))
    }
}
