import CaesuraFormat

extension FuzzTarget {
    private static let kinds: [LeafColumn.Kind] =
        [.presence, .bytes(utf8: true), .bytes(utf8: false)]
        + ScalarType.allCases.map { .fixed($0) } + ScalarType.allCases.map { .array($0) }

    /// The input is a kind, a count (2 bytes) and a column.
    static let column = unsafe FuzzTarget(
        name: "column",
        seeds: {
            var encoder = ColumnEncoder()
            var seeds: [[UInt8]] = []
            for rows in [1, 20, 300] {
                for layout in Samples.layouts {
                    let batch = Samples.batch(layout, rows: rows)
                    for column in batch.columns where column.count > 0 {
                        let kind = UInt8(kinds.firstIndex(of: column.kind) ?? 0)
                        var writer = ByteWriter()
                        writer.append(kind)
                        writer.append(littleEndian: UInt16(column.count))
                        encoder.encode(column, into: &writer)
                        seeds.append(writer.array)
                    }
                }
            }
            return seeds
        },
        run: { input in
            guard input.count > 3 else { return }
            let kind = unsafe kinds[Int(input[0]) % kinds.count]
            let count = unsafe Int(input.loadUnaligned(fromByteOffset: 1, as: UInt16.self)) & 8191
            var decoder = ColumnDecoder(limits: Limits())
            let column = ColumnBuffer(kind: kind)
            do {
                try unsafe decoder.decode(
                    UnsafeRawBufferPointer(rebasing: input[3...]), kind: kind, count: count,
                    origin: 3, into: column)
            } catch {
                law(column.count == 0, "a column that was refused is empty")
                return
            }
            law(column.count == count, "a column has as many values as were asked for")
            var encoder = ColumnEncoder()
            var writer = ByteWriter()
            encoder.encode(column, into: &writer)
            let again = ColumnBuffer(kind: kind)
            do {
                try unsafe decoder.decode(
                    writer.bytes, kind: kind, count: count, origin: 0, into: again)
            } catch {
                fatalError("what was encoded does not decode: \(error)")
            }
            law(column.holdsTheSame(as: again), "a column comes back as it went")
        })
}
