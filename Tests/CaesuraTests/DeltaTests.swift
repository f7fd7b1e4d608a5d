import CaesuraFormat
import Testing

@testable import Caesura

/// Deltas between two cuts, applied to a copy: after each the copy equals the original at that cut.
@Suite struct DeltaTests {
    typealias Random = TableModelTests.Random

    /// A store, and the chunks that bring a copy of it to where it is.
    final class Original {
        let store: Store
        let table: Table<UInt64, SampleRow>
        var model: [UInt64: SampleRow] = [:]
        var base: Cut
        var digest: UInt64

        init(partitionBits: Int, hashKey: HashKey) throws {
            var configuration = Store.Configuration()
            configuration.partitionBits = partitionBits
            configuration.hashKey = hashKey
            store = Store(configuration)
            table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
            base = store.cut()
            digest = 0
        }

        /// A snapshot of the present state, into an empty copy.
        func copy() throws -> Copy {
            base = store.cut()
            let bytes = try base.write(to: ByteArraySink()).bytes
            let copy = try Copy(bytes)
            digest = copy.digest
            return copy
        }

        /// What changed since the last snapshot or delta: chunks, and the end.
        func delta(reversible: Bool = false) throws -> Delta {
            let cut = store.cut()
            let source = try DeltaSource(
                from: base, to: cut, baseDigest: digest, isReversible: reversible)
            let worker = DeltaSource.Worker(for: source)
            var end = source.totals
            var chunks: [[UInt8]] = []
            while let job = try source.next() {
                try unsafe source.encode(
                    job, with: worker,
                    emit: { (header, bytes) throws(StoreError) in
                        end.add(header)
                        unsafe chunks.append([UInt8](bytes))
                    }, refused: { $0 })
            }
            let delta = Delta(
                chunks: chunks, end: end, epoch: cut.epoch.rawValue, counts: source.counts)
            base = cut
            digest = end.digest
            return delta
        }
    }

    struct Delta {
        var chunks: [[UInt8]]
        var end: StreamEnd
        var epoch: UInt64
        var counts: DeltaCounts
        var byteCount: Int { chunks.reduce(0) { $0 + $1.count } }
    }

    /// What the chunks go to.
    final class Copy {
        let store = Store()
        let table: Table<UInt64, SampleRow>
        let digest: UInt64

        init(_ snapshot: [UInt8]) throws {
            table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
            var restorer = StreamRestorer(into: store)
            try restorer.push(snapshot)
            try restorer.finish()
            digest = try #require(store.ancestor).digest
        }

        @discardableResult
        func apply(_ delta: Delta) throws -> [DeltaApplier.Outcome] {
            let applier = try DeltaApplier(store)
            let worker = DeltaApplier.Worker(for: applier)
            let outcomes = try delta.chunks.map { try apply($0, applier, worker) }
            try applier.finish(delta.end, at: delta.epoch)
            return outcomes
        }

        func apply(
            _ chunk: [UInt8], _ applier: DeltaApplier, _ worker: DeltaApplier.Worker
        ) throws -> DeltaApplier.Outcome {
            try unsafe chunk.withUnsafeBytes {
                try unsafe applier.apply(VerifiedChunk(verifying: $0), with: worker)
            }
        }

        func equals(_ model: [UInt64: SampleRow]) -> Bool {
            table.count == model.count && model.allSatisfy { table[$0] == $1 }
        }
    }

    /// Says so in one line when they differ, and does not print both.
    static func expectEqual(
        _ copy: Copy, _ model: [UInt64: SampleRow], _ comment: Comment? = nil,
        location: SourceLocation = #_sourceLocation
    ) {
        let isEqual = copy.equals(model)
        #expect(isEqual, comment, sourceLocation: location)
    }

    static func change(_ original: Original, _ random: inout Random, keys: UInt64) {
        let key = UInt64.random(in: 0..<keys, using: &random)
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<3:
            let row = SampleRow(
                user: random.next(), token: TableModelTests.string(&random), visits: 0,
                note: Bool.random(using: &random) ? TableModelTests.string(&random) : nil)
            original.table[key] = row
            original.model[key] = row
        case 3:
            original.table.remove(key)
            original.model[key] = nil
        case 4:
            let note = Bool.random(using: &random) ? TableModelTests.string(&random) : nil
            original.table.update(key) { $0.note = note }
            original.model[key]?.note = note
        case 5:
            let token = (original.model[key]?.token ?? "") + "x"
            original.table.update(key) { $0.token = token }
            original.model[key]?.token = token
        default:
            original.table.update(key) { $0.visits += 1 }
            original.model[key]?.visits += 1
        }
    }

    @Test(arguments: [0, 2, 6], [50, 4_000, 40_000] as [UInt64])
    func `a copy follows the original, delta by delta`(partitionBits: Int, keys: UInt64) throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var random = Random(state: seed)
        let original = try Original(
            partitionBits: partitionBits,
            hashKey: HashKey(k0: random.next(), k1: random.next()))
        for _ in 0..<keys { Self.change(original, &random, keys: keys) }
        let copy = try original.copy()
        Self.expectEqual(copy, original.model)
        for round in 0..<12 {
            let share = [0, 1, 10, Int(keys) / 100, Int(keys) / 10, Int(keys)].randomElement(
                using: &random)!
            for _ in 0..<share { Self.change(original, &random, keys: keys) }
            // A cut between the two makes pages that speak of a later epoch than the base.
            if round % 3 == 2 {
                original.store.cut().close()
                for _ in 0..<share { Self.change(original, &random, keys: keys) }
            }
            var delta = try original.delta(reversible: round % 2 == 1)
            delta.chunks.shuffle(using: &random)
            let outcomes = try copy.apply(delta)
            #expect(outcomes.allSatisfy { $0 == .applied })
            Self.expectEqual(copy, original.model, "seed \(seed), round \(round)")
            #expect(copy.store.ancestor?.digest == original.digest)
        }
    }

    @Test func `a row that is written as it was is no change`() throws {
        let original = try Original(partitionBits: 2, hashKey: HashKey(k0: 1, k1: 2))
        for key in 0..<1_000 as Range<UInt64> {
            original.table[key] = SampleRow(user: key, token: "t", visits: 0, note: nil)
        }
        _ = try original.copy()
        for key in 0..<1_000 as Range<UInt64> {
            original.table.update(key) { $0.token = "t" }
            original.table.update(key) { $0.visits += 0 }
        }
        #expect(try original.delta().chunks.isEmpty)
    }

    @Test func `one changed row in a hundred thousand takes less than 100 bytes`() throws {
        let original = try Original(partitionBits: 6, hashKey: HashKey(k0: 1, k1: 2))
        for key in 0..<100_000 as Range<UInt64> {
            original.table[key] = SampleRow(user: key, token: "t\(key)", visits: 0, note: nil)
        }
        let copy = try original.copy()
        original.table.update(4_711) { $0.visits += 1 }
        let delta = try original.delta()
        #expect(delta.chunks.count == 1)
        #expect(delta.byteCount < 100)
        #expect(delta.counts.comparedBySlots == 1 && delta.counts.comparedByRows == 0)
        try copy.apply(delta)
        #expect(copy.table[4_711]?.visits == 1)
    }

    @Test func `a page that is compared row by row is counted by its cause`() throws {
        let original = try Original(partitionBits: 0, hashKey: HashKey(k0: 1, k1: 2))
        func set(_ keys: Range<UInt64>) {
            for key in keys {
                original.table[key] = SampleRow(user: key, token: "t", visits: 0, note: nil)
            }
        }
        set(0..<3)
        _ = try original.copy()
        original.table.remove(0)
        var counts = try original.delta().counts
        #expect(counts.removedOrRestored == 1 && counts.comparedByRows == 1)
        // A cut between two writes of a page.
        original.table.update(1) { $0.visits += 1 }
        original.store.cut().close()
        original.table.update(1) { $0.visits += 1 }
        counts = try original.delta().counts
        #expect(counts.laterEpoch == 1 && counts.comparedByRows == 1)
        set(0..<100)
        counts = try original.delta().counts
        #expect(counts.splitOrMerged == 1 && counts.comparedByRows == 1)
        for key in 0..<100 as Range<UInt64> { original.table.remove(key) }
        let emptied = try original.delta().counts
        #expect(emptied.filledOrEmptied > 1)
        #expect(emptied.filledOrEmptied == emptied.comparedByRows && emptied.comparedBySlots == 0)
        set(0..<1)
        counts = try original.delta().counts
        #expect(counts.filledOrEmptied == 1 && counts.comparedByRows == 1)
        original.table.update(0) { $0.visits += 1 }
        counts = try original.delta().counts
        #expect(counts.comparedBySlots == 1 && counts.comparedByRows == 0)
    }

    @Test func `a write beside a delta is noticed at its end`() throws {
        let original = try Original(partitionBits: 2, hashKey: HashKey(k0: 1, k1: 2))
        for key in 0..<1_000 as Range<UInt64> {
            original.table[key] = SampleRow(user: key, token: "t", visits: 0, note: nil)
        }
        let copy = try original.copy()
        original.table.update(4) { $0.visits += 1 }
        let delta = try original.delta()
        let applier = try DeltaApplier(copy.store)
        let worker = DeltaApplier.Worker(for: applier)
        copy.table.update(5) { $0.visits += 7 }
        for chunk in delta.chunks { _ = try copy.apply(chunk, applier, worker) }
        let error = #expect(throws: StoreError.self) {
            try applier.finish(delta.end, at: delta.epoch)
        }
        #expect(error?.code == .wrongBase)
        #expect(copy.store.ancestor?.isExact == false)
        original.table.update(4) { $0.visits += 1 }
        let next = try original.delta()
        #expect(throws: StoreError(.wrongBase, "")) { try copy.apply(next) }
    }

    @Test func `a chunk that was refused does not count as a write beside the delta`() throws {
        let original = try Original(partitionBits: 0, hashKey: HashKey(k0: 1, k1: 2))
        for key in 0..<10 as Range<UInt64> {
            original.table[key] = SampleRow(user: key, token: "t", visits: 0, note: nil)
        }
        let copy = try original.copy()
        original.table.update(4) { $0.visits += 1 }
        let delta = try original.delta()
        let applier = try DeltaApplier(copy.store)
        let worker = DeltaApplier.Worker(for: applier)
        // The same chunk, said to be of a base with one row less.
        let chunk = delta.chunks[0]
        let header = try unsafe chunk.withUnsafeBytes {
            try unsafe VerifiedChunk(verifying: $0).header
        }
        let batch = DeltaBatch(leaves: copy.table.schema.leaves)
        var decoder = ChunkDecoder()
        let layout = try RegionLayout(copy.table.schema)
        try unsafe chunk.withUnsafeBytes {
            try decoder.decode(
                delta: try unsafe VerifiedChunk(verifying: $0), layout: layout, into: batch)
        }
        batch.baseRowCount -= 1
        batch.updated = [0]
        for change in batch.changes { change.mode = .value }
        for change in batch.changes where change.new.count > 0 {
            change.old.reserveCapacity(1)
            unsafe change.old.values.storeBytes(of: 0, as: UInt32.self)
            change.old.count = 1
        }
        var encoder = ChunkEncoder()
        encoder.encode(delta: batch, header: header)
        let wrong = unsafe [UInt8](encoder.bytes)
        #expect(throws: StoreError(.wrongBase, "")) { try copy.apply(wrong, applier, worker) }
        #expect(try copy.apply(chunk, applier, worker) == .applied)
        try applier.finish(delta.end, at: delta.epoch)
        #expect(copy.table[4]?.visits == 1 && copy.table.count == 10)
    }

    @Test func `a delta again, or an older one, changes nothing and says so`() throws {
        var random = Random(state: 7)
        let original = try Original(partitionBits: 2, hashKey: HashKey(k0: 1, k1: 2))
        for _ in 0..<2_000 { Self.change(original, &random, keys: 1_000) }
        let copy = try original.copy()
        for _ in 0..<500 { Self.change(original, &random, keys: 1_000) }
        let first = try original.delta()
        let models = original.model
        for _ in 0..<500 { Self.change(original, &random, keys: 1_000) }
        let second = try original.delta()
        let applier = try DeltaApplier(copy.store)
        let worker = DeltaApplier.Worker(for: applier)
        for chunk in first.chunks {
            #expect(try copy.apply(chunk, applier, worker) == .applied)
            #expect(try copy.apply(chunk, applier, worker) == .alreadyApplied)
        }
        // The one after it is not for this state: the epoch that is missing is named.
        let gap = #expect(throws: StoreError.self) {
            for chunk in second.chunks { _ = try copy.apply(chunk, applier, worker) }
        }
        #expect(gap?.code == .wrongBase && gap?.epoch?.rawValue == first.epoch)
        try applier.finish(first.end, at: first.epoch)
        Self.expectEqual(copy, models)
        try copy.apply(second)
        Self.expectEqual(copy, original.model)
        for old in [first, second] {
            let again = try DeltaApplier(copy.store)
            let worker = DeltaApplier.Worker(for: again)
            for chunk in old.chunks {
                #expect(try copy.apply(chunk, again, worker) == .alreadyApplied)
            }
        }
        Self.expectEqual(copy, original.model)
    }

    @Test func `a store that is not the base is refused before anything changes`() throws {
        var random = Random(state: 8)
        let original = try Original(partitionBits: 2, hashKey: HashKey(k0: 1, k1: 2))
        for _ in 0..<2_000 { Self.change(original, &random, keys: 1_000) }
        let copy = try original.copy()
        let other = try original.copy()
        for _ in 0..<500 { Self.change(original, &random, keys: 1_000) }
        let delta = try original.delta()
        // The same epoch in name, another state.
        let before = copy.store.epoch
        let wrong = #expect(throws: StoreError.self) { try copy.apply(delta) }
        #expect(wrong?.code == .wrongBase)
        #expect(copy.store.epoch == before)
        // The right state, but written to.
        other.table.update(other.table.count == 0 ? 0 : 1) { $0.visits += 1 }
        other.table[5_000] = SampleRow(user: 1, token: "", visits: 0, note: nil)
        #expect(throws: StoreError(.wrongBase, "")) { try other.apply(delta) }
        // And one that nothing was restored into.
        #expect(throws: StoreError(.wrongBase, "")) { try DeltaApplier(Store()) }
    }

    @Test func `a store written to while it was restored is no base`() throws {
        let original = try Original(partitionBits: 2, hashKey: HashKey(k0: 1, k1: 2))
        for key in 0..<1_000 as Range<UInt64> {
            original.table[key] = SampleRow(user: key, token: "t", visits: 0, note: nil)
        }
        let bytes = try original.store.cut().write(to: ByteArraySink()).bytes
        let store = Store()
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        var restorer = StreamRestorer(into: store)
        try restorer.push(Array(bytes.dropLast(20)))
        table.update(3) { $0.visits = 999 }
        try restorer.push(Array(bytes.suffix(20)))
        try restorer.finish()
        #expect(throws: StoreError(.wrongBase, "")) { try DeltaApplier(store) }
    }

    @Test func `a delta finds its tables by name, beside others that the copy has`() throws {
        let source = Store()
        let pets = try source.table("pets", key: UInt64.self, row: SampleRow.self)
        let base = source.cut()
        let bytes = try base.write(to: ByteArraySink()).bytes
        let store = Store()
        let apples = try store.table("apples", key: UInt64.self, row: SampleRow.self)
        let copies = try store.table("pets", key: UInt64.self, row: SampleRow.self)
        var restorer = StreamRestorer(into: store)
        try restorer.push(bytes)
        try restorer.finish()
        for key in 0..<5 as Range<UInt64> {
            pets[key] = SampleRow(user: key, token: "", visits: 0, note: nil)
        }
        let digest = try #require(store.ancestor).digest
        let delta = try DeltaSource(from: base, to: source.cut(), baseDigest: digest)
        let worker = DeltaSource.Worker(for: delta)
        let applier = try DeltaApplier(store)
        let applying = DeltaApplier.Worker(for: applier)
        while let job = try delta.next() {
            try unsafe delta.encode(
                job, with: worker,
                emit: { (_, chunk) throws(any Error) in
                    _ = try unsafe applier.apply(VerifiedChunk(verifying: chunk), with: applying)
                }, refused: { $0 as any Error })
        }
        #expect(apples.count == 0 && copies.count == 5)
    }

    @Test func `what is inside an optional goes with it, whatever a delta says`() throws {
        let source = Store()
        let table = try source.table("nested", key: UInt64.self, row: Nested.self)
        for key in 0..<4 as Range<UInt64> { table[key] = Nested(outer: Inner(value: 7)) }
        let cut = source.cut()
        let store = Store()
        let copy = try store.table("nested", key: UInt64.self, row: Nested.self)
        var restorer = StreamRestorer(into: store)
        try restorer.push(cut.write(to: ByteArraySink()).bytes)
        try restorer.finish()
        // A writer that says only that the outer optional is gone.
        let layout = try RegionLayout(copy.schema)
        let batch = DeltaBatch(leaves: layout.leaves)
        batch.baseDigest = try #require(store.ancestor).digest
        batch.baseRowCount = 4
        batch.updated = [0]
        batch.masks.append([1 << 1])
        for (column, value) in [(batch.changes[1].new, 0), (batch.changes[1].old, 1)] {
            column.reserveCapacity(1)
            unsafe column.values.storeBytes(of: UInt8(value), as: UInt8.self)
            column.count = 1
        }
        var header = ChunkHeader(
            role: .delta, region: 0, fingerprint: layout.wireFingerprint, partition: 0,
            range: .all, sequence: 0, targetEpoch: cut.epoch.rawValue + 1)
        header.baseEpoch = cut.epoch.rawValue
        var encoder = ChunkEncoder()
        encoder.encode(delta: batch, header: header)
        let applier = try DeltaApplier(store)
        let worker = DeltaApplier.Worker(for: applier)
        _ = try unsafe applier.apply(VerifiedChunk(verifying: encoder.bytes), with: worker)
        let again = Store()
        var second = StreamRestorer(into: again)
        try second.push(store.cut().write(to: ByteArraySink()).bytes)
        try second.finish()
        #expect(again.rowCount(of: "nested") == 4)
        #expect((0..<4 as Range<UInt64>).count { copy[$0]?.outer == nil } == 1)
    }

    @Test func `a delta without one of its chunks does not end`() throws {
        let original = try Original(partitionBits: 2, hashKey: HashKey(k0: 1, k1: 2))
        for key in 0..<20_000 as Range<UInt64> {
            original.table[key] = SampleRow(user: key, token: "t\(key)", visits: 0, note: nil)
        }
        let copy = try original.copy()
        for key in 0..<20_000 as Range<UInt64> { original.table.update(key) { $0.visits += 1 } }
        var delta = try original.delta()
        #expect(delta.chunks.count > 2)
        delta.chunks.removeLast()
        #expect(throws: StoreError(.inconsistentData, "")) { try copy.apply(delta) }
    }

    @Test func `any damage to a delta chunk is an error or a correct result`() throws {
        var random = Random(state: 9)
        let original = try Original(partitionBits: 0, hashKey: HashKey(k0: 1, k1: 2))
        for _ in 0..<200 { Self.change(original, &random, keys: 100) }
        let snapshot = try {
            original.base = original.store.cut()
            return try original.base.write(to: ByteArraySink()).bytes
        }()
        original.digest = try Copy(snapshot).digest
        for _ in 0..<40 { Self.change(original, &random, keys: 100) }
        let delta = try original.delta(reversible: true)
        let chunk = try #require(delta.chunks.first)
        for index in chunk.indices {
            var damaged = chunk
            damaged[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            let copy = try Copy(snapshot)
            let applier = try DeltaApplier(copy.store)
            let worker = DeltaApplier.Worker(for: applier)
            #expect(throws: (any Error).self) { try copy.apply(damaged, applier, worker) }
        }
    }
}
