/// A page of the base, as comparing needs it: what its directory entry says is not read from its header.
@safe
struct OlderPage {
    let slotCount: Int
    private let base: UnsafeMutableRawPointer
    private let entries: UnsafeRawPointer
    private let stride: Int

    @inline(__always) init(_ leaf: DirectoryEntry, _ stride: Int) {
        slotCount = leaf.slotCount
        unsafe base = unsafe leaf.address
        unsafe entries = unsafe UnsafeRawPointer(
            leaf.address + Page.entriesOffset(slotCount: leaf.slotCount))
        self.stride = stride
    }

    @inline(__always) var tags: UnsafePointer<UInt16> {
        unsafe UnsafePointer((base + Page.headerSize).assumingMemoryBound(to: UInt16.self))
    }

    @inline(__always) func row(_ slot: Int) -> FrozenRow {
        unsafe FrozenRow(entries + slot &* stride, Page(base: base))
    }

    /// Whether a slot has a row.
    func isUsed(_ slot: Int) -> Bool {
        unsafe tags[slot] != Page.unusedTag || Page(base: base).usedSlots.contains(slot)
    }

    /// Whether a slot has the row of the same key as one of another page.
    @inline(__always)
    func hasSameKey(_ row: FrozenRow, in slot: Int, _ comparer: borrowing RowComparer) -> Bool {
        slot < slotCount && isUsed(slot) && comparer.haveSameKey(row, self.row(slot))
    }

    /// Whether a slot has a row with a tag.
    @inline(__always) func mayHave(_ tag: UInt16, in slot: Int) -> Bool {
        guard unsafe tags[slot] == tag else { return false }
        // Unused slots have that tag too.
        return unsafe tag != Page.unusedTag || Page(base: base).usedSlots.contains(slot)
    }

    /// How many tags are less, and how many equal.
    @inline(__always) func tagCounts(_ tag: UInt16) -> (less: Int, equal: Int) {
        unsafe Page.tagCounts(tag, tags, slotCount)
    }
}
