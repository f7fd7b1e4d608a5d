import CaesuraFormat

extension FuzzTarget {
    /// The input is the size of pieces (1 byte) and a stream whose checksums are made to fit.
    static let stream = unsafe FuzzTarget(
        name: "stream",
        seeds: {
            [Compression.none, .zstd(level: 1)].compactMap { compression in
                guard let bytes = try? sample(compression) else { return nil }
                return [200] + bytes
            }
        },
        run: { input in
            guard input.count > 1 else { return }
            let size = unsafe 1 + Int(input[0]) * 3
            var bytes = unsafe [UInt8](input[1...])
            Forgery.fitChecksums(&bytes)
            guard let first = try? Contents(bytes, pieces: size) else { return }
            law(first.isWhole, "a stream without an end is refused")
            guard let metadata = first.metadata else { fatalError("a stream without metadata") }
            var writer = StreamWriter(metadata: metadata, to: ByteArraySink())
            for chunk in first.chunks { unsafe chunk.withUnsafeBytes { unsafe writer.append($0) } }
            let written = writer.finish().bytes
            guard let again = try? Contents(written, pieces: written.count) else {
                fatalError("what was written cannot be read")
            }
            law(
                again.metadata == metadata && again.chunks == first.chunks,
                "a stream comes back as it went")
        })

    /// What a reader gives, every row decoded.
    private struct Contents {
        var metadata: StreamMetadata?
        var chunks: [[UInt8]] = []
        var isWhole = false

        init(_ bytes: [UInt8], pieces size: Int) throws(FormatError) {
            var reader = StreamReader()
            var decoder = ChunkDecoder()
            var ledger = SegmentLedger()
            var layouts: [RegionLayout] = []
            var position = 0
            while position < bytes.count {
                let end = min(position + size, bytes.count)
                reader.push(Array(bytes[position..<end]))
                position = end
                while let item = try reader.next() {
                    switch item {
                    case .metadata(let metadata):
                        self.metadata = metadata
                        for region in metadata.regions { layouts.append(try RegionLayout(region)) }
                    case .chunk(let chunk):
                        let layout = layouts[chunk.header.region]
                        if chunk.header.role == .segment {
                            try ledger.note(try decoder.decode(segment: chunk, layout: layout))
                        } else {
                            let batch = ColumnBatch(leaves: layout.leaves)
                            try decoder.decode(core: chunk, layout: layout, into: batch)
                            try ledger.settle(batch)
                        }
                        chunks.append(unsafe [UInt8](chunk.bytes))
                    case .end: isWhole = true
                    }
                }
            }
            try reader.finish()
        }
    }

    private static func sample(_ compression: Compression) throws -> [UInt8] {
        let metadata = try StreamMetadata(
            epoch: 7, hashKey: HashKey(k0: 1, k1: 2), partitionBits: 1,
            regions: [Samples.session, Samples.everything], compression: compression)
        var writer = StreamWriter(metadata: metadata, to: ByteArraySink())
        var encoder = ChunkEncoder(compression: compression)
        for (region, schema) in metadata.regions.enumerated() {
            let layout = try RegionLayout(schema)
            for partition in 0..<2 {
                let header = ChunkHeader(
                    role: .core, region: region, fingerprint: layout.wireFingerprint,
                    partition: partition, range: HashRange(partition: partition, bits: 1),
                    sequence: 0, targetEpoch: 7)
                encoder.encode(
                    core: Samples.batch(layout, rows: 1 + 9 * partition), header: header)
                unsafe writer.append(encoder.bytes)
            }
        }
        return writer.finish().bytes
    }
}
