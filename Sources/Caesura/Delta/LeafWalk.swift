import CPrefetch

/// Walks the pages and gaps below an entry of a directory in hash order.
///
/// Without a list of them, and without reading a page: who only counts rows, or looks for a few, pays for the
/// directory, 16 bytes a page.
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
    }

    private var level: Level
    private var outer: [Level] = []
    /// The root itself, when it is no node.
    private var single: DirectoryEntry?
    /// The first hash behind the leaf that came last; 2^64 is 0.
    private(set) var end: UInt64

    /// Begins before the first leaf.
    ///
    /// - Parameter first: The first hash below the root.
    init(below root: DirectoryEntry, from first: UInt64) {
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
            if !child.isNode {
                level.index &+= 1 &<< (level.depth &- child.depth)
                end &+= child.span
                return child
            }
        }
        return nextElsewhere()
    }

    @inline(never)
    private mutating func nextElsewhere() -> DirectoryEntry? {
        if let root = single {
            single = nil
            end &+= root.span
            return root
        }
        while true {
            if level.index == level.count {
                guard let above = outer.popLast() else { return nil }
                level = above
                continue
            }
            let child = unsafe level.entries[level.index]
            level.index &+= 1 &<< (level.depth &- child.depth)
            guard child.isNode else {
                end &+= child.span
                return child
            }
            prefetch()
            outer.append(level)
            level = Self.level(child)
        }
    }
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
