import CaesuraMigration
import CaesuraNode
import CaesuraTransport

/// What operators ask for: `docs/MIGRATION.md` section 6, "Operators".
extension NodeService {
    /// How often who has ordered a move is told how far it is.
    private static let progressPause = Duration.milliseconds(200)

    func obey(_ order: Order, from connection: NodeConnection, _ link: Node.Link) {
        // It is no connection of nodes.
        if connections.removeValue(forKey: link) != nil {
            operators[link] = OperatorSession(connection: connection)
            handle(.closed(link))
        }
        guard mayGiveOrders(connection) else {
            let names = connection.peerNames.joined(separator: ", ")
            let problem = MigrationProblem(
                .mismatch, "\(names) is no operator of node \(configuration.node.name)")
            return answer(.done(problem), connection)
        }
        switch order {
        case .show:
            answer(
                node.partitions.map { .holds($0) } + node.moves.map { .moves($0) } + [.done(nil)],
                connection)
        case .stop(let partitions):
            let named = partitions.isEmpty ? node.moves.map(\.partition) : partitions
            for partition in named { carryOut(node.stop(partition, at: now)) }
            answer(.done(nil), connection)
        case .move(let order): move(order, connection, link)
        }
    }

    private func answer(_ answer: Answer, _ connection: NodeConnection) {
        self.answer([answer], connection)
    }

    /// As one write, for each takes the node's thread.
    private func answer(_ answers: [Answer], _ connection: NodeConnection) {
        // Whoever reads from the connection finds out how it ended.
        try? connection.post(contentsOf: answers.map { (0, .answer($0)) })
    }

    private func move(_ order: MoveOrder, _ connection: NodeConnection, _ link: Node.Link) {
        guard operators[link]?.partitions.isEmpty ?? false else {
            let problem = MigrationProblem(.busy, "the order before has not ended")
            return answer(.done(problem), connection)
        }
        let served = node.partitions.filter { $0.holding == .served }.map(\.partition)
        let named = order.partitions.isEmpty ? served : order.partitions
        operators[link]?.partitions = Set(named)
        for partition in named { begin(order, partition, link) }
        if named.isEmpty { answer(.done(nil), connection) }
        begin { await $0.tellProgress(link) }
    }

    private func begin(_ order: MoveOrder, _ partition: PartitionNumber, _ link: Node.Link) {
        // One that is on its way there already is followed.
        let isUnderWay = node.moves.contains {
            $0.partition == partition && $0.target == order.target
        }
        if isUnderWay { return }
        do throws(MigrationProblem) {
            carryOut(
                try node.move(
                    partition, to: order.target, budget: order.budget, policy: order.policy,
                    at: now))
        } catch {
            tell(link, MoveEnd(partition, to: order.target, .givenUp(error), MoveCost()))
        }
    }

    private func tellProgress(_ link: Node.Link) async {
        while let session = operators[link], !session.partitions.isEmpty {
            for status in node.moves where session.partitions.contains(status.partition) {
                answer(.moves(status), session.connection)
            }
            do throws(TransportError) {
                try await session.connection.ready()
            } catch {
                return
            }
            await loop.sleep(for: Self.progressPause)
        }
    }

    /// Tells those who have ordered the move of a partition something of it.
    func tellOperators(about partition: PartitionNumber, _ message: Answer) {
        for session in operators.values where session.partitions.contains(partition) {
            answer(message, session.connection)
        }
    }

    /// Tells those who have ordered a move how it has ended.
    func tellOperators(of end: MoveEnd) {
        for link in operators.keys.sorted() { tell(link, end) }
    }

    private func tell(_ link: Node.Link, _ end: MoveEnd) {
        guard let connection = operators[link]?.connection,
            operators[link]?.partitions.remove(end.partition) != nil
        else { return }
        answer(.ended(end), connection)
        if operators[link]?.partitions.isEmpty ?? false { answer(.done(nil), connection) }
    }
}
