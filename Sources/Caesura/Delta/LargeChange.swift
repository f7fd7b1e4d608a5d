import CaesuraFormat

/// A piece of a large value, as a segment chunk of a delta carries it.
struct LargePiece {
    /// The number of its row and leaf: `docs/FORMAT.md`, "Large values in deltas".
    var row: Int
    var leaf: Int
    var value: LargeValue
    /// Where in the value it lies.
    var range: Range<Int>
}

/// A value of more than 64 KiB in a delta, and the one before or after it.
struct LargeChange {
    private let row: Int
    private let leaf: Int
    private let value: LargeValue
    /// What the reader has in its place; nil when nothing.
    private let other: LargeValue?

    /// Where its pieces begin.
    var offsets: StrideTo<Int> { stride(from: 0, to: value.byteCount, by: Limits.segmentBytes) }

    private func range(_ offset: Int) -> Range<Int> {
        offset..<min(offset + Limits.segmentBytes, value.byteCount)
    }

    /// Whether a piece is not what the reader has at the same place.
    func carries(_ offset: Int) -> Bool {
        let range = range(offset)
        guard let other, range.upperBound <= other.byteCount else { return true }
        return !value.hasSameBytes(range, as: other)
    }

    func piece(_ offset: Int) -> LargePiece {
        LargePiece(row: row, leaf: leaf, value: value, range: range(offset))
    }

    /// Those of some changes, in the order of their pieces.
    static func all(
        in changes: [RowChange], _ masks: [UInt64], _ table: TableCore, isReversible: Bool
    ) -> [LargeChange] {
        // Each makes its row weigh as much: mostly there are none, and no row is read.
        guard changes.contains(where: { $0.weight >= Limits.inlineValueBytes }) else { return [] }
        let updated = changes.count { $0.mask >= 0 }
        let inserted = changes.count { $0.old == nil }
        var next = (updated: 0, inserted: updated, removed: updated + inserted)
        var found: (updated: [LargeChange], inserted: [LargeChange], removed: [LargeChange]) =
            ([], [], [])
        for change in changes {
            if change.mask >= 0 {
                append(change, masks, next.updated, table, isReversible, to: &found.updated)
                next.updated += 1
            } else if let new = change.new {
                append(new, next.inserted, table, to: &found.inserted)
                next.inserted += 1
            } else if let old = change.old {
                if isReversible { append(old, next.removed, table, to: &found.removed) }
                next.removed += 1
            }
        }
        return found.updated + found.inserted + found.removed
    }

    /// Appends those of an updated row: the new values, then the old ones.
    private static func append(
        _ change: RowChange, _ masks: [UInt64], _ row: Int, _ table: TableCore,
        _ isReversible: Bool, to found: inout [LargeChange]
    ) {
        guard change.weight >= Limits.inlineValueBytes, let new = change.new, let old = change.old
        else { return }
        let leaves = table.layout.leaves.indices.filter { leaf in
            masks[Int(change.mask) + leaf >> 6] >> UInt64(leaf & 63) & 1 == 1
        }
        for leaf in leaves {
            guard let value = value(new, leaf, table) else { continue }
            found.append(
                LargeChange(row: row, leaf: leaf, value: value, other: self.value(old, leaf, table))
            )
        }
        if !isReversible { return }
        for leaf in leaves {
            guard let value = value(old, leaf, table) else { continue }
            found.append(
                LargeChange(
                    row: row, leaf: leaf + table.layout.leaves.count, value: value,
                    other: self.value(new, leaf, table)))
        }
    }

    private static func append(
        _ row: FrozenRow, _ number: Int, _ table: TableCore, to found: inout [LargeChange]
    ) {
        for leaf in table.layout.leaves.indices {
            guard let value = value(row, leaf, table) else { continue }
            found.append(LargeChange(row: number, leaf: leaf, value: value, other: nil))
        }
    }

    /// The value of a leaf, if it is too large for a column.
    static func value(_ row: FrozenRow, _ leaf: Int, _ table: TableCore) -> LargeValue? {
        let described = table.layout.leaves[leaf]
        switch described.kind {
        case .presence, .fixed: return nil
        case .bytes, .array: break
        }
        // An absent optional's references are empty.
        let reference = unsafe row.entry.load(
            fromByteOffset: described.offset, as: HeapReference.self)
        guard reference.isOutOfLine else { return nil }
        let value = row.heap.largeValue(reference)
        return value.byteCount > Limits.inlineValueBytes ? value : nil
    }
}
