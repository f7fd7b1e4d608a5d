/// A row that differs between two cuts.
///
/// Five words: a chunk has thousands of them, and they are copied a few times.
@safe
struct RowChange {
    private let newEntry: UnsafeRawPointer?
    private let oldEntry: UnsafeRawPointer?
    /// Its place among the region's rows at the base; of an inserted row, that of the row behind it.
    let position: UInt64
    /// Where in their pages the entries lie.
    private let newOffset: UInt16
    private let oldOffset: UInt16
    /// Bytes of what a chunk has of the row, to bound chunks.
    let weight: UInt32
    /// Where its set of changed leaves begins in ``DeltaScan/masks``; -1 unless it was updated.
    var mask: Int32

    init(position: UInt64, new: FrozenRow?, old: FrozenRow?, weight: Int, mask: Int) {
        self.position = position
        unsafe newEntry = unsafe new?.entry
        unsafe oldEntry = unsafe old?.entry
        newOffset = new?.offset ?? 0
        oldOffset = old?.offset ?? 0
        self.weight = UInt32(weight)
        self.mask = Int32(mask)
    }

    /// The row at the target; nil when it was removed.
    @inline(__always) var new: FrozenRow? {
        guard let entry = unsafe newEntry else { return nil }
        return unsafe FrozenRow(entry, offset: newOffset)
    }

    /// The row at the base; nil when it was inserted.
    @inline(__always) var old: FrozenRow? {
        guard let entry = unsafe oldEntry else { return nil }
        return unsafe FrozenRow(entry, offset: oldOffset)
    }

    /// The row, at the target if it is there.
    var row: FrozenRow {
        guard let row = new ?? old else { preconditionFailure("a change of no row") }
        return row
    }

    /// The order of changes: an inserted row stands before the row whose position it has.
    var place: UInt64 { unsafe position << 1 | (oldEntry == nil ? 0 : 1) }
}
