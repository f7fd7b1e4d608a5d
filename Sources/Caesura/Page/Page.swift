import CaesuraFormat

/// The first bytes of a page.
@frozen @usableFromInline
struct PageHeader {
    var retirable: Retirable
    /// Bytes of the whole page.
    @usableFromInline let blockSize: UInt32
    /// Where the next bytes of the heap go, from the start of the page.
    @usableFromInline var heapTop: UInt32
    /// Slots for entries.
    @usableFromInline let slotCount: UInt8
    /// Slots in use.
    @usableFromInline var rowCount: UInt8
    /// Leading bits of the hash that all its rows share.
    @usableFromInline let depth: UInt8
    let sizeClass: UInt8
    /// Whether a row may refer to a large value: a planner then has to look at the rows.
    @usableFromInline var hasOutOfLine = false
}

/// A page: up to 64 rows of one table whose hashes share their first `depth` bits, with the bytes of
/// variable length they refer to. The unit of copy-on-write.
///
///     0              PageHeader
///     48             tags: one UInt16 a slot, the 16 hash bits after the first `depth`
///     entries        slotCount entries of the layout's stride, 16-byte aligned
///     entries end    heap: bytes of strings and arrays, records of large values; grows to blockSize
///
/// Invariants:
/// - An entry whose stamp is not 0 is in use, and its tag is valid. An unused entry's stamp is 0.
/// - A row's home slot is tag * slotCount / 65,536; it lies there or behind (wrapping round) with no
///   unused slot between (linear probing), so a search ends at the first unused slot. At least one slot is
///   unused.
/// - Every non-empty HeapReference of a row points at bytes between the entries' end and heapTop, and no
///   two overlap. Bytes no reference points at are garbage until the page is rebuilt.
/// - Once a cut sees the page it is never written again.
///
/// It is not for values that grow by appending: each write of a longer value takes new heap space, and a
/// page whose heap is full is rebuilt.
@frozen @usableFromInline
struct Page {
    @usableFromInline let base: UnsafeMutableRawPointer

    @inlinable init(base: UnsafeMutableRawPointer) {
        self.base = base
    }

    static let headerSize = 48
    /// The largest page: references hold 16-bit offsets.
    static let maximumSize = 65_536
    /// The size at which an insertion splits a page rather than grow it: a copy of this many bytes takes
    /// about 2 us, the most that a writer is to pay for its first touch of a page after a cut.
    @usableFromInline static let softSize = 16_384
    /// The largest value kept in a page. Larger ones would make up most of a page's copy.
    @usableFromInline static let valueLimit = 1_024

    @inlinable var header: UnsafeMutablePointer<PageHeader> {
        base.assumingMemoryBound(to: PageHeader.self)
    }

    @inlinable var tags: UnsafeMutablePointer<UInt16> {
        (base + 48).assumingMemoryBound(to: UInt16.self)
    }

    /// Where entries start in a page of `slotCount` slots.
    @inlinable static func entriesOffset(slotCount: Int) -> Int {
        (48 &+ 2 &* slotCount &+ 15) & ~15
    }

    /// The first entry.
    @inlinable var entries: UnsafeMutableRawPointer {
        base + Self.entriesOffset(slotCount: Int(header.pointee.slotCount))
    }

    /// Whether `slot` is in use.
    @inlinable func stamp(_ slot: Int, stride: Int) -> UInt64 {
        (entries + slot &* stride).load(as: UInt64.self)
    }

    /// Bytes that a page of `slotCount` slots and `heap` heap bytes needs.
    static func byteCount(slotCount: Int, stride: Int, heap: Int) -> Int {
        entriesOffset(slotCount: slotCount) + slotCount * stride + heap
    }

    /// Heap bytes that are left.
    @inlinable var heapRoom: Int {
        Int(header.pointee.blockSize) &- Int(header.pointee.heapTop)
    }

    /// A page without rows.
    static func make(
        slotCount: Int, depth: Int, heap: Int, birth: UInt64, layout: PageLayout, pool: PagePool
    ) -> Page {
        let needed = byteCount(slotCount: slotCount, stride: layout.stride, heap: heap)
        precondition(needed <= maximumSize, "a page is at most 64 KiB")
        let (base, blockSize, sizeClass) = pool.allocate(atLeast: needed)
        let page = Page(base: base)
        page.header.initialize(
            to: PageHeader(
                retirable: Retirable(kind: .page, birth: birth), blockSize: UInt32(blockSize),
                heapTop: UInt32(byteCount(slotCount: slotCount, stride: layout.stride, heap: 0)),
                slotCount: UInt8(slotCount), rowCount: 0, depth: UInt8(depth),
                sizeClass: UInt8(sizeClass)))
        var entry = page.entries
        for _ in 0..<slotCount {
            entry.storeBytes(of: 0, as: UInt64.self)
            entry += layout.stride
        }
        return page
    }

    /// An exact copy, for a writer whose page a cut sees.
    func copy(birth: UInt64, pool: PagePool) -> Page {
        let (base, blockSize, sizeClass) = pool.allocate(atLeast: Int(header.pointee.blockSize))
        assert(blockSize == header.pointee.blockSize && sizeClass == header.pointee.sizeClass)
        // SAFETY: both blocks have blockSize bytes; bytes past heapTop mean nothing.
        base.copyMemory(from: self.base, byteCount: Int(header.pointee.heapTop))
        let page = Page(base: base)
        page.header.pointee.retirable = Retirable(kind: .page, birth: birth)
        return page
    }

    /// The home slot of a tag.
    @inlinable static func home(tag: UInt16, slotCount: Int) -> Int {
        (Int(tag) &* slotCount) &>> 16
    }

    /// The tag of a hash in a page of `depth`.
    @inlinable static func tag(of hash: UInt64, depth: Int) -> UInt16 {
        UInt16(truncatingIfNeeded: (hash &<< UInt64(truncatingIfNeeded: depth)) &>> 48)
    }

    /// Takes the first unused slot for a tag: its entry is zeroed, but for the stamp.
    func takeSlot(tag: UInt16, stamp: UInt64, stride: Int) -> Int {
        let slotCount = Int(header.pointee.slotCount)
        assert(Int(header.pointee.rowCount) + 1 < slotCount || slotCount == 1)
        var slot = Self.home(tag: tag, slotCount: slotCount)
        while self.stamp(slot, stride: stride) != 0 {
            slot += 1
            if slot == slotCount { slot = 0 }
        }
        let entry = entries + slot * stride
        (entry + 8).initializeMemory(as: UInt8.self, repeating: 0, count: stride - 8)
        entry.storeBytes(of: stamp, as: UInt64.self)
        tags[slot] = tag
        header.pointee.rowCount += 1
        return slot
    }

    /// Empties a slot and closes the gap, so that searches still end at the first unused slot.
    ///
    /// Backward-shift deletion: Knuth, The Art of Computer Programming 3, 6.4, algorithm R.
    func emptySlot(_ slot: Int, stride: Int) {
        let slotCount = Int(header.pointee.slotCount)
        let entries = entries
        var hole = slot
        var next = slot
        while true {
            next += 1
            if next == slotCount { next = 0 }
            if (entries + next * stride).load(as: UInt64.self) == 0 { break }
            let home = Self.home(tag: tags[next], slotCount: slotCount)
            // The row at `next` may move to the hole unless its home lies after the hole, cyclically.
            let between =
                hole <= next ? (hole < home && home <= next) : (hole < home || home <= next)
            if between { continue }
            (entries + hole * stride).copyMemory(from: entries + next * stride, byteCount: stride)
            tags[hole] = tags[next]
            hole = next
        }
        (entries + hole * stride).storeBytes(of: 0, as: UInt64.self)
        header.pointee.rowCount -= 1
    }

    /// Bytes that the references of the entry in `slot` point at.
    func heapByteCount(ofSlot slot: Int, layout: PageLayout) -> Int {
        let entry = entries + slot * layout.stride
        var total = 0
        for offset in layout.references {
            total &+= entry.load(fromByteOffset: Int(offset), as: HeapReference.self).heapByteCount
        }
        return total
    }

    /// Bytes of the heap that are not garbage.
    func liveHeapByteCount(layout: PageLayout) -> Int {
        guard !layout.references.isEmpty else { return 0 }
        var total = 0
        for slot in 0..<Int(header.pointee.slotCount) where stamp(slot, stride: layout.stride) != 0
        {
            total += heapByteCount(ofSlot: slot, layout: layout)
        }
        return total
    }

    /// Copies the entry in `slot` of `source`, with what it refers to, into this page, which has room.
    @discardableResult
    func adopt(slot: Int, of source: Page, tag: UInt16, layout: PageLayout) -> Int {
        let old = source.entries + slot * layout.stride
        let new = takeSlot(tag: tag, stamp: old.load(as: UInt64.self), stride: layout.stride)
        let entry = entries + new * layout.stride
        entry.copyMemory(from: old, byteCount: layout.stride)
        var top = Int(header.pointee.heapTop)
        for offset in layout.references {
            let reference = entry.load(fromByteOffset: Int(offset), as: HeapReference.self)
            let size = reference.heapByteCount
            if size == 0 { continue }
            (base + top).copyMemory(from: source.base + Int(reference.offset), byteCount: size)
            entry.storeBytes(
                of: HeapReference(offset: UInt16(top), length: reference.length),
                toByteOffset: Int(offset), as: HeapReference.self)
            top += size
        }
        assert(top <= Int(header.pointee.blockSize))
        header.pointee.heapTop = UInt32(top)
        header.pointee.hasOutOfLine =
            header.pointee.hasOutOfLine || source.header.pointee.hasOutOfLine
        return new
    }
}

/// What the code that moves entries must know of a table: never its Swift types.
@frozen @usableFromInline
struct PageLayout: @unchecked Sendable {
    // @unchecked: `references` points at memory that is written once, by the table that owns it.

    /// Bytes of an entry.
    @usableFromInline let stride: Int
    /// Where in an entry heap references lie.
    @usableFromInline let references: UnsafeBufferPointer<UInt16>
    /// The most slots of a page: 64, or fewer for wide rows.
    @usableFromInline let maximumSlots: Int

    init(_ layout: RowLayout) {
        stride = layout.stride
        let offsets = layout.leaves.compactMap { leaf in
            switch leaf.kind {
            case .bytes, .array: UInt16(leaf.offset)
            case .presence, .fixed: nil
            }
        }
        let memory = UnsafeMutableBufferPointer<UInt16>.allocate(capacity: offsets.count)
        _ = memory.initialize(from: offsets)
        references = UnsafeBufferPointer(memory)
        maximumSlots = min(64, max(8, 8_192 / layout.stride))
    }

    func deallocate() {
        references.deallocate()
    }
}
