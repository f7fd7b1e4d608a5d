import Caesura
import CaesuraFormat
import Testing

/// Emptying a store, and what a restore that failed leaves behind.
@Suite struct RemovalTests {
    static func fill(_ table: Table<UInt64, SampleRow>, _ count: UInt64) {
        for key in 0..<count {
            table[key] = SnapshotTests.row(key)
            if key % 100 == 0 { table[key]?.token = String(repeating: "long", count: 2_000) }
        }
    }

    @Test func `an emptied store has no rows, and open cuts keep theirs`() throws {
        let store = SnapshotTests.store()
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        let other = try store.table("other", key: String.self, row: SampleRow.self)
        Self.fill(table, 5_000)
        other["key"] = SnapshotTests.row(1)
        let use = store.memoryUse.inUse
        let cut = store.cut()
        let bytes = try cut.write(to: ByteArraySink()).bytes
        for key in 0..<1_000 as Range<UInt64> { table.update(key) { $0.visits += 1 } }
        store.removeAll()
        #expect(table.count == 0)
        #expect(other.count == 0)
        #expect(table[7] == nil)
        #expect(store.memoryUse.retained > 0)
        Self.fill(table, 3_000)
        #expect(try cut.write(to: ByteArraySink()).bytes == bytes)
        #expect(cut.rowCount(of: "sample") == 5_000)
        store.removeAll()
        cut.close()
        #expect(store.memoryUse.retained == 0)
        #expect(store.memoryUse.inUse < use / 100)
        #expect(store.cut().rowCount(of: "sample") == 0)
        Self.fill(table, 5_000)
        #expect(table[4_999] == SnapshotTests.row(4_999))
    }

    @Test func `no cut shows half of a removal`() throws {
        let store = SnapshotTests.store(6)
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        let running = ConcurrencyTests.Running(1)
        try onThreads(
            {
                defer { running.done() }
                for _ in 0..<100 {
                    // One transaction's rows, in two partitions or one.
                    store.transaction(table.row(1), table.row(2)) { transaction in
                        transaction[table, 1] = SnapshotTests.row(1)
                        transaction[table, 2] = SnapshotTests.row(2)
                    }
                    store.removeAll()
                }
            },
            {
                while !running.isNone {
                    let cut = store.cut()
                    let rows = try #require(cut.rowCount(of: "sample"))
                    #expect(rows == 0 || rows == 2)
                    cut.close()
                }
            })
        store.cut().close()
        #expect(store.memoryUse.retained == 0)
    }

    @Test func `a row set during a restore does not pass for damaged data`() throws {
        for prefixBits in [0, 6] {
            var configuration = Store.Configuration()
            configuration.partitionBits = prefixBits
            let store = Store(configuration)
            let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
            let chunk = try HostileStreamTests.chunk(
                Array(0..<500), range: .all, epoch: 1)
            for wasRemoved in [false, true] {
                let applier = try HostileStreamTests.applier(store)
                for key in 600..<1_000 as Range<UInt64> { table[key] = SnapshotTests.row(key) }
                if wasRemoved { for key in 600..<999 as Range<UInt64> { table.remove(key) } }
                #expect(throws: StoreError(.restoreDisturbed, "")) {
                    try HostileStreamTests.apply(chunk, applier)
                }
                applier.abandon()
                #expect(table.count == 0)
                // It is over: what comes now is refused, and gives up nothing.
                table[1] = SnapshotTests.row(1)
                #expect(throws: StoreError(.restoreDisturbed, "")) {
                    try HostileStreamTests.apply(chunk, applier)
                }
                applier.abandon()
                #expect(table.count == 1)
                store.removeAll()
            }
            let again = try HostileStreamTests.applier(store)
            try HostileStreamTests.apply(chunk, again)
            try again.finish()
            #expect(table.count == 500)
            again.abandon()
            #expect(table.count == 500)
        }
    }

    @Test func `a store half restored takes another stream after it was emptied`() throws {
        let source = SnapshotTests.store()
        let table = try source.table("sample", key: UInt64.self, row: SampleRow.self)
        Self.fill(table, 5_000)
        let bytes = try source.cut().write(to: ByteArraySink()).bytes
        let store = Store()
        let back = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        var restorer = StreamRestorer(into: store)
        try restorer.push(Array(bytes[..<(bytes.count / 2)]))
        #expect(back.count > 0)
        var other = StreamRestorer(into: store)
        #expect(throws: SnapshotError<Never>.self) { try other.push(bytes) }
        store.removeAll()
        #expect(throws: SnapshotError<Never>.self) {
            try restorer.push(Array(bytes[(bytes.count / 2)...]))
        }
        #expect(back.count == 0)
        var last = StreamRestorer(into: store)
        try last.push(bytes)
        try last.finish()
        #expect(back.count == 5_000)
        #expect(back[4_999] == SnapshotTests.row(4_999))
    }
}
