import CPrefetch
import Synchronization

/// One entry of a partition's directory: a page, a node, or nothing, with the epoch of the last write
/// below it.
///
///     word    bits 0-47  address of the page or node, a multiple of 64, 0 when there is none
///             bits 0-5   of a page, its number of rows, at most 48
///             bits 48-55 slots of the page; of a node the hash bits that choose among its entries
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

    private static let addressMask: UInt64 = (1 << 48) - 64

    /// No page yet for hashes that share `depth` bits.
    init(emptyAtDepth depth: Int) {
        self.init(word: UInt64(depth) << 56, epoch: 0)
    }

    init(_ page: Page, epoch: UInt64) {
        let address = unsafe UInt64(UInt(bitPattern: page.base))
        assert(
            address & Self.addressMask == address, "user addresses have 48 bits, blocks 64 bytes")
        unsafe assert(page.header.pointee.rowCount < 64, "a page has at most 48 rows")
        unsafe self.init(
            word: address | UInt64(page.header.pointee.rowCount)
                | UInt64(page.header.pointee.slotCount) << 48
                | UInt64(page.header.pointee.depth) << 56,
            epoch: epoch)
    }

    init(_ node: DirectoryNode, epoch: UInt64) {
        unsafe self.init(
            word: UInt64(UInt(bitPattern: node.base)) | UInt64(node.bits) << 48
                | UInt64(node.depth) << 56 | 1 << 63,
            epoch: epoch)
    }

    @inlinable var isNode: Bool { word >> 63 != 0 }
    @inlinable var isEmpty: Bool { word & ((1 << 48) - 64) == 0 }
    /// The number of rows of a page; 0 for a gap.
    var rowCount: Int {
        get { Int(truncatingIfNeeded: word & 63) }
        set { word = word & ~63 | UInt64(newValue) }
    }
    @inlinable var slotCount: Int { Int(truncatingIfNeeded: (word &>> 48) & 0xFF) }
    /// Hash bits that choose among the entries of a node.
    @inlinable var nodeBits: Int { Int(truncatingIfNeeded: (word &>> 48) & 0xFF) }
    @inlinable var depth: Int { Int(truncatingIfNeeded: (word &>> 56) & 0x3F) }

    /// The address, of a page or node that is there.
    @inlinable var address: UnsafeMutableRawPointer {
        // SAFETY: entries that are not empty hold the address of a live block.
        unsafe UnsafeMutableRawPointer(bitPattern: UInt(word & ((1 << 48) - 64))).unsafelyUnwrapped
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
            let bits = entry.nodeBits
            // SAFETY: an index of as many bits as the node has entries for.
            entry = unsafe entry.node.entries[
                DirectoryNode.index(of: hash, depth: depth, bits: bits)]
            depth &+= bits
        }
        return entry
    }

    /// Asks for the first cache line of what the entry points at.
    @usableFromInline func prefetch() {
        unsafe caesura_prefetch(UnsafeRawPointer(bitPattern: UInt(word & Self.addressMask)))
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
    ///
    /// - Parameters:
    ///   - stride: Bytes from one entry to the next; with kept fields more than the types say.
    ///   - inserting: Whether a row is inserted when there is none: that will need the page's header.
    @inlinable @inline(__always) func find<Key: TableKey, Row: SchemaStruct>(
        _ key: Key, _ hash: UInt64, depth: Int, stride: Int, as type: Row.Type,
        inserting: Bool = false
    ) -> (entry: UnsafeMutableRawPointer, slot: Int, leaf: DirectoryEntry)? {
        let leaf = leaf(of: hash, depth: depth)
        // Its cache line comes while that of the entry is waited for.
        if inserting { leaf.prefetch() }
        let keyOffset = EntryShape<Key, Row>.keyOffset
        guard
            let found = unsafe leaf.search(
                hash: hash, stride: stride,
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
        _ key: Key, _ hash: UInt64, depth: Int, stride: Int, as type: Row.Type,
        _ body: (borrowing Row.Reader) throws -> Result
    ) rethrows -> Result? {
        guard let found = unsafe find(key, hash, depth: depth, stride: stride, as: type) else {
            return nil
        }
        return try unsafe body(
            Row.Reader(
                RowView(
                    row: found.entry + EntryShape<Key, Row>.rowOffset,
                    heap: HeapView(page: found.leaf.address))))
    }
}

/// A node of a partition's directory: 2^b entries for the next b bits of the hash.
///
/// A page whose depth is less than the node's depth + b stands in all the entries whose bits it covers.
/// A node doubles when a page below it splits by a bit beyond its own (extendible hashing: Fagin,
/// Nievergelt, Pippenger, Strong, ACM TODS 1979), up to ``maximumBits``; then it folds into a node of nodes.
/// So a partition of a few hundred pages is one array, a lookup one step, and the copy that the first write
/// after a cut makes stays small.
///
/// A node stands in one entry only: one that has nodes below it never doubles.
@safe
@frozen @usableFromInline
struct DirectoryNode {
    @usableFromInline let base: UnsafeMutableRawPointer

    @usableFromInline struct Header {
        var retirable: Retirable
        /// Bytes of the whole block.
        var blockSize: UInt32
        var depth: UInt8
        var bits: UInt8
        /// Whether there are nodes among the entries.
        var hasNodes: Bool
    }

    @inlinable init(base: UnsafeMutableRawPointer) {
        unsafe self.base = unsafe base
    }

    /// Bits of a new node: with its 16 entries it fits the smallest block.
    static let firstBits = 4
    /// Bits of a node that has pages below: its 512 entries are 8 KiB, copied in 1 us.
    static let maximumBits = 9
    static let headerSize = 48
    /// Where the number of rows below lies: behind the ``Header``, which has 35 bytes.
    static let rowsBelowOffset = 44

    var header: UnsafeMutablePointer<Header> { unsafe base.assumingMemoryBound(to: Header.self) }

    /// The number of rows below; `UInt32.max` when nobody has counted them since the node was made or written below.
    ///
    /// Whoever walks the directory notes it (``LeafWalk``), so that the next walk passes the node by. It is right until a writer
    /// begins in a later epoch than the node's entry has: who enters the node for the first time in an epoch forgets it, or copies
    /// the node. So what a cut sees may be noted and believed, and under the partition's lock what has an earlier epoch than
    /// its writer. That of a root is never noted, for the partition has it. Several walks of cuts may note the same number
    /// at once.
    var rowsBelow: UnsafeMutablePointer<Atomic<UInt32>> {
        // SAFETY: bytes between the header and the entries, made by `make`, that nothing else reads or writes.
        unsafe (base + Self.rowsBelowOffset).assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    /// Leading hash bits that everything below the node shares.
    var depth: Int { unsafe Int(header.pointee.depth) }

    /// Hash bits that choose among the entries.
    var bits: Int { unsafe Int(header.pointee.bits) }

    var count: Int { 1 << bits }

    /// Bytes of the node's block.
    var blockSize: Int { unsafe Int(header.pointee.blockSize) }

    @inlinable var entries: UnsafeMutablePointer<DirectoryEntry> {
        unsafe (base + 48).assumingMemoryBound(to: DirectoryEntry.self)
    }

    /// Which of the node's entries a hash goes to.
    @inlinable static func index(of hash: UInt64, depth: Int, bits: Int) -> Int {
        Int(
            truncatingIfNeeded: (hash &<< UInt64(truncatingIfNeeded: depth))
                &>> UInt64(truncatingIfNeeded: 64 &- bits))
    }

    /// The entries that a page or gap of `depth` stands in, for one of its hashes.
    func range(of hash: UInt64, entryDepth: Int) -> Range<Int> {
        let index = Self.index(of: hash, depth: depth, bits: bits)
        let span = 1 << (depth + bits - entryDepth)
        let start = index & ~(span - 1)
        return start..<start + span
    }

    /// Calls `body` with each page, node and gap below, once, and the first of its entries.
    func forEachChild<Failure: Error>(
        _ body: (_ index: Int, DirectoryEntry) throws(Failure) -> Void
    ) throws(Failure) {
        var index = 0
        while index < count {
            let child = unsafe entries[index]
            try body(index, child)
            index += 1 << (depth + bits - child.depth)
        }
    }
}

// MARK: - Making nodes

extension DirectoryNode {
    /// A node whose entries are not yet written.
    private static func make(depth: Int, bits: Int, birth: UInt64, pool: PagePool) -> DirectoryNode
    {
        let (base, blockSize) = unsafe pool.allocate(
            atLeast: headerSize + MemoryLayout<DirectoryEntry>.stride << bits)
        let node = unsafe DirectoryNode(base: base)
        unsafe node.header.initialize(
            to: Header(
                retirable: Retirable(kind: .node, birth: birth), blockSize: UInt32(blockSize),
                depth: UInt8(depth), bits: UInt8(bits), hasNodes: false))
        unsafe node.rowsBelow.initialize(to: Atomic(.max))
        return node
    }

    /// A node all of whose entries are `entry`.
    static func make(
        depth: Int, filling entry: DirectoryEntry, birth: UInt64, pool: PagePool
    ) -> DirectoryNode {
        let node = make(depth: depth, bits: firstBits, birth: birth, pool: pool)
        unsafe node.entries.initialize(repeating: entry, count: node.count)
        return node
    }

    /// The same node, for a writer when a cut sees this one.
    func copy(birth: UInt64, pool: PagePool) -> DirectoryNode {
        let node = Self.make(depth: depth, bits: bits, birth: birth, pool: pool)
        unsafe node.header.pointee.hasNodes = unsafe header.pointee.hasNodes
        unsafe node.entries.initialize(from: entries, count: count)
        return node
    }

    /// The same pages with one more bit: each entry twice.
    func doubled(birth: UInt64, pool: PagePool) -> DirectoryNode {
        let node = Self.make(depth: depth, bits: bits + 1, birth: birth, pool: pool)
        for index in 0..<node.count {
            unsafe (node.entries + index).initialize(to: entries[index / 2])
        }
        return node
    }

    /// The same pages in two levels of nodes, the upper taking half of the bits.
    ///
    /// Entries that are all of one page stay in the upper node.
    func folded(birth: UInt64, pool: PagePool) -> DirectoryNode {
        let upperBits = (bits + 1) / 2
        let lowerBits = bits - upperBits
        let upper = Self.make(depth: depth, bits: upperBits, birth: birth, pool: pool)
        unsafe upper.header.pointee.hasNodes = true
        for index in 0..<upper.count {
            let slice = unsafe entries + index << lowerBits
            guard unsafe slice.pointee.depth > depth + upperBits else {
                unsafe (upper.entries + index).initialize(to: slice.pointee)
                continue
            }
            let lower = Self.make(
                depth: depth + upperBits, bits: lowerBits, birth: birth, pool: pool)
            unsafe lower.entries.initialize(from: slice, count: lower.count)
            unsafe (upper.entries + index).initialize(to: DirectoryEntry(lower, epoch: birth))
        }
        return upper
    }
}
