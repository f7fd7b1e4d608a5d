import Caesura
import CaesuraFormat
import Foundation

/// `stop-copy-start`: writes stop, a snapshot goes over a socket to a process that restores it, and that one serves: the way
/// without a protocol.
enum StopBenchmark {
    static func run(_ options: Options) throws {
        if let port = try? options.int("port") { return try restore(from: UInt16(port)) }
        let rows = try options.int("rows", default: 12_048_192)
        let table = try CaesuraTable()
        _ = table.fill(rows: rows)
        let listener = try LoopbackSocket.listening()
        let target = Process()
        target.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        target.arguments = ["stop-copy-start", "--port", "\(listener.port)"]
        try target.run()
        guard let socket = listener.accepted() else { throw Failure("nobody came") }
        // The last write here; the next one is there.
        table.addVisit(Session.id(0))
        let stopped = now()
        let cut = table.store.cut()
        let sink = try cut.write(to: SocketSink(socket))
        cut.close()
        var answer = (served: UInt64(0), visits: UInt64(0))
        socket.endOutput()
        let isWhole = withUnsafeMutableBytes(of: &answer) { answer in
            var count = 0
            while count < answer.count {
                let more = socket.read(
                    into: UnsafeMutableRawBufferPointer(rebasing: answer[count...]))
                if more == 0 { return false }
                count += more
            }
            return true
        }
        target.waitUntilExit()
        guard isWhole else { throw Failure("the other process has ended") }
        guard answer.visits == Session.id(0) % 977 + 2 else {
            throw Failure("the first row has \(answer.visits) visits there")
        }
        let state = rows * Session.stateBytes
        let scale = NodeSetting(rows: rows, owners: "", papers: nil).scale
        let pause = Double(answer.served - stopped)
        let subject = "stop, copy, start"
        Result("migration: blackout", subject, scale, "us", pause / 1e3).print()
        Result("migration: state a second", subject, scale, "MB/s", Double(state) / pause * 1e3)
            .print()
        Result(
            "migration: bytes sent over those of the state", subject, scale, "x",
            Double(sink.byteCount) / Double(state)
        ).print()
    }

    /// What the process runs that is to serve: it restores what comes, writes once, and says when that was.
    private static func restore(from port: UInt16) throws {
        let table = try CaesuraTable()
        let socket = try LoopbackSocket.connected(to: port)
        var restorer = StreamRestorer(into: table.store)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { buffer.deallocate() }
        while case let count = socket.read(into: buffer), count > 0 {
            try restorer.push(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
        try restorer.finish()
        table.addVisit(Session.id(0))
        let answer = (served: now(), visits: UInt64(table.readVisits(Session.id(0)) ?? 0))
        let isSent = withUnsafeBytes(of: answer) { socket.write($0) }
        guard isSent else { throw Failure("nobody waits for the answer") }
    }
}

/// Writes a stream to a socket.
private struct SocketSink: ByteSink {
    private let socket: LoopbackSocket
    private(set) var byteCount = 0

    init(_ socket: LoopbackSocket) { self.socket = socket }

    mutating func write(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
        guard socket.write(bytes) else { throw Failure("the other process has ended") }
        byteCount += bytes.count
    }
}
