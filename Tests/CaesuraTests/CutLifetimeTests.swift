import Caesura
import CaesuraFormat
import Synchronization
import Testing

/// Cuts opened and closed side by side: that none loses a page another one still sees.
@Suite struct CutLifetimeTests {
    @Test func `a cut that closes frees nothing that a cut opened meanwhile sees`() throws {
        let store = SnapshotTests.store(6)
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        let count: UInt64 = 4_000
        for key in 0..<count {
            table[key] = SampleRow(user: key, token: "", visits: 0, note: nil)
        }
        let running = ConcurrencyTests.Running(2)
        let reader: @Sendable () throws -> Void = {
            defer { running.done() }
            for _ in 0..<300 {
                let cut = store.cut()
                var (rows, sum) = (0 as UInt64, 0 as UInt64)
                try cut.forEach(in: table) { key, row in
                    rows += 1
                    sum &+= row.user &+ key
                }
                #expect(rows == count)
                #expect(sum == count * (count - 1))
                // Each row's visits are one more than the row's before it, or the same.
                var last = try cut.read(0, in: table) { $0.visits } ?? .max
                for key in 1..<count {
                    let visits = try cut.read(key, in: table) { $0.visits } ?? .max
                    if visits > last || last - visits > 1 {
                        Issue.record("row \(key) has \(visits) visits after one of \(last)")
                        break
                    }
                    last = visits
                }
                cut.close()
            }
        }
        try onThreads(
            reader, reader,
            {
                var round: UInt32 = 0
                while !running.isNone {
                    round += 1
                    for key in 0..<count { table.update(key) { $0.visits = round } }
                }
            })
        store.cut().close()
        #expect(store.memoryUse.retained == 0)
    }

    @Test func `a cut taken during a restore shows whole chunks and keeps them`() throws {
        let source = SnapshotTests.store(2)
        let table = try source.table("sample", key: UInt64.self, row: SampleRow.self)
        for key in 0..<30_000 as Range<UInt64> { table[key] = SnapshotTests.row(key) }
        for _ in 0..<5 { source.cut().close() }
        let bytes = try source.cut().write(to: ByteArraySink()).bytes

        let store = Store()
        let back = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        var restorer = StreamRestorer(into: store)
        var cuts: [(cut: Cut, bytes: [UInt8])] = []
        let step = bytes.count / 12 + 1
        for start in stride(from: 0, to: bytes.count, by: step) {
            try restorer.push(Array(bytes[start..<min(start + step, bytes.count)]))
            let cut = store.cut()
            cuts.append((cut, try cut.write(to: ByteArraySink()).bytes))
            // A cut that is closed takes nothing from those that are open.
            store.cut().close()
        }
        try restorer.finish()
        for key in 0..<30_000 as Range<UInt64> { back.update(key) { $0.visits = 0 } }
        store.cut().close()
        for (cut, bytes) in cuts {
            #expect(try cut.write(to: ByteArraySink()).bytes == bytes)
            let (_, other) = try SnapshotTests.restore(bytes)
            #expect(other.count == cut.rowCount(of: "sample"))
        }
        for key in 0..<30_000 as Range<UInt64> {
            var row = SnapshotTests.row(key)
            row.visits = 0
            #expect(back[key] == row)
        }
    }

    @Test func `a cancelled cut that nobody closes does not cancel the next`() throws {
        var configuration = Store.Configuration()
        configuration.retainedByteLimit = 200_000
        let store = Store(configuration)
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        for key in 0..<20_000 as Range<UInt64> { table[key] = SnapshotTests.row(key) }
        let cancelled = store.cut()
        for key in 0..<20_000 as Range<UInt64> { table.update(key) { $0.visits += 1 } }
        #expect(cancelled.isCancelled)
        let next = store.cut()
        table.update(1) { $0.visits += 1 }
        #expect(!next.isCancelled)
        #expect(try next.read(1, in: table) { $0.visits } == SnapshotTests.row(1).visits + 1)
        cancelled.close()
        next.close()
        #expect(store.memoryUse.retained == 0)
    }

    @Test(.timeLimit(.minutes(60)))
    func `the last reference to a cut may go inside a closure`() throws {
        let store = SnapshotTests.store(2)
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        for key in 0..<4_000 as Range<UInt64> { table[key] = SnapshotTests.row(key) }
        var cut: Cut? = store.cut()
        for key in 0..<4_000 as Range<UInt64> { table.update(key) { $0.visits += 1 } }
        #expect(cut?.isCancelled == false)
        let before = store.memoryUse.retained
        _ = table.read(1) { _ in cut = nil }
        // All but what lay in the partition of row 1.
        #expect(store.memoryUse.retained < before / 2)
        store.cut().close()
        #expect(store.memoryUse.retained == 0)
    }

    @Test(.timeLimit(.minutes(60)))
    func `cuts that go inside closures on several threads wait for no lock`() throws {
        let store = SnapshotTests.store(3)
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        for key in 0..<2_000 as Range<UInt64> { table[key] = SnapshotTests.row(key) }
        let writer: @Sendable () -> Void = {
            for round in 0..<300 as Range<UInt64> {
                var cut: Cut? = store.cut()
                for key in 0..<50 as Range<UInt64> {
                    table.update(key &* 31 &+ round) { $0.visits += 1 }
                }
                store.transaction(table.row(round), table.row(round + 1)) { transaction in
                    transaction.update(table, round) { $0.visits += 1 }
                    if cut?.epoch != nil { cut = nil }
                }
            }
        }
        try onThreads(writer, writer, writer)
        store.cut().close()
        #expect(store.memoryUse.retained == 0)
    }

    @Test func `the copies that cuts ask for do not grow`() throws {
        let store = SnapshotTests.store(2)
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        for key in 0..<3_000 as Range<UInt64> { table[key] = SnapshotTests.row(key) }
        let inUse = store.memoryUse.inUse
        for round in 0..<60 as Range<UInt64> {
            let cut = store.cut()
            for key in 0..<3_000 as Range<UInt64> where (key ^ round) % 3 == 0 {
                table.update(key) { $0.visits += 1 }
            }
            cut.close()
        }
        #expect(store.memoryUse.inUse == inUse)
    }

    /// What several cuts see is kept with one of them, and goes over to another when that closes.
    @Test func `cuts that close in any order keep what they see and nothing else`() throws {
        for order in Self.permutations(of: Array(0..<4)) {
            let store = SnapshotTests.store(1)
            let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
            for key in 0..<400 as Range<UInt64> { table[key] = SnapshotTests.row(key) }
            let inUse = store.memoryUse.inUse
            var cuts: [(cut: Cut, bytes: [UInt8])] = []
            for round in 0..<4 as Range<UInt64> {
                let cut = store.cut()
                cuts.append((cut, try cut.write(to: ByteArraySink()).bytes))
                // Each page in some rounds, so that some are seen by one cut and some by several.
                for key in 0..<400 as Range<UInt64>
                where key.hash(with: store.hashKey) >> 62 != round {
                    table.update(key) { $0.visits += 1 }
                }
            }
            var retained = store.memoryUse.retained
            for (count, index) in order.enumerated() {
                cuts[index].cut.close()
                #expect(store.memoryUse.retained < retained, "\(order), \(count)")
                retained = store.memoryUse.retained
                for other in order[(count + 1)...] {
                    #expect(
                        try cuts[other].cut.write(to: ByteArraySink()).bytes == cuts[other].bytes,
                        "\(order), \(other)")
                }
            }
            #expect(retained == 0)
            #expect(store.memoryUse.inUse == inUse)
        }
    }

    private static func permutations(of items: [Int]) -> [[Int]] {
        if items.isEmpty { return [[]] }
        return items.flatMap { item in
            permutations(of: items.filter { $0 != item }).map { [item] + $0 }
        }
    }

    @Test func `a transaction changes no row inside a closure on another`() async throws {
        await #expect(processExitsWith: .failure) {
            let store = Store()
            let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
            let keys: [UInt64] = [1, 2]
            store.transaction(keys.map { table.row($0) }) { transaction in
                for key in keys { transaction[table, key] = SnapshotTests.row(key) }
                // Reading another row is fine.
                transaction.update(table, 1) { row in
                    row.visits = transaction.read(table, 2) { $0.visits } ?? 0
                }
            }
            guard table[1]?.visits == table[2]?.visits else { return }
            store.transaction(keys.map { table.row($0) }) { transaction in
                _ = transaction.update(table, 1) { _ in transaction.remove(table, 2) }
            }
        }
    }

    @Test func `a transaction takes no row of another store`() async throws {
        await #expect(processExitsWith: .failure) {
            let (mine, other) = (Store(), Store())
            let table = try other.table("sample", key: UInt64.self, row: SampleRow.self)
            mine.transaction(table.row(1)) { _ in }
        }
    }
}
