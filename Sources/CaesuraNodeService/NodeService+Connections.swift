import CaesuraMigration
import CaesuraNode
import CaesuraTransport

/// Connections to other nodes.
extension NodeService {
    /// Listens, and says where.
    func listen() async throws -> NodeListener {
        let (wanted, observer) = (configuration.listen, configuration.observer)
        let listener = try await NodeListener.bind(
            host: wanted.host, port: Int(wanted.port), security: configuration.security,
            limits: configuration.transport, on: loop
        ) { observer?(.connectionFailed($0)) }
        let bound = NetworkAddress(host: listener.host, port: UInt16(clamping: listener.port))
        var told = configuration.advertised ?? bound
        if told.port == 0 { told.port = bound.port }
        try await addresses.publish(
            NodeAddresses(node: told, service: configuration.service),
            of: configuration.node.name)
        observe(.listens(bound))
        return listener
    }

    func accept(from listener: NodeListener) async {
        for await connection in listener.connections {
            // One that opens while the others are closed.
            guard phase == .running else {
                connection.abort()
                continue
            }
            let link = nextLink()
            connections[link] = connection
            handle(.accepted(link, names: names(of: connection)))
            begin { await $0.read(from: connection, link) }
        }
    }

    /// The names that a peer may have; nil for any.
    private func names(of connection: NodeConnection) -> Set<String>? {
        switch configuration.security {
        case .mutualTLS: Set(connection.peerNames)
        case .insecure: nil
        }
    }

    /// Whether a peer may give orders.
    func mayGiveOrders(_ connection: NodeConnection) -> Bool {
        names(of: connection).map { !$0.isDisjoint(with: configuration.operators) } ?? true
    }

    func dial(_ name: String) async {
        do {
            guard let address = try await addresses.addresses(of: name)?.node else {
                let problem = MigrationProblem(
                    .timedOut, "nobody has said where node \(name) is")
                return handle(.notDialled(name, problem))
            }
            let connection = try await NodeConnection.dial(
                name, at: address.host, port: Int(address.port),
                security: configuration.security, limits: configuration.transport,
                on: loop)
            guard phase == .running else { return connection.abort() }
            let link = nextLink()
            connections[link] = connection
            handle(.dialled(name, link))
            await read(from: connection, link)
        } catch {
            handle(.notDialled(name, problem(of: error)))
        }
    }

    private func problem(of error: any Error) -> MigrationProblem {
        switch error {
        case let error as TransportError:
            observe(.connectionFailed(error))
            let code: MigrationProblem.Code =
                switch error.code {
                case .unauthenticated, .misconfigured, .refused: .mismatch
                case .malformed: .malformed
                default: .timedOut
                }
            return MigrationProblem(code, error.message)
        case let error as OwnerRegisterError:
            observe(.registerFailed(error))
            return MigrationProblem(.timedOut, error.message)
        default: return MigrationProblem(.timedOut, "\(error)")
        }
    }

    /// Messages whose answers go together at most: a last round of one chunk is four, and a peer that sends more waits no longer for
    /// the first answer than these take.
    private static let messagesAtOnce = 16

    /// Takes what a peer sends, no faster than it takes what it is answered.
    private func read(from connection: NodeConnection, _ link: Node.Link) async {
        var roundTrip: Duration?
        var held = 0
        do throws(TransportError) {
            while let (move, message) = try await connection.messages.next() {
                if let time = connection.roundTrip, time != roundTrip {
                    roundTrip = time
                    handle(.roundTrip(link, time))
                }
                if case .order(let order) = message {
                    obey(order, from: connection, link)
                } else if phase == .running {
                    respond(node.handle(.received(link, move: move, message), at: now))
                }
                held += 1
                if case .chunk(let bytes) = message, bytes.count >= Self.bytesAtOnce {
                    // To apply it has taken a while, and the peer waits to learn of that.
                    held = Self.messagesAtOnce
                }
                let isFull =
                    connection.outstandingByteCount >= configuration.transport.sendHighWatermark
                if held >= Self.messagesAtOnce || isFull || !connection.hasMessages {
                    held = 0
                    flush()
                }
                try await connection.ready()
            }
        } catch {
            observe(.connectionFailed(error))
        }
        operators[link] = nil
        if connections.removeValue(forKey: link) != nil { handle(.closed(link)) }
    }

    func close(_ link: Node.Link) {
        flush()
        guard let connection = connections.removeValue(forKey: link) else { return }
        begin { _ in await connection.close() }
    }
}
