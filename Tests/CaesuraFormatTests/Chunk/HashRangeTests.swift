import CaesuraFormat
import CaesuraTesting
import Testing

@Suite struct HashRangeTests {
    @Test func `the halves of a range are next to each other and make up all of it`() {
        var range = HashRange.all
        for bits in 0..<64 {
            let (low, high) = range.halves!
            #expect(low.first == range.first && high.last == range.last)
            #expect(low.last &+ 1 == high.first)
            #expect(range.contains(low) && range.contains(high) && !low.contains(range))
            #expect(low.prefixBits == bits + 1)
            range = bits % 3 == 0 ? high : low
        }
        #expect(range.halves == nil && range.first == range.last)
    }

    @Test func `partitions are the ranges of the top bits`() {
        #expect(HashRange(partition: 0, bits: 0) == .all)
        let third = HashRange(partition: 2, bits: 2)
        #expect(third.first == 0x8000_0000_0000_0000 && third.last == 0xBFFF_FFFF_FFFF_FFFF)
        #expect(third == HashRange(prefixBits: 2, prefix: 0x8000_0000_0000_0000))
    }

    @Test func `a plan covers each row once and cuts only what is too large`() throws {
        var random = RandomSchema(seed: RandomSchema.seed)
        for _ in 0..<5 {
            let count = random.below(12_000)
            let spread = UInt64(random.below(32))
            let hashes = (0..<count).map { _ in random.source.next() >> spread }.sorted()
            let weights = hashes.map { _ in random.chance(200) ? 700_000 : 30 }
            let chunks = try HashRange.all.plan(hashes: hashes, weights: weights)
            #expect(chunks.map(\.rows.count).reduce(0, +) == count, "seed \(random.seed)")
            var last: HashRange?
            var next = 0
            for (range, rows) in chunks {
                #expect(rows.lowerBound == next && !rows.isEmpty)
                next = rows.upperBound
                #expect(last.map { $0.last < range.first } ?? true)
                last = range
                let inside = hashes.filter(range.contains)
                #expect(inside == Array(hashes[rows]), "seed \(random.seed)")
                #expect(HashRange.isOneChunk(rows: rows.count, weight: weights[rows].reduce(0, +)))
                guard range.prefixBits > 0 else { continue }
                let outer = HashRange(
                    prefixBits: range.prefixBits - 1,
                    prefix: range.first & ~(UInt64.max >> (range.prefixBits - 1)))
                let around = hashes.indices.filter { outer.contains(hashes[$0]) }
                #expect(
                    !HashRange.isOneChunk(
                        rows: around.count, weight: around.map { weights[$0] }.reduce(0, +)))
            }
        }
    }

    @Test func `rows of one hash that are too large are refused`() {
        #expect(throws: FormatError(.limitExceeded, "", at: 0)) {
            _ = try HashRange.all.plan(hashes: [5, 5], weights: [600_000, 600_000])
        }
    }

    @Test func `the limits of a chunk are exact`() {
        #expect(HashRange.isOneChunk(rows: 8192, weight: 1 << 20))
        #expect(!HashRange.isOneChunk(rows: 8193, weight: 0))
        #expect(!HashRange.isOneChunk(rows: 2, weight: 1 << 20 + 1))
        #expect(HashRange.isOneChunk(rows: 1, weight: 64 << 20))
    }
}
