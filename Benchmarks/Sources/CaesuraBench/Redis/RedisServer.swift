import Foundation

/// A server of our own in a folder of its own, reached through redis-cli.
final class RedisServer {
    private let folder: URL
    private let server = Process()
    /// Where it listens for others besides; 0 if it does not.
    let port: UInt16
    private var socket: String { folder.appending(path: "socket").path }

    init(port: UInt16 = 0) throws {
        self.port = port
        folder = FileManager.default.temporaryDirectory.appending(
            path: "caesura-bench-redis-\(getpid())-\(UInt32.random(in: 0 ... .max))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        server.executableURL = URL(filePath: "/usr/bin/env")
        server.arguments = [
            "redis-server", "--bind", "127.0.0.1", "--port", "\(port)", "--unixsocket", socket,
            "--save", "", "--dir", folder.path, "--enable-debug-command", "local",
            "--latency-tracking", "no", "--daemonize", "no",
        ]
        server.standardOutput = FileHandle.nullDevice
        try server.run()
        for _ in 0..<100 where (try? command("PING")) != "PONG" {
            Thread.sleep(forTimeInterval: 0.05)
        }
        guard try command("PING") == "PONG" else { throw Failure("redis-server does not answer") }
    }

    /// Ends the server and removes its folder.
    func stop() {
        _ = try? command("SHUTDOWN NOSAVE")
        server.waitUntilExit()
        try? FileManager.default.removeItem(at: folder)
    }

    /// The key of a row's hash.
    static func key(of row: Int) -> String { "s:" + String(Session.id(row), radix: 16) }

    /// Sends session rows as hashes through a pipe.
    func fill(rows: Int) throws {
        let client = try client(["--pipe"])
        let pipe = client.standardInput as! Pipe
        try client.run()
        var bytes: [UInt8] = []
        bytes.reserveCapacity(1 << 21)
        func bulk(_ text: String) {
            bytes.append(contentsOf: "$\(text.utf8.count)\r\n\(text)\r\n".utf8)
        }
        for i in 0..<rows {
            let row = Session(i)
            bytes.append(contentsOf: "*20\r\n".utf8)
            bulk("HSET")
            bulk(Self.key(of: i))
            for (name, value) in [
                ("user", "\(row.user)"), ("created", "\(row.created)"),
                ("lastSeen", "\(row.lastSeen)"), ("visits", "\(row.visits)"), ("ip", "\(row.ip)"),
                ("flags", "\(row.flags)"), ("cart", "\(row.cart)"), ("token", row.token),
                ("country", row.country),
            ] {
                bulk(name)
                bulk(value)
            }
            if bytes.count > 1 << 20 {
                try pipe.fileHandleForWriting.write(contentsOf: bytes)
                bytes.removeAll(keepingCapacity: true)
            }
        }
        try pipe.fileHandleForWriting.write(contentsOf: bytes)
        try pipe.fileHandleForWriting.close()
        client.waitUntilExit()
        let count = try count()
        guard count == rows else { throw Failure("Redis has \(count) of \(rows) rows") }
    }

    /// Saves in the background and returns the nanoseconds until the dump is there.
    func save() throws -> Double {
        let start = now()
        let answer = try command("BGSAVE")
        guard answer == "Background saving started" else { throw Failure("BGSAVE: \(answer)") }
        while try information("rdb_bgsave_in_progress") != 0 {
            Thread.sleep(forTimeInterval: 0.002)
            guard now() - start < 120_000_000_000 else { throw Failure("BGSAVE does not end") }
        }
        guard try string("rdb_last_bgsave_status") == "ok" else { throw Failure("BGSAVE failed") }
        return Double(now() - start)
    }

    func count() throws -> Int { Int(try command("DBSIZE")) ?? 0 }

    func timed(_ text: String) throws -> Double {
        let start = now()
        let answer = try command(text)
        guard answer == "OK" else { throw Failure("Redis answers \(answer) to \(text)") }
        return Double(now() - start)
    }

    func dumpBytes() -> Int {
        let dump = folder.appending(path: "dump.rdb").path
        return (try? FileManager.default.attributesOfItem(atPath: dump)[.size] as? Int) ?? 0
    }

    /// A number of INFO.
    func information(_ name: String) throws -> Double { Double(try string(name)) ?? 0 }

    private func string(_ name: String) throws -> String {
        let text = try command("INFO all")
        for line in text.split(whereSeparator: \.isNewline) where line.hasPrefix(name + ":") {
            return String(line.dropFirst(name.count + 1))
        }
        throw Failure("Redis has no \(name)")
    }

    private func client(_ arguments: [String]) throws -> Process {
        let client = Process()
        client.executableURL = URL(filePath: "/usr/bin/env")
        client.arguments = ["redis-cli", "-s", socket] + arguments
        client.standardInput = Pipe()
        client.standardOutput = Pipe()
        client.standardError = FileHandle.nullDevice
        return client
    }

    private func command(_ text: String) throws -> String {
        let client = try client(text.split(separator: " ").map(String.init))
        try client.run()
        let output = client.standardOutput as! Pipe
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        client.waitUntilExit()
        return String(decoding: data, as: UTF8.self)
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
