import CaesuraMigration
import CaesuraTransport
import Foundation

/// `transport`: chunks from one process to another over the loopback device, in plain and over TLS.
///
/// Beside it, what the machine gives at most: one copy of the same bytes, and a socket between two threads that nobody
/// takes frames from.
enum TransportBenchmark {
    static let chunkBytes = 1 << 20

    static func run(_ options: Options) async throws {
        if let port = try? options.int("port") {
            return try await Sender.run(port: port, options)
        }
        let chunks = try options.int("chunks", default: 2_000)
        let scale = "\(short(chunks)) of 1 MiB"
        func report(_ metric: String, _ rate: Double) {
            Result(metric, Target.subject, scale, "MB/s", rate).print()
        }
        report("transport: memcpy", Floor.copy(chunks))
        report("transport: bare socket pair, two threads", try Floor.socketPair(chunks))
        report("transport: plain, two processes", try await measure(.insecure, chunks, nil))
        let folder = try Papers(of: ["bench"])
        report(
            "transport: TLS 1.3, two processes",
            try await measure(.mutualTLS(folder.identity()), chunks, folder.path))
    }

    /// Bytes a nanosecond, as MB a second, from a child process to this one.
    private static func measure(
        _ security: TransportSecurity, _ chunks: Int, _ papers: String?
    ) async throws -> Double {
        let listener = try await NodeListener.bind(host: "127.0.0.1", port: 0, security: security)
        let sender = Process()
        sender.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        sender.arguments =
            ["transport", "--port", "\(listener.port)", "--chunks", "\(chunks)"]
            + (papers.map { ["--papers", $0] } ?? [])
        try sender.run()
        guard let connection = await listener.connections.next() else {
            throw Failure("nobody came")
        }
        try await connection.send(.hello(hello))
        var start: UInt64 = 0
        var count = 0
        for try await (_, message) in connection.messages {
            guard case .chunk(let bytes) = message else { continue }
            if count == 0 { start = now() }
            count += bytes.count
        }
        let time = now() - start
        sender.waitUntilExit()
        guard count == chunks * chunkBytes else { throw Failure("\(count) bytes came") }
        return Double(count) / Double(time) * 1e3
    }

    static let hello = Hello(
        node: "bench", hashKey0: 1, hashKey1: 2, takesHashKey: true, moveBits: 4, partitionBits: 6)

    /// Chunks of different bytes, more than caches hold.
    static func chunks() -> [[UInt8]] {
        (0..<32).map { first in
            (0..<chunkBytes).map { UInt8(truncatingIfNeeded: ($0 &* 31) ^ ($0 >> 8) &+ first) }
        }
    }

    /// The child process: sends chunks and closes.
    private enum Sender {
        static func run(port: Int, _ options: Options) async throws {
            let security: TransportSecurity =
                if let path = try? options.string("papers") {
                    .mutualTLS(try Papers.identity(in: path))
                } else {
                    .insecure
                }
            let chunks = TransportBenchmark.chunks()
            let connection = try await NodeConnection.dial(
                "bench", at: "127.0.0.1", port: port, security: security)
            _ = try await connection.messages.next()
            for index in 0..<(try options.int("chunks")) {
                try await connection.send(.chunk(chunks[index % chunks.count]), about: 1)
            }
            await connection.close()
        }
    }
}

/// What is there without frames.
private enum Floor {
    /// Copies chunks one after the other.
    static func copy(_ count: Int) -> Double {
        let chunks = TransportBenchmark.chunks()
        var target = chunks
        let time = nanoseconds {
            for index in 0..<count {
                chunks[index % chunks.count].withUnsafeBytes { source in
                    target[(index + 7) % chunks.count].withUnsafeMutableBytes {
                        $0.copyMemory(from: source)
                    }
                }
            }
        }
        keep(target)
        return Double(count * TransportBenchmark.chunkBytes) / time * 1e3
    }

    /// Writes chunks into a socket that a thread on the other core reads.
    static func socketPair(_ count: Int) throws -> Double {
        var ends: [Int32] = [0, 0]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0 else {
            throw Failure("no socket pair")
        }
        let (writing, reading) = (ends[0], ends[1])
        defer { close(writing) }
        let total = count * TransportBenchmark.chunkBytes
        let reader = Worker(core: 1) {
            var buffer = [UInt8](repeating: 0, count: TransportBenchmark.chunkBytes)
            var rest = total
            while rest > 0 {
                let got = read(reading, &buffer, buffer.count)
                if got <= 0 { break }
                rest -= got
            }
            close(reading)
            return rest
        }
        let chunks = TransportBenchmark.chunks()
        let time = nanoseconds {
            for index in 0..<count {
                chunks[index % chunks.count].withUnsafeBytes { bytes in
                    var sent = 0
                    while sent < bytes.count {
                        let written = write(writing, bytes.baseAddress! + sent, bytes.count - sent)
                        if written <= 0 { return }
                        sent += written
                    }
                }
            }
            keep(reader.wait())
        }
        return Double(total) / time * 1e3
    }
}
