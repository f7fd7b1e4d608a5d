import CPrefetch
import Synchronization

/// Walks the pages and gaps below an entry of a directory in hash order.
///
/// Without a list of them, and without reading a page: who only counts rows, or looks for a few, pays for the
/// directory, 16 bytes a page. It notes how many rows are below each node that it has walked, and passes one by whose
/// rows are known (``DirectoryNode/rowsBelow``): the next walk pays for the nodes alone that were written below since.
@safe
struct LeafWalk {
    /// A node that is being walked.
    @safe
    private struct Level {
        var entries: UnsafePointer<DirectoryEntry>
        var index: Int
        var count: Int
        /// Depth of a leaf that stands in one of the entries.
        var depth: Int
        /// The node whose rows are to be noted; nil of the root, and of one that is being written below.
        var counted: DirectoryNode?
        /// Rows of the leaves that have come.
        var rowCount = 0
    }

    private var level: Level
    private var outer: [Level] = []
    /// The root itself, when it is no node.
    private var single: DirectoryEntry?
    /// The epoch of whoever may write below, under the partition's lock.
    private let writeEpoch: UInt64
    /// The first hash behind the leaf that came last; 2^64 is 0.
    private(set) var end: UInt64

    /// Begins before the first leaf.
    ///
    /// - Parameters:
    ///   - root: The root of a partition.
    ///   - first: The first hash below it.
    ///   - writeEpoch: That of the partition, when its present root is walked under its lock; nil for one that a cut sees.
    init(below root: DirectoryEntry, from first: UInt64, writtenIn writeEpoch: UInt64? = nil) {
        self.writeEpoch = writeEpoch ?? .max
        end = first
        if root.isNode {
            level = Self.level(root)
        } else {
            single = root
            level = unsafe Level(entries: Self.nothing, index: 0, count: 0, depth: 0)
        }
    }

    private static var nothing: UnsafePointer<DirectoryEntry> {
        unsafe UnsafePointer(bitPattern: 64)!
    }

    /// A node, by what the entry says that leads to it: its header is not read.
    private static func level(_ entry: DirectoryEntry) -> Level {
        unsafe Level(
            entries: UnsafePointer(entry.node.entries), index: 0, count: 1 << entry.nodeBits,
            depth: entry.depth + entry.nodeBits)
    }

    /// Asks for the nodes that come a little later.
    private func prefetch() {
        for index in level.index..<min(level.index + 3, level.count) {
            let child = unsafe level.entries[index]
            guard child.isNode else { continue }
            let byteCount =
                DirectoryNode.headerSize + MemoryLayout<DirectoryEntry>.stride << child.nodeBits
            // What is larger comes line by line by itself.
            for offset in stride(from: 0, to: min(byteCount, 512), by: 64) {
                unsafe caesura_prefetch(child.address + offset)
            }
        }
    }

    /// The next page or gap, or nil at the end.
    @inline(__always)
    mutating func next() -> DirectoryEntry? {
        if level.index < level.count {
            // SAFETY: each child stands in the entries from its first on, to the next child's.
            let child = unsafe level.entries[level.index]
            if !child.isNode { return take(child) }
        }
        return nextElsewhere()
    }

    /// Goes on behind a leaf.
    @inline(__always)
    private mutating func take(_ leaf: DirectoryEntry) -> DirectoryEntry {
        level.index &+= 1 &<< (level.depth &- leaf.depth)
        level.rowCount &+= leaf.rowCount
        end &+= leaf.span
        return leaf
    }

    @inline(never)
    private mutating func nextElsewhere() -> DirectoryEntry? {
        if let root = single {
            single = nil
            end &+= root.span
            return root
        }
        while let child = child() {
            if !child.isNode { return take(child) }
            level.index &+= 1 &<< (level.depth &- child.depth)
            prefetch()
            outer.append(level)
            level = Self.level(child)
            level.counted = isSettled(child) ? child.node : nil
        }
        return nil
    }

    /// The next entry, of whatever node; nil at the end.
    private mutating func child() -> DirectoryEntry? {
        while level.index == level.count {
            guard var above = outer.popLast() else { return nil }
            level.counted?.note(rowCount: level.rowCount)
            above.rowCount &+= level.rowCount
            level = above
        }
        return unsafe level.entries[level.index]
    }

    /// Whether nobody writes below a node in the present epoch, so that what is known of it stays right.
    private func isSettled(_ node: DirectoryEntry) -> Bool { node.epoch < writeEpoch }

    // MARK: Passing by

    /// The node that comes next, instead of a leaf of its node; nil if a leaf comes next, or nothing.
    @inline(__always)
    mutating func nextNode() -> DirectoryEntry? {
        if level.index < level.count {
            let child = unsafe level.entries[level.index]
            return child.isNode ? child : nil
        }
        guard let child = child(), child.isNode else { return nil }
        return child
    }

    /// The number of rows below a node that comes next; nil if it is not known.
    func rowCount(below node: DirectoryEntry) -> Int? {
        isSettled(node) ? node.node.knownRowCount : nil
    }

    /// Passes the node by that comes next, whose rows are known.
    mutating func pass(_ node: DirectoryEntry, rowCount: Int) {
        level.index &+= 1 &<< (level.depth &- node.depth)
        level.rowCount &+= rowCount
        end &+= node.span
    }
}

extension DirectoryNode {
    fileprivate func note(rowCount: Int) {
        guard let count = UInt32(exactly: rowCount) else { return }
        unsafe rowsBelow.pointee.store(count, ordering: .relaxed)
    }

    /// The number of rows below, if somebody has noted it.
    fileprivate var knownRowCount: Int? {
        let count = unsafe rowsBelow.pointee.load(ordering: .relaxed)
        return count == .max ? nil : Int(count)
    }

    /// Forgets the number of rows below, which is about to change.
    func forgetRows() { unsafe rowsBelow.pointee.store(.max, ordering: .relaxed) }
}

extension DirectoryEntry {
    /// The number of hashes that the leaf is for; 2^64 is 0.
    @inline(__always) var span: UInt64 {
        depth == 0 ? 0 : 1 &<< UInt64(truncatingIfNeeded: 64 &- depth)
    }

    /// Asks for a page's header and tags.
    func prefetchHeader() {
        if isEmpty { return }
        unsafe caesura_prefetch(address)
        prefetchTags()
    }

    /// Asks for a page's tags.
    @inline(__always) func prefetchTags() {
        unsafe caesura_prefetch(address + 64)
        if slotCount > 32 { unsafe caesura_prefetch(address + 128) }
    }
}
