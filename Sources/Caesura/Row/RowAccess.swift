import CaesuraFormat

/// A row in a page, to read: where its `Stored` lies and the heap its references point into.
@safe
@frozen
public struct RowView {
    /// The row's `Stored`.
    public let row: UnsafeRawPointer
    /// The page's heap.
    public let heap: HeapView

    /// Creates a view.
    @inlinable public init(row: UnsafeRawPointer, heap: HeapView) {
        unsafe self.row = row
        self.heap = heap
    }

    /// The row as its stored type.
    @inlinable public func stored<Stored: BitwiseCopyable>(
        as type: Stored.Type
    ) -> UnsafePointer<Stored> {
        unsafe row.assumingMemoryBound(to: type)
    }
}

/// A row in a page, to write, under its partition's lock.
///
/// A write that needs heap space may move the page; the cursor follows. It cannot be copied: whoever has one is
/// inside the closure that was given the row, and holds the lock.
@safe
@frozen
public struct RowCursor: ~Copyable {
    /// The row's `Stored`.
    ///
    /// Changes when the page moves.
    public var row: UnsafeMutableRawPointer
    /// Where values are placed.
    public var heap: HeapWriter
    /// One bit a changed field: field i of the row's struct is bit min(i, 15).
    public var changes: UInt16
    /// Which of the page's slots the row is in.
    @usableFromInline var slot: Int
    @usableFromInline let hash: UInt64
    /// Bytes from the start of the entry to the row.
    @usableFromInline let rowOffset: Int

    @inlinable init(
        entry: UnsafeMutableRawPointer, slot: Int, rowOffset: Int, hash: UInt64, heap: HeapWriter
    ) {
        unsafe row = unsafe entry + rowOffset
        self.heap = heap
        changes = 0
        self.slot = slot
        self.hash = hash
        self.rowOffset = rowOffset
    }

    /// The entry that the row is part of.
    @inlinable var entry: UnsafeMutableRawPointer { unsafe row - rowOffset }

    /// The row as its stored type.
    @inlinable public func stored<Stored: BitwiseCopyable>(
        as type: Stored.Type
    ) -> UnsafeMutablePointer<Stored> {
        unsafe row.assumingMemoryBound(to: type)
    }

    /// Makes room in the page's heap for `value` to replace `stored`; the page may move, so stored
    /// pointers taken before are no longer valid.
    @inlinable public mutating func reserve<Value: FieldValue>(
        for value: Value, replacing stored: Value.Stored
    ) {
        if Value.isInline { return }
        heap.limit = Page.valueLimit
        let needed = Value.heapByteCount(of: value, replacing: stored, upTo: heap.limit)
        if heap.room >= needed { return }
        if reserve(needed, isSpilled: false) { return }
        // Not even a page of its own has room: what does not fit in its place goes outside.
        heap.limit = 0
        let spilled = reserve(
            Value.heapByteCount(of: value, replacing: stored, upTo: 0), isSpilled: true)
        precondition(spilled, "a row's references fit in a page")
    }

    @usableFromInline mutating func reserve(_ byteCount: Int, isSpilled: Bool) -> Bool {
        guard let partition = unsafe heap.partition else { return false }
        let (page, slot, hasRoom) = unsafe partition.pointee.reserveHeap(
            byteCount, for: hash, slot: slot, isSpilled: isSpilled)
        self.slot = slot
        unsafe heap.page = unsafe page.base
        unsafe row = unsafe page.entries + slot * partition.pointee.layout.stride + rowOffset
        return hasRoom
    }

    /// Notes that field `index` of the row's struct has changed.
    @inlinable public mutating func markChanged(field index: Int) {
        changes |= 1 << UInt16(truncatingIfNeeded: min(index, 15))
    }
}
