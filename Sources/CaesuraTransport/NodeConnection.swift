public import CaesuraMigration
import NIOCore

/// A connection between two nodes that carries messages of moves, in order: `docs/MIGRATION.md` section 6.
///
///     let connection = try await NodeConnection.dial(
///         "node-b", at: "10.0.0.2", port: 7400, security: .mutualTLS(identity))
///     try await connection.send(.hello(hello))
///     for try await (move, message) in connection.messages { … }
///
/// It answers pings, sends its own, and ends what is silent, slow or malformed; the handshake of nodes (`hello`,
/// `offer`) and all that moves are to whoever has it. It is closed when it is let go.
///
/// Memory: of what comes, the messages that one read of the socket completed and one frame that is not whole; of what
/// goes, ``TransportLimits/sendHighWatermark`` and one frame.
public final class NodeConnection: Sendable {
    /// A message, and the move that it is about (0 for none).
    public typealias Element = (move: UInt64, message: MigrationMessage)

    /// The names in the peer's certificate that was verified; none if the connection is insecure.
    ///
    /// `hello.node` of a peer must be one of them.
    public let peerNames: [String]
    /// The peer's address, for messages to people.
    public let peerAddress: String

    private let channel: any Channel
    private let inbox: Handoff<Element>
    private let outbox: Outbox
    private let loop: ConnectionLoop?

    init(
        channel: any Channel, peerNames: [String], peerAddress: String, inbox: Handoff<Element>,
        outbox: Outbox, loop: ConnectionLoop? = nil
    ) {
        self.channel = channel
        self.peerNames = peerNames
        self.peerAddress = peerAddress
        self.inbox = inbox
        self.outbox = outbox
        self.loop = loop
    }

    deinit { abort() }

    /// What the peer sends, without pings; the network is read on when what came is taken.
    public var messages: Messages { Messages(connection: self) }

    /// Whether a message is here that nobody took.
    public var hasMessages: Bool { inbox.hasElements }

    /// How long the last ping that came back was on its way, with the waiting behind what else was sent; nil before.
    public var roundTrip: Duration? { outbox.roundTrip }

    /// Bytes of frames that were sent, and that the socket has not taken yet.
    public var outstandingByteCount: Int { outbox.outstanding }

    /// Sends a message; waits while as much as ``TransportLimits/sendHighWatermark`` is not yet written.
    ///
    /// What one task sends comes in its order. When this returns, the message is on its way and may still be lost with
    /// the connection; when it throws, it was not sent. A hello says how large bodies this side takes from then on;
    /// before it, 64 KiB.
    ///
    /// - Parameter move: The move that it is about; 0 for none.
    /// - Precondition: The kind of the message is about a move, or about none, as `move` says; it is within its limit.
    /// - Complexity: Copies the bytes of a chunk once.
    /// - Throws: `cancelled`; else why the connection ended.
    public nonisolated(nonsending) func send(
        _ message: MigrationMessage, about move: UInt64 = 0
    ) async throws(TransportError) {
        let frame = message.frame(about: move)
        let count = frame.header.count + frame.body.count
        try await outbox.admit(count)
        write([message], [frame])
    }

    /// Sends messages in their order, and does not wait, however much is not yet written.
    ///
    /// They go as one write: each write by itself wakes the event loop, and the peer's, which takes longer than a small message.
    ///
    /// For whoever bounds by other means what it sends, and waits for ``ready()`` before it answers more.
    ///
    /// - Precondition: As ``send(_:about:)``, of each.
    /// - Complexity: Copies the bytes of a chunk once.
    /// - Throws: Why the connection ended; none of the messages was sent then.
    public func post(contentsOf messages: [Element]) throws(TransportError) {
        let frames = messages.map { $0.message.frame(about: $0.move) }
        try outbox.add(frames.reduce(0) { $0 + $1.header.count + $1.body.count })
        write(messages.map(\.message), frames)
    }

    /// Waits while as much as ``TransportLimits/sendHighWatermark`` is not yet written.
    ///
    /// - Throws: `cancelled`; else why the connection ended.
    public nonisolated(nonsending) func ready() async throws(TransportError) {
        try await outbox.admit(0)
    }

    /// Writes frames that are counted.
    private func write(
        _ messages: [MigrationMessage], _ frames: [(header: [UInt8], body: [UInt8])]
    ) {
        for case .hello(let hello) in messages {
            channel.triggerUserOutboundEvent(
                ConnectionHandler.Command.take(Int(hello.bodyLimit)), promise: nil)
        }
        let buffer = Self.buffer(frames, channel.allocator)
        let (outbox, count) = (outbox, buffer.readableBytes)
        channel.writeAndFlush(buffer).whenComplete { _ in outbox.wrote(count) }
    }

    /// Frames in one buffer.
    ///
    /// A buffer of its own for a header would be a record of its own in TLS. Without a copy of the body it does not
    /// go: a `ByteBuffer` takes over memory only from an allocator of C functions, which an array's is not from.
    static func buffer(
        _ frames: [(header: [UInt8], body: [UInt8])], _ allocator: ByteBufferAllocator
    ) -> ByteBuffer {
        var buffer = allocator.buffer(
            capacity: frames.reduce(0) { $0 + $1.header.count + $1.body.count })
        for frame in frames {
            buffer.writeBytes(frame.header)
            buffer.writeBytes(frame.body)
        }
        return buffer
    }

    /// Closes the connection when all is written that was sent, and returns then.
    ///
    /// It takes ``TransportLimits/closingTime`` at most; what is not written then is lost. Messages of the peer that
    /// were not taken can still be; none come any more.
    public func close() async {
        channel.triggerUserOutboundEvent(ConnectionHandler.Command.finish, promise: nil)
        // The future never fails.
        try? await channel.closeFuture.get()
    }

    /// Closes the connection at once, whatever was sent.
    ///
    /// The peer gets an error, or in an insecure connection maybe an end.
    public func abort() {
        channel.triggerUserOutboundEvent(ConnectionHandler.Command.cut, promise: nil)
    }

    /// The messages of a connection, for one task at a time; each is got once, by whichever iterator asks first.
    ///
    /// They end when the peer, or this side, has closed the connection.
    ///
    /// - Throws: `cancelled`, after which it can be gone on with; else why the connection ended, after the last message.
    public struct Messages: AsyncSequence, AsyncIteratorProtocol, Sendable {
        let connection: NodeConnection

        /// The same messages.
        public func makeAsyncIterator() -> Messages { self }

        /// The next message; nil at the end.
        public func next(
            isolation actor: isolated (any Actor)? = #isolation
        ) async throws(TransportError) -> NodeConnection.Element? {
            switch await connection.inbox.next() {
            case .element(let element): return element
            case .end(nil): return nil
            case .end(let error?): throw error
            case .cancelled:
                throw TransportError(.cancelled, "the task was cancelled while it waited")
            }
        }
    }
}
