import CaesuraFormat
import CaesuraTesting
import Testing

/// A chunk of some rows, as bytes.
func encodeChunk(
    _ layout: RegionLayout, region: Int = 0, rows: [[Value]], compression: Compression = .none,
    range: HashRange = .all, sequence: UInt64 = 0, partition: Int = 0, epoch: UInt64 = 7
) -> [UInt8] {
    var encoder = ChunkEncoder(compression: compression)
    encoder.encode(
        core: ColumnBatch(layout, rows: rows),
        header: ChunkHeader(
            role: .core, region: region, fingerprint: layout.wireFingerprint, partition: partition,
            range: range, sequence: sequence, targetEpoch: epoch))
    return unsafe [UInt8](encoder.bytes)
}

/// The rows of a chunk in an array.
func decodeChunk(
    _ bytes: [UInt8], _ layout: RegionLayout, wanted: [Bool]? = nil, limits: Limits = Limits()
) throws(FormatError) -> [[Value]] {
    let batch = ColumnBatch(leaves: layout.leaves)
    var result: Result<Void, FormatError> = .success(())
    unsafe bytes.withUnsafeBytes { buffer in
        result = Result { () throws(FormatError) in
            let chunk = try unsafe VerifiedChunk(verifying: buffer, limits: limits)
            var decoder = ChunkDecoder(limits: limits)
            try decoder.decode(core: chunk, layout: layout, wanted: wanted, into: batch)
        }
    }
    try result.get()
    if wanted != nil { return [] }
    return batch.rows(layout)
}

@Suite struct ChunkTests {
    static let rows: [[Value]] = (0..<5).map { index in
        let lastSeen: Value = index % 2 == 0 ? .none : .int(Int128(index) * 1_000_000)
        let user = UInt128(index)
        return [.uint(user * 1000), .uint(user), .string("token\(index)"), lastSeen, .uint(3)]
    }

    @Test func `rows of random schemas come back as they went, compressed or not`() throws {
        var random = RandomSchema(seed: RandomSchema.seed)
        for round in 0..<150 {
            let layout = try RegionLayout(random.region())
            let count = random.chance(4) ? 1 + random.below(300) : 1 + random.below(4)
            let rows = (0..<count).map { _ in layout.fields.map { random.value($0.type) } }
            for compression in [Compression.none, .zstd(level: 3)] {
                let bytes = encodeChunk(layout, rows: rows, compression: compression)
                #expect(
                    try decodeChunk(bytes, layout) == rows, "seed \(random.seed), round \(round)")
                #expect(encodeChunk(layout, rows: rows, compression: compression) == bytes)
            }
        }
    }

    @Test func `an encoder that was used before gives the same bytes as a new one`() throws {
        let layout = try RegionLayout(session)
        let batch = ColumnBatch(layout, rows: Self.rows)
        let many = ColumnBatch(
            layout, rows: Array(repeating: Self.rows, count: 100).flatMap(\.self))
        let header = ChunkHeader(
            role: .core, region: 0, fingerprint: layout.wireFingerprint, partition: 0, range: .all,
            sequence: 0, targetEpoch: 7)
        for compression in [Compression.none, .zstd(level: 1)] {
            var encoder = ChunkEncoder(compression: compression)
            encoder.encode(core: batch, header: header)
            let first = unsafe [UInt8](encoder.bytes)
            encoder.encode(core: many, header: header)
            encoder.encode(core: batch, header: header)
            let again = unsafe [UInt8](encoder.bytes)
            #expect(first == again)
            #expect(
                encoder.leafByteCounts.count == layout.leaves.count
                    && encoder.leafByteCounts.reduce(0, +) < encoder.header.decodedLength)
        }
    }

    @Test func `the header of a small chunk has less than 60 bytes`() throws {
        let layout = try RegionLayout(session)
        var header = ChunkHeader(
            role: .core, region: 9, fingerprint: layout.wireFingerprint, partition: 200,
            range: HashRange(partition: 200, bits: 8), sequence: 3, targetEpoch: 1_000_000)
        var encoder = ChunkEncoder()
        encoder.encode(core: ColumnBatch(layout, rows: Self.rows), header: header)
        header = encoder.header
        #expect(header.headerLength < 60)
        let bytes = unsafe [UInt8](encoder.bytes)
        #expect(bytes.count == header.chunkLength)
        let read = try unsafe bytes.withUnsafeBytes { try unsafe ChunkHeader(reading: $0) }
        #expect(read == header)
    }

    @Test func `a chunk with any bit changed or cut anywhere is refused with its place`() throws {
        let layout = try RegionLayout(session)
        for compression in [Compression.none, .zstd(level: 3)] {
            let rows = Array(repeating: Self.rows, count: 3).flatMap(\.self)
            let bytes = encodeChunk(layout, rows: rows, compression: compression)
            for index in bytes.indices {
                for bit in 0..<8 {
                    var changed = bytes
                    changed[index] ^= 1 << bit
                    #expect(throws: FormatError.self) { try decodeChunk(changed, layout) }
                }
                let cut = Array(bytes[..<index])
                let error = #expect(throws: FormatError.self) { try decodeChunk(cut, layout) }
                #expect(error?.code == .truncated && error?.offset == index)
            }
        }
    }

    @Test func `a body changed under a fitting checksum is refused or keeps the rules`() throws {
        let layout = try RegionLayout(session)
        let bytes = encodeChunk(layout, rows: Self.rows)
        var refused = 0
        for index in 0..<bytes.count {
            for value in [0, 1, 0x7F, 0x80, 0xFF] as [UInt8] where bytes[index] != value {
                guard let forged = Forger(bytes).replacing(at: index, with: value) else { continue }
                do {
                    let rows = try decodeChunk(forged, layout)
                    #expect(try decodeChunk(encodeChunk(layout, rows: rows), layout) == rows)
                } catch {
                    refused += 1
                }
            }
        }
        #expect(refused > 100)
    }

    @Test func `a column that is not wanted is stepped over`() throws {
        let layout = try RegionLayout(session)
        let bytes = encodeChunk(layout, rows: Self.rows)
        let batch = ColumnBatch(leaves: layout.leaves)
        try unsafe bytes.withUnsafeBytes { buffer in
            let chunk = try unsafe VerifiedChunk(verifying: buffer)
            var decoder = ChunkDecoder()
            let wanted = layout.leaves.map { $0.name != "token" }
            try decoder.decode(core: chunk, layout: layout, wanted: wanted, into: batch)
        }
        #expect(batch.columns.map(\.count) == [5, 5, 0, 5, 2, 5])
    }

    @Test func `a chunk of another schema is a mismatch`() throws {
        var other = session
        other.row.fields[0].type = .scalar(.int64)
        let bytes = encodeChunk(try RegionLayout(session), rows: Self.rows)
        let layout = try RegionLayout(other)
        let error = #expect(throws: FormatError.self) { try decodeChunk(bytes, layout) }
        #expect(error?.code == .schemaMismatch && error?.offset == 9)
    }

    @Test func `a value that is no case of its enumeration is refused`() throws {
        func region(_ cases: [Int]) throws -> RegionLayout {
            var copy = session
            copy.row.fields[0].type = .enumeration(
                raw: .scalar(.uint64),
                cases: cases.map { EnumerationCase(name: "c\($0)", raw: .uint(UInt128($0))) })
            return try RegionLayout(copy)
        }
        let bytes = encodeChunk(try region([0, 1, 2, 3, 4]), rows: Self.rows)
        #expect(try decodeChunk(bytes, try region([4, 3, 2, 1, 0, 9])) == Self.rows)
        for cases in [[0, 1, 2, 3], [1, 2, 3, 4], [0, 1, 3, 4]] {
            let layout = try region(cases)
            #expect(throws: FormatError(.malformed, "", at: 0)) { try decodeChunk(bytes, layout) }
        }
    }
}
