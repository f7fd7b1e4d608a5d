import CaesuraMigration
import NIOCore
import TestCertificates
import Testing

@testable import CaesuraTransport

/// Peers that break the protocol, on purpose or not.
@Suite(.timeLimit(.minutes(60)))
struct HostilePeerTests {
    static func limits(_ change: (inout TransportLimits) -> Void) -> TransportLimits {
        var limits = TransportLimits.patient
        limits.pingInterval = .milliseconds(20)
        change(&limits)
        return limits
    }

    @Test func `random bytes are refused, before and after the first message`() async throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var random = SplitMix(state: seed)
        let listener = try await TestListener()
        for length in [24, 100, 100_000] {
            let noise = ByteBuffer(
                bytes: (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) })
            let told = try await listener.raw { inbound, outbound, _ in
                try await outbound.write(noise)
                return try messages(in: await bytes(of: inbound))
            }
            #expect(await listener.failure()?.code == .malformed)
            guard case .refusal? = told.first, told.count == 1 else {
                Issue.record("\(told)")
                continue
            }
            let peer = Task {
                try await listener.raw { inbound, outbound, _ in
                    try await outbound.write(frame(.ping(0)))
                    try await outbound.write(frame(.have(.nothing), about: 3))
                    try await outbound.write(noise)
                    return try messages(in: await bytes(of: inbound))
                }
            }
            let connection = try await listener.accept()
            #expect(try await connection.messages.next()?.message == .have(.nothing))
            let error = await #expect(throws: TransportError.self) {
                try await connection.messages.next()
            }
            #expect(error?.code == .malformed)
            #expect((57...57 + 24).contains(error?.offset ?? 0))
            let later = await #expect(throws: TransportError.self) {
                try await connection.send(.pong(1))
            }
            #expect(later?.code == .malformed)
            guard case .refusal(let problem)? = try await peer.value.first else {
                Issue.record("no refusal")
                continue
            }
            #expect(problem.code == .malformed)
        }
    }

    @Test func `a frame that never ends is ended, whatever it claims`() async throws {
        let listener = try await TestListener(
            limits: Self.limits { $0.closingTime = .milliseconds(100) })
        async let accepted = listener.accept()
        // A chunk of 64 KiB, and zeros for ever.
        let (header, body) = MigrationMessage.chunk([UInt8](repeating: 0, count: 64 << 10))
            .frame(about: 9)
        let sending = Task {
            try await listener.raw { _, outbound, _ in
                try await outbound.write(frame(.ping(0)))
                try await outbound.write(ByteBuffer(bytes: header))
                while true { try await outbound.write(ByteBuffer(repeating: 0, count: 10_000)) }
            }
        }
        let connection = try await accepted
        #expect(try await connection.messages.next()?.message == .chunk(body))
        let error = await #expect(throws: TransportError.self) {
            try await connection.messages.next()
        }
        #expect(error?.code == .malformed)
        await connection.close()
        await #expect(throws: (any Error).self) { try await sending.value }
    }

    @Test func `a frame that comes byte by byte is not waited for`() async throws {
        let limits = Self.limits { $0.frameTime = .milliseconds(200) }
        let listener = try await TestListener(limits: limits)
        async let accepted = listener.accept()
        let sent = try await listener.raw { inbound, outbound, _ in
            try await outbound.write(frame(.ping(0)))
            var rest = frame(.chunk([UInt8](repeating: 1, count: 60_000)), about: 1)
            var sent = 0
            // A byte for each ping that comes.
            for try await _ in inbound {
                guard let byte = rest.readSlice(length: 1) else { break }
                do {
                    try await outbound.write(byte)
                } catch {
                    // The other side has closed between the ping and this.
                    break
                }
                sent += 1
            }
            return sent
        }
        #expect((1..<1_000).contains(sent))
        let connection = try await accepted
        let error = await #expect(throws: TransportError.self) {
            try await connection.messages.next()
        }
        #expect(error?.code == .timedOut)
    }

    @Test func `who says nothing is closed, before and after the first frame`() async throws {
        let authority = try TestAuthority()
        for security in [.insecure, try authority.node("node-b")] {
            let listener = try await TestListener(
                security, limits: Self.limits { $0.openingTime = .milliseconds(100) })
            let left = try await listener.raw { inbound, _, _ in try await bytes(of: inbound) }
            #expect(try messages(in: left) == [])
            #expect(await listener.failure()?.code == .timedOut)
        }
        let listener = try await TestListener(
            limits: Self.limits { $0.silence = .milliseconds(100) })
        async let accepted = listener.accept()
        let told = try await listener.raw { inbound, outbound, _ in
            try await outbound.write(frame(.ping(0)))
            return try messages(in: await bytes(of: inbound))
        }
        guard case .refusal(let problem)? = told.first else {
            Issue.record("\(told)")
            return
        }
        #expect(problem.code == .timedOut)
        let connection = try await accepted
        let error = await #expect(throws: TransportError.self) {
            try await connection.messages.next()
        }
        #expect(error?.code == .timedOut)
    }

    @Test func `a handshake of TLS that comes byte by byte is not waited for`() async throws {
        let limits = Self.limits { $0.openingTime = .milliseconds(100) }
        let listener = try await TestListener(TestAuthority().node("node-b"), limits: limits)
        // The beginning of a handshake's record of 16 KiB.
        try await listener.raw { inbound, outbound, _ in
            try await outbound.write(
                ByteBuffer(bytes: [0x16, 3, 1, 0x40, 0, 1, 0, 0x3F, 0xFC, 3, 3]))
            // What it has not read makes its end a reset, if that comes first.
            _ = try? await bytes(of: inbound)
        }
        #expect(await listener.failure()?.code == .timedOut)
    }

    @Test func `who never reads makes the sender wait, with bounded memory`() async throws {
        let limits = Self.limits {
            $0.silence = .milliseconds(300)
            $0.closingTime = .milliseconds(100)
            $0.sendHighWatermark = 1 << 20
            $0.sendLowWatermark = 1 << 18
        }
        let listener = try await TestListener(limits: limits)
        let (done, finish) = AsyncStream.makeStream(of: Void.self)
        let silent = Task {
            try await listener.raw { _, outbound, _ in
                try await outbound.write(frame(.ping(0)))
                for await _ in done {}
            }
        }
        let connection = try await listener.accept()
        let chunk = MigrationMessage.chunk([UInt8](repeating: 1, count: 100_000))
        var sent = 0
        var most = 0
        let error = await #expect(throws: TransportError.self) {
            // The system's buffers take some megabytes.
            while sent < 1_000 {
                try await connection.send(chunk, about: 1)
                sent += 1
                most = max(most, connection.outstandingByteCount)
            }
        }
        #expect(error?.code == .timedOut)
        #expect(sent < 1_000)
        #expect(most < 1 << 20 + 100_024)
        finish.finish()
        try await silent.value
    }

    @Test func `a peer that goes away while we send is noticed`() async throws {
        let listener = try await TestListener()
        let going = Task {
            try await listener.raw { inbound, outbound, _ in
                try await outbound.write(frame(.ping(0)))
                var count = 0
                for try await buffer in inbound {
                    count += buffer.readableBytes
                    if count > 1 << 20 { break }
                }
            }
        }
        let connection = try await listener.accept()
        let chunk = MigrationMessage.chunk([UInt8](repeating: 1, count: 100_000))
        let error = await #expect(throws: TransportError.self) {
            while true { try await connection.send(chunk, about: 1) }
        }
        #expect(error?.code == .closed)
        try await going.value
    }

    @Test func `who ends its output has ended the connection`() async throws {
        let listener = try await TestListener()
        async let accepted = listener.accept()
        let told = Task {
            try await listener.raw { inbound, outbound, _ in
                try await outbound.write(frame(.ping(0)))
                try await outbound.write(frame(.have(.nothing), about: 3))
                outbound.finish()
                return try messages(in: await bytes(of: inbound))
            }
        }
        let connection = try await accepted
        #expect(try await connection.messages.next()?.message == .have(.nothing))
        #expect(try await connection.messages.next() == nil)
        #expect(try await told.value == [])
        let error = await #expect(throws: TransportError.self) {
            try await connection.send(.ping(1))
        }
        #expect(error?.code == .closed)
    }

    @Test func `an end within a message is an error`() async throws {
        let listener = try await TestListener()
        async let accepted = listener.accept()
        _ = try await listener.raw { inbound, outbound, _ in
            try await outbound.write(frame(.ping(0)))
            var cut = frame(.have(.nothing), about: 3)
            try await outbound.write(cut.readSlice(length: 24) ?? ByteBuffer())
            outbound.finish()
            return try await bytes(of: inbound)
        }
        let connection = try await accepted
        let error = await #expect(throws: TransportError.self) {
            try await connection.messages.next()
        }
        #expect(error?.code == .closed)
    }

    @Test func `many who never open keep nobody out, and the many more are closed`() async throws {
        var limits = TransportLimits.patient
        limits.connectionCount = 2
        let listener = try await TestListener(limits: limits)
        let open = try await listener.pair()
        // One of four places is taken; three silent peers take the others. They are accepted in their order.
        let (done, finish) = AsyncStream.makeStream(of: Void.self)
        try await withThrowingTaskGroup { group in
            let (ready, isReady) = AsyncStream.makeStream(of: Void.self)
            for _ in 0..<3 {
                group.addTask {
                    try await listener.raw { _, _, _ in
                        isReady.yield()
                        for await _ in done {}
                    }
                }
            }
            var count = 0
            for await _ in ready {
                count += 1
                if count == 3 { break }
            }
            let left = try await listener.raw { inbound, _, _ in try await bytes(of: inbound) }
            #expect(left == [])
            #expect(await listener.failure()?.code == .refused)
            try await open.dialled.send(.chunk([1]), about: 1)
            #expect(try await open.accepted.messages.next()?.message == .chunk([1]))
            finish.finish()
            try await group.waitForAll()
        }
    }
}

/// Random numbers that follow from a seed.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
