import CaesuraFormat
import Testing

@testable import Caesura

/// Values of more than 64 KiB in deltas: only the pieces that changed travel, both ways.
@Suite struct DeltaLargeValueTests {
    typealias Chain = DeltaChain<UInt64, RichRow>

    static let mebibyte = 1_048_576

    static func bytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
        var random = TableModelTests.Random(state: seed)
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next() >> 32) }
    }

    /// Applies what `change` does to a copy, and undoes it, and applies it again.
    @discardableResult
    static func roundTrip(
        _ start: (inout RichRow) -> Void, _ change: (inout RichRow) -> Void,
        location: SourceLocation = #_sourceLocation
    ) throws -> Chain.Delta {
        var delta: Chain.Delta?
        for isReversible in [true, false] {
            let chain = try Chain(partitionBits: 2)
            for key in 0..<9 as Range<UInt64> { chain.set(key, RichRow(count: UInt32(key))) }
            var row = RichRow(count: 7)
            start(&row)
            chain.set(100, row)
            let copy = try Chain.Copy(chain.snapshot())
            let before = chain.model
            change(&row)
            chain.set(100, row)
            let made = try chain.delta(reversible: isReversible)
            delta = made
            try copy.apply(made)
            #expect(copy.holds(chain.model), sourceLocation: location)
            if isReversible {
                try copy.undo(made)
                #expect(copy.holds(before), sourceLocation: location)
                try copy.apply(made)
                #expect(copy.holds(chain.model), sourceLocation: location)
            } else {
                #expect(throws: (any Error).self) { try copy.undo(made) }
            }
        }
        return try #require(delta)
    }

    @Test func `of a value that changed in one byte one piece travels`() throws {
        let size = 5 * Self.mebibyte + 700
        let delta = try Self.roundTrip {
            $0.bytes = Self.bytes(size)
        } _: {
            $0.bytes[3 * Self.mebibyte - 1] ^= 1
        }
        #expect(delta.groups.count == 1 && delta.chunks.count == 2)
        #expect(delta.byteCount < Self.mebibyte + 400)
        // The last piece is short, and the only one.
        let last = try Self.roundTrip {
            $0.bytes = Self.bytes(size)
        } _: {
            $0.bytes[size - 1] ^= 1
        }
        #expect(last.chunks.count == 2 && last.byteCount < 1_200)
    }

    @Test func `a value that grows or shrinks sends what the other does not have`() throws {
        let mebibyte = Self.mebibyte
        let grown = try Self.roundTrip {
            $0.bytes = Self.bytes(3 * mebibyte)
        } _: {
            $0.bytes += [1, 2, 3]
        }
        #expect(grown.byteCount < 500)
        let shrunk = try Self.roundTrip {
            $0.bytes = Self.bytes(3 * mebibyte)
        } _: {
            $0.bytes.removeLast(mebibyte + 5)
        }
        #expect(shrunk.chunks.count == 1 && shrunk.byteCount < 200)
        let partly = try Self.roundTrip {
            $0.bytes = Self.bytes(3 * mebibyte + 17)
        } _: {
            $0.bytes += Self.bytes(mebibyte)
        }
        #expect(partly.byteCount < mebibyte + 700)
    }

    @Test(arguments: [0, 1, 900, 5_000, 65_536], [65_537, 262_144, 262_145, 1_048_576])
    func `a value that becomes large or small is whole on both sides`(small: Int, large: Int) throws
    {
        try Self.roundTrip {
            $0.bytes = Self.bytes(small)
        } _: {
            $0.bytes = Self.bytes(large)
        }
        try Self.roundTrip {
            $0.bytes = Self.bytes(large)
        } _: {
            $0.bytes = Self.bytes(small)
        }
    }

    @Test func `texts, arrays and what is optional go in pieces too`() throws {
        let text = String(repeating: "größer ", count: 200_000)
        try Self.roundTrip {
            $0.text = text
        } _: {
            $0.text += "!"
        }
        try Self.roundTrip {
            $0.note = nil
        } _: {
            $0.note = text
        }
        try Self.roundTrip {
            $0.note = text
        } _: {
            $0.note = nil
        }
        try Self.roundTrip {
            $0.numbers = (0..<400_000).map { UInt32($0) }
        } _: {
            $0.numbers[300_000] = 1
            $0.numbers.append(9)
        }
        try Self.roundTrip {
            $0.flags = Array(repeating: true, count: 70_000)
        } _: {
            $0.flags[69_999] = false
            $0.flags += Array(repeating: true, count: 2 * Self.mebibyte)
        }
        try Self.roundTrip {
            $0.inner = nil
            $0.status = .gone
        } _: {
            $0.inner = RichInner(level: 4, label: text, parts: Array(repeating: 7, count: 90_000))
            $0.bytes = Self.bytes(70_000)
        }
    }

    @Test func `rows that come and go bring their large values`() throws {
        for isReversible in [true, false] {
            let chain = try Chain(partitionBits: 2)
            var large = RichRow()
            large.bytes = Self.bytes(2 * Self.mebibyte + 1)
            large.note = String(repeating: "note", count: 50_000)
            for key in 0..<20 as Range<UInt64> { chain.set(key, RichRow()) }
            for key in 100..<104 as Range<UInt64> { chain.set(key, large) }
            let copy = try Chain.Copy(chain.snapshot())
            let before = chain.model
            for key in 100..<102 as Range<UInt64> { chain.set(key, nil) }
            chain.set(3, nil)
            for key in 200..<203 as Range<UInt64> { chain.set(key, large) }
            large.bytes[5] ^= 1
            chain.set(103, large)
            let delta = try chain.delta(reversible: isReversible, compression: .zstd(level: 1))
            try copy.apply(delta)
            #expect(copy.holds(chain.model))
            if !isReversible { continue }
            try copy.undo(delta)
            #expect(copy.holds(before))
        }
    }

    @Test func `a key may be large`() throws {
        let chain = try DeltaChain<String, SampleRow>(partitionBits: 1)
        let keys = (0..<6).map { String(repeating: "key \($0) ", count: 30_000) }
        let row = SampleRow(user: 1, token: "", visits: 0, note: nil)
        for key in keys.prefix(4) { chain.set(key, row) }
        let copy = try DeltaChain<String, SampleRow>.Copy(chain.snapshot())
        let before = chain.model
        chain.set(keys[0], nil)
        chain.set(keys[1], SampleRow(user: 2, token: "", visits: 0, note: nil))
        for key in keys.suffix(2) { chain.set(key, row) }
        let delta = try chain.delta(reversible: true)
        try copy.apply(delta)
        #expect(copy.holds(chain.model))
        try copy.undo(delta)
        #expect(copy.holds(before))
    }

    // MARK: Wrong input

    /// A copy whose one row has a large value, and chunks for it that nobody checked.
    struct Forge {
        let copy: Chain.Copy
        let layout: RegionLayout
        let bytes: [UInt8]
        let length: Int
        private let epoch: UInt64
        private let digest: UInt64
        static let bytesLeaf = 4

        init(length: Int = 2 * DeltaLargeValueTests.mebibyte + 10) throws {
            let chain = try Chain(partitionBits: 0)
            bytes = DeltaLargeValueTests.bytes(length)
            self.length = length
            var row = RichRow()
            row.bytes = bytes
            chain.set(1, row)
            copy = try Chain.Copy(chain.snapshot())
            layout = try RegionLayout(copy.table.schema)
            let ancestor = try #require(copy.store.ancestor)
            (epoch, digest) = (ancestor.epoch, ancestor.digest)
        }

        private func header(_ role: ChunkRole, _ sequence: UInt64) -> ChunkHeader {
            var header = ChunkHeader(
                role: role, region: 0, fingerprint: layout.wireFingerprint, partition: 0,
                range: .all, sequence: sequence, targetEpoch: epoch + 1)
            header.baseEpoch = epoch
            return header
        }

        func segment(
            _ offset: Int, _ count: Int, row: Int = 0, leaf: Int = bytesLeaf, fill: UInt8 = 0xC0,
            sequence: UInt64 = 0
        ) -> [UInt8] {
            var encoder = ChunkEncoder()
            unsafe [UInt8](repeating: fill, count: count).withUnsafeBytes {
                unsafe encoder.encode(
                    segment: $0, leaf: leaf, row: row, offset: offset,
                    header: header(.segment, sequence))
            }
            return unsafe [UInt8](encoder.bytes)
        }

        /// A delta chunk that gives the row's leaf a value of so many elements.
        func chunk(_ segments: Int, _ elements: UInt32, leaf: Int = bytesLeaf) -> [UInt8] {
            let batch = DeltaBatch(leaves: layout.leaves)
            batch.baseDigest = digest
            batch.baseRowCount = 1
            batch.updated = [0]
            batch.segmentCount = segments
            batch.masks.append([1 << UInt64(leaf)])
            for column in [batch.changes[leaf].new, batch.changes[leaf].old] {
                column.reserveCapacity(1)
                unsafe column.lengths[0] = elements
                column.count = 1
            }
            var encoder = ChunkEncoder()
            encoder.encode(delta: batch, header: header(.delta, UInt64(segments)))
            return unsafe [UInt8](encoder.bytes)
        }

        func outcome(_ chunks: [[UInt8]]) throws -> FormatError? {
            let applier = try DeltaApplier(copy.store)
            do {
                try copy.apply(chunks, applier)
                return nil
            } catch let error as FormatError {
                return error
            }
        }

        var isUnchanged: Bool { copy.table[1]?.bytes == bytes }
    }

    @Test func `pieces that do not fit their value are refused and change nothing`() throws {
        let forge = try Forge()
        let mebibyte = Self.mebibyte
        let length = UInt32(forge.length)
        func expectMalformed(_ chunks: [[UInt8]], location: SourceLocation = #_sourceLocation)
            throws
        {
            let error = try forge.outcome(chunks)
            #expect(error?.code == .malformed, "\(chunks.count)", sourceLocation: location)
            #expect(forge.isUnchanged, sourceLocation: location)
        }
        let first = forge.segment(0, mebibyte)
        let again = forge.segment(0, mebibyte, fill: 1, sequence: 1)
        // Twice, out of order, of another length than there is, too short, too long.
        try expectMalformed([first, again, forge.chunk(2, length)])
        try expectMalformed([forge.segment(mebibyte, mebibyte), again, forge.chunk(2, length)])
        try expectMalformed([forge.segment(4 * mebibyte, 10), forge.chunk(1, length)])
        try expectMalformed([forge.segment(0, 10), forge.chunk(1, length)])
        try expectMalformed([forge.segment(2 * mebibyte, 11), forge.chunk(1, length)])
        // Another number of them than the chunk says; none, and of a small value.
        try expectMalformed([first, forge.chunk(2, length)])
        try expectMalformed([first, forge.chunk(0, length)])
        try expectMalformed([forge.chunk(1, length)])
        try expectMalformed([first, forge.chunk(1, 0)])
        // Of a row there is not, of a leaf that did not change, of an old value.
        try expectMalformed([forge.segment(0, mebibyte, row: 1), forge.chunk(1, length)])
        try expectMalformed([forge.segment(0, mebibyte, leaf: 5), forge.chunk(1, length)])
        let old = Forge.bytesLeaf + forge.layout.leaves.count
        try expectMalformed([forge.segment(0, mebibyte, leaf: old), forge.chunk(1, length)])
        // Behind its chunk.
        let late = forge.chunk(0, UInt32(mebibyte))
        #expect(try forge.outcome([late, first])?.code == .malformed)
    }

    @Test func `a few bytes that claim a large value get no memory`() throws {
        let forge = try Forge()
        // A gigabyte, of which the store has two mebibytes and one piece came.
        let error = try forge.outcome([
            forge.segment(1_023 * Self.mebibyte, Self.mebibyte), forge.chunk(1, 1 << 30),
        ])
        #expect(error?.code == .malformed && forge.isUnchanged)
        #expect(try forge.outcome([forge.chunk(0, 1 << 30)])?.code == .malformed)
        #expect(try forge.outcome([forge.chunk(0, 1 << 30 + 1)])?.code == .limitExceeded)
        // Of 4 bytes an element.
        #expect(try forge.outcome([forge.chunk(0, 1 << 30, leaf: 5)])?.code == .limitExceeded)
        #expect(forge.isUnchanged)
    }

    @Test func `what pieces make is checked as a whole`() throws {
        let forge = try Forge()
        let textLeaf = 3
        let flagsLeaf = 6
        let size = 70_000
        for (leaf, fill, isRight) in [
            (textLeaf, 0xC0, false), (textLeaf, 0x41, true), (flagsLeaf, 2, false),
            (flagsLeaf, 1, true),
        ] as [(Int, UInt8, Bool)] {
            let other = try Forge()
            let error = try other.outcome([
                other.segment(0, size, leaf: leaf, fill: fill),
                other.chunk(1, UInt32(size), leaf: leaf),
            ])
            #expect((error == nil) == isRight)
            #expect(
                other.copy.table[1]?.text.utf8.count == (isRight && leaf == textLeaf ? size : 0))
        }
        // A chunk that was refused may come again, with its segments.
        let applier = try DeltaApplier(forge.copy.store)
        #expect(throws: FormatError.self) {
            try forge.copy.apply([forge.segment(0, 10), forge.chunk(1, UInt32(size))], applier)
        }
        let good = [forge.segment(0, size), forge.chunk(1, UInt32(size))]
        try forge.copy.apply(good, applier)
        #expect(forge.copy.table[1]?.bytes == Array(repeating: 0xC0, count: size))
    }

    @Test func `segments of deltas and of snapshots are not mixed up`() throws {
        let forge = try Forge()
        let chunk = forge.segment(0, 100)
        var decoder = ChunkDecoder()
        let error = #expect(throws: FormatError.self) {
            try unsafe chunk.withUnsafeBytes {
                _ = try unsafe decoder.decode(
                    segment: VerifiedChunk(verifying: $0), layout: forge.layout)
            }
        }
        #expect(error?.code == .malformed)
    }
}
