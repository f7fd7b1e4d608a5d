import Caesura
import CaesuraRepository
import Dispatch
import Foundation
import Synchronization

/// `durable`: updates a second of which each is on disk before its caller goes on, beside SQLite.
enum DurableBenchmark {
    static func run(_ options: Options) async throws {
        let rows = try options.int("rows", default: 1_000_000)
        let seconds = try options.int("seconds", default: 3)
        let directory = try options.string("directory", default: "/tmp")
        let only = try options.int("callers", default: 0)
        try syncFloor(directory, seconds: seconds)
        let table = try CaesuraTable()
        _ = table.fill(rows: rows)
        for callers in only > 0 ? [only] : [1, 16, 256] {
            try await measure(table, rows: rows, callers: callers, seconds: seconds, directory)
        }
        for callers in only > 0 ? [only] : [1, 16, 256] {
            try SQLitePeer.measure(
                rows: rows, callers: callers, seconds: seconds, directory: directory)
        }
    }

    /// How often a file can be appended to and synced: what one caller who writes a log by hand gets.
    private static func syncFloor(_ directory: String, seconds: Int) throws {
        let scratch = try ScratchDirectory(in: directory)
        let file = unsafe open(scratch.path + "/floor", O_WRONLY | O_CREAT, 0o600)
        guard file >= 0 else { throw Failure("cannot write in \(directory)") }
        defer { close(file) }
        let bytes = [UInt8](repeating: 7, count: 300)
        var count = 0
        let start = now()
        while now() - start < UInt64(seconds) * 1_000_000_000 {
            _ = unsafe write(file, bytes, bytes.count)
            fsync(file)
            count += 1
        }
        Result(
            "durable: updates", "floor, append and sync", "1 caller", "/s",
            Double(count) / Double(seconds)
        ).print()
    }

    private static func measure(
        _ table: CaesuraTable, rows: Int, callers: Int, seconds: Int, _ directory: String
    ) async throws {
        let scratch = try ScratchDirectory(in: directory)
        let repository = try await Repository.open(.directory(scratch.path + "/state"))
        let checkpoints = repository.checkpoints(of: table.store, every: .seconds(3600))
        let running = Task { try await checkpoints.run() }
        try await checkpoints.durable()
        let before = checkpoints.counts.checkpoints
        let end = now() + UInt64(seconds) * 1_000_000_000
        let start = now()
        let latencies = try await withThrowingTaskGroup(of: [UInt64].self) { group in
            for caller in 0..<callers {
                group.addTask {
                    var random = RandomRows(rows: rows)
                    for _ in 0..<caller { _ = random.next() }
                    var latencies: [UInt64] = []
                    while now() < end {
                        let start = now()
                        table.sessions.update(Session.id(random.next())) { $0.visits &+= 1 }
                        try await checkpoints.durable()
                        latencies.append(now() - start)
                    }
                    return latencies
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        let time = Double(now() - start) / 1e9
        let taken = checkpoints.counts.checkpoints - before
        running.cancel()
        try await running.value
        let scale = "\(callers) caller\(callers == 1 ? "" : "s")"
        Result(
            "durable: updates", CaesuraTable.subject, scale, "/s", Double(latencies.count) / time
        ).print()
        Result(
            "durable: updates a checkpoint", CaesuraTable.subject, scale, "x",
            Double(latencies.count) / Double(max(taken, 1))
        ).print()
        reportPercentiles("durable: time of an update", CaesuraTable.subject, scale, latencies)
    }
}
