import Foundation

/// `redis-migrate`: the same rows move from one Redis server to another and back by `MIGRATE`, in batches of keys.
///
/// A batch blocks its server, which has one thread for all commands, until the other has answered.
enum RedisMigration {
    static func run(_ options: Options) throws {
        let rows = try options.int("rows", default: 1_000_000)
        let servers = try (0..<2).map { _ in try RedisServer(port: freePort()) }
        defer { for server in servers { server.stop() } }
        try servers[0].fill(rows: rows)
        let scale = NodeSetting(rows: rows, owners: "", papers: nil).scale
        for (number, keys) in [100, 1_000].enumerated() {
            let (source, target) = (servers[number % 2], servers[1 - number % 2])
            try measure(from: source, to: target, rows: rows, keys: keys, scale)
        }
    }

    private static func measure(
        from source: RedisServer, to target: RedisServer, rows: Int, keys: Int, _ scale: String
    ) throws {
        let subject = "Redis MIGRATE, \(short(keys)) keys"
        let before = try target.information("total_net_input_bytes")
        let client = try RedisClient(port: source.port)
        var times: [UInt64] = []
        let start = now()
        for first in stride(from: 0, to: rows, by: keys) {
            let batch = (first..<min(rows, first + keys)).map { RedisServer.key(of: $0) }
            let begin = now()
            let answer = try client.ask(
                ["MIGRATE", "127.0.0.1", "\(target.port)", "", "0", "60000", "KEYS"] + batch)
            times.append(now() - begin)
            guard answer == "+OK" else { throw Failure("Redis answers \(answer) to MIGRATE") }
        }
        let seconds = Double(now() - start) / 1e9
        guard try source.count() == 0, try target.count() == rows else {
            throw Failure("Redis has not moved all rows")
        }
        let sent = try target.information("total_net_input_bytes") - before
        let state = Double(rows * Session.stateBytes)
        reportPercentiles("migration: blackout", subject, scale, times)
        Result("migration: state a second", subject, scale, "MB/s", state / seconds / 1e6).print()
        Result(
            "migration: bytes sent over those of the state", subject, scale, "x", sent / state
        ).print()
    }

    private static func freePort() throws -> UInt16 { try LoopbackSocket.listening().port }
}

/// A connection to a Redis server.
private final class RedisClient {
    private let socket: LoopbackSocket

    init(port: UInt16) throws { socket = try LoopbackSocket.connected(to: port) }

    /// Gives a command whose answer is one line, and waits for that.
    func ask(_ words: [String]) throws -> String {
        let text =
            "*\(words.count)\r\n"
            + words.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()
        guard [UInt8](text.utf8).withUnsafeBytes({ socket.write($0) }) else {
            throw Failure("Redis has closed the connection")
        }
        var answer: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 256)
        while answer.suffix(2) != [13, 10] {
            let count = piece.withUnsafeMutableBytes { socket.read(into: $0) }
            if count == 0 { throw Failure("Redis has closed the connection") }
            answer += piece[..<count]
        }
        return String(decoding: answer.dropLast(2), as: UTF8.self)
    }
}
