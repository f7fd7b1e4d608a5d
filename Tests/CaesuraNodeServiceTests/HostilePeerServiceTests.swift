import Caesura
import CaesuraMigration
import CaesuraNode
import CaesuraNodeService
import CaesuraTransport
import Synchronization
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Nodes that serve and move partitions while others do their worst.
@Suite(.timeLimit(.minutes(60)))
struct HostilePeerServiceTests {
    private static let rowCount: UInt64 = 500

    /// A socket of which the other side is a node.
    private struct RawSocket: ~Copyable {
        private let descriptor: Int32

        init?(to port: UInt16) {
            #if canImport(Darwin)
                descriptor = socket(AF_INET, SOCK_STREAM, 0)
            #else
                descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            #endif
            guard descriptor >= 0 else { return nil }
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            let result = unsafe withUnsafePointer(to: &address) { address in
                unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            if result != 0 { return nil }
        }

        deinit { close(descriptor) }

        /// Whether the other side took them.
        func send(_ bytes: [UInt8]) -> Bool {
            unsafe bytes.withUnsafeBytes {
                #if canImport(Darwin)
                    unsafe Darwin.send(descriptor, $0.baseAddress, $0.count, 0) == bytes.count
                #elseif canImport(Musl)
                    unsafe Musl.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                        == bytes.count
                #else
                    unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                        == bytes.count
                #endif
            }
        }
    }

    /// Random bytes, alone and behind a first frame; frames whose bodies are as long as may be and never end.
    private static func sendNoise(to port: UInt16, _ random: inout SplitMix, until isDone: Flag)
        async -> Int
    {
        var count = 0
        while !isDone.value {
            guard let socket = RawSocket(to: port) else { break }
            let noise = (0..<Int.random(in: 1...5_000, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            let (header, body) = MigrationMessage.ping(7).frame(about: 0)
            let (claim, rest) = MigrationMessage.chunk([UInt8](repeating: 1, count: 60_000))
                .frame(about: 3)
            switch count % 3 {
            case 0: _ = socket.send(noise)
            case 1: _ = socket.send(header + body + noise)
            default:
                _ = socket.send(header + body + claim)
                for byte in rest.prefix(20) {
                    if !socket.send([byte]) { break }
                    try? await Task.sleep(for: .milliseconds(1))
                }
            }
            count += 1
            try? await Task.sleep(for: .milliseconds(2))
        }
        return count
    }

    /// Greets as a node, and then says what no node says: moves of others' partitions, ends of moves that nobody began, entries
    /// that are made up, chunks of nothing.
    private static func lie(
        to name: String, at port: UInt16, _ register: any OwnerRegister, _ schemas: SchemaOffer,
        _ random: inout SplitMix, until isDone: Flag
    ) async throws -> Int {
        var count = 0
        let shape = try await register.shape(
            proposing: OwnerShape(hashKey: HashKey(k0: 0, k1: 0), moveBits: 0))
        let last = OwnerEntry.limit - 1
        let madeUp = try OwnerEntry(
            number: last, owner: name, fencingEpoch: last, tenure: 1, previousTenure: 0)
        while !isDone.value {
            let connection = try await NodeConnection.dial(
                name, at: "127.0.0.1", port: Int(port), security: .insecure)
            defer { connection.abort() }
            var handshake = Handshake(
                as: .source,
                Hello(
                    node: "liar", hashKey0: shape.hashKey.k0, hashKey1: shape.hashKey.k1,
                    takesHashKey: false, moveBits: UInt8(shape.moveBits), partitionBits: 4),
                offering: schemas)
            try await connection.send(handshake.firstMessage, about: 0)
            agreeing: while let (_, message) = try await connection.messages.next() {
                for answer in handshake.handle(.received(message)) {
                    try await connection.send(answer, about: 0)
                }
                if case .agreed = handshake.state { break agreeing }
            }
            let partition = PartitionNumber(index: Int.random(in: 0..<4, using: &random), bits: 2)
            let real = try await register.last(of: partition)
            for number in 1...200 as ClosedRange<UInt64> {
                let message: MigrationMessage
                switch Int.random(in: 0..<8, using: &random) {
                case 0:
                    message = .move(
                        MoveRequest(
                            partition: partition, attempt: number, purpose: .handover,
                            entry: real ?? madeUp))
                case 1:
                    message = .move(
                        MoveRequest(
                            partition: partition, attempt: number, purpose: .recovery,
                            entry: madeUp))
                case 2: message = .aborted(madeUp)
                case 3: message = .chunk([UInt8](repeating: 7, count: 2_000))
                case 4:
                    message = .round(Round(number: .max, epoch: .max, baseEpoch: 1, baseDigest: 1))
                case 5: message = .handover(Handover(epoch: .max, digest: 0))
                case 6:
                    message = .applied(
                        Applied(round: .max, chunks: .max, bytes: .max, isComplete: true))
                default: message = .durable(madeUp)
                }
                do {
                    try await connection.send(
                        message, about: UInt64.random(in: 1...3, using: &random))
                } catch { break }
                count += 1
            }
        }
        return count
    }

    private final class Flag: Sendable {
        private let isSet = Atomic(false)
        var value: Bool { isSet.load(ordering: .relaxed) }
        func set() { isSet.store(true, ordering: .relaxed) }
    }

    @Test func `partitions move and writes go on while strangers send anything`() async throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        let world = World()
        let a = try await world.member("a", createsPartitions: true)
        let b = try await world.member("b")
        let isDone = Flag()
        try await world.run {
            await a.servesAll()
            for key in 0..<Self.rowCount { a.accounts[key] = Account(count: 0, note: "") }
            let ports = [
                try #require(try await world.addresses.addresses(of: "a")).node.port,
                try #require(try await world.addresses.addresses(of: "b")).node.port,
            ]
            try await withThrowingTaskGroup(of: Int.self) { group in
                for (index, port) in ports.enumerated() {
                    group.addTask {
                        var random = SplitMix(seed: seed &+ UInt64(index))
                        return await Self.sendNoise(to: port, &random, until: isDone)
                    }
                    group.addTask {
                        var random = SplitMix(seed: seed &+ 10 &+ UInt64(index))
                        return try await Self.lie(
                            to: ["a", "b"][index], at: port, world.register, a.store.schemaOffer,
                            &random, until: isDone)
                    }
                }
                let clients = Task {
                    var written: UInt64 = 0
                    while !isDone.value {
                        try await world.increment(written % Self.rowCount)
                        written += 1
                        await Task.yield()
                    }
                    return written
                }
                for (source, target) in [(a, "b"), (b, "a"), (a, "b")] {
                    for partition in source.service.division.partitions {
                        while true {
                            let end = try? await source.service.move(
                                partition, to: target, budget: .seconds(60))
                            if case .moved = end?.outcome { break }
                            await Task.yield()
                        }
                    }
                }
                isDone.set()
                let written = try await clients.value
                var hostile: [Int] = []
                for try await count in group { hostile.append(count) }
                #expect(hostile.count == 4 && hostile.allSatisfy { $0 > 0 })
                #expect(written > 0)
                #expect(try b.sum == written)
                #expect(a.accounts.count == 0 && b.accounts.count == Int(Self.rowCount))
            }
        }
    }
}
