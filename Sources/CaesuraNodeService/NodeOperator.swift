public import CaesuraMigration
public import CaesuraTransport

/// A connection over which an operator gives a node orders: `docs/MIGRATION.md` section 6, "Operators".
///
///     let node = try await NodeOperator(of: "node-a", at: address, security: .mutualTLS(identity))
///     for try await answer in node.answers(to: .move(MoveOrder(to: "node-b"))) { … }
///
/// It is closed when it is let go; moves that were ordered go on then.
public final class NodeOperator: Sendable {
    private let name: String
    private let connection: NodeConnection

    /// Connects to a node.
    ///
    /// - Parameters:
    ///   - node: Its name, which its certificate must have.
    ///   - address: Where it is.
    ///   - security: Who the operator is, and whom it believes.
    ///   - limits: Bounds of the connection.
    /// - Throws: As ``NodeConnection/dial(_:at:port:security:limits:)``.
    public init(
        of node: String, at address: NetworkAddress, security: TransportSecurity,
        limits: TransportLimits = TransportLimits()
    ) async throws(TransportError) {
        name = node
        connection = try await NodeConnection.dial(
            node, at: address.host, port: Int(address.port), security: security, limits: limits)
    }

    /// Gives an order, and the answers as they come.
    ///
    /// One order at a time; another, as ``Order/stop(_:)``, goes over a connection of its own.
    public func answers(to order: Order) -> Answers { Answers(connection, order, name) }

    /// The answers to an order; they end when it is carried out.
    ///
    /// - Throws: A `MigrationProblem` if it cannot be; a `TransportError` when the connection ends before.
    public struct Answers: AsyncSequence, AsyncIteratorProtocol {
        private let connection: NodeConnection
        private let name: String
        private var order: Order?
        private var isDone = false

        init(_ connection: NodeConnection, _ order: Order, _ name: String) {
            self.connection = connection
            self.order = order
            self.name = name
        }

        /// The same answers.
        public func makeAsyncIterator() -> Answers { self }

        /// The next answer; nil at the end.
        public mutating func next(
            isolation actor: isolated (any Actor)? = #isolation
        ) async throws -> Answer? {
            if let order {
                self.order = nil
                try await connection.send(.order(order))
            }
            while !isDone, let (_, message) = try await connection.messages.next() {
                switch message {
                case .answer(.done(let problem)):
                    isDone = true
                    if let problem { throw problem }
                case .answer(let answer): return answer
                case .refusal(let problem): throw problem
                // It greets whoever comes as a node.
                default: continue
                }
            }
            if isDone { return nil }
            throw TransportError(.closed, "node \(name) has closed the connection")
        }
    }

    /// Closes the connection.
    public func close() async { await connection.close() }
}
