import CaesuraFormat
import CaesuraMigration
import NIOCore
import NIOSSL
import NIOTLS

/// A connection on its event loop: takes frames apart, keeps the connection alive, and ends it.
///
///     securing ──► greeting ──► open ──► closing ──► closed
///
/// *Securing* is the handshake of TLS. *Greeting* waits for the peer's first frame: whoever dialled sends a ping, and the
/// listener, if it has room, another one. That frame says that the peer has taken this side's certificate, which neither
/// can know from its own handshake. *Closing*: the output has ended; what still comes is thrown away, so that the system
/// does not reset the connection and with it what the peer has not read. Messages are handed over only in *open*.
final class ConnectionHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What the owner of the connection says to it, as outbound events.
    enum Command: Sendable {
        /// The next frames may have bodies of this size.
        case take(Int)
        /// End when all is written that was sent.
        case finish
        /// End now.
        case cut
    }

    /// What whoever dialled or listens does with the connection.
    struct Opening {
        /// Whether there is no room for it; asked once, before it opens.
        var refusal: () -> MigrationProblem? = { nil }
        /// Called once, with the open connection or why it came to nothing.
        var done: (Result<NodeConnection, TransportError>) -> Void
    }

    private enum State { case securing, greeting, open, closing, closed }

    private let limits: TransportLimits
    /// Held as long as the channel is there.
    private let loop: ConnectionLoop?
    private let isSecured: Bool
    private let role: Role
    private let address: String
    private var opening: Opening?
    private let inbox: Handoff<NodeConnection.Element>
    private let outbox: Outbox

    private var state = State.securing
    private var reader = FrameReader()
    private var liveness: Liveness
    private var peerNames: [String] = []
    private let began: NIODeadline
    /// Ends what must have ended by then: the opening, or the closing.
    private var deadline: Scheduled<Void>?
    private var nextTick: Scheduled<Void>?
    private var isPingInFlight = false
    private var isPongInFlight = false
    /// The last ping that is not answered; those before it need no answer.
    private var unanswered: UInt64?

    init(
        _ channel: any Channel, _ role: Role, isSecured: Bool, limits: TransportLimits,
        loop: ConnectionLoop? = nil, address: String, opening: Opening
    ) {
        self.limits = limits
        self.loop = loop
        self.isSecured = isSecured
        self.role = role
        self.address = address
        self.opening = opening
        inbox = Handoff { channel.read() }
        outbox = Outbox(limits)
        began = channel.eventLoop.now
        liveness = Liveness(limits, at: began)
        // Until this side's hello has said how large they may be.
        reader.bodyLimit = FrameHeader.controlLimit
    }

    // MARK: Opening

    func channelActive(context: ChannelHandlerContext) {
        setDeadline(context, in: limits.openingTime) { handler, context in
            guard handler.state == .securing || handler.state == .greeting else { return }
            handler.fail(context, .timedOut, "did not open the connection in time")
        }
        if !isSecured { greet(context) }
        context.fireChannelActive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted = event, state == .securing {
            state = .greeting
            do throws(TransportError) {
                peerNames = try names(context)
                greet(context)
            } catch {
                refuse(context, error, MigrationProblem(.mismatch, error.message))
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func names(_ context: ChannelHandlerContext) throws(TransportError) -> [String] {
        let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate()
        let names = try NodeIdentity.names(of: certificate, at: NodeIdentity.now)
        if case .dialler(let expected) = role, !names.contains(expected) {
            throw TransportError(
                .unauthenticated,
                "\(address) has a certificate of \(names.joined(separator: ", ")), not of \(expected)"
            )
        }
        return names
    }

    private func greet(_ context: ChannelHandlerContext) {
        state = .greeting
        liveness.heard(at: context.eventLoop.now)
        if case .dialler = role { tick(context) }
    }

    /// The peer's first frame has come.
    private func open(_ context: ChannelHandlerContext) {
        if let problem = opening?.refusal() {
            let error = TransportError(.refused, "\(address) was refused: \(problem.message)")
            return refuse(context, error, problem)
        }
        state = .open
        let connection = NodeConnection(
            channel: context.channel, peerNames: peerNames, peerAddress: address, inbox: inbox,
            outbox: outbox, loop: loop)
        if case .listener = role { tick(context) }
        opening.take()?.done(.success(connection))
    }

    // MARK: What comes

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        liveness.heard(at: context.eventLoop.now)
        var ends = false
        let failure: FormatError? = unsafe buffer.withUnsafeReadableBytes { bytes in
            var rest = unsafe bytes
            do throws(FormatError) {
                while state == .greeting || state == .open,
                    let (move, message) = unsafe try reader.next(from: &rest)
                {
                    ends = true
                    take(context, move, message)
                }
                return nil
            } catch {
                return error
            }
        }
        if let failure {
            let error = TransportError(
                .malformed, "\(address) sent what is no message: \(failure)", at: failure.offset)
            let code: MigrationProblem.Code =
                failure.code == .unsupported ? .unsupported : .malformed
            return refuse(context, error, MigrationProblem(code, "\(failure)"))
        }
        liveness.framed(
            at: context.eventLoop.now, ends: ends, begins: reader.pendingByteCount > 0)
    }

    private func take(_ context: ChannelHandlerContext, _ move: UInt64, _ message: MigrationMessage)
    {
        if state == .greeting {
            if case .refusal(let problem) = message {
                return fail(context, .refused, "refused the connection: \(problem)")
            }
            open(context)
            guard state == .open else { return }
        }
        switch message {
        case .ping(let number):
            unanswered = number
            answer(context)
        case .pong(let number):
            // The number is when the ping was sent; another one is no answer.
            let elapsed = UInt64(max(0, (context.eventLoop.now - began).nanoseconds))
            if number <= elapsed {
                outbox.roundTrip = .nanoseconds(Int64(elapsed - number))
            }
        default: inbox.deliver((move, message))
        }
    }

    func read(context: ChannelHandlerContext) {
        if state == .open, inbox.pauseUnlessEmpty() { return liveness.pause() }
        liveness.resume(at: context.eventLoop.now)
        context.read()
    }

    // MARK: Keeping it alive

    private func tick(_ context: ChannelHandlerContext) {
        guard state == .greeting || state == .open else { return }
        let now = context.eventLoop.now
        if let problem = liveness.problem(at: now) {
            let error = TransportError(.timedOut, "\(address) \(problem)")
            return refuse(context, error, MigrationProblem(.timedOut, "the peer \(problem)"))
        }
        // A peer that does not read gets no more of them.
        if !isPingInFlight {
            isPingInFlight = true
            say(context, .ping(UInt64(max(0, (now - began).nanoseconds)))) { handler, _ in
                handler.isPingInFlight = false
            }
        }
        nextTick = context.eventLoop.assumeIsolated().scheduleTask(
            in: TimeAmount(limits.pingInterval)
        ) { self.tick(context) }
    }

    /// Answers the last ping; one answer is under way at a time, however many pings come.
    private func answer(_ context: ChannelHandlerContext) {
        guard !isPongInFlight, let number = unanswered.take() else { return }
        isPongInFlight = true
        say(context, .pong(number)) { handler, context in
            handler.isPongInFlight = false
            handler.answer(context)
        }
    }

    private func say(
        _ context: ChannelHandlerContext, _ message: MigrationMessage,
        written: ((ConnectionHandler, ChannelHandlerContext) -> Void)? = nil
    ) {
        let buffer = NodeConnection.buffer([message.frame(about: 0)], context.channel.allocator)
        let done = context.writeAndFlush(wrapOutboundOut(buffer))
        if let written {
            done.assumeIsolated().whenComplete { _ in written(self, context) }
        }
    }

    // MARK: Ending

    func triggerUserOutboundEvent(
        context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?
    ) {
        switch event {
        case Command.take(let count): reader.bodyLimit = count
        case Command.finish:
            end(nil)
            finish(context)
        case Command.cut:
            end(nil)
            cut(context)
        default: return context.triggerUserOutboundEvent(event, promise: promise)
        }
        promise?.succeed()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let isOpening = state == .securing || state == .greeting
        let (code, message) = explanation(of: error, isOpening: isOpening)
        fail(context, code, message)
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        nextTick?.cancel()
        switch state {
        case .securing, .greeting:
            end(TransportError(.closed, "\(address) closed the connection before it was open"))
        case .open where reader.pendingByteCount > 0:
            end(TransportError(.closed, "\(address) closed the connection within a message"))
        case .open, .closing, .closed: end(nil)
        }
        state = .closed
        context.fireChannelInactive()
    }

    /// Nothing is sent or handed over any more; the first reason counts.
    private func end(_ error: TransportError?) {
        inbox.finish(error)
        outbox.end(error ?? TransportError(.closed, "the connection to \(address) is closed"))
        if let error { opening.take()?.done(.failure(error)) }
    }

    private func fail(
        _ context: ChannelHandlerContext, _ code: TransportError.Code, _ message: String
    ) {
        guard state != .closing, state != .closed else { return }
        end(TransportError(code, "\(address) \(message)"))
        cut(context)
    }

    /// Ends the connection, and tells the peer why if it still reads.
    private func refuse(
        _ context: ChannelHandlerContext, _ error: TransportError, _ problem: MigrationProblem
    ) {
        end(error)
        say(context, .refusal(problem))
        finish(context)
    }

    /// Ends the output behind what was sent, and waits until the peer ends its own.
    private func finish(_ context: ChannelHandlerContext) {
        guard state == .greeting || state == .open else { return }
        state = .closing
        setDeadline(context, in: limits.closingTime) { handler, context in handler.cut(context) }
        context.close(mode: .output, promise: nil)
        context.read()
    }

    /// Closes the socket, whatever is still to be sent.
    private func cut(_ context: ChannelHandlerContext) {
        if state != .closed { state = .closing }
        // From below TLS, which would take leave of the peer first, and wait.
        let tls = try? context.pipeline.syncOperations.context(handlerType: NIOSSLHandler.self)
        (tls ?? context).close(mode: .all, promise: nil)
    }

    private func setDeadline(
        _ context: ChannelHandlerContext, in time: Duration,
        _ body: @escaping (ConnectionHandler, ChannelHandlerContext) -> Void
    ) {
        deadline?.cancel()
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(time)) {
            body(self, context)
        }
    }
}
