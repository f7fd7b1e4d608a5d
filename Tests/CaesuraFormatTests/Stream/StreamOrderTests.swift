import CaesuraFormat
import CaesuraTesting
import Testing

/// Chunks whose checksums fit in an order that does not.
@Suite struct StreamOrderTests {
    struct Place {
        var role = ChunkRole.core
        var region = 1
        var partition = 0
        var range: HashRange?
        var sequence: UInt64 = 0
        var epoch: UInt64 = 7
        var fingerprint: Fingerprint?
    }

    /// What a reader says of a stream of such chunks; nil when it asks for more.
    func error(_ places: Place...) throws -> FormatError? {
        let sample = try SampleStream(withLargeValue: false)
        let layouts = try sample.metadata.regions.map { try RegionLayout($0) }
        var encoder = ChunkEncoder()
        encoder.encode(metadata: sample.metadata)
        var bytes = unsafe [UInt8](encoder.bytes)
        for place in places {
            let layout = layouts[min(place.region, 1)]
            let header = ChunkHeader(
                role: place.role, region: place.region,
                fingerprint: place.fingerprint ?? layout.wireFingerprint,
                partition: place.partition,
                range: place.range ?? HashRange(partition: place.partition & 3, bits: 2),
                sequence: place.sequence, targetEpoch: place.epoch)
            if place.role == .segment {
                unsafe [1].withUnsafeBytes {
                    unsafe encoder.encode(segment: $0, leaf: 1, row: 0, offset: 0, header: header)
                }
            } else {
                let rows: [[Value]] =
                    place.region == 0 ? [[.string("a"), .bytes([])]] : ChunkTests.rows
                encoder.encode(core: ColumnBatch(layout, rows: rows), header: header)
            }
            bytes += unsafe [UInt8](encoder.bytes)
        }
        var reader = StreamReader()
        reader.push(bytes)
        do {
            while try reader.next() != nil {}
            return nil
        } catch {
            return error
        }
    }

    static let low = HashRange(partition: 0, bits: 2).halves!.0
    static let high = HashRange(partition: 0, bits: 2).halves!.1

    @Test func `chunks in order are accepted`() throws {
        #expect(
            try error(
                Place(region: 0, partition: 3), Place(partition: 0, range: Self.low),
                Place(partition: 0, range: Self.high, sequence: 1), Place(partition: 2)) == nil)
        #expect(
            try error(
                Place(role: .segment, range: Self.low),
                Place(role: .segment, range: Self.low, sequence: 1),
                Place(range: Self.low, sequence: 2), Place(range: Self.high, sequence: 3)) == nil)
    }

    @Test func `regions, partitions and ranges must ascend`() throws {
        #expect(try error(Place(), Place(region: 0))?.code == .malformed)
        #expect(try error(Place(partition: 2), Place(partition: 1))?.code == .malformed)
        #expect(try error(Place(), Place(sequence: 1))?.code == .malformed)
        #expect(
            try error(Place(range: Self.high), Place(range: Self.low, sequence: 1))?.code
                == .malformed)
        #expect(try error(Place(), Place(range: Self.high, sequence: 1))?.code == .malformed)
        #expect(try error(Place(range: Self.low), Place(sequence: 1))?.code == .malformed)
    }

    @Test func `sequences must begin at 0 and leave nothing out`() throws {
        #expect(try error(Place(sequence: 1))?.code == .malformed)
        #expect(
            try error(Place(range: Self.low), Place(range: Self.high, sequence: 2))?.code
                == .malformed)
        #expect(try error(Place(range: Self.low), Place(range: Self.high))?.code == .malformed)
        #expect(try error(Place(), Place(partition: 1, sequence: 1))?.code == .malformed)
    }

    @Test func `segments must be followed by the core chunk of their range`() throws {
        #expect(
            try error(Place(role: .segment, range: Self.low), Place(range: Self.high, sequence: 1))?
                .code == .malformed)
        #expect(try error(Place(role: .segment), Place(partition: 1))?.code == .malformed)
        #expect(
            try error(
                Place(role: .segment, range: Self.low),
                Place(role: .segment, range: Self.high, sequence: 1))?.code == .malformed)
    }

    @Test func `a chunk must be of the stream's epoch, regions and partitions`() throws {
        #expect(try error(Place(epoch: 8))?.code == .malformed)
        #expect(try error(Place(region: 2))?.code == .malformed)
        #expect(try error(Place(partition: 4))?.code == .malformed)
        #expect(try error(Place(range: .all))?.code == .malformed)
        #expect(try error(Place(partition: 1, range: Self.low))?.code == .malformed)
        #expect(
            try error(Place(fingerprint: Fingerprint(rawValue: 1)))?.code == .schemaMismatch)
    }

    @Test func `a stream of other chunks than its end says is refused`() throws {
        let sample = try SampleStream(withLargeValue: false)
        // Without its last chunk the end's numbers differ.
        let end = sample.bytes.suffix(
            sample.bytes.count - sample.chunks.map(\.count).reduce(0, +) - metadataLength(sample))
        var cut = Array(sample.bytes[..<metadataLength(sample)])
        for chunk in sample.chunks.dropLast() { cut += chunk }
        #expect(throws: FormatError(.malformed, "", at: 0)) {
            try StreamContents(cut + end, pieces: { _ in .max })
        }
        // A last chunk of the same length and row count, with another value in it.
        var rows = ChunkTests.rows
        for index in rows.indices { rows[index][4] = .uint(2) }
        let layout = try RegionLayout(session)
        cut += encodeChunk(
            layout, region: 1, rows: rows, range: HashRange(partition: 2, bits: 2), partition: 2)
        guard cut.count + end.count == sample.bytes.count else {
            Issue.record("the changed chunk has another length")
            return
        }
        #expect(throws: FormatError(.checksumMismatch, "", at: 0)) {
            try StreamContents(cut + end, pieces: { _ in .max })
        }
    }

    private func metadataLength(_ sample: SampleStream) -> Int {
        var encoder = ChunkEncoder()
        encoder.encode(metadata: sample.metadata)
        return encoder.header.chunkLength
    }
}
