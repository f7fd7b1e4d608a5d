import CaesuraMigration
import NIOCore
import NIOPosix
import Synchronization

/// Waits for other nodes to connect.
///
///     let listener = try await NodeListener.bind(
///         host: "0.0.0.0", port: 7400, security: .mutualTLS(identity))
///     for await connection in listener.connections { … }
///
/// It is closed when it is let go; its connections are not.
public final class NodeListener: Sendable {
    /// The address that it is bound to.
    public let host: String
    /// The port that it is bound to.
    public let port: Int

    private let channel: any Channel
    /// That of its connections, which lives as long as they may come.
    private let loop: ConnectionLoop?
    private let accepted: Handoff<NodeConnection>

    private init(
        channel: any Channel, loop: ConnectionLoop?, accepted: Handoff<NodeConnection>
    ) {
        self.channel = channel
        self.loop = loop
        self.accepted = accepted
        host = channel.localAddress?.ipAddress ?? ""
        port = channel.localAddress?.port ?? 0
    }

    deinit { channel.close(promise: nil) }

    /// Binds a port.
    ///
    /// - Parameters:
    ///   - host: An address of this machine, or a name of one.
    ///   - port: The port; 0 for one that is free.
    ///   - security: Who this node is, and whom it believes.
    ///   - limits: Of its connections, and of their number.
    ///   - loop: Where its connections are; nil for loops that all share.
    ///   - failed: Called for each connection that came to nothing, on a thread that must not wait: for logs and counts.
    /// - Throws: `misconfigured` when the port cannot be had.
    public static func bind(
        host: String, port: Int, security: TransportSecurity,
        limits: TransportLimits = TransportLimits(), on loop: ConnectionLoop? = nil,
        failed: @escaping @Sendable (TransportError) -> Void = { _ in }
    ) async throws(TransportError) -> NodeListener {
        let accepted = Handoff<NodeConnection>()
        let places = Places(limits.connectionCount)
        let pace = OpeningPace(perSecond: limits.openingsPerSecond)
        let shared = MultiThreadedEventLoopGroup.singleton
        let bound = ServerBootstrap(group: shared, childGroup: loop?.group ?? shared)
            .serverChannelOption(.backlog, value: 128)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let address = channel.remoteAddress?.description ?? "an unknown peer"
                    guard places.enter(channel) else {
                        let error = TransportError(.refused, "\(address) is one too many")
                        failed(error)
                        throw error
                    }
                    let opening = ConnectionHandler.Opening {
                        places.open(channel)
                            ? nil : MigrationProblem(.busy, "this node has no room for connections")
                    } done: {
                        switch $0 {
                        case .success(let connection): accepted.deliver(connection)
                        case .failure(let error): failed(error)
                        }
                    }
                    try channel.addHandlers(
                        .listener, security, limits, loop, address: address, opening)
                    guard let delay = pace.delay(at: channel.eventLoop.now) else { return }
                    // Until then nothing of it is read.
                    try channel.syncOptions?.setOption(.autoRead, value: false)
                    channel.eventLoop.scheduleTask(in: delay) {
                        channel.setOption(.autoRead, value: true)
                    }
                }
            }
            .bind(host: host, port: port)
        do {
            let channel = try await bound.get()
            channel.closeFuture.whenComplete { _ in accepted.finish(nil) }
            return NodeListener(channel: channel, loop: loop, accepted: accepted)
        } catch {
            throw TransportError(.misconfigured, "\(host):\(port) cannot be bound: \(error)")
        }
    }

    /// The connections that came, each once, in the order in which they opened; for one task at a time.
    public var connections: Connections { Connections(listener: self) }

    /// Lets nobody connect any more, and returns then; connections that there are go on.
    public func close() async { try? await channel.close().get() }

    /// The connections that come to a listener; they end when it is closed, or the task is cancelled.
    public struct Connections: AsyncSequence, AsyncIteratorProtocol, Sendable {
        let listener: NodeListener

        /// The same connections.
        public func makeAsyncIterator() -> Connections { self }

        /// The next connection; nil at the end.
        public func next(
            isolation actor: isolated (any Actor)? = #isolation
        ) async -> NodeConnection? {
            guard case .element(let connection) = await listener.accepted.next() else { return nil }
            return connection
        }
    }
}
