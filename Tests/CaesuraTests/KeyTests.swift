import Caesura
import CaesuraFormat
import Testing

/// Keys of other shapes than one integer: that their rows are found again, and come back from a snapshot.
@Suite struct KeyTests {
    /// Fills a table, reads it, takes rows out, and brings a snapshot into a second store.
    func check<Key: TableKey>(_ key: (UInt64) -> Key) throws {
        let store = SnapshotTests.store(1)
        let table = try store.table("sample", key: Key.self, row: SampleRow.self)
        for i in 0..<2_000 as Range<UInt64> { table[key(i)] = SnapshotTests.row(i) }
        #expect(table.count == 2_000)
        for i in 0..<2_000 as Range<UInt64> { #expect(table[key(i)] == SnapshotTests.row(i)) }
        for i in 0..<2_000 as Range<UInt64> where i % 3 == 0 { #expect(table.remove(key(i))) }
        let bytes = try store.cut().write(to: ByteArraySink()).bytes
        let restored = Store()
        let back = try restored.table("sample", key: Key.self, row: SampleRow.self)
        var restorer = StreamRestorer(into: restored)
        try restorer.push(bytes)
        try restorer.finish()
        for i in 0..<2_000 as Range<UInt64> {
            #expect(back[key(i)] == (i % 3 == 0 ? nil : SnapshotTests.row(i)))
        }
    }

    @Test func `a string is a key`() throws { try check { "key \($0)" } }

    @Test func `a string of any length is a key`() throws {
        try check { String(repeating: "k", count: $0 % 97 == 0 ? 2_000 : 3) + String($0) }
    }

    @Test func `strings that are equal in other bytes are different keys`() throws {
        let (one, two) = ("caf\u{E9}", "cafe\u{301}")
        #expect(one == two)
        let table = try Store().table("sample", key: String.self, row: SampleRow.self)
        table[one] = SnapshotTests.row(1)
        #expect(table[two] == nil)
        table[two] = SnapshotTests.row(2)
        #expect(table.count == 2)
        #expect(table[one] == SnapshotTests.row(1))
        #expect(table.remove(one))
        #expect(table[two] == SnapshotTests.row(2))
        // A key of several fields compares each so.
        let places = try Store().table("places", key: Place.self, row: SampleRow.self)
        places[Place(peer: one, length: 1)] = SnapshotTests.row(1)
        #expect(!places.contains(Place(peer: two, length: 1)))
    }

    @Test func `bytes are a key`() throws {
        try check { i in (0..<8).map { UInt8(truncatingIfNeeded: i >> ($0 * 8)) } }
    }

    @Test func `an array of integers is a key`() throws {
        try check { [UInt32(truncatingIfNeeded: $0), 7] }
    }

    @Test func `an optional is a key`() throws {
        try check { i in i == 0 ? nil : String(i) }
        try check { i in i == 0 ? nil : i }
    }

    @Test func `16 bytes are a key`() throws {
        try check { Int128($0) << 64 | 5 }
        try check { Int128($0) - 1_000 }
    }
}
