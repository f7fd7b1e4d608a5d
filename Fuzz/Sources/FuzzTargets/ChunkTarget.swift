import CaesuraFormat

extension FuzzTarget {
    /// The input is a region (1 byte) and a chunk whose checksums are made to fit.
    static let chunk = unsafe FuzzTarget(
        name: "chunk",
        seeds: {
            var seeds: [[UInt8]] = []
            for (index, layout) in layouts.enumerated() {
                let kind = layout.schema.kind
                for compression in [Compression.none, .zstd(level: 1)] {
                    for rows in kind == .cell ? [1] : [1, 40] {
                        var encoder = ChunkEncoder(compression: compression)
                        encoder.encode(
                            core: Samples.batch(layout, rows: rows),
                            header: header(kind.rowRole, layout))
                        seeds.append(unsafe [UInt8(index)] + encoder.bytes)
                    }
                }
            }
            // New rows of a log in a delta.
            var rows = header(.log, layouts[Samples.layouts.count])
            (rows.baseEpoch, rows.targetEpoch) = (1, 2)
            var deltas = ChunkEncoder()
            deltas.encode(
                core: Samples.batch(layouts[Samples.layouts.count], rows: 3), header: rows,
                baseDigest: 7)
            seeds.append(unsafe [UInt8(Samples.layouts.count)] + deltas.bytes)
            var encoder = ChunkEncoder()
            unsafe [1, 2, 3].withUnsafeBytes { piece in
                unsafe encoder.encode(
                    segment: piece, leaf: 2, row: 7, offset: 0,
                    header: header(.segment, Samples.layouts[0]))
            }
            seeds.append(unsafe [0] + encoder.bytes)
            return seeds
        },
        run: { input in
            guard input.count > 1 else { return }
            let layout = unsafe layouts[Int(input[0]) % layouts.count]
            var bytes = unsafe [UInt8](input[1...])
            Forgery.fitChecksums(&bytes)
            unsafe bytes.withUnsafeBytes { buffer in
                guard let chunk = try? unsafe VerifiedChunk(verifying: buffer) else { return }
                check(chunk, layout)
            }
        })

    /// The samples', and the first of them as a log and as a cell.
    private static let layouts: [RegionLayout] =
        Samples.layouts
        + [RegionKind.log, .cell].map { kind in
            do {
                let schema = Samples.layouts[0].schema
                return try RegionLayout(
                    RegionSchema(name: schema.name, kind: kind, key: nil, row: schema.row))
            } catch {
                fatalError("a sample's schema without its key: \(error)")
            }
        }

    private static func header(_ role: ChunkRole, _ layout: RegionLayout) -> ChunkHeader {
        if layout.schema.kind == .log {
            return ChunkHeader(
                role: role, region: 0, fingerprint: layout.wireFingerprint, position: 5,
                sequence: 0)
        }
        return ChunkHeader(
            role: role, region: 0, fingerprint: layout.wireFingerprint, partition: 0, range: .all,
            sequence: 0, targetEpoch: 1)
    }

    private static func check(_ chunk: VerifiedChunk, _ layout: RegionLayout) {
        var decoder = ChunkDecoder()
        switch chunk.header.role {
        case .core, .log, .cell:
            let batch = ColumnBatch(leaves: layout.leaves)
            guard (try? decoder.decode(core: chunk, layout: layout, into: batch)) != nil else {
                law(
                    batch.rowCount == 0 && batch.columns.allSatisfy { $0.count == 0 },
                    "a chunk that was refused leaves no rows")
                return
            }
            _ = batch.segmentedValues
            var encoder = ChunkEncoder()
            encoder.encode(core: batch, header: chunk.header, baseDigest: decoder.baseDigest)
            let again = ColumnBatch(leaves: layout.leaves)
            do throws(FormatError) {
                try decoder.decode(
                    core: try unsafe VerifiedChunk(verifying: encoder.bytes), layout: layout,
                    into: again)
            } catch {
                fatalError("what was encoded does not decode: \(error)")
            }
            law(
                zip(batch.columns, again.columns).allSatisfy { $0.holdsTheSame(as: $1) },
                "rows come back as they went")
        case .commit: _ = try? decoder.decode(commit: chunk)
        case .segment:
            let decoded =
                chunk.header.baseEpoch == 0
                ? try? decoder.decode(segment: chunk, layout: layout)
                : try? decoder.decode(deltaSegment: chunk, layout: layout)
            guard let segment = decoded else { return }
            let sum = unsafe segment.bytes.reduce(0) { $0 &+ $1 }
            law(sum == sum, "a segment can be read")
        case .metadata: _ = try? decoder.decode(metadata: chunk)
        case .end: _ = try? decoder.decode(end: chunk)
        case .delta:
            let batch = DeltaBatch(leaves: layout.leaves)
            guard (try? decoder.decode(delta: chunk, layout: layout, into: batch)) != nil else {
                law(batch.changeCount == 0, "a delta that was refused leaves no changes")
                return
            }
            law(
                batch.changeCount == chunk.header.rowCount
                    && (batch.removed + batch.updated).allSatisfy { $0 < batch.baseRowCount },
                "a delta has the changes that its header counts, of rows that the base has")
            law(
                batch.segmentedValues.allSatisfy { $0.row < batch.changeCount },
                "large values are of the delta's rows")
        }
    }
}
