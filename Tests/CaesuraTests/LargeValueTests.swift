import Testing

@testable import Caesura

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The most memory that the process, or the one that began it, has had at once.
private func peakMemory() -> Int {
    var usage = rusage()
    // RUSAGE_SELF is 0 everywhere, and of another type on each system.
    unsafe getrusage(0, &usage)
    #if canImport(Darwin)
        return usage.ru_maxrss
    #else
        return usage.ru_maxrss << 10
    #endif
}

/// Values outside the page: when they are copied, and when they are freed.
@Suite struct LargeValueTests {
    struct Change: Error {}

    static func image(_ seed: Int, _ count: Int = 600_000) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ seed) }
    }

    func table(_ store: Store) throws -> Table<UInt64, Visit> {
        try store.table("visits", key: UInt64.self, row: Visit.self)
    }

    @Test func `what is staged is given once, and to the same bytes only`() {
        let (image, text) = (Self.image(1), String(repeating: "text ", count: 500))
        var visit = Visit(1, token: text)
        visit.moved = Address(city: String(repeating: "city ", count: 500))
        var staged = StagedValues([image, visit, "short", Optional("short")])
        var others = image
        others[7] += 1
        let takes: (borrowing Span<UInt8>, inout StagedValues) -> Int? = { span, staged in
            unsafe span.withUnsafeBytes { bytes in
                guard let value = unsafe staged.take(bytes) else { return nil }
                defer { value.deallocate() }
                return value.byteCount
            }
        }
        #expect(takes(others.span, &staged) == nil)
        #expect(takes(image.span, &staged) == image.count)
        #expect(takes(image.span, &staged) == nil)
        #expect(takes(visit.token.utf8Span.span, &staged) == 2_500)
        #expect(takes(visit.moved!.city.utf8Span.span, &staged) == 2_500)
        #expect(takes("short".utf8Span.span, &staged) == nil)
    }

    @Test func `an update sets what it has staged, and what it has not`() throws {
        let store = SnapshotTests.store(0)
        let table = try table(store)
        var row = Visit(1, token: "token")
        table[1] = row
        let cut = store.cut()
        let (digest, other) = (Self.image(1), Self.image(2))
        let text = String(repeating: "text ", count: 100_000)
        for round in 0..<3 {
            let visits = table.update(1, staging: digest, text, other) {
                $0.digest = round == 1 ? other : digest
                $0.token = text
                $0.moved = Address(city: text)
                return $0.digest.count
            }
            #expect(visits == digest.count)
            row.digest = round == 1 ? other : digest
            row.token = text
            row.moved = Address(city: text)
            #expect(table[1] == row)
        }
        #expect(table.update(2, staging: digest) { $0.digest = digest } == nil)
        #expect(throws: Change.self) {
            try table.update(1, staging: other) {
                $0.digest = other
                throw Change()
            }
        }
        #expect(table[1]?.digest == other)
        #expect(try cut.read(1, in: table) { $0.token } == "token")
        cut.close()
        #expect(store.memoryUse.retained == 0)
    }

    @Test func `what a write replaces is freed after the lock is given back`() throws {
        let store = SnapshotTests.store(0)
        let table = try table(store)
        let (first, second) = (Self.image(1), Self.image(2))
        var row = Visit(1, token: "token")
        row.digest = first
        table[1] = row
        let hash = store.core.hashKey.hash(1)
        let partition = unsafe table.core.partition(0)
        unsafe partition.lock()
        unsafe partition.pointee.beginWriting()
        _ = unsafe partition.update(1 as UInt64, hash, as: Visit.self, staged: nil) {
            $0.digest = second
        }
        // Still there, for whoever unlocks.
        let replaced = unsafe LargeValue(base: partition.pointee.replacedValues.first!)
        #expect(unsafe replaced.withContiguousBytes { unsafe Array($0) } == first)
        unsafe partition.unlockAfterWriting()
        #expect(unsafe partition.pointee.replacedValues.isEmpty)
        #expect(table[1]?.digest == second)
    }

    @Test(arguments: [false, true])
    func `a transaction that throws puts large values back`(isCutOpen: Bool) throws {
        let store = SnapshotTests.store(0)
        let table = try table(store)
        var rows: [UInt64: Visit] = [:]
        for key in 0..<6 as Range<UInt64> {
            rows[key] = Visit(Int(key), token: String(repeating: "\(key)", count: 400_000))
            rows[key]!.digest = Self.image(Int(key))
            table[key] = rows[key]
        }
        let bytes = try store.cut().write(to: ByteArraySink()).bytes
        let cut = isCutOpen ? store.cut() : nil
        let image = Self.image(9)
        var added = Visit(9, token: String(repeating: "new", count: 200_000))
        added.digest = image
        for _ in 0..<3 {
            #expect(throws: Change.self) {
                try store.transaction(table.row(0), staging: image) {
                    (transaction) throws(Change) in
                    for key in 0..<6 as Range<UInt64> {
                        // One large value is replaced, twice, and the other is left.
                        transaction.update(table, key) { $0.digest = image }
                        transaction.update(table, key) { $0.digest = [1, 2, 3] }
                        if key % 2 == 0 { transaction[table, key] = added }
                        if key % 3 == 0 { transaction.remove(table, key) }
                        transaction[table, key + 100] = added
                    }
                    throw Change()
                }
            }
            #expect(table.count == 6)
            for (key, row) in rows { #expect(table[key] == row) }
        }
        if let cut {
            for (key, row) in rows {
                #expect(try cut.read(key, in: table) { $0.digest } == row.digest)
            }
            cut.close()
        }
        #expect(store.memoryUse.retained == 0)
        let (_, back) = try Self.restore(bytes)
        for (key, row) in rows { #expect(back[key] == row) }
    }

    @Test func `a transaction sets what it has staged`() throws {
        let store = SnapshotTests.store(2)
        let table = try table(store)
        let image = Self.image(1)
        var row = Visit(1, token: String(repeating: "text ", count: 1_000))
        row.digest = image
        store.transaction(table.row(1), table.row(2), staging: row, image) { transaction in
            transaction[table, 1] = row
            transaction[table, 2] = Visit(2, token: "")
            transaction.update(table, 2) { $0.digest = image }
        }
        #expect(table[1] == row)
        #expect(table[2]?.digest == image)
    }

    @Test func `a write that is undone does not show in the row's stamp`() throws {
        let store = SnapshotTests.store(0)
        let table = try table(store)
        table[1] = Visit(1, token: "token")
        store.cut().close()
        let stamps = {
            let page = unsafe table.core.partition(0).pointee.root.page
            return page.usedSlots.map {
                unsafe (page.entries + $0 * table.core.layout.stride).load(as: UInt64.self)
            }
        }
        let before = stamps()
        #expect(throws: Change.self) {
            try store.transaction(table.row(1)) { (transaction) throws(Change) in
                transaction.update(table, 1) { $0.token = "other" }
                throw Change()
            }
        }
        #expect(stamps() == before)
        table.update(1) { $0.token = "other" }
        #expect(stamps() != before)
    }

    @Test func `large values that nothing refers to are freed`() async {
        await #expect(processExitsWith: .success) {
            let before = peakMemory()
            let store = SnapshotTests.store(1)
            let table = try LargeValueTests().table(store)
            let (image, other) = (
                [UInt8](repeating: 1, count: 2 << 20), [UInt8](repeating: 2, count: 2 << 20)
            )
            var row = Visit(1, token: "token")
            row.digest = image
            // Each kind of write replaces 400 MiB, staged or not, done or undone.
            for round in 0..<200 {
                table[1] = row
                table.update(1) { $0.digest = other }
                table.update(1, staging: image, other) { $0.digest = image }
                store.transaction(table.row(1), table.row(2), staging: other) {
                    $0.update(table, 1) { $0.digest = other }
                    $0[table, 2] = row
                }
                try? store.transaction(table.row(1), table.row(2)) { (transaction) throws(Change) in
                    transaction.update(table, 1) { $0.digest = image }
                    transaction.remove(table, 2)
                    throw Change()
                }
                if round % 20 == 0 { store.cut().close() }
                table.remove(2)
            }
            precondition(peakMemory() - before < 200 << 20, "memory has leaked")
        }
    }

    static func restore(_ bytes: [UInt8]) throws -> (Store, Table<UInt64, Visit>) {
        let store = Store()
        let table = try LargeValueTests().table(store)
        var restorer = StreamRestorer(into: store)
        try restorer.push(bytes)
        try restorer.finish()
        return (store, table)
    }
}
