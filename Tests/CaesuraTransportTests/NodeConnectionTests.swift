import CaesuraMigration
import NIOCore
import TestCertificates
import Testing

@testable import CaesuraTransport

/// Connections over the loopback device.
@Suite(.timeLimit(.minutes(60)))
struct NodeConnectionTests {
    static func sendAll(_ samples: [NodeConnection.Element], over connection: NodeConnection)
        async throws
    {
        for (move, message) in samples { try await connection.send(message, about: move) }
    }

    static func expect(_ samples: [NodeConnection.Element], from connection: NodeConnection)
        async throws
    {
        for (move, message) in samples {
            let next = try await connection.messages.next()
            #expect(next?.move == move)
            #expect(next?.message == message)
        }
    }

    @Test(arguments: [false, true])
    func `messages of every kind go both ways, in order`(isSecured: Bool) async throws {
        let authority = try TestAuthority()
        let listener = try await TestListener(isSecured ? authority.node("node-b") : .insecure)
        let (dialled, accepted) = try await listener.pair(
            "node-b", isSecured ? authority.node("node-a") : .insecure)
        #expect(dialled.peerNames == (isSecured ? ["node-b"] : []))
        #expect(accepted.peerNames == (isSecured ? ["node-a"] : []))
        let samples = try samples()
        let kinds = Set(samples.map { $0.message.frame(about: $0.move).header[4] })
        #expect(kinds == Set([1, 2, 3, 6, 7] + Array(16...29)))
        try await withThrowingTaskGroup { group in
            for (from, to) in [(dialled, accepted), (accepted, dialled)] {
                // Chunks of more than 64 KiB are taken once the hello of the other side said so.
                group.addTask { try await Self.sendAll(Array(samples[..<1]), over: from) }
                group.addTask { try await Self.expect(Array(samples[..<1]), from: to) }
            }
            try await group.waitForAll()
            for (from, to) in [(dialled, accepted), (accepted, dialled)] {
                group.addTask { try await Self.sendAll(Array(samples[1...]), over: from) }
                group.addTask { try await Self.expect(Array(samples[1...]), from: to) }
            }
            try await group.waitForAll()
        }
        await dialled.close()
        #expect(try await accepted.messages.next() == nil)
    }

    @Test func `all that was sent comes before the end`() async throws {
        let listener = try await TestListener()
        let (dialled, accepted) = try await listener.pair()
        try await accepted.send(.hello(Self.hello))
        _ = try await dialled.messages.next()
        let chunk = MigrationMessage.chunk([UInt8](repeating: 1, count: 1 << 20))
        // What nobody takes at the other end must not make the system reset the connection.
        for _ in 0..<20 {
            try await accepted.send(.chunk([UInt8](repeating: 2, count: 60_000)), about: 1)
        }
        let sending = Task {
            for _ in 0..<20 { try await dialled.send(chunk, about: 1) }
            await dialled.close()
        }
        var count = 0
        for try await (_, message) in accepted.messages where message == chunk { count += 1 }
        #expect(count == 20)
        try await sending.value
        let error = await #expect(throws: TransportError.self) {
            try await dialled.send(.chunk([]), about: 1)
        }
        #expect(error?.code == .closed)
    }

    static let hello = Hello(
        node: "node-b", hashKey0: 1, hashKey1: 2, takesHashKey: true, moveBits: 4, partitionBits: 6)

    @Test func `a body of more than 64 KiB is taken only after the own hello`() async throws {
        let listener = try await TestListener()
        let (dialled, accepted) = try await listener.pair()
        let chunk = MigrationMessage.chunk([UInt8](repeating: 1, count: 64 << 10 + 1))
        try await dialled.send(chunk, about: 1)
        let error = await #expect(throws: TransportError.self) {
            try await accepted.messages.next()
        }
        #expect(error?.code == .malformed)
        #expect((error?.offset ?? 0) > 0)
        guard case .refusal(let problem)? = try await dialled.messages.next()?.message else {
            Issue.record("no refusal")
            return
        }
        #expect(problem.code == .malformed)
        #expect(try await dialled.messages.next() == nil)
    }

    @Test func `what is cut off is an error on the other side, in TLS`() async throws {
        let authority = try TestAuthority()
        let listener = try await TestListener(authority.node("node-b"))
        let (dialled, accepted) = try await listener.pair("node-b", authority.node("node-a"))
        dialled.abort()
        let error = await #expect(throws: TransportError.self) {
            try await accepted.messages.next()
        }
        #expect(error?.code == .closed)
        #expect(try await dialled.messages.next() == nil)
    }

    @Test func `a connection that is let go is closed`() async throws {
        let listener = try await TestListener()
        var dialled: NodeConnection? = try await listener.dial()
        let accepted = try await listener.accept()
        try await dialled?.send(.chunk([1]), about: 1)
        #expect(try await accepted.messages.next()?.message == .chunk([1]))
        dialled = nil
        #expect(try await accepted.messages.next() == nil)
    }

    @Test func `a task that is cancelled stops to wait, and the connection goes on`() async throws {
        let listener = try await TestListener()
        let (dialled, accepted) = try await listener.pair()
        let waiting = Task { try await accepted.messages.next() }
        waiting.cancel()
        await #expect(throws: TransportError(.cancelled, "")) { try await waiting.value }
        try await dialled.send(.chunk([1]), about: 1)
        #expect(try await accepted.messages.next()?.message == .chunk([1]))
    }

    @Test func `nobody listens, or nobody answers`() async throws {
        let listener = try await TestListener()
        await listener.listener.close()
        let error = await #expect(throws: TransportError.self) { try await listener.dial() }
        #expect(error?.code == .unreachable)
        #expect(await listener.listener.connections.next() == nil)
    }

    @Test func `a port that is taken cannot be bound`() async throws {
        let listener = try await TestListener()
        let error = await #expect(throws: TransportError.self) {
            try await NodeListener.bind(
                host: "127.0.0.1", port: listener.listener.port, security: .insecure)
        }
        #expect(error?.code == .misconfigured)
    }

    @Test func `who is over the bound is refused, until one has gone`() async throws {
        var limits = TransportLimits.patient
        limits.connectionCount = 2
        let listener = try await TestListener(limits: limits)
        let first = try await listener.pair()
        let second = try await listener.pair()
        let error = await #expect(throws: TransportError.self) { try await listener.dial() }
        #expect(error?.code == .refused)
        #expect(await listener.failure()?.code == .refused)
        await first.accepted.close()
        let third = try await listener.pair()
        try await third.dialled.send(.chunk([3]), about: 1)
        #expect(try await third.accepted.messages.next()?.message == .chunk([3]))
        // Until here they are held.
        await first.dialled.close()
        await second.dialled.close()
        await second.accepted.close()
    }
}
