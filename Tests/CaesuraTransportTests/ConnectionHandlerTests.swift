import CaesuraMigration
import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import CaesuraTransport

/// A connection on a loop whose clock the test moves.
@Suite(.timeLimit(.minutes(60)))
struct ConnectionHandlerTests {
    /// Between the handler and the socket: counts reads, and keeps what is written from being done.
    final class Socket: ChannelOutboundHandler, Sendable {
        typealias OutboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        let reads = Atomic(0)
        let holdsWrites = Atomic(false)
        private let held = Mutex<[EventLoopPromise<Void>]>([])

        func read(context: ChannelHandlerContext) {
            reads.add(1, ordering: .relaxed)
            context.read()
        }

        func write(
            context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?
        ) {
            guard holdsWrites.load(ordering: .relaxed), let promise else {
                return context.write(data, promise: promise)
            }
            held.withLock { $0.append(promise) }
            context.write(data, promise: nil)
        }

        /// Does what is written now.
        func write() {
            holdsWrites.store(false, ordering: .relaxed)
            for promise in held.withLock({ $0 }) { promise.succeed() }
        }
    }

    /// A channel with a handler, and the connection once it is open.
    struct Line {
        let channel = NIOAsyncTestingChannel()
        let socket = Socket()
        let opened = Handoff<NodeConnection>()

        init(_ limits: TransportLimits = TransportLimits()) async throws {
            let (channel, socket, opened) = (channel, socket, opened)
            try await channel.testingEventLoop.executeInContext {
                let opening = ConnectionHandler.Opening {
                    switch $0 {
                    case .success(let connection): opened.deliver(connection)
                    case .failure(let error): opened.finish(error)
                    }
                }
                try channel.pipeline.syncOperations.addHandlers([
                    socket,
                    ConnectionHandler(
                        channel, .listener, isSecured: false, limits: limits, address: "a peer",
                        opening: opening),
                ])
            }
            try await channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).get()
        }

        /// The connection, which the peer's ping opens.
        func open() async throws -> NodeConnection {
            try await channel.writeInbound(frame(.ping(17)))
            guard case .element(let connection) = await opened.next() else {
                throw TransportError(.closed, "it did not open")
            }
            #expect(try await sent() == [.ping(0), .pong(17)])
            return connection
        }

        /// What was written since the last call.
        func sent() async throws -> [MigrationMessage] {
            var found: [MigrationMessage] = []
            while let buffer = try await channel.readOutbound(as: ByteBuffer.self) {
                var reader = FrameReader()
                unsafe try buffer.withUnsafeReadableBytes {
                    var rest = unsafe $0
                    while let next = unsafe try reader.next(from: &rest) {
                        found.append(next.message)
                    }
                }
            }
            return found
        }

        /// Lets time pass, in steps, so that all that is due in between is done.
        func pass(_ time: TimeAmount) async {
            await channel.testingEventLoop.advanceTime(by: time)
        }

        /// Does what other threads asked the loop to do.
        func settle() async { await channel.testingEventLoop.run() }
    }

    @Test func `frames that are glued together or drip in are the same messages`() async throws {
        let samples = try samples().filter {
            if case .chunk(let bytes) = $0.message { bytes.count < 100 } else { true }
        }
        let all = samples.flatMap {
            Array(frame($0.message, about: $0.move).readableBytesView)
        }
        for size in Array(1...60) + [all.count] {
            let line = try await Line()
            let connection = try await line.open()
            for start in stride(from: 0, to: all.count, by: size) {
                let piece = all[start..<min(start + size, all.count)]
                try await line.channel.writeInbound(ByteBuffer(bytes: piece))
            }
            for sample in samples {
                let next = try await connection.messages.next()
                #expect(next?.move == sample.move && next?.message == sample.message)
            }
        }
    }

    @Test func `messages that are posted together are one write, in their order`() async throws {
        let line = try await Line()
        let connection = try await line.open()
        line.socket.holdsWrites.store(true, ordering: .relaxed)
        let posted: [NodeConnection.Element] = [
            (1, .have(.nothing)), (2, .chunk([1, 2, 3])),
            (1, .giveUp(MigrationProblem(.stopped, ""))),
        ]
        try connection.post(contentsOf: posted)
        await line.settle()
        #expect(
            connection.outstandingByteCount
                == posted.reduce(0) { $0 + frame($1.message, about: $1.move).readableBytes })
        let buffer = try #require(try await line.channel.readOutbound(as: ByteBuffer.self))
        #expect(try await line.channel.readOutbound(as: ByteBuffer.self) == nil)
        #expect(
            Array(buffer.readableBytesView)
                == posted.flatMap { Array(frame($0.message, about: $0.move).readableBytesView) })
        line.socket.write()
        await line.settle()
        #expect(connection.outstandingByteCount == 0)
    }

    @Test func `what came and nobody took is known`() async throws {
        let line = try await Line()
        let connection = try await line.open()
        #expect(!connection.hasMessages)
        try await line.channel.writeInbound(frame(.have(.nothing), about: 1))
        #expect(connection.hasMessages)
        #expect(try await connection.messages.next()?.move == 1)
        #expect(!connection.hasMessages)
    }

    @Test func `the socket is read only when what came was taken`() async throws {
        let line = try await Line()
        let connection = try await line.open()
        func reads() -> Int { line.socket.reads.load(ordering: .relaxed) }
        line.channel.read()
        await line.settle()
        let before = reads()
        #expect(before > 0)
        try await line.channel.writeInbound(frame(.have(.nothing), about: 1))
        try await line.channel.writeInbound(frame(.have(.nothing), about: 2))
        line.channel.read()
        await line.settle()
        #expect(reads() == before)
        #expect(try await connection.messages.next()?.move == 1)
        await line.settle()
        #expect(reads() == before)
        #expect(try await connection.messages.next()?.move == 2)
        await line.settle()
        #expect(reads() == before + 1)
    }

    @Test func `a ping goes every five seconds, and its answer tells the way's length`()
        async throws
    {
        let line = try await Line()
        let connection = try await line.open()
        #expect(connection.roundTrip == nil)
        await line.pass(.seconds(5))
        #expect(try await line.sent() == [.ping(5_000_000_000)])
        await line.pass(.milliseconds(30))
        try await line.channel.writeInbound(frame(.pong(5_000_000_000)))
        #expect(connection.roundTrip == .milliseconds(30))
        // No answer to a ping that was sent.
        try await line.channel.writeInbound(frame(.pong(6_000_000_000)))
        #expect(connection.roundTrip == .milliseconds(30))
        await line.pass(.seconds(5))
        #expect(try await line.sent() == [.ping(10_000_000_000)])
    }

    @Test func `a peer that is silent for thirty seconds is given up`() async throws {
        let line = try await Line()
        let connection = try await line.open()
        await line.pass(.seconds(29))
        // Half a header is something.
        try await line.channel.writeInbound(ByteBuffer(bytes: [1, 0]))
        await line.pass(.seconds(29))
        #expect(line.channel.isActive)
        await line.pass(.seconds(6))
        let error = await #expect(throws: TransportError.self) {
            try await connection.messages.next()
        }
        #expect(error?.code == .timedOut)
        guard case .refusal(let problem)? = try await line.sent().last else {
            Issue.record("no refusal")
            return
        }
        #expect(problem.code == .timedOut)
    }

    @Test func `a peer is not held to be silent while nobody reads`() async throws {
        let line = try await Line()
        let connection = try await line.open()
        try await line.channel.writeInbound(frame(.have(.nothing), about: 1))
        line.channel.read()
        await line.pass(.seconds(300))
        #expect(try await connection.messages.next()?.move == 1)
        await line.settle()
        await line.pass(.seconds(20))
        try await line.channel.writeInbound(frame(.have(.nothing), about: 2))
        #expect(try await connection.messages.next()?.move == 2)
    }

    @Test func `a peer that opens nothing is given up after ten seconds`() async throws {
        let line = try await Line()
        await line.pass(.seconds(9))
        #expect(line.channel.isActive)
        await line.pass(.seconds(1))
        guard case .end(let error) = await line.opened.next() else {
            Issue.record("it opened")
            return
        }
        #expect(error?.code == .timedOut)
        await line.settle()
        #expect(!line.channel.isActive)
    }

    @Test func `time before the first frame is no silence after it`() async throws {
        var limits = TransportLimits()
        limits.silence = .seconds(3)
        let line = try await Line(limits)
        await line.pass(.seconds(5))
        try await line.channel.writeInbound(frame(.have(.nothing), about: 1))
        guard case .element(let connection) = await line.opened.next() else {
            Issue.record("it did not open")
            return
        }
        #expect(try await connection.messages.next()?.move == 1)
        #expect(try await line.sent() == [.ping(5_000_000_000)])
    }

    @Test func `many pings get one answer at a time`() async throws {
        let line = try await Line()
        let connection = try await line.open()
        line.socket.holdsWrites.store(true, ordering: .relaxed)
        for number in 1...1_000 {
            try await line.channel.writeInbound(frame(.ping(UInt64(number))))
        }
        #expect(try await line.sent() == [.pong(1)])
        await line.pass(.seconds(29))
        #expect(try await line.sent() == [.ping(5_000_000_000)])
        line.socket.write()
        await line.settle()
        #expect(try await line.sent() == [.pong(1_000)])
        _ = connection
    }

    @Test func `a refusal in place of the first frame says why there is no connection`()
        async throws
    {
        let line = try await Line()
        try await line.channel.writeInbound(frame(.refusal(MigrationProblem(.busy, "full"))))
        guard case .end(let error) = await line.opened.next() else {
            Issue.record("it opened")
            return
        }
        #expect(error?.code == .refused)
        #expect(error?.message.contains("full") == true)
    }
}
