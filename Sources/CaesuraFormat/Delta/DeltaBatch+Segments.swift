/// Values of a delta that are too large for their columns: `docs/FORMAT.md`, "Large values in deltas".
extension DeltaBatch {
    /// The number of the first inserted row among the rows that segments name.
    public var firstInsertedRow: Int { updated.count }
    /// The number of the first removed row among the rows that segments name.
    public var firstRemovedRow: Int { updated.count + inserted.rowCount }

    /// The values whose content travels in segment chunks, as those name them: the old value of a leaf has the
    /// number of leaves more.
    ///
    /// - Complexity: O(values of bytes and array leaves), without allocation when there are none.
    public var segmentedValues: [SegmentedValue] {
        var found: [SegmentedValue] = []
        for (leaf, change) in changes.enumerated() {
            appendSegmented(change.new, leaf, leaf, to: &found)
            appendSegmented(change.old, leaf, leaf + leaves.count, to: &found)
        }
        for (rows, first) in [(inserted, firstInsertedRow), (removedRows, firstRemovedRow)] {
            for var value in rows.segmentedValues {
                value.row += first
                found.append(value)
            }
        }
        return found
    }

    private func appendSegmented(
        _ column: ColumnBuffer, _ leaf: Int, _ number: Int, to found: inout [SegmentedValue]
    ) {
        guard column.hasSegmented else { return }
        var index = 0
        for (row, code) in masks.codes.enumerated() where masks.contains(leaf, in: Int(code)) {
            let byteCount = unsafe Int(column.lengths[index]) * column.width
            if byteCount > Limits.inlineValueBytes {
                found.append(SegmentedValue(row: row, leaf: number, byteCount: byteCount))
            }
            index += 1
        }
    }
}

extension ColumnBuffer {
    /// Whether a value of the column travels in segments.
    public var hasSegmented: Bool {
        switch kind {
        case .presence, .fixed: return false
        case .bytes, .array: break
        }
        var largest: UInt32 = 0
        for index in 0..<count { largest = unsafe max(largest, lengths[index]) }
        return Int(largest) * width > Limits.inlineValueBytes
    }
}
