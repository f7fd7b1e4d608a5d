import CaesuraFormat
import Testing

@testable import Caesura

/// Reversible deltas: a copy goes forwards and back, and each state is exactly the one that was.
@Suite struct DeltaBackwardsTests {
    typealias Random = TableModelTests.Random
    typealias Chain = DeltaChain<String, RichRow>

    static func text(_ random: inout Random) -> String {
        let length = [0, 3, 12, 40, 900, 1_100, 70_000].randomElement(using: &random)!
        return String((0..<length).map { _ in "aäb漢🙂".randomElement(using: &random)! })
    }

    static func row(_ random: inout Random) -> RichRow {
        var row = RichRow(count: UInt32.random(in: 0..<10, using: &random))
        for field in 0..<8 where Int.random(in: 0..<3, using: &random) == 0 {
            change(&row, field, &random)
        }
        return row
    }

    static func change(_ row: inout RichRow, _ field: Int, _ random: inout Random) {
        switch field {
        case 0: row.count &+= UInt32.random(in: 0..<3, using: &random)
        case 1: row.status = [.idle, .busy, .gone].randomElement(using: &random)!
        case 2: row.text = Bool.random(using: &random) ? text(&random) : row.text + "!"
        case 3:
            let count = [0, 1, 50, 2_000, 100_000].randomElement(using: &random)!
            row.bytes = DeltaLargeValueTests.bytes(count, seed: random.next())
        case 4: row.numbers.append(UInt32(truncatingIfNeeded: random.next()))
        case 5: row.flags.insert(Bool.random(using: &random), at: 0)
        case 6: row.note = Bool.random(using: &random) ? text(&random) : nil
        default:
            row.inner =
                Bool.random(using: &random)
                ? RichInner(
                    level: Int16(truncatingIfNeeded: random.next()),
                    label: Bool.random(using: &random) ? text(&random) : nil, parts: [1, 2])
                : nil
        }
        row.id = UInt128(random.next())
    }

    static func change(_ chain: Chain, _ keys: Int, _ random: inout Random) {
        let key = "key \(Int.random(in: 0..<keys, using: &random))"
        switch Int.random(in: 0..<8, using: &random) {
        case 0..<2: chain.set(key, Self.row(&random))
        case 2: chain.set(key, nil)
        default:
            guard var row = chain.model[key] else { return }
            Self.change(&row, Int.random(in: 0..<8, using: &random), &random)
            chain.set(key, row)
        }
    }

    /// Says so in one line when they differ, and does not print both.
    static func expect(
        _ copy: Chain.Copy, _ model: [String: RichRow], _ comment: Comment,
        location: SourceLocation = #_sourceLocation
    ) {
        let isEqual = copy.holds(model)
        #expect(isEqual, comment, sourceLocation: location)
    }

    @Test(arguments: [0, 2, 6], [30, 600])
    func `a copy goes forwards and back through all states`(partitionBits: Int, keys: Int) throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var random = Random(state: seed)
        let chain = try Chain(
            partitionBits: partitionBits, hashKey: HashKey(k0: random.next(), k1: random.next()))
        for _ in 0..<keys { Self.change(chain, keys, &random) }
        let copy = try Chain.Copy(chain.snapshot())
        var models = [chain.model]
        var digests = [try #require(copy.store.ancestor).digest]
        var deltas: [Chain.Delta] = []
        for round in 0..<8 {
            let share = [0, 1, 7, keys / 4, keys * 2].randomElement(using: &random)!
            for _ in 0..<share { Self.change(chain, keys, &random) }
            if round % 3 == 2 {
                chain.store.cut().close()
                for _ in 0..<share { Self.change(chain, keys, &random) }
            }
            var delta = try chain.delta(
                reversible: true, compression: round % 2 == 0 ? .none : .zstd(level: 1))
            delta.groups.shuffle(using: &random)
            try copy.apply(delta)
            deltas.append(delta)
            models.append(chain.model)
            digests.append(delta.end.digest)
            Self.expect(copy, chain.model, "seed \(seed), round \(round)")
            // Back a few and forwards again, as far as it was.
            let back = Int.random(in: 0...deltas.count, using: &random)
            for index in deltas.indices.suffix(back).reversed() {
                deltas[index].groups.shuffle(using: &random)
                try copy.undo(deltas[index])
                Self.expect(copy, models[index], "seed \(seed), back to \(index)")
                #expect(copy.store.ancestor?.digest == digests[index])
            }
            for index in deltas.indices.suffix(back) { try copy.apply(deltas[index]) }
            Self.expect(copy, chain.model, "seed \(seed), again \(round)")
        }
    }

    /// A copy of a table, and a delta of four chunks for it.
    struct Wide {
        typealias Chain = DeltaChain<UInt64, SampleRow>
        let chain: Chain
        let copy: Chain.Copy
        let before: [UInt64: SampleRow]
        let delta: Chain.Delta

        init() throws {
            var random = Random(state: 3)
            chain = try Chain(partitionBits: 1)
            func row() -> SampleRow {
                SampleRow(user: random.next(), token: "token", visits: 0, note: nil)
            }
            for key in 0..<20_000 as Range<UInt64> { chain.set(key, row()) }
            copy = try Chain.Copy(chain.snapshot())
            before = chain.model
            for key in 0..<20_000 as Range<UInt64> {
                switch key % 5 {
                case 0: chain.set(key, nil)
                case 1: chain.set(key + 100_000, row())
                default: chain.set(key, row())
                }
            }
            delta = try chain.delta(reversible: true)
            #expect(delta.groups.count == 4)
        }
    }

    @Test func `every order of the chunks gives the same, both ways`() throws {
        let wide = try Wide()
        for permutation in Self.permutations(of: wide.delta.groups) {
            var shuffled = wide.delta
            shuffled.groups = permutation
            try wide.copy.apply(shuffled)
            let isThere = wide.copy.holds(wide.chain.model)
            #expect(isThere)
            try wide.copy.undo(shuffled)
            let isBack = wide.copy.holds(wide.before)
            #expect(isBack)
        }
    }

    @Test func `chunks may be applied on several threads, both ways`() throws {
        let wide = try Wide()
        let store = wide.copy.store
        let delta = wide.delta
        func apply(_ applier: DeltaApplier) throws {
            let groups = delta.groups
            let half: @Sendable (Int) throws -> Void = { start in
                let worker = DeltaApplier.Worker(for: applier)
                for index in stride(from: start, to: groups.count, by: 2) {
                    for chunk in groups[index] {
                        try unsafe chunk.withUnsafeBytes {
                            _ = try unsafe applier.apply(
                                VerifiedChunk(verifying: $0), with: worker)
                        }
                    }
                }
            }
            try onThreads({ try half(0) }, { try half(1) })
        }
        for _ in 0..<5 {
            let applier = try DeltaApplier(store)
            try apply(applier)
            try applier.finish(delta.end, at: delta.epoch)
            let isThere = wide.copy.holds(wide.chain.model)
            #expect(isThere)
            let undoing = try wide.copy.undoing(delta)
            try apply(undoing)
            try undoing.finish(delta.end, at: delta.baseEpoch)
            let isBack = wide.copy.holds(wide.before)
            #expect(isBack)
        }
    }

    @Test func `rows of more than 64 fields go forwards and back`() throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var random = Random(state: seed)
        let chain = try DeltaChain<UInt64, WideRow>(partitionBits: 1)
        for key in 0..<60 as Range<UInt64> { chain.set(key, WideRow(repeating: "text \(key)")) }
        let copy = try DeltaChain<UInt64, WideRow>.Copy(chain.snapshot())
        var models = [chain.model]
        var deltas: [DeltaChain<UInt64, WideRow>.Delta] = []
        for _ in 0..<6 {
            for _ in 0..<25 {
                let key = UInt64.random(in: 0..<70, using: &random)
                var row = chain.model[key] ?? WideRow(repeating: "new")
                row.texts[Int.random(in: 0..<70, using: &random)] += "\(random.next())"
                chain.set(key, row)
            }
            chain.set(UInt64.random(in: 0..<70, using: &random), nil)
            deltas.append(try chain.delta(reversible: true))
            models.append(chain.model)
            try copy.apply(deltas[deltas.count - 1])
            #expect(copy.holds(chain.model), "seed \(seed)")
        }
        for index in deltas.indices.reversed() {
            try copy.undo(deltas[index])
            #expect(copy.holds(models[index]), "seed \(seed)")
        }
    }

    private static func permutations<Element>(of elements: [Element]) -> [[Element]] {
        guard elements.count > 1 else { return [elements] }
        return elements.indices.flatMap { index in
            var rest = elements
            let first = rest.remove(at: index)
            return permutations(of: rest).map { [first] + $0 }
        }
    }

    // MARK: Guards

    struct Pair {
        let chain: Chain
        let copy: Chain.Copy
        let before: [String: RichRow]
        let delta: Chain.Delta

        init(reversible: Bool = true) throws {
            chain = try Chain(partitionBits: 2)
            for index in 0..<40 { chain.set("key \(index)", RichRow(count: UInt32(index))) }
            copy = try Chain.Copy(chain.snapshot())
            before = chain.model
            for index in 20..<30 { chain.set("key \(index)", nil) }
            for index in 30..<50 { chain.set("key \(index)", RichRow(count: 99)) }
            delta = try chain.delta(reversible: reversible)
            try copy.apply(delta)
        }
    }

    @Test func `only the delta that has led to the state is undone`() throws {
        let pair = try Pair()
        var other = pair.delta.end
        other.digest ^= 1
        let (epoch, baseEpoch) = (pair.delta.epoch, pair.delta.baseEpoch)
        for (end, epoch, base) in [
            (other, epoch, baseEpoch), (pair.delta.end, epoch + 1, baseEpoch),
            (pair.delta.end, epoch, epoch),
        ] {
            #expect(throws: StoreError(.wrongBase, "")) {
                try DeltaApplier(pair.copy.store, undoing: end, at: epoch, backTo: base)
            }
        }
        try pair.copy.undo(pair.delta)
        #expect(pair.copy.holds(pair.before))
        #expect(throws: StoreError(.wrongBase, "")) { try pair.copy.undo(pair.delta) }
    }

    @Test func `a delta without the way back is refused, and changes nothing`() throws {
        let pair = try Pair(reversible: false)
        let error = #expect(throws: FormatError.self) { try pair.copy.undo(pair.delta) }
        #expect(error?.code == .unsupported)
        #expect(pair.copy.holds(pair.chain.model))
    }

    @Test func `what was undone before is said, and what comes later is named`() throws {
        let pair = try Pair()
        pair.chain.set("key 1", RichRow(count: 7))
        let second = try pair.chain.delta(reversible: true)
        try pair.copy.apply(second)
        let applier = try pair.copy.undoing(second)
        let worker = DeltaApplier.Worker(for: applier)
        func apply(_ chunk: [UInt8], _ applier: DeltaApplier) throws -> DeltaApplier.Outcome {
            try unsafe chunk.withUnsafeBytes {
                try unsafe applier.apply(VerifiedChunk(verifying: $0), with: worker)
            }
        }
        let early = #expect(throws: StoreError.self) { try apply(pair.delta.chunks[0], applier) }
        #expect(early?.code == .wrongBase && early?.epoch?.rawValue == pair.delta.epoch)
        for chunk in second.chunks {
            #expect(try apply(chunk, applier) == .applied)
            #expect(try apply(chunk, applier) == .alreadyApplied)
        }
        try applier.finish(second.end, at: second.baseEpoch)
        let first = try pair.copy.undoing(pair.delta)
        #expect(try apply(second.chunks[0], first) == .alreadyApplied)
        for chunk in pair.delta.chunks { #expect(try apply(chunk, first) == .applied) }
        try first.finish(pair.delta.end, at: pair.delta.baseEpoch)
        #expect(pair.copy.holds(pair.before))
    }

    @Test func `a delta that is not undone whole does not end, nor beside a write`() throws {
        let pair = try Pair()
        let applier = try pair.copy.undoing(pair.delta)
        #expect(throws: StoreError(.inconsistentData, "")) {
            try applier.finish(pair.delta.end, at: pair.delta.baseEpoch)
        }
        pair.copy.table.update("key 2") { $0.count += 1 }
        try pair.copy.apply(pair.delta.chunks, applier)
        #expect(throws: StoreError(.inconsistentData, "")) {
            try applier.finish(pair.delta.end, at: pair.delta.baseEpoch - 1)
        }
        #expect(throws: StoreError(.wrongBase, "")) {
            try applier.finish(pair.delta.end, at: pair.delta.baseEpoch)
        }
        #expect(pair.copy.store.ancestor?.isExact == false)
    }

    @Test func `a delta of nothing is undone too`() throws {
        let pair = try Pair()
        let nothing = try pair.chain.delta(reversible: true)
        #expect(nothing.chunks.isEmpty)
        try pair.copy.apply(nothing)
        try pair.copy.undo(nothing)
        try pair.copy.undo(pair.delta)
        #expect(pair.copy.holds(pair.before))
    }

    @Test func `an inserted row that is not there is noticed before anything changes`() throws {
        let chain = try Chain(partitionBits: 0)
        for index in 0..<5 { chain.set("key \(index)", RichRow()) }
        let copy = try Chain.Copy(chain.snapshot())
        chain.set("key 0", RichRow(count: 1))
        chain.set("key 1", nil)
        chain.set("new", RichRow())
        let delta = try chain.delta(reversible: true)
        try copy.apply(delta)
        // The same chunk, but that the inserted row has another key.
        let chunk = try #require(delta.chunks.first)
        let layout = try RegionLayout(copy.table.schema)
        let batch = DeltaBatch(leaves: layout.leaves)
        var decoder = ChunkDecoder()
        let header = try unsafe chunk.withUnsafeBytes { bytes in
            let chunk = try unsafe VerifiedChunk(verifying: bytes)
            try decoder.decode(delta: chunk, layout: layout, into: batch)
            return chunk.header
        }
        unsafe batch.inserted.columns[0].content.storeBytes(of: UInt8(ascii: "x"), as: UInt8.self)
        for change in batch.changes where change.mode != .value {
            // As they are, not as they were found.
            change.mode = .value
            change.old.reserveCapacity(1)
            change.old.count = change.new.count
        }
        var encoder = ChunkEncoder()
        encoder.encode(delta: batch, header: header)
        let forged = unsafe [UInt8](encoder.bytes)
        let error = #expect(throws: StoreError.self) {
            try copy.apply([forged], copy.undoing(delta))
        }
        #expect(error?.code == .inconsistentData)
        #expect(copy.holds(chain.model))
    }

    // MARK: Damage

    @Test func `damage under right checksums is an error or leaves sound rows, both ways`() throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var random = Random(state: seed)
        let chain = try Chain(partitionBits: 0)
        for _ in 0..<60 { Self.change(chain, 30, &random) }
        for key in chain.model.keys {
            // Small ones, so that much is tried in little time.
            chain.model[key]?.bytes = []
            chain.set(key, chain.model[key])
        }
        let snapshots = [try chain.snapshot()]
        for index in 0..<12 {
            Self.change(chain, 30, &random)
            chain.set("key \(index)", RichRow(count: UInt32(index)))
        }
        let delta = try chain.delta(reversible: true)
        let target = try Chain.Copy(snapshots[0])
        try target.apply(delta)
        var applied = 0
        for _ in 0..<600 {
            let copy = try Chain.Copy(snapshots[0])
            let isBack = Bool.random(using: &random)
            if isBack { try copy.apply(delta) }
            let applier = try isBack ? copy.undoing(delta) : DeltaApplier(copy.store)
            let worker = DeltaApplier.Worker(for: applier)
            for chunk in delta.chunks {
                var chunk = chunk
                for _ in 0..<Int.random(in: 1...2, using: &random) {
                    let index = Int.random(in: 25..<min(chunk.count, 3_000), using: &random)
                    chunk[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                }
                Self.fitChecksums(&chunk)
                let outcome = try? unsafe chunk.withUnsafeBytes {
                    try unsafe applier.apply(VerifiedChunk(verifying: $0), with: worker)
                }
                if outcome == .applied { applied += 1 }
            }
            // Whatever came of it, the rows are such as the format allows.
            let again = try Chain.Copy(copy.store.cut().write(to: ByteArraySink()).bytes)
            #expect(again.table.count == copy.table.count, "seed \(seed)")
        }
        #expect(applied > 5, "some damage gives other values, which is no error")
    }

    /// Makes a chunk's checksums those of its bytes.
    private static func fitChecksums(_ chunk: inout [UInt8]) {
        let length = Int(chunk[5])
        guard length >= 44, length <= chunk.count else { return }
        func put(_ value: UInt64, at offset: Int) {
            for byte in 0..<8 {
                chunk[offset + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte))
            }
        }
        put(unsafe chunk[length...].withUnsafeBytes { unsafe Checksum.of($0) }, at: 17)
        put(
            unsafe chunk[..<(length - 8)].withUnsafeBytes { unsafe Checksum.of($0) }, at: length - 8
        )
    }
}
