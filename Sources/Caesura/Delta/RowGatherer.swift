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
    /// - Returns: Whether each value fits the column: values that go in segments do not.
    func gather(
        _ leaf: Int, of rows: [FrozenRow], absentToo: Bool, into column: ColumnBuffer
    ) -> Bool {
        if rows.isEmpty { return true }
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
            return appendBytes(described.offset, presence, rows, absentToo, column)
        }
        return true
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
    ) -> Bool {
        for row in rows {
            if let presence, unsafe row.entry.load(fromByteOffset: presence, as: UInt8.self) == 0 {
                if absentToo { unsafe column.append(row.entry, byteCount: 0) }
                continue
            }
            let reference = unsafe row.entry.load(fromByteOffset: offset, as: HeapReference.self)
            guard row.heap.byteCount(of: reference) <= Limits.inlineValueBytes else { return false }
            unsafe row.heap.withBytes(of: reference) { bytes in
                unsafe column.append(bytes.baseAddress ?? row.entry, byteCount: bytes.count)
            }
        }
        return true
    }
}
