import Caesura
import Testing

@Suite struct LogConcurrencyTests {
    @Test func `each cut of logs that grow is a prefix, and no later than its table`() throws {
        let store = SnapshotTests.store(1)
        let log = try store.log("log", row: SampleRow.self)
        let table = try store.table("table", key: UInt64.self, row: SampleRow.self)
        let cell = try store.cell("cell", initial: Counters())
        let running = ConcurrencyTests.Running(1)
        try onThreads(
            {
                var next: UInt64 = 0
                while !running.isNone {
                    // A row of the log is there before the table and the cell speak of it.
                    log.append(SnapshotTests.row(next))
                    table[next % 1_000] = SnapshotTests.row(next)
                    cell.update { $0.total = next }
                    next += 1
                    if next % 16 == 0 {
                        let rows = (next..<next + 200).map { SnapshotTests.row($0) }
                        log.append(contentsOf: rows)
                        next += 200
                    }
                    if next % 1_000 == 0 { log.trim(before: next - 500) }
                }
            },
            {
                while !running.isNone {
                    let positions = log.positions
                    if let last = positions.last, let user = log.read(last, { $0.user }) {
                        #expect(user == last)
                    }
                }
            },
            {
                defer { running.done() }
                for round in 0..<60 {
                    let cut = store.cut()
                    let positions = try cut.positions(of: log)
                    var next = positions.lowerBound
                    try cut.forEach(in: log) { position, row in
                        if position != next || row.user != position { Issue.record("not a prefix") }
                        next += 1
                    }
                    #expect(next == positions.upperBound)
                    var latest: UInt64 = 0
                    try cut.forEach(in: table) { _, row in latest = max(latest, row.user) }
                    #expect(positions.upperBound == 0 || latest < positions.upperBound)
                    let total = try cut.read(cell) { $0.total }
                    #expect(total <= latest)
                    if round % 10 == 0 {
                        let bytes = try cut.write(to: ByteArraySink()).bytes
                        let other = Store()
                        try LogTests.restore(bytes, into: other)
                        #expect(try other.log("log", row: SampleRow.self).positions == positions)
                    }
                    cut.close()
                }
            })
    }
}
