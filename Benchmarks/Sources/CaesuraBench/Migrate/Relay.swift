import CaesuraMigration
import Foundation
import Synchronization

/// Passes the bytes of TCP connections on to another port, and can cut them.
///
/// Of what comes back it looks at the messages, to see when the target has applied something.
final class Relay: Sendable {
    /// What has come by.
    struct Log: Sendable {
        /// Bytes to the target.
        var bytes = 0
        /// Connections that were opened.
        var connections = 0
        /// The last message that says what was applied.
        var applied: Sighting?
        /// When the connections were cut, and what had been applied.
        var cut: (time: UInt64, after: Sighting)?
    }

    /// A message that has come by.
    struct Sighting: Sendable {
        var time: UInt64
        /// Which of the connections it came over.
        var connection: Int
        var message: Applied
    }

    private struct State {
        var log = Log()
        var port: UInt16 = 0
        var open: [LoopbackSocket] = []
        /// Once so many bytes of a first round are applied, the connections are cut.
        var limit: UInt64?

        /// Notes a message; those that are to be cut because of it.
        mutating func note(_ sighting: Sighting) -> [LoopbackSocket] {
            log.applied = sighting
            guard let limit, sighting.message.round == 1, sighting.message.bytes >= limit else {
                return []
            }
            self.limit = nil
            log.cut = (now(), sighting)
            defer { open = [] }
            return open
        }
    }

    private let listener: LoopbackSocket
    private let state = Mutex(State())

    private static let buffer = 256 << 10

    /// Begins to listen.
    init() throws {
        listener = try LoopbackSocket.listening()
        Self.start { [self] in accept() }
    }

    /// Where it listens.
    var address: NetworkAddress { NetworkAddress(host: "127.0.0.1", port: listener.port) }

    /// Where it passes bytes on to, from the next connection on.
    func pass(to port: UInt16) { state.withLock { $0.port = port } }

    var log: Log { state.withLock { $0.log } }

    /// Cuts all connections as soon as so many bytes of the first round of a move are applied.
    func cut(after bytes: UInt64) {
        state.withLock { state in
            state.limit = bytes
            state.log.cut = nil
        }
    }

    /// Ends it, and its connections.
    func end() {
        listener.end()
        let open = state.withLock { state in
            defer { state.open = [] }
            return state.open
        }
        for socket in open { socket.end() }
    }

    private static func start(_ body: @escaping @Sendable () -> Void) {
        let thread = Thread(block: body)
        thread.start()
    }

    private func accept() {
        while let source = listener.accepted() {
            let port = state.withLock { $0.port }
            guard let target = try? LoopbackSocket.connected(to: port) else {
                source.end()
                continue
            }
            let connection = state.withLock { state in
                state.open += [source, target]
                state.log.connections += 1
                return state.log.connections
            }
            Self.start { [self] in
                Self.pump(from: source, to: target) { count, _ in
                    state.withLock { $0.log.bytes += count }
                }
            }
            Self.start { [self] in
                var reader = FrameReader()
                Self.pump(from: target, to: source) { _, bytes in
                    var rest = bytes
                    while let (_, message) = try? reader.next(from: &rest) {
                        guard case .applied(let applied) = message else { continue }
                        let sighting = Sighting(
                            time: now(), connection: connection, message: applied)
                        for socket in state.withLock({ $0.note(sighting) }) { socket.end() }
                    }
                }
            }
        }
    }

    /// Passes on what comes until one side ends.
    private static func pump(
        from source: LoopbackSocket, to target: LoopbackSocket,
        _ look: (Int, UnsafeRawBufferPointer) -> Void
    ) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: buffer, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let count = source.read(into: buffer)
            guard count > 0 else { break }
            let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            look(count, bytes)
            guard target.write(bytes) else { break }
        }
        source.end()
        target.end()
    }
}
