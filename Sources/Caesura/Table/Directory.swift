/// One entry of a partition's directory: a page, a node, or nothing, with the epoch of the last write
/// below it.
///
///     word    bits 0-47  address of the page or node, 0 when there is none
///             bits 48-55 slots of the page; 0 for a node
///             bits 56-61 depth: leading hash bits that everything below shares (0...63)
///             bit 63     set for a node
///     epoch   of the last write below; a delta skips what is not newer than its base
@frozen @usableFromInline
struct DirectoryEntry: BitwiseCopyable {
    @usableFromInline var word: UInt64
    @usableFromInline var epoch: UInt64

    @inlinable init(word: UInt64, epoch: UInt64) {
        self.word = word
        self.epoch = epoch
    }

    private static let addressMask: UInt64 = (1 << 48) - 1

    /// No page yet for hashes that share `depth` bits.
    init(emptyAtDepth depth: Int) {
        self.init(word: UInt64(depth) << 56, epoch: 0)
    }

    init(_ page: Page, epoch: UInt64) {
        let address = unsafe UInt64(UInt(bitPattern: page.base))
        assert(address & Self.addressMask == address, "user addresses have 48 bits")
        unsafe self.init(
            word: address | UInt64(page.header.pointee.slotCount) << 48
                | UInt64(page.header.pointee.depth) << 56,
            epoch: epoch)
    }

    init(_ node: DirectoryNode, epoch: UInt64) {
        unsafe self.init(
            word: UInt64(UInt(bitPattern: node.base)) | UInt64(node.depth) << 56 | 1 << 63,
            epoch: epoch)
    }

    @inlinable var isNode: Bool { word >> 63 != 0 }
    @inlinable var isEmpty: Bool { word & ((1 << 48) - 1) == 0 }
    @inlinable var slotCount: Int { Int(truncatingIfNeeded: (word &>> 48) & 0xFF) }
    @inlinable var depth: Int { Int(truncatingIfNeeded: (word &>> 56) & 0x3F) }

    /// The address, of a page or node that is there.
    @inlinable var address: UnsafeMutableRawPointer {
        // SAFETY: entries that are not empty hold the address of a live block.
        unsafe UnsafeMutableRawPointer(bitPattern: UInt(word & ((1 << 48) - 1))).unsafelyUnwrapped
    }
    @inlinable var page: Page { unsafe Page(base: address) }
    @inlinable var node: DirectoryNode { unsafe DirectoryNode(base: address) }
}

extension DirectoryEntry {
    /// The entry of the page that a hash leads to, below this entry of that depth.
    @inlinable func leaf(of hash: UInt64, depth: Int) -> DirectoryEntry {
        var entry = self
        var depth = depth
        while entry.isNode {
            // SAFETY: an index of 6 bits into 64 entries.
            entry = unsafe entry.node.entries[DirectoryNode.index(of: hash, depth: depth)]
            depth &+= DirectoryNode.bits
        }
        return entry
    }

    /// Calls `isMatch` with the candidates for a hash until it says yes; the entry's address and slot.
    @inlinable @inline(__always)
    func search(
        hash: UInt64, stride: Int, isMatch: (UnsafeMutableRawPointer) -> Bool
    ) -> (entry: UnsafeMutableRawPointer, slot: Int)? {
        guard !isEmpty else { return nil }
        let slotCount = slotCount
        let entries = unsafe address + Page.entriesOffset(slotCount: slotCount)
        var slot = Page.home(tag: Page.tag(of: hash, depth: depth), slotCount: slotCount)
        var entry = unsafe entries + slot &* stride
        // A page has at least one unused slot, so this ends.
        while unsafe entry.load(as: UInt64.self) != 0 {
            if unsafe isMatch(entry) { return unsafe (entry, slot) }
            slot &+= 1
            unsafe entry += stride
            if slot == slotCount {
                slot = 0
                unsafe entry = unsafe entries
            }
        }
        return nil
    }

    /// The entry of a key, its slot and the entry of its page, below this entry of that depth.
    @inlinable @inline(__always) func find<Key: TableKey, Row: SchemaStruct>(
        _ key: Key, _ hash: UInt64, depth: Int, as type: Row.Type
    ) -> (entry: UnsafeMutableRawPointer, slot: Int, leaf: DirectoryEntry)? {
        let leaf = leaf(of: hash, depth: depth)
        let keyOffset = EntryShape<Key, Row>.keyOffset
        guard
            let found = unsafe leaf.search(
                hash: hash, stride: EntryShape<Key, Row>.stride,
                isMatch: { entry in
                    unsafe Key.matches(
                        entry.load(fromByteOffset: keyOffset, as: Key.Stored.self), key,
                        in: HeapView(page: leaf.address))
                })
        else { return nil }
        return unsafe (found.entry, found.slot, leaf)
    }

    /// Reads a row below this entry of that depth.
    @inlinable @inline(__always) func read<Key: TableKey, Row: SchemaStruct, Result>(
        _ key: Key, _ hash: UInt64, depth: Int, as type: Row.Type,
        _ body: (borrowing Row.Reader) throws -> Result
    ) rethrows -> Result? {
        guard let found = unsafe find(key, hash, depth: depth, as: type) else { return nil }
        return try unsafe body(
            Row.Reader(
                RowView(
                    row: found.entry + EntryShape<Key, Row>.rowOffset,
                    heap: HeapView(page: found.leaf.address))))
    }
}

/// A node of the radix tree over the hash: 64 entries for the next 6 bits.
///
/// A page whose depth is less than the node's depth + 6 stands in all the entries whose bits it covers.
/// Copied like a page when a cut sees it.
@safe
@frozen @usableFromInline
struct DirectoryNode {
    @usableFromInline let base: UnsafeMutableRawPointer

    @usableFromInline struct Header {
        var retirable: Retirable
        var depth: Int
    }

    @inlinable init(base: UnsafeMutableRawPointer) {
        unsafe self.base = unsafe base
    }

    @usableFromInline static let bits = 6
    static let headerSize = 48
    static let byteCount = headerSize + 64 * MemoryLayout<DirectoryEntry>.stride

    var header: UnsafeMutablePointer<Header> { unsafe base.assumingMemoryBound(to: Header.self) }

    /// Leading hash bits that everything below the node shares.
    var depth: Int { unsafe header.pointee.depth }

    @inlinable var entries: UnsafeMutablePointer<DirectoryEntry> {
        unsafe (base + 48).assumingMemoryBound(to: DirectoryEntry.self)
    }

    /// Which of the node's entries a hash goes to.
    @inlinable static func index(of hash: UInt64, depth: Int) -> Int {
        Int(truncatingIfNeeded: (hash &<< UInt64(truncatingIfNeeded: depth)) &>> 58)
    }

    /// A node all of whose entries are `entry`.
    static func make(
        depth: Int, filling entry: DirectoryEntry, birth: UInt64, pool: PagePool
    ) -> DirectoryNode {
        let node = unsafe DirectoryNode(base: pool.allocate(atLeast: byteCount).base)
        unsafe node.header.initialize(
            to: Header(retirable: Retirable(kind: .node, birth: birth), depth: depth))
        unsafe node.entries.initialize(repeating: entry, count: 64)
        return node
    }

    func copy(birth: UInt64, pool: PagePool) -> DirectoryNode {
        let node = unsafe DirectoryNode(base: pool.allocate(atLeast: Self.byteCount).base)
        unsafe node.base.copyMemory(from: base, byteCount: Self.byteCount)
        unsafe node.header.pointee.retirable = Retirable(kind: .node, birth: birth)
        return node
    }

    /// The entries that a page or gap of `depth` stands in, for one of its hashes.
    func range(of hash: UInt64, entryDepth: Int) -> Range<Int> {
        let index = Self.index(of: hash, depth: depth)
        let span = 1 << (depth + Self.bits - entryDepth)
        let start = index & ~(span - 1)
        return start..<start + span
    }
}
