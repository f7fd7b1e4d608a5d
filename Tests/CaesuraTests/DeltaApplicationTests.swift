import CaesuraFormat
import Testing

@testable import Caesura

/// What applying a delta must see to: that a chunk fits the store, and is applied whole or not at all.
@Suite struct DeltaApplicationTests {
    typealias Random = TableModelTests.Random

    /// A table of seven sample rows in hash order, and a copy.
    private func sample() throws -> (FollowedTable<UInt64, SampleRow>, keys: [UInt64]) {
        let store = SnapshotTests.store(0)
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        let keys = (0..<7 as Range<UInt64>).sorted {
            store.core.hashKey.hash($0) < store.core.hashKey.hash($1)
        }
        for key in keys {
            table[key] = SampleRow(
                user: key, token: "tok\u{E9}n", visits: 5, note: key % 2 == 0 ? "note" : nil)
        }
        return (try FollowedTable(store, table), keys)
    }

    /// Applies a chunk that must be refused and leave no trace.
    private func expectRefusal<Row: SchemaStruct>(
        _ delta: ForgedDelta, by followed: FollowedTable<UInt64, Row>, _ code: FormatError.Code?,
        store storeCode: StoreError.Code? = nil, location: SourceLocation = #_sourceLocation
    ) throws {
        let applier = try DeltaApplier(followed.copy)
        let worker = DeltaApplier.Worker(for: applier)
        do {
            try FollowedTable<UInt64, Row>.apply(
                delta.chunk(for: followed.copy), applier, worker)
            Issue.record("it was applied", sourceLocation: location)
        } catch let error as FormatError {
            #expect(error.code == code, "\(error)", sourceLocation: location)
        } catch let error as StoreError {
            #expect(error.code == storeCode, "\(error)", sourceLocation: location)
        }
        // It is still the base.
        _ = try DeltaApplier(followed.copy)
        let rows = try followed.copied
        for key in 0..<7 as Range<UInt64> {
            let isAsBefore =
                rows[key].map { Row.value(of: $0) }
                == followed.table[key].map { Row.value(of: $0) }
            #expect(isAsBefore, sourceLocation: location)
        }
        #expect(rows.count == followed.table.count, sourceLocation: location)
    }

    // MARK: Rows that are not there, and rows that are

    @Test func `another number of rows at the base is refused, and the right delta then taken`()
        throws
    {
        let (followed, keys) = try sample()
        // visits + 1, as a difference.
        let right = ForgedDelta(
            baseRowCount: 7, updated: 6, mask: 1 << 2, blocks: [[1, 1, 2]])
        for count in [6, 8, 1 << 48] as [UInt64] {
            var wrong = right
            wrong.baseRowCount = count
            wrong.updated = 0
            try expectRefusal(wrong, by: followed, nil, store: .wrongBase)
        }
        // A position that the base does not have.
        var beyond = right
        beyond.updated = 7
        try expectRefusal(beyond, by: followed, .malformed)
        let applier = try DeltaApplier(followed.copy)
        let worker = DeltaApplier.Worker(for: applier)
        var wrong = right
        wrong.baseRowCount = 8
        wrong.epochs = 9
        #expect(throws: StoreError(.wrongBase, "")) {
            try FollowedTable<UInt64, SampleRow>.apply(
                wrong.chunk(for: followed.copy), applier, worker)
        }
        // The last row, with the same applier: what was refused is forgotten, its epoch too.
        try FollowedTable<UInt64, SampleRow>.apply(
            right.chunk(for: followed.copy), applier, worker)
        let copied = try followed.copied
        #expect(keys.map { copied[$0]?.visits } == [5, 5, 5, 5, 5, 5, 6])
    }

    @Test func `the last row is removed, and one that is there is not inserted`() throws {
        let (followed, keys) = try sample()
        // key, user, token, visits, presence; the note is absent.
        func row(_ key: UInt64) -> [UInt8] {
            precondition(key < 32, "a zigzag of one byte")
            return [6, 0, 2, 1, 2, 2, 3, 3, 2, 4, 2, 5, 0]
                + [1, UInt8(key) * 2, 1, 0, 0, 1, 0, 1, 0, 1, 0]
        }
        try expectRefusal(
            ForgedDelta(baseRowCount: 7, updated: nil, removed: 6, inserted: (1, row(keys[2]))),
            by: followed, nil, store: .inconsistentData)
        // Even the one that is removed: it would be an updated one.
        try expectRefusal(
            ForgedDelta(baseRowCount: 7, updated: nil, removed: 6, inserted: (1, row(keys[6]))),
            by: followed, nil, store: .inconsistentData)
        // A row out of the chunk's range.
        let high = try #require((7..<32).first { followed.store.core.hashKey.hash($0) >> 63 == 1 })
        let lowCount = keys.count { followed.store.core.hashKey.hash($0) >> 63 == 0 }
        try expectRefusal(
            ForgedDelta(
                range: HashRange(prefixBits: 1, prefix: 0), baseRowCount: UInt64(lowCount),
                updated: nil, inserted: (1, row(high))), by: followed, .malformed)
        let applier = try DeltaApplier(followed.copy)
        let delta = ForgedDelta(
            baseRowCount: 7, updated: nil, removed: 6, inserted: (1, row(high)))
        try FollowedTable<UInt64, SampleRow>.apply(
            delta.chunk(for: followed.copy), applier, DeltaApplier.Worker(for: applier))
        let copied = try followed.copied
        #expect(copied.count == 7 && copied[keys[6]] == nil)
        #expect(copied[high] == SampleRow(user: 0, token: "", visits: 0, note: nil))
    }

    // MARK: Values that cannot be

    @Test func `values that the fields cannot have are refused`() throws {
        let (followed, keys) = try sample()
        let some = try #require(keys.firstIndex { $0 % 2 == 0 })
        let none = try #require(keys.firstIndex { $0 % 2 == 1 })
        func refuse(
            _ position: Int, _ mask: UInt8, _ blocks: [UInt8]..., code: FormatError.Code,
            location: SourceLocation = #_sourceLocation
        ) throws {
            try expectRefusal(
                ForgedDelta(baseRowCount: 7, updated: position, mask: mask, blocks: blocks),
                by: followed, code, location: location)
        }
        // A presence of 2: as a value, as 1 + 1, as 0 - 1.
        try refuse(some, 1 << 3, [0, 1, 4], code: .malformed)
        try refuse(some, 1 << 3, [1, 1, 2], code: .malformed)
        try refuse(none, 1 << 3 | 1 << 4, [1, 1, 1], [0, 0, 1, 0], code: .malformed)
        // A note that comes without its text.
        try refuse(none, 1 << 3, [0, 1, 2], code: .malformed)
        // "tokén" is 6 bytes: more prefix and suffix than that, and half a character left.
        try refuse(some, 1 << 1, [2, 1, 8, 1, 6, 0, 1, 0], code: .malformed)
        try refuse(some, 1 << 1, [2, 1, 6, 1, 4, 0, 1, 0], code: .malformed)
        try refuse(some, 1 << 1, [2, 1, 8, 1, 0, 0, 1, 0], code: .malformed)
        // What grows out of a column, and comes without its segments.
        try refuse(some, 1 << 1, [0, 0, 1] + [0x82, 0x80, 0x08], code: .malformed)
        // A difference of texts, an affix of numbers, a mode there is not.
        try refuse(some, 1 << 1, [1, 1, 0], code: .malformed)
        try refuse(some, 1 << 2, [2, 1, 0], code: .malformed)
        try refuse(some, 1 << 2, [3, 1, 0], code: .unsupported)
        // A leaf there is not.
        try refuse(some, 1 << 5, [0, 1, 0], code: .malformed)
        // A note that goes takes its text with it, and one that is absent has none to come.
        let applier = try DeltaApplier(followed.copy)
        let worker = DeltaApplier.Worker(for: applier)
        let delta = ForgedDelta(
            baseRowCount: 7, updated: none, mask: 1 << 4,
            blocks: [[0, 0, 1, 6] + Array("xyz".utf8)]
        )
        try FollowedTable<UInt64, SampleRow>.apply(
            delta.chunk(for: followed.copy), applier, worker)
        #expect(try followed.copied[keys[none]]?.note == nil)
        followed.table[100] = followed.table[keys[none]]
        followed.table.remove(100)
        try followed.expectSameSnapshots("nothing has changed")
    }

    @Test func `a value that is no case is refused, however it comes about`() throws {
        let store = SnapshotTests.store(0)
        let table = try store.table("accounts", key: UInt64.self, row: Account.self)
        for key in 0..<7 as Range<UInt64> { table[key] = Account(status: .active) }
        let followed = try FollowedTable(store, table)
        for block in [[0, 1, 6], [1, 1, 4]] as [[UInt8]] {
            try expectRefusal(
                ForgedDelta(baseRowCount: 7, updated: 3, mask: 1, blocks: [block]), by: followed,
                .malformed)
        }
    }

    // MARK: Ranges

    @Test(arguments: [2, 6, 10, 14])
    func `a range has the positions of its own rows`(prefixBits: Int) throws {
        let store = SnapshotTests.store(2)
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        for key in 0..<6_000 as Range<UInt64> { table[key] = SnapshotTests.row(key) }
        let followed = try FollowedTable(store, table)
        let applier = try DeltaApplier(followed.copy)
        let worker = DeltaApplier.Worker(for: applier)
        let hashKey = store.core.hashKey
        let keys = (0..<6_000 as Range<UInt64>).sorted { hashKey.hash($0) < hashKey.hash($1) }
        var random = Random(state: 3)
        var ranges: Set<UInt64> = []
        for _ in 0..<20 {
            // Whole partitions, parts of them, parts of pages, and ranges of no or one row.
            let prefix = random.next() & ~(UInt64.max >> UInt64(prefixBits))
            guard ranges.insert(prefix).inserted else { continue }
            let range = HashRange(prefixBits: prefixBits, prefix: prefix)
            let inside = keys.filter { range.contains(hashKey.hash($0)) }
            guard !inside.isEmpty else { continue }
            let position = Int.random(in: 0..<min(8, inside.count), using: &random)
            let delta = ForgedDelta(
                range: range, baseRowCount: UInt64(inside.count), updated: position, mask: 1 << 2,
                blocks: [[1, 1, 2]])
            try FollowedTable<UInt64, SampleRow>.apply(
                delta.chunk(for: followed.copy), applier, worker)
            table.update(inside[position]) { $0.visits += 1 }
            // The same range cannot come twice, nor one that it lies in.
            var again = delta
            again.mask = 1
            #expect(throws: FormatError(.malformed, "", at: 0)) {
                try FollowedTable<UInt64, SampleRow>.apply(
                    again.chunk(for: followed.copy), applier, worker)
            }
            again.range = .all
            again.baseRowCount = 6_000
            #expect(throws: FormatError(.malformed, "", at: 0)) {
                try FollowedTable<UInt64, SampleRow>.apply(
                    again.chunk(for: followed.copy), applier, worker)
            }
        }
        try followed.expectSameSnapshots()
    }

    // MARK: Cuts and ends

    @Test(arguments: [0, 3])
    func `an open cut of the copy keeps its rows`(partitionBits: Int) throws {
        var random = Random(state: 4)
        let store = SnapshotTests.store(partitionBits)
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        func change(_ count: Int) {
            for _ in 0..<count {
                let key = UInt64.random(in: 0..<1_000, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: table.remove(key)
                case 1:
                    let text = String(
                        repeating: "long", count: Int.random(in: 0..<1_000, using: &random))
                    table.update(key) { $0.token = text }
                case 2: table.update(key) { $0.visits += 1 }
                default: table[key] = SnapshotTests.row(random.next())
                }
            }
        }
        change(3_000)
        let followed = try FollowedTable(store, table)
        var held: [(cut: Cut, bytes: [UInt8])] = []
        for _ in 0..<4 {
            let cut = followed.copy.cut()
            held.append((cut, try cut.write(to: ByteArraySink()).bytes))
            change(400)
            try followed.apply(followed.delta())
            for (cut, bytes) in held {
                let isAsBefore = try cut.write(to: ByteArraySink()).bytes == bytes
                #expect(isAsBefore)
            }
        }
        for (cut, _) in held { cut.close() }
        #expect(followed.copy.memoryUse.retained == 0)
        try followed.expectSameSnapshots()
    }

    @Test(arguments: [0, 3], [Compression.none, .zstd(level: 1)])
    func `restored and brought on by two deltas, a store writes what the original does`(
        partitionBits: Int, compression: Compression
    ) throws {
        var random = Random(state: 5)
        let store = SnapshotTests.store(partitionBits)
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        for key in 0..<5_000 as Range<UInt64> { table[key] = SnapshotTests.row(key) }
        let followed = try FollowedTable(store, table)
        for round in 1...2 as ClosedRange<UInt64> {
            for _ in 0..<2_000 {
                let key = UInt64.random(in: 0..<8_000, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: table.remove(key)
                case 1: table.update(key) { $0.note = $0.note.map { $0 + "!" } ?? "new" }
                default: table[key] = SnapshotTests.row(key &* round)
                }
            }
            try followed.apply(
                followed.delta(isReversible: round == 1, compression: compression))
        }
        try followed.expectSameSnapshots()
    }

    @Test func `a delta ends at the epoch that its chunks lead to`() throws {
        let (followed, keys) = try sample()
        followed.table.update(keys[0]) { $0.visits += 1 }
        let delta = try followed.delta()
        let applier = try DeltaApplier(followed.copy)
        let worker = DeltaApplier.Worker(for: applier)
        try FollowedTable<UInt64, SampleRow>.apply(delta.chunks[0], applier, worker)
        #expect(throws: StoreError(.inconsistentData, "")) {
            try applier.finish(delta.end, at: delta.epoch + 1)
        }
        try applier.finish(delta.end, at: delta.epoch)
        #expect(followed.copy.ancestor?.epoch == delta.epoch)
    }

    // MARK: What no delta says

    @Test func `a change that a delta cannot say is refused by its writer`() throws {
        let store = SnapshotTests.store(0)
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        for key in 0..<7 as Range<UInt64> { table[key] = SnapshotTests.row(key) }
        let followed = try FollowedTable(store, table)
        // A table that the base does not have.
        _ = try store.table("other", key: UInt64.self, row: SampleRow.self)
        #expect(throws: StoreError(.noDelta, "")) { try followed.delta() }
    }
}
