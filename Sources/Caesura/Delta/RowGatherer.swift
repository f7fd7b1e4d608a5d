import CaesuraFormat

/// Copies leaves of single rows, from wherever they lie, into columns.
///
/// For deltas, whose rows stand alone in their pages; whole pages go through ``PageGatherer``.
struct RowGatherer {
    private let layout: RowLayout

    init(_ layout: RowLayout) { self.layout = layout }

    /// Appends a leaf of each row; where an optional is absent, zero or the empty value if `absentToo`, else
    /// nothing.
    ///
    /// Values that go in segments leave their lengths.
    func gather(
        _ leaf: Int, of rows: [FrozenRow], absentToo: Bool, into column: ColumnBuffer
    ) {
        if rows.isEmpty { return }
        let described = layout.leaves[leaf]
        let presence = described.scope.map { layout.leaves[$0].offset }
        column.reserveCapacity(column.count + rows.count)
        switch described.kind {
        case .presence:
            append(UInt8.self, described.offset, presence, rows, absentToo, column)
        case .fixed(let scalar):
            switch scalar.width {
            case 1: append(UInt8.self, described.offset, presence, rows, absentToo, column)
            case 2: append(UInt16.self, described.offset, presence, rows, absentToo, column)
            case 4: append(UInt32.self, described.offset, presence, rows, absentToo, column)
            case 8: append(UInt64.self, described.offset, presence, rows, absentToo, column)
            default:
                append(SIMD2<UInt64>.self, described.offset, presence, rows, absentToo, column)
            }
        case .bytes, .array:
            appendBytes(described.offset, presence, rows, absentToo, column)
        }
    }

    private func append<Word: BitwiseCopyable>(
        _ type: Word.Type, _ offset: Int, _ presence: Int?, _ rows: [FrozenRow],
        _ absentToo: Bool, _ column: ColumnBuffer
    ) {
        var target = unsafe column.values + column.count * MemoryLayout<Word>.size
        for row in rows {
            if let presence, unsafe row.entry.load(fromByteOffset: presence, as: UInt8.self) == 0 {
                if !absentToo { continue }
                unsafe target.initializeMemory(
                    as: UInt8.self, repeating: 0, count: MemoryLayout<Word>.size)
            } else {
                // SAFETY: the layout's offset; room was made for a value a row.
                unsafe target.storeBytes(
                    of: row.entry.loadUnaligned(fromByteOffset: offset, as: Word.self),
                    as: Word.self)
            }
            unsafe target += MemoryLayout<Word>.size
        }
        column.count = unsafe (target - column.values) / MemoryLayout<Word>.size
    }

    private func appendBytes(
        _ offset: Int, _ presence: Int?, _ rows: [FrozenRow], _ absentToo: Bool,
        _ column: ColumnBuffer
    ) {
        for row in rows {
            if let presence, unsafe row.entry.load(fromByteOffset: presence, as: UInt8.self) == 0 {
                if absentToo { unsafe column.append(row.entry, byteCount: 0) }
                continue
            }
            column.append(
                unsafe row.entry.load(fromByteOffset: offset, as: HeapReference.self), of: row)
        }
    }
}

extension ColumnBuffer {
    /// Appends a value of a row, or its length when it goes in segments.
    func append(_ reference: HeapReference, of row: FrozenRow) {
        let byteCount = row.heap.byteCount(of: reference)
        guard byteCount <= Limits.inlineValueBytes else {
            return appendSegmented(byteCount: byteCount)
        }
        unsafe row.heap.withBytes(of: reference) { bytes in
            unsafe append(bytes.baseAddress ?? row.entry, byteCount: bytes.count)
        }
    }
}
