import CaesuraFormat
import CaesuraTesting
import Foundation
import Testing

/// Deltas that were written once: this version writes the same bytes, and reads the same changes.
@Suite struct DeltaGoldenTests {
    /// A row of the base, and what becomes of it.
    struct Change {
        var old: [Value]
        /// Nil when it is removed.
        var new: [Value]?
    }

    /// A delta of some rows at positions of a base; each row's first value is its key.
    struct Delta {
        let layout: RegionLayout
        var header: ChunkHeader
        var baseDigest: UInt64
        var baseRowCount: UInt64
        var isReversible: Bool
        var changes: [(position: UInt64, change: Change)]
        var inserted: [[Value]]

        /// What an encoder is given.
        var batch: DeltaBatch {
            let batch = DeltaBatch(leaves: layout.leaves)
            batch.baseDigest = baseDigest
            batch.baseRowCount = baseRowCount
            batch.isReversible = isReversible
            var removed: [[Value]] = []
            for (position, change) in changes {
                guard let new = change.new else {
                    batch.removed.append(position)
                    removed.append(change.old)
                    continue
                }
                batch.updated.append(position)
                let (before, after) = (leafValues(change.old), leafValues(new))
                var mask: UInt64 = 0
                for leaf in 1..<before.count where before[leaf] != after[leaf] {
                    mask |= 1 << UInt64(leaf)
                    append(before[leaf], to: batch.changes[leaf].old)
                    append(after[leaf], to: batch.changes[leaf].new)
                }
                batch.masks.append([mask])
            }
            fill(batch.inserted, inserted)
            if isReversible { fill(batch.removedRows, removed) }
            return batch
        }

        /// Bytes of a value of each leaf, and elements of those that have a length.
        struct LeafValue: Equatable {
            var bytes: [UInt8]
            var length: Int?
        }

        /// The leaves of a row, zero or empty where an optional is absent.
        func leafValues(_ row: [Value]) -> [LeafValue] {
            let batch = ColumnBatch(layout, rows: [row])
            return layout.leaves.indices.map { leaf in
                let column = batch.columns[leaf]
                let width = column.width
                switch column.kind {
                case .presence, .fixed:
                    guard column.count > 0 else {
                        return LeafValue(bytes: Array(repeating: 0, count: width))
                    }
                    var cursor = ColumnBatch.Cursor()
                    return LeafValue(bytes: column.value(&cursor, width: width))
                case .bytes, .array:
                    guard column.count > 0 else { return LeafValue(bytes: [], length: 0) }
                    var cursor = ColumnBatch.Cursor()
                    let bytes = column.content(&cursor, width: width)
                    return LeafValue(bytes: bytes, length: bytes.count / width)
                }
            }
        }

        private func append(_ value: LeafValue, to column: ColumnBuffer) {
            if let length = value.length {
                column.append(value.bytes, length: length)
            } else {
                column.append(value.bytes)
            }
        }

        private func fill(_ batch: ColumnBatch, _ rows: [[Value]]) {
            let filled = ColumnBatch(layout, rows: rows)
            batch.rowCount = rows.count
            for (column, source) in zip(batch.columns, filled.columns) {
                var cursor = ColumnBatch.Cursor()
                for _ in 0..<source.count {
                    switch source.kind {
                    case .presence, .fixed:
                        column.append(source.value(&cursor, width: source.width))
                    case .bytes, .array:
                        let bytes = source.content(&cursor, width: source.width)
                        column.append(bytes, length: bytes.count / source.width)
                    }
                }
            }
        }

        /// The old values of the changed rows for a leaf, as whoever has the base gathers them.
        func appendBase(_ leaf: Int, _ batch: DeltaBatch, to column: ColumnBuffer) {
            let updated = changes.filter { $0.change.new != nil }
            for (index, change) in updated.enumerated()
            where batch.masks.contains(leaf, in: Int(batch.masks.codes[index])) {
                append(leafValues(change.change.old)[leaf], to: column)
            }
        }
    }

    /// The delta of the worked example: Ada is a year older, Bo is gone, Cy has a longer name, Di is new.
    static func example() throws -> Delta {
        let layout = try RegionLayout(GoldenTests.pets)
        var header = ChunkHeader(
            role: .delta, region: 0, fingerprint: layout.wireFingerprint, partition: 0,
            range: .all, sequence: 0, targetEpoch: 301)
        header.baseEpoch = 300
        return Delta(
            layout: layout, header: header, baseDigest: 0x5A79_C8FD_D4B6_15C4, baseRowCount: 3,
            isReversible: false,
            changes: [
                (
                    0,
                    Change(
                        old: [.uint(1), .string("Ada"), .uint(3)],
                        new: [.uint(1), .string("Ada"), .uint(4)])
                ),
                (1, Change(old: [.uint(2), .string("Bo"), .none])),
                (
                    2,
                    Change(
                        old: [.uint(3), .string("Cy"), .uint(11)],
                        new: [.uint(3), .string("Cyd"), .uint(11)])
                ),
            ],
            inserted: [[.uint(4), .string("Di"), .none]])
    }

    /// A reversible delta with all modes, two sets of leaves and positions by their complement.
    static func reversible() throws -> Delta {
        let region = RegionSchema(
            name: "hives", kind: .table,
            key: Schema(name: "key", fields: [Field(number: 1, name: "key", type: .string)]),
            row: Schema(
                name: "hive",
                fields: [
                    Field(number: 1, name: "visits", type: .scalar(.uint32)),
                    Field(number: 2, name: "name", type: .string),
                    Field(number: 3, name: "path", type: .array(.uint16)),
                    Field(number: 4, name: "score", type: .scalar(.float64)),
                    Field(number: 5, name: "wide", type: .scalar(.uint128)),
                    Field(number: 6, name: "age", type: .optional(.scalar(.uint8))),
                    Field(number: 7, name: "photo", type: .optional(.bytes)),
                    Field(number: 8, name: "seen", type: .scalar(.timestamp)),
                ]))
        let layout = try RegionLayout(region)
        var header = ChunkHeader(
            role: .delta, region: 2, fingerprint: layout.wireFingerprint, partition: 0,
            range: HashRange(prefixBits: 3, prefix: 0xA000_0000_0000_0000), sequence: 5,
            targetEpoch: 1_000)
        header.baseEpoch = 900
        func row(_ key: Int, isLater: Bool) -> [Value] {
            let changesAll = isLater && key % 2 == 0
            let path: [Value] = (0..<9).map { .uint(UInt128($0 * 1_000 + key)) }
            return [
                .string("hive \(key)"),
                .uint(UInt128(key * key * 1_000 + (isLater ? 1 : 0))),
                // C3 A9, C3 A8: they differ inside the character.
                .string("the hive \(isLater ? "\u{E9}" : "\u{E8}") of number \(key)"),
                .array(changesAll ? path + [.uint(7)] : path),
                .float(bits: (changesAll ? -0.0 : Double(key) / 4).bitPattern),
                .uint(UInt128(key) << 100 | (changesAll ? 1 : 0)),
                changesAll ? .none : .uint(UInt128(key + 1)),
                changesAll ? .bytes([1, 2, UInt8(key)]) : .none,
                .int(Int128(1_700_000_000_000_000 + key * (changesAll ? 7 : 3))),
            ]
        }
        return Delta(
            layout: layout, header: header, baseDigest: 0x0123_4567_89AB_CDEF, baseRowCount: 16,
            isReversible: true,
            changes: (1..<15).map { key in
                let isRemoved = key == 3 || key == 9
                return (
                    UInt64(key),
                    Change(
                        old: row(key, isLater: false),
                        new: isRemoved ? nil : row(key, isLater: true))
                )
            },
            inserted: [row(100, isLater: true), row(101, isLater: true)])
    }

    private func encoded(_ delta: Delta) -> [UInt8] {
        var encoder = ChunkEncoder()
        encoder.encode(delta: delta.batch, header: delta.header)
        return unsafe [UInt8](encoder.bytes)
    }

    /// Decodes a chunk, resolves it against the base and compares all with what went in.
    private func expect(_ delta: Delta, from bytes: [UInt8]) throws {
        let batch = DeltaBatch(leaves: delta.layout.leaves)
        let header = try unsafe bytes.withUnsafeBytes { bytes in
            let chunk = try unsafe VerifiedChunk(verifying: bytes)
            var decoder = ChunkDecoder()
            try decoder.decode(delta: chunk, layout: delta.layout, into: batch)
            return chunk.header
        }
        #expect(header.range == delta.header.range && header.region == delta.header.region)
        #expect(header.baseEpoch == delta.header.baseEpoch)
        #expect(header.targetEpoch == delta.header.targetEpoch)
        #expect(batch.baseDigest == delta.baseDigest && batch.baseRowCount == delta.baseRowCount)
        #expect(batch.isReversible == delta.isReversible)
        let wanted = delta.batch
        #expect(batch.removed == wanted.removed && batch.updated == wanted.updated)
        #expect(batch.masks.words == wanted.masks.words && batch.masks.codes == wanted.masks.codes)
        for leaf in batch.leaves.indices where batch.changes[leaf].new.count > 0 {
            let mode = batch.changes[leaf].mode
            let old = batch.changes[leaf].base
            delta.appendBase(leaf, batch, to: old)
            try batch.changes[leaf].resolve(of: batch.leaves[leaf], .forwards, at: 0)
            #expect(batch.changes[leaf].new.holds(wanted.changes[leaf].new), "leaf \(leaf)")
            if delta.isReversible, mode == .value {
                #expect(batch.changes[leaf].old.holds(old), "leaf \(leaf)")
            }
        }
        #expect(batch.inserted.rows(delta.layout) == wanted.inserted.rows(delta.layout))
        #expect(batch.removedRows.rows(delta.layout) == wanted.removedRows.rows(delta.layout))
    }

    @Test func `the worked example's delta is what this version writes`() throws {
        let delta = try Self.example()
        #expect(try encoded(delta) == GoldenTests.golden("delta"))
        try expect(delta, from: GoldenTests.golden("delta"))
    }

    @Test func `it stands in the specification, byte by byte`() throws {
        #expect(try GoldenTests.listing("### A delta of it") == GoldenTests.golden("delta"))
    }

    @Test func `a reversible delta with all modes is what it was`() throws {
        let delta = try Self.reversible()
        let bytes = try GoldenTests.golden("delta-reversible")
        #expect(encoded(delta) == bytes)
        try expect(delta, from: bytes)
        // That it is what its name says: differences, values and affixes, two sets, a complement.
        let batch = DeltaBatch(leaves: delta.layout.leaves)
        try unsafe bytes.withUnsafeBytes {
            var decoder = ChunkDecoder()
            try unsafe decoder.decode(
                delta: VerifiedChunk(verifying: $0), layout: delta.layout, into: batch)
        }
        let modes = Set(batch.changes.filter { $0.new.count > 0 }.map(\.mode))
        #expect(modes == [.value, .difference, .affix])
        #expect(batch.masks.count == 2)
        #expect(batch.updated.count * 2 > Int(batch.baseRowCount))
    }
}

extension ColumnBuffer {
    /// Whether another column has the same values.
    fileprivate func holds(_ other: ColumnBuffer) -> Bool {
        guard count == other.count, width == other.width else { return false }
        switch kind {
        case .presence, .fixed:
            return unsafe UnsafeRawBufferPointer(start: values, count: count * width)
                .elementsEqual(UnsafeRawBufferPointer(start: other.values, count: count * width))
        case .bytes, .array:
            let lengthsAgree = unsafe UnsafeBufferPointer(start: lengths, count: count)
                .elementsEqual(UnsafeBufferPointer(start: other.lengths, count: count))
            return unsafe lengthsAgree && contentByteCount == other.contentByteCount
                && UnsafeRawBufferPointer(start: content, count: contentByteCount)
                    .elementsEqual(
                        UnsafeRawBufferPointer(start: other.content, count: contentByteCount))
        }
    }
}
