import CaesuraFormat
import CaesuraTesting

/// A small stream with two regions, four partitions, several chunks and a segmented value, and its parts.
struct SampleStream {
    let metadata: StreamMetadata
    /// The stream's chunks between metadata and end.
    var chunks: [[UInt8]] = []
    var bytes: [UInt8] = []

    static let blobs = RegionSchema(
        name: "blobs", kind: .table,
        key: Schema(name: "key", fields: [Field(number: 1, name: "key", type: .string)]),
        row: Schema(name: "blob", fields: [Field(number: 1, name: "content", type: .bytes)]))

    /// The content of the segmented value: more than one segment.
    static let large = (0..<(Limits.segmentBytes + 100)).map { UInt8(truncatingIfNeeded: $0 / 251) }

    init(compression: Compression = .none, withLargeValue: Bool = true) throws {
        metadata = try StreamMetadata(
            epoch: 7, hashKey: HashKey(k0: 1, k1: 2), partitionBits: 2,
            regions: [session, Self.blobs],
            compression: compression)
        let blobs = try RegionLayout(metadata.regions[0])
        let sessions = try RegionLayout(metadata.regions[1])
        var encoder = ChunkEncoder(compression: compression)
        func header(
            _ role: ChunkRole, _ region: Int, partition: Int, half: Int? = nil, sequence: UInt64
        ) -> ChunkHeader {
            let range = HashRange(partition: partition, bits: 2)
            let halves = range.halves!
            return ChunkHeader(
                role: role, region: region,
                fingerprint: (region == 0 ? blobs : sessions).wireFingerprint,
                partition: partition,
                range: half == nil ? range : half == 0 ? halves.0 : halves.1,
                sequence: sequence, targetEpoch: 7)
        }
        if withLargeValue {
            for (index, offset) in [0, Limits.segmentBytes].enumerated() {
                let piece = Self.large[offset..<min(offset + Limits.segmentBytes, Self.large.count)]
                unsafe piece.withUnsafeBytes {
                    unsafe encoder.encode(
                        segment: $0, leaf: 1, row: 1, offset: offset,
                        header: header(.segment, 0, partition: 1, sequence: UInt64(index)))
                }
                chunks.append(unsafe [UInt8](encoder.bytes))
            }
        }
        encoder.encode(
            core: ColumnBatch(
                blobs,
                rows: [
                    [.string("a"), .bytes([1, 2, 3])],
                    [.string("b"), .bytes(withLargeValue ? Self.large : [])],
                ]),
            header: header(.core, 0, partition: 1, sequence: withLargeValue ? 2 : 0))
        chunks.append(unsafe [UInt8](encoder.bytes))
        for (partition, half, sequence) in [(0, 0, 0), (0, 1, 1), (2, nil, 0)]
            as [(Int, Int?, UInt64)]
        {
            encoder.encode(
                core: ColumnBatch(sessions, rows: ChunkTests.rows),
                header: header(.core, 1, partition: partition, half: half, sequence: sequence))
            chunks.append(unsafe [UInt8](encoder.bytes))
        }
        var writer = StreamWriter(metadata: metadata, to: ByteArraySink())
        for chunk in chunks { unsafe chunk.withUnsafeBytes { unsafe writer.append($0) } }
        bytes = writer.finish().bytes
    }
}

/// What a stream held: everything that a reader gave.
struct StreamContents: Equatable {
    var metadata: StreamMetadata?
    var chunks: [[UInt8]] = []
    var end: StreamEnd?

    /// Reads a stream that comes in pieces, rows too.
    init(_ bytes: [UInt8], pieces: (Int) -> Int, limits: Limits = Limits()) throws(FormatError) {
        var reader = StreamReader(limits: limits)
        var rows = StreamRows(limits: limits)
        var position = 0
        while position < bytes.count {
            let size = min(max(pieces(position), 1), bytes.count - position)
            reader.push(Array(bytes[position..<position + size]))
            position += size
            while let item = try reader.next() {
                switch item {
                case .metadata(let metadata):
                    self.metadata = metadata
                    rows.layouts = []
                    for region in metadata.regions { rows.layouts.append(try RegionLayout(region)) }
                case .chunk(let chunk):
                    chunks.append(unsafe [UInt8](chunk.bytes))
                    try rows.decode(chunk)
                case .end(let end): self.end = end
                }
            }
        }
        try reader.finish()
    }
}

/// Decodes every chunk of a stream, segments too.
struct StreamRows: ~Copyable {
    var layouts: [RegionLayout] = []
    var decoder: ChunkDecoder
    var ledger = SegmentLedger()

    init(limits: Limits) { decoder = ChunkDecoder(limits: limits) }

    mutating func decode(_ chunk: VerifiedChunk) throws(FormatError) {
        let layout = layouts[chunk.header.region]
        if chunk.header.role == .segment {
            try ledger.note(try decoder.decode(segment: chunk, layout: layout), at: chunk.offset)
        } else {
            let batch = ColumnBatch(leaves: layout.leaves)
            try decoder.decode(core: chunk, layout: layout, into: batch)
            try ledger.settle(batch, at: chunk.offset)
        }
    }
}
