import CaesuraFormat
import Testing

@testable import Caesura

/// The last round of a part whose rows another store takes over slice by slice.
struct SlicesTests {
    typealias Random = TableModelTests.Random
    typealias Node = StorePartTests.Node

    /// A part of which another store has a snapshot, and what was written since.
    struct Begun {
        let source: Node
        let target: Node
        let part: StorePart
        let first: OutgoingRound
        let incoming: IncomingPart

        init(
            bits: Int, moving partBits: Int, rows: Int, changes: Int, keys: UInt64,
            _ random: inout Random
        ) throws {
            part = .rows(
                HashRange(
                    partition: .random(in: 0..<1 << partBits, using: &random), bits: partBits))
            source = try Node(bits: bits, epochs: .random(in: 0...40, using: &random))
            target = try Node(bits: bits, epochs: .random(in: 0...40, using: &random))
            source.write(rows, keys: keys, &random)
            first = try OutgoingRound(of: part, in: source.store)
            incoming = try IncomingPart(part, into: target.store)
            try StorePartTests.send(first, to: incoming)
            source.write(changes, keys: keys, in: part, &random)
        }

        func begin(bits: Int) throws -> OutgoingSlices {
            let last = try OutgoingSlices(after: first, bits: bits)
            try incoming.beginRound(at: last.epoch, from: last.baseEpoch, last.baseDigest)
            return last
        }
    }

    static func apply(_ chunk: [UInt8], to incoming: IncomingPart) throws -> Bool {
        try unsafe chunk.withUnsafeBytes { try unsafe incoming.apply($0) }
    }

    @Test(arguments: 0..<12 as Range<UInt64>)
    func `each slice is whole once it has ended, in the order in which they are asked for`(
        seed: UInt64
    ) throws {
        var random = Random(state: seed)
        let bits = Int.random(in: 1...5, using: &random)
        let partBits = Int.random(in: 0...bits, using: &random)
        let sliceBits = Int.random(in: partBits...bits, using: &random)
        let keys = UInt64.random(in: 50...1_500, using: &random)
        let begun = try Begun(
            bits: bits, moving: partBits, rows: 2_000,
            changes: .random(in: 0...400, using: &random), keys: keys, &random)
        let (part, source, target) = (begun.part, begun.source, begun.target)
        let moved = source.rows(of: part, keys: keys)
        let last = try begun.begin(bits: sliceBits)
        try begun.incoming.adopt(except: last.slices)
        for slice in part.range.slices(bits: sliceBits) {
            let isThere = !last.slices.contains(slice)
            let expected = isThere ? source.rows(of: .rows(slice), keys: keys) : [:]
            #expect(target.rows(of: .rows(slice), keys: keys) == expected)
        }
        // Somebody waits for some of them; the others follow.
        var demanded = Array(last.slices.shuffled(using: &random).prefix(3))
        for slice in demanded + demanded.prefix(1) { last.demand(slice) }
        var ended: Set<HashRange> = []
        var hasEnded = false
        while let item = try last.next() {
            switch item {
            case .chunk(let chunk): hasEnded = try Self.apply(chunk, to: begun.incoming)
            case .sliceEnd(let slice):
                #expect(!hasEnded)
                if !demanded.isEmpty { #expect(slice == demanded.removeFirst()) }
                #expect(ended.insert(slice).inserted)
                try begun.incoming.adopt(slice)
                #expect(
                    target.rows(of: .rows(slice), keys: keys)
                        == source.rows(of: .rows(slice), keys: keys))
                // It is written to while the others come.
                target.write(20, keys: keys, in: .rows(slice), &random)
            }
        }
        #expect(hasEnded && ended == last.slices && demanded.isEmpty)
        #expect(begun.incoming.state?.digest == last.totals.digest)
        if last.slices.isEmpty { #expect(target.rows(of: part, keys: keys) == moved) }
        // The store goes on as any other: a copy follows it by deltas.
        let followed = try FollowedTable(target.store, target.rich)
        target.write(200, keys: keys, in: part, &random)
        try followed.apply(followed.delta())
        try followed.expectSameSnapshots()
    }

    @Test func `what was written most often goes first`() throws {
        var random = Random(state: 4)
        let begun = try Begun(
            bits: 3, moving: 1, rows: 2_000, changes: 0, keys: 400, &random)
        let slices = begun.part.range.slices(bits: 3)
        for (index, slice) in slices.enumerated() {
            let key = try #require(
                (0..<400 as Range<UInt64>).first {
                    slice.contains($0.hash(with: StorePartTests.key))
                })
            for count in 0..<[3, 9, 1, 5][index] {
                begun.source.rich[key] = RichRow(count: UInt32(count))
            }
        }
        let last = try begun.begin(bits: 3)
        #expect(last.slices == Set(slices))
        var order: [HashRange] = []
        while let item = try last.next() {
            if case .sliceEnd(let slice) = item { order.append(slice) }
        }
        #expect(order == [slices[1], slices[3], slices[0], slices[2]])
    }

    @Test func `a chunk of a slice that has come, and an end before all have, are refused`() throws
    {
        var random = Random(state: 5)
        let begun = try Begun(
            bits: 3, moving: 1, rows: 1_000, changes: 400, keys: 400, &random)
        let last = try begun.begin(bits: 3)
        try begun.incoming.adopt(except: last.slices)
        var chunks: [[UInt8]] = []
        var first: HashRange?
        while let item = try last.next() {
            switch item {
            case .chunk(let chunk): chunks.append(chunk)
            case .sliceEnd(let slice) where first == nil:
                first = slice
                for chunk in chunks { _ = try Self.apply(chunk, to: begun.incoming) }
                try begun.incoming.adopt(slice)
                #expect(throws: StoreError.self) { try begun.incoming.adopt(slice) }
                #expect(throws: FormatError.self) {
                    try Self.apply(chunks[0], to: begun.incoming)
                }
            case .sliceEnd: break
            }
        }
        let end = try #require(chunks.last)
        #expect(throws: FormatError.self) { try Self.apply(end, to: begun.incoming) }
    }

    @Test func `slices that are not of the part are refused, and so are rows in its place`() throws
    {
        var random = Random(state: 6)
        let begun = try Begun(
            bits: 3, moving: 1, rows: 1_000, changes: 400, keys: 400, &random)
        let last = try begun.begin(bits: 3)
        let other = HashRange(bits: 3, of: ~begun.part.range.first)
        for slices in [[other], [HashRange(bits: 4, of: begun.part.range.first)], [.all]] {
            #expect(throws: StoreError.self) { try begun.incoming.adopt(except: Set(slices)) }
        }
        let key = try #require(
            (0..<400 as Range<UInt64>).first {
                begun.part.range.contains($0.hash(with: StorePartTests.key))
            })
        begun.target.rich[key] = RichRow(count: 1)
        #expect(throws: StoreError.self) { try begun.incoming.adopt(except: last.slices) }
        // Whoever drops the part leaves them there.
        #expect(!begun.incoming.isAdoptedBySlices)
        #expect(begun.target.rich.count == 1)
    }
}
