import CaesuraMigration
import NIOCore
import NIOPosix
import NIOSSL

@testable import CaesuraTransport

/// A listener on this machine, and what it says of connections that came to nothing.
struct TestListener: Sendable {
    let listener: NodeListener
    private let failures: AsyncStream<TransportError>

    init(
        _ security: TransportSecurity = .insecure, limits: TransportLimits = .patient,
        on loop: ConnectionLoop? = nil
    ) async throws {
        let (failures, report) = AsyncStream.makeStream(of: TransportError.self)
        self.failures = failures
        listener = try await NodeListener.bind(
            host: "127.0.0.1", port: 0, security: security, limits: limits, on: loop
        ) { report.yield($0) }
    }

    /// The next failure.
    func failure() async -> TransportError? {
        var failures = failures.makeAsyncIterator()
        return await failures.next()
    }

    /// The next connection that opened.
    func accept() async throws -> NodeConnection {
        guard let connection = await listener.connections.next() else {
            throw TransportError(.closed, "the listener is closed")
        }
        return connection
    }

    func dial(
        _ node: String = "node-b", _ security: TransportSecurity = .insecure,
        limits: TransportLimits = .patient, on loop: ConnectionLoop? = nil
    ) async throws(TransportError) -> NodeConnection {
        try await NodeConnection.dial(
            node, at: "127.0.0.1", port: listener.port, security: security, limits: limits, on: loop
        )
    }

    /// Both ends of a connection.
    func pair(
        _ node: String = "node-b", _ security: TransportSecurity = .insecure,
        limits: TransportLimits = .patient
    ) async throws -> (dialled: NodeConnection, accepted: NodeConnection) {
        let dialled = try await dial(node, security, limits: limits)
        return (dialled, try await accept())
    }

    /// A peer that sends what it likes.
    func raw<Outcome: Sendable>(
        _ tls: NIOSSLContext? = nil,
        _ body:
            @escaping @Sendable (
                NIOAsyncChannelInboundStream<ByteBuffer>, NIOAsyncChannelOutboundWriter<ByteBuffer>,
                any Channel
            ) async throws -> Outcome
    ) async throws -> Outcome {
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .connect(host: "127.0.0.1", port: listener.port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls {
                        try channel.pipeline.syncOperations.addHandler(
                            try NIOSSLClientHandler(context: tls, serverHostname: nil))
                    }
                    return try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
                        wrappingChannelSynchronously: channel,
                        configuration: .init(isOutboundHalfClosureEnabled: true))
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await body(inbound, outbound, channel.channel)
        }
    }
}

/// A message as a frame.
func frame(_ message: MigrationMessage, about move: UInt64 = 0) -> ByteBuffer {
    NodeConnection.buffer([message.frame(about: move)], ByteBufferAllocator())
}

/// The messages in some bytes, without pings and pongs.
func messages(in bytes: [UInt8]) throws -> [MigrationMessage] {
    var reader = FrameReader()
    var found: [MigrationMessage] = []
    unsafe try bytes.withUnsafeBytes {
        var rest = unsafe $0
        while let (_, message) = unsafe try reader.next(from: &rest) {
            switch message {
            case .ping, .pong: continue
            default: found.append(message)
            }
        }
    }
    return found
}

/// All bytes that come until the end.
func bytes(of inbound: NIOAsyncChannelInboundStream<ByteBuffer>) async throws -> [UInt8] {
    var all: [UInt8] = []
    for try await buffer in inbound { all += buffer.readableBytesView }
    return all
}

extension TransportLimits {
    /// Limits that no test runs into unless it sets one: where many tests run at once, each may wait for minutes.
    static var patient: TransportLimits {
        var limits = TransportLimits()
        limits.openingTime = .seconds(1_800)
        limits.silence = .seconds(1_800)
        limits.frameTime = .seconds(1_800)
        return limits
    }
}
