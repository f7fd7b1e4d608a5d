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
    /// Number of slots in use.
    @usableFromInline var rowCount: UInt8
    /// Leading bits of the hash that all its rows share.
    @usableFromInline let depth: UInt8
    /// Whether a row may refer to a large value: a planner then has to look at the rows.
    @usableFromInline var hasOutOfLine = false
    /// Which slots are in use: bit i for slot i.
    ///
    /// Who walks all rows goes by it: to ask each entry would wait for its cache line and then mispredict.
    @usableFromInline var usedSlots = SlotSet()
    /// What has changed of late.
    @usableFromInline var changes = PageChanges()
}

/// Which rows of a page were written since its last write in an earlier epoch.
///
/// What a delta asks first: where it says enough, the rows' own stamps, a cache line each, need not be read.
@frozen @usableFromInline
struct PageChanges: BitwiseCopyable {
    /// The slots of rows that were inserted or changed after ``epoch``; a row may be as it was before.
    ///
    /// Rows that were removed show in the number of rows.
    @usableFromInline var slots = SlotSet()
    /// The epoch of the last write before those that are noted.
    let epoch: UInt64

    /// Nothing yet since an epoch.
    @usableFromInline init(since epoch: UInt64 = 0) { self.epoch = epoch }
}

/// A set of slots, walked in ascending order.
@frozen @usableFromInline
struct SlotSet: Sequence, IteratorProtocol, BitwiseCopyable {
    @usableFromInline var bits: UInt64

    @usableFromInline init() { bits = 0 }

    @usableFromInline mutating func insert(_ slot: Int) {
        bits |= 1 << UInt64(truncatingIfNeeded: slot)
    }
    func contains(_ slot: Int) -> Bool { bits >> UInt64(truncatingIfNeeded: slot) & 1 == 1 }
    mutating func remove(_ slot: Int) { bits &= ~(1 << UInt64(truncatingIfNeeded: slot)) }

    /// Says of `target` what it says of `slot`.
    mutating func move(_ slot: Int, to target: Int) {
        if contains(slot) { insert(target) } else { remove(target) }
    }

    /// The first of `count` slots that is not in the set, from `start` on and then from 0 on.
    func firstUnused(from start: Int, count: Int) -> Int {
        let unused = ~bits & (UInt64.max >> UInt64(truncatingIfNeeded: 64 - count))
        let ahead = unused >> UInt64(truncatingIfNeeded: start)
        return ahead == 0 ? unused.trailingZeroBitCount : start + ahead.trailingZeroBitCount
    }

    @usableFromInline mutating func next() -> Int? {
        if bits == 0 { return nil }
        defer { bits &= bits &- 1 }
        return bits.trailingZeroBitCount
    }
}

/// A page: up to 64 rows of one table whose hashes share their first `depth` bits, with the bytes
/// of variable length they refer to.
///
/// The unit of copy-on-write.
///
///     0              PageHeader
///     64             tags: one UInt16 a slot, the 16 hash bits after the first `depth`
///     entries        slotCount entries of the layout's stride, 16-byte aligned
///     entries end    heap: bytes of strings and arrays, records of large values; grows to blockSize
///
/// Invariants:
/// - An entry whose stamp is not 0 is in use, its bit in usedSlots is set, and its tag is valid. An unused
///   entry is all zero, and its tag 0xFFFF, so that the rows before one in hash order are the lesser tags.
/// - A row's home slot is tag * slotCount / 65,536; it lies there or behind (wrapping round) with no
///   unused slot between (linear probing), so a search ends at the first unused slot. At least one slot is
///   unused.
/// - Every non-empty HeapReference of a row points at bytes between the entries' end and heapTop, and no
///   two overlap. Bytes no reference points at are garbage until the page is rebuilt.
/// - Once a cut sees the page it is never written again.
///
/// The rows of a log stand in its pages in their order from slot 0 on: tags mean nothing there, all slots may be
/// used, and a cut that sees rows of the page reads no part of the header that appending changes.
///
/// It is not for values that grow by appending: each write of a longer value takes new heap space, and a
/// page whose heap is full is rebuilt.
@safe
@frozen @usableFromInline
struct Page {
    @usableFromInline let base: UnsafeMutableRawPointer

    @inlinable init(base: UnsafeMutableRawPointer) {
        unsafe self.base = unsafe base
    }

    static let headerSize = 64
    /// The tag of an unused slot.
    static let unusedTag = UInt16.max
    /// The largest page: references hold 16-bit offsets.
    static let maximumSize = 65_536
    /// The most leading hash bits that a page's rows share: a directory entry has 6 bits for the number.
    static let deepest = 63
    /// The size at which an insertion splits a page rather than grow it: a copy of this many bytes takes
    /// about 2 us, the most that a writer is to pay for its first touch of a page after a cut.
    @usableFromInline static let softSize = 16_384
    /// The largest value kept in a page.
    ///
    /// Larger ones would make up most of a page's copy.
    @usableFromInline static let valueLimit = 1_024

    @inlinable var header: UnsafeMutablePointer<PageHeader> {
        unsafe base.assumingMemoryBound(to: PageHeader.self)
    }

    @inlinable var tags: UnsafeMutablePointer<UInt16> {
        unsafe (base + 64).assumingMemoryBound(to: UInt16.self)
    }

    /// Where entries start in a page of `slotCount` slots.
    @inlinable static func entriesOffset(slotCount: Int) -> Int {
        (64 &+ 2 &* slotCount &+ 15) & ~15
    }

    /// The first entry.
    @inlinable var entries: UnsafeMutableRawPointer {
        unsafe base + Self.entriesOffset(slotCount: Int(header.pointee.slotCount))
    }

    /// The slots that have rows.
    var usedSlots: SlotSet { unsafe header.pointee.usedSlots }

    /// Bytes that a page of `slotCount` slots and `heap` heap bytes needs.
    static func byteCount(slotCount: Int, stride: Int, heap: Int) -> Int {
        entriesOffset(slotCount: slotCount) + slotCount * stride + heap
    }

    /// Heap bytes that are left.
    @inlinable var heapRoom: Int {
        unsafe Int(header.pointee.blockSize) &- Int(header.pointee.heapTop)
    }

    /// A page without rows.
    static func make(
        slotCount: Int, depth: Int, heap: Int, birth: UInt64, layout: PageLayout, pool: PagePool
    ) -> Page {
        let needed = byteCount(slotCount: slotCount, stride: layout.stride, heap: heap)
        precondition(needed <= maximumSize, "a page is at most 64 KiB")
        let (base, blockSize) = unsafe pool.allocate(atLeast: needed)
        let page = unsafe Page(base: base)
        unsafe page.header.initialize(
            to: PageHeader(
                retirable: Retirable(kind: .page, birth: birth), blockSize: UInt32(blockSize),
                heapTop: UInt32(byteCount(slotCount: slotCount, stride: layout.stride, heap: 0)),
                slotCount: UInt8(slotCount), rowCount: 0, depth: UInt8(depth)))
        unsafe page.tags.initialize(repeating: unusedTag, count: slotCount)
        unsafe page.entries.initializeMemory(
            as: UInt8.self, repeating: 0, count: slotCount * layout.stride)
        return page
    }

    /// Lays a page without rows and without a size class into a block of ``maximumSize``.
    init(base: UnsafeMutableRawPointer, slotCount: Int) {
        unsafe self.init(base: base)
        unsafe header.initialize(
            to: PageHeader(
                retirable: Retirable(kind: .page), blockSize: UInt32(Self.maximumSize), heapTop: 0,
                slotCount: UInt8(slotCount), rowCount: 0, depth: 0))
    }

    /// Forgets the rows.
    func clear(stride: Int) {
        let slotCount = unsafe Int(header.pointee.slotCount)
        unsafe tags.initialize(repeating: Self.unusedTag, count: slotCount)
        unsafe entries.initializeMemory(as: UInt8.self, repeating: 0, count: slotCount * stride)
        unsafe header.pointee.usedSlots = SlotSet()
        unsafe header.pointee.rowCount = 0
        unsafe header.pointee.hasOutOfLine = false
        unsafe header.pointee.heapTop = UInt32(
            Self.byteCount(slotCount: slotCount, stride: stride, heap: 0))
    }

    /// An exact copy, for a writer whose page a cut sees.
    func copy(birth: UInt64, pool: PagePool) -> Page {
        let (base, blockSize) = unsafe pool.allocate(atLeast: Int(header.pointee.blockSize))
        unsafe assert(blockSize == header.pointee.blockSize)
        // SAFETY: both blocks have blockSize bytes; bytes past heapTop mean nothing.
        unsafe base.copyMemory(from: self.base, byteCount: Int(header.pointee.heapTop))
        let page = unsafe Page(base: base)
        unsafe page.header.pointee.retirable = Retirable(kind: .page, birth: birth)
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

    /// Takes the first unused slot for a tag: its entry is all zero, but for the stamp.
    ///
    /// - Parameter isChanged: Whether the row counts as changed.
    func takeSlot(tag: UInt16, stamp: UInt64, stride: Int, isChanged: Bool) -> Int {
        let slotCount = unsafe Int(header.pointee.slotCount)
        unsafe assert(Int(header.pointee.rowCount) + 1 < slotCount || slotCount == 1)
        let slot = unsafe header.pointee.usedSlots.firstUnused(
            from: Self.home(tag: tag, slotCount: slotCount), count: slotCount)
        unsafe header.pointee.usedSlots.insert(slot)
        if isChanged { unsafe header.pointee.changes.slots.insert(slot) }
        unsafe (entries + slot * stride).storeBytes(of: stamp, as: UInt64.self)
        unsafe tags[slot] = tag
        unsafe header.pointee.rowCount += 1
        return slot
    }

    /// Takes a slot for the row of a log that stands there: its entry.
    func takeSlot(inOrder slot: Int, stride: Int) -> UnsafeMutableRawPointer {
        unsafe header.pointee.usedSlots.insert(slot)
        return unsafe entries + slot * stride
    }

    /// Notes that the row in a slot has changed.
    @usableFromInline static func noteChange(_ slot: Int, of base: UnsafeMutableRawPointer) {
        unsafe Page(base: base).header.pointee.changes.slots.insert(slot)
    }

    /// Empties a slot and closes the gap, so that searches still end at the first unused slot.
    ///
    /// Backward-shift deletion: Knuth, The Art of Computer Programming 3, 6.4, algorithm R.
    func emptySlot(_ slot: Int, stride: Int) {
        let slotCount = unsafe Int(header.pointee.slotCount)
        let entries = unsafe entries
        var hole = slot
        var next = slot
        while true {
            next += 1
            if next == slotCount { next = 0 }
            if unsafe (entries + next * stride).load(as: UInt64.self) == 0 { break }
            let home = unsafe Self.home(tag: tags[next], slotCount: slotCount)
            // The row at `next` may move to the hole unless its home lies after the hole, cyclically.
            let between =
                hole <= next ? (hole < home && home <= next) : (hole < home || home <= next)
            if between { continue }
            unsafe (entries + hole * stride).copyMemory(
                from: entries + next * stride, byteCount: stride)
            unsafe tags[hole] = unsafe tags[next]
            unsafe header.pointee.changes.slots.move(next, to: hole)
            hole = next
        }
        unsafe (entries + hole * stride).initializeMemory(
            as: UInt8.self, repeating: 0, count: stride)
        unsafe tags[hole] = Self.unusedTag
        unsafe header.pointee.usedSlots.remove(hole)
        unsafe header.pointee.changes.slots.remove(hole)
        unsafe header.pointee.rowCount -= 1
    }

    /// Bytes that the references of the entry in `slot` point at.
    func heapByteCount(ofSlot slot: Int, layout: PageLayout) -> Int {
        let entry = unsafe entries + slot * layout.stride
        var total = 0
        for offset in layout.referenceOffsets {
            unsafe total &+=
                entry.load(fromByteOffset: offset, as: HeapReference.self).heapByteCount
        }
        return total
    }

    /// Bytes of the heap that are not garbage.
    func liveHeapByteCount(layout: PageLayout) -> Int {
        guard !layout.referenceOffsets.isEmpty else { return 0 }
        var total = 0
        for slot in usedSlots { total += heapByteCount(ofSlot: slot, layout: layout) }
        return total
    }

    /// Copies the entry in `slot` of `source`, with what it refers to, into this page, which has room.
    @discardableResult
    func adopt(slot: Int, of source: Page, tag: UInt16, layout: PageLayout) -> Int {
        let old = unsafe source.entries + slot * layout.stride
        let new = unsafe takeSlot(
            tag: tag, stamp: old.load(as: UInt64.self), stride: layout.stride,
            isChanged: source.header.pointee.changes.slots.contains(slot))
        fill(new, fromSlot: slot, of: source, layout: layout)
        return new
    }

    /// Makes the entry of a taken slot that in `slot` of `source`, with what it refers to, for which this
    /// page has room.
    func fill(_ new: Int, fromSlot slot: Int, of source: Page, layout: PageLayout) {
        let entry = unsafe entries + new * layout.stride
        unsafe entry.copyMemory(
            from: source.entries + slot * layout.stride, byteCount: layout.stride)
        var top = unsafe Int(header.pointee.heapTop)
        for offset in layout.referenceOffsets {
            let reference = unsafe entry.load(fromByteOffset: offset, as: HeapReference.self)
            let size = reference.heapByteCount
            if size == 0 { continue }
            unsafe (base + top).copyMemory(
                from: source.base + Int(reference.offset), byteCount: size)
            unsafe entry.storeBytes(
                of: HeapReference(offset: UInt16(top), length: reference.length),
                toByteOffset: offset, as: HeapReference.self)
            top += size
        }
        unsafe assert(top <= Int(header.pointee.blockSize))
        unsafe header.pointee.heapTop = UInt32(top)
        unsafe header.pointee.hasOutOfLine =
            unsafe header.pointee.hasOutOfLine || source.header.pointee.hasOutOfLine
    }
}

/// What the code that moves entries must know of a table: never its Swift types.
@frozen @usableFromInline
struct PageLayout: Sendable {
    /// Bytes of an entry.
    @usableFromInline let stride: Int
    /// Where in an entry heap references lie.
    @usableFromInline let referenceOffsets: ReferenceOffsets
    /// The most slots of a page: 64, or fewer for wide rows.
    @usableFromInline let maximumSlots: Int
    /// Whether there are kept fields.
    @usableFromInline let keepsFields: Bool
    /// Whether some of them come and go with an optional of the program's, so that each write must look.
    @usableFromInline let settlesKeptFields: Bool
    /// What to do for them; whoever has the layout keeps it alive.
    private unowned(unsafe) let keptFields: KeptFields?

    init(_ layout: RowLayout, keeping keptFields: KeptFields? = nil) {
        stride = layout.stride
        keepsFields = keptFields != nil
        settlesKeptFields = keptFields?.hasScopes ?? false
        unsafe self.keptFields = keptFields
        referenceOffsets = ReferenceOffsets(
            layout.leaves.compactMap { leaf in
                switch leaf.kind {
                case .bytes, .array: UInt16(leaf.offset)
                case .presence, .fixed: nil
                }
            })
        maximumSlots = min(64, max(8, 8_192 / layout.stride))
    }

    func deallocate() {
        referenceOffsets.deallocate()
    }

    /// Whether this is that layout, and not one that looks the same.
    func isSame(as other: PageLayout) -> Bool {
        referenceOffsets.isSame(as: other.referenceOffsets)
    }

    /// What to do for kept fields; only where there are some.
    var kept: KeptFields {
        guard let kept = unsafe keptFields else { preconditionFailure("there are kept fields") }
        return kept
    }

    /// Heap bytes that a new entry takes for kept fields: ``KeptFields/heapByteCount(upTo:)``.
    @usableFromInline func keptHeapByteCount(upTo limit: Int) -> Int {
        kept.heapByteCount(upTo: limit)
    }

    /// Gives the kept fields of a new entry their initial values.
    @usableFromInline func placeKept(in entry: UnsafeMutableRawPointer, _ heap: HeapWriter) {
        unsafe kept.place(in: entry, heap)
    }

    /// Gives up what the kept fields of an entry have outside its page.
    @usableFromInline func discardKept(from entry: UnsafeMutableRawPointer, _ heap: HeapWriter) {
        unsafe kept.discard(from: entry, heap)
    }

    /// Which optionals that have kept fields are present in an entry.
    @usableFromInline func keptPresence(in entry: UnsafeRawPointer) -> UInt64 {
        unsafe kept.presence(in: entry)
    }

    /// Calls `body` with each value outside the page that a row of the page refers to.
    func forEachLargeValue(of page: Page, _ body: (LargeValue) -> Void) {
        guard unsafe page.header.pointee.hasOutOfLine else { return }
        let heap = unsafe HeapView(page: UnsafeRawPointer(page.base))
        for slot in page.usedSlots {
            let entry = unsafe page.entries + slot * stride
            for offset in referenceOffsets {
                let reference = unsafe entry.load(
                    fromByteOffset: offset, as: HeapReference.self)
                if reference.isOutOfLine { body(heap.largeValue(reference)) }
            }
        }
    }
}

/// Where in an entry heap references lie.
///
/// Not an array: it is walked once a row when pages are rebuilt, and must cost no reference counting there.
@safe
@frozen @usableFromInline
struct ReferenceOffsets: RandomAccessCollection, @unchecked Sendable {
    // @unchecked: the memory is written once, here, and freed with the shape of the region that it belongs to.

    private let offsets: UnsafeMutablePointer<UInt16>
    @usableFromInline let endIndex: Int

    init(_ offsets: [UInt16]) {
        endIndex = offsets.count
        unsafe self.offsets = .allocate(capacity: offsets.count)
        for index in offsets.indices { unsafe self.offsets[index] = offsets[index] }
    }

    func deallocate() { unsafe offsets.deallocate() }

    func isSame(as other: ReferenceOffsets) -> Bool { unsafe offsets == other.offsets }

    @usableFromInline var startIndex: Int { 0 }

    @usableFromInline subscript(index: Int) -> Int {
        precondition(index >= 0 && index < endIndex, "a reference there is not")
        // SAFETY: `endIndex` offsets were written.
        return unsafe Int(offsets[index])
    }
}
