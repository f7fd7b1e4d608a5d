import CMachine
import Foundation

/// `redis`: a Redis server with session rows as hashes, its fork and its dump.
enum RedisPeer {
    static func run(_ options: Options) throws {
        let server = try RedisServer()
        defer { server.stop() }
        if let state = try? options.int("state") {
            try measureForks(server, state: state, forks: try options.int("forks", default: 5))
        } else {
            try measureDump(server, rows: try options.int("rows"))
        }
    }

    private static func measureForks(_ server: RedisServer, state: Int, forks: Int) throws {
        let scale = PauseBenchmark.sizeName(state)
        try server.fill(rows: state / Session.stateBytes)
        let resident = try server.information("used_memory_rss")
        Result("pause: resident memory", "Redis", scale, "MB", resident / 1e6).print()
        let calls = try (0..<forks).map { _ in
            _ = try server.save()
            return UInt64(try server.information("latest_fork_usec") * 1000)
        }
        reportPercentiles("pause: call", "fork, Redis BGSAVE", scale, calls)
    }

    private static func measureDump(_ server: RedisServer, rows: Int) throws {
        func report(_ metric: String, _ unit: String, _ value: Double) {
            Result(metric, "Redis", short(rows), unit, value / Double(rows)).print()
        }
        try server.fill(rows: rows)
        report("encode", "ns/row", try server.save())
        report("encoded size", "B/row", Double(server.dumpBytes()))
        // RELOAD empties before it loads; that is done before the clock starts.
        _ = try server.timed("SAVE")
        _ = try server.timed("FLUSHALL SYNC")
        report("restore; peers: parse", "ns/row", try server.timed("DEBUG RELOAD NOSAVE"))
        guard try server.count() == rows else { throw Failure("Redis did not load its dump") }
    }
}
