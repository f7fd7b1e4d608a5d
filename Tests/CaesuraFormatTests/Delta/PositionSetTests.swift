import Foundation
import Testing

@testable import CaesuraFormat

/// Position sets: exhaustively on small worlds, against the floor on large ones, and on bytes nobody wrote.
struct PositionSetTests {
    private func encoded(_ positions: [UInt64], of count: UInt64) -> [UInt8] {
        var scratch = Scratch()
        var writer = ByteWriter()
        PositionSet.encode(positions, of: count, scratch: &scratch, into: &writer)
        return writer.array
    }

    private func decoded(_ bytes: [UInt8], of count: UInt64) throws(FormatError) -> [UInt64] {
        try unsafe bytes.withUnsafeBufferPointer { (bytes) throws(FormatError) in
            var scratch = Scratch()
            var reader = unsafe ByteReader(UnsafeRawBufferPointer(bytes))
            let set = try PositionSet.decode(
                &reader, of: count, limit: Limits.rowsPerChunk, scratch: &scratch, "a set")
            guard reader.remaining == 0 else { throw reader.error(.malformed, "bytes left") }
            return set
        }
    }

    @Test func `every subset of up to ten rows comes back`() throws {
        for count in 0...10 {
            for subset in 0..<(1 << count) {
                let positions = (0..<count).filter { subset >> $0 & 1 == 1 }.map(UInt64.init)
                let bytes = encoded(positions, of: UInt64(count))
                #expect(try decoded(bytes, of: UInt64(count)) == positions)
                // A flag, a number, and no more than a bitmap.
                #expect(bytes.count <= 2 + (count + 7) / 8)
            }
        }
    }

    @Test(arguments: [1_000_000, 16_000, 100] as [UInt64], [0.0005, 0.01, 0.1, 0.5, 0.9, 1.0])
    func `a random set takes at most a tenth more than choosing it`(
        count: UInt64, share: Double
    ) throws {
        let seed = UInt64.random(in: .min ... .max)
        var random = SplitMix(seed: seed)
        let wanted = min(max(1, Int(Double(count) * share)), Limits.rowsPerChunk)
        var chosen: Set<UInt64> = []
        while chosen.count < wanted { chosen.insert(UInt64.random(in: 0..<count, using: &random)) }
        let positions = chosen.sorted()
        let bytes = encoded(positions, of: count)
        #expect(try decoded(bytes, of: count) == positions, "seed \(seed)")
        // log2 of the binomial coefficient, by the logarithm of the gamma function.
        let (n, k) = (Double(count), Double(positions.count))
        let choices: Double = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
        let floor: Double = choices / log(2.0) / 8
        #expect(Double(bytes.count) <= floor * 1.1 + 5, "seed \(seed): floor \(floor)")
    }

    @Test func `the specification's example has these bytes`() throws {
        // docs/FORMAT.md, "Position sets".
        #expect(encoded([1, 5, 900], of: 1_000) == [0x08, 0x03, 0x23, 0x01, 0x03, 0x7E])
    }

    @Test func `rows at the end of a large table come back`() throws {
        let count = PositionSet.rowLimit
        for positions in [[count - 1], [0, count - 1], [count - 2, count - 1]] {
            let bytes = encoded(positions, of: count)
            #expect(bytes.count < 24)
            #expect(try decoded(bytes, of: count) == positions)
        }
    }

    @Test func `a shorter set is truncated, and bits behind the last row are refused`() throws {
        let bytes = encoded([1, 5, 900], of: 1_000)
        for length in 0..<bytes.count {
            #expect(throws: FormatError.self) { try decoded(Array(bytes[..<length]), of: 1_000) }
        }
        // One row of eight: unary 0 0 1, then a bit that belongs to none.
        #expect(try decoded([0, 1, 0b0000_0100], of: 8) == [2])
        #expect(throws: FormatError(.malformed, "", at: 0)) {
            try decoded([0, 1, 0b0001_0100], of: 8)
        }
    }

    @Test func `rows that there are not, and sets too large to hold, are refused`() throws {
        #expect(throws: FormatError(.malformed, "", at: 0)) { try decoded([0, 1, 0x80], of: 7) }
        #expect(throws: FormatError(.malformed, "", at: 0)) { try decoded([0, 9], of: 8) }
        #expect(throws: FormatError(.malformed, "", at: 0)) { try decoded([48, 0], of: 8) }
        // All rows but none of a billion: refused before memory is asked for.
        #expect(throws: FormatError(.limitExceeded, "", at: 0)) {
            try decoded([0x80, 0], of: 1_000_000_000)
        }
    }

    @Test func `any bytes give a set or an error`() {
        let seed = UInt64.random(in: .min ... .max)
        var random = SplitMix(seed: seed)
        for _ in 0..<20_000 {
            let count = UInt64(1) << UInt64.random(in: 0...48, using: &random)
            var bytes = (0..<Int.random(in: 0...24, using: &random)).map { _ in
                UInt8.random(in: .min ... .max, using: &random)
            }
            if !bytes.isEmpty { bytes[0] &= 0xBF }
            guard let set = try? decoded(bytes, of: count) else { continue }
            let ascends = zip(set, set.dropFirst()).allSatisfy { $0 < $1 }
            #expect(ascends && (set.last ?? 0) < count, "seed \(seed)")
        }
    }
}
