/// The rows that a log keeps, at one moment: their positions, and where their pages are.
///
/// Pages have ordinals, from 0 in the order in which they were added. The directory is a tree of nodes by
/// ordinal, 512 entries each, that grows at its right edge and, when it is full, at its top:
///
///     head ─► page ordinals 3..<1,026, height 2         node
///                                                   ┌─────┬─────┬─────┐
///                                                   │  0  │ 512 │1,024│
///                                                   └──┼──┴──┼──┴──┼──┘
///                                    ┌───────────────┐ │   ┌──┘     └──────┐
///                                    │ – – – 3 4 5 … │◄┘   │ 512 … 1,023   │ 1,024 1,025
///
/// Nothing of it is ever copied or changed: an entry is written once, and one of these structs says which
/// entries there were. So a cut keeps the struct, and neither appending nor trimming touches what the cut sees.
/// Entries of pages before the first kept one are dead, and nobody looks at them; a node that has only such
/// ones is given up with its pages.
@safe
struct LogExtent {
    /// The epoch of the last write.
    var epoch: UInt64 = 0
    /// The position of the first row; that of the next one when there is none.
    var head: UInt64 = 0
    /// The position of the next row.
    var end: UInt64 = 0
    /// How often rows at the end were taken back, so that others got their positions.
    var returns = 0
    /// The ordinals of the pages that have kept rows; the last may have none yet.
    private(set) var pages: Range<Int> = 0..<0
    private var root: LogNode?
    private var height = 0

    /// The number of rows.
    var count: Int { Int(end - head) }

    /// Bits of an ordinal below those that choose among the entries of a node.
    private static func shift(_ level: Int) -> Int { level * LogNode.bits }

    /// Adds a page whose first row has that position.
    ///
    /// - Complexity: O(height); at most one node of 8 KiB a level is made.
    mutating func append(_ page: Page, at position: UInt64, pool: PagePool) {
        let ordinal = pages.upperBound
        if root == nil || ordinal >> Self.shift(height) != 0 {
            let taller = LogNode.make(birth: epoch, pool: pool)
            // Its position is at most that of any row below, and it is the leftmost.
            if let root { unsafe taller.set(0, LogNode.Entry(position: 0, root.base)) }
            root = taller
            height += 1
        }
        guard var node = root else { preconditionFailure("a root was made") }
        for level in stride(from: height - 1, to: 0, by: -1) {
            let index = ordinal >> Self.shift(level)
            if ordinal & (1 << Self.shift(level) - 1) == 0 {
                let child = LogNode.make(birth: epoch, pool: pool)
                unsafe node.set(
                    index & LogNode.mask, LogNode.Entry(position: position, child.base))
                node = child
            } else {
                node = node.child(index & LogNode.mask)
            }
        }
        node.set(ordinal & LogNode.mask, unsafe LogNode.Entry(position: position, page.base))
        pages = pages.lowerBound..<ordinal + 1
    }

    /// The page that holds the row of a position, which is kept.
    ///
    /// - Complexity: O(log pages).
    func place(of position: UInt64) -> (page: Page, ordinal: Int, first: UInt64) {
        guard var node = root, position >= head, position < end else {
            preconditionFailure("a position outside the log")
        }
        var base = 0
        for level in stride(from: height - 1, through: 0, by: -1) {
            let shift = Self.shift(level)
            let first = max(pages.lowerBound >> shift, base)
            let last = min((pages.upperBound - 1) >> shift, base + LogNode.mask)
            let index = base + node.search(position, in: first - base...last - base)
            let entry = node.entry(index & LogNode.mask)
            if level == 0 { return unsafe (Page(base: entry.address), index, entry.position) }
            node = unsafe LogNode(base: entry.address)
            base = index << LogNode.bits
        }
        preconditionFailure("a directory has a level")
    }

    /// The page of an ordinal that is kept, and the position of its first row.
    ///
    /// - Complexity: O(height).
    func page(_ ordinal: Int) -> (page: Page, first: UInt64) {
        guard var node = root, pages.contains(ordinal) else {
            preconditionFailure("a page outside the log")
        }
        for level in stride(from: height - 1, to: 0, by: -1) {
            node = node.child(ordinal >> Self.shift(level) & LogNode.mask)
        }
        let entry = node.entry(ordinal & LogNode.mask)
        return unsafe (Page(base: entry.address), entry.position)
    }

    /// Calls `body` with the kept rows among some positions, page by page: the slots of a page's rows and the
    /// position of the first of these.
    func forEachPage<Failure: Error>(
        in positions: Range<UInt64>,
        _ body: (Page, Range<Int>, UInt64) throws(Failure) -> Void
    ) throws(Failure) {
        let wanted = positions.clamped(to: head..<end)
        if wanted.isEmpty { return }
        var (page, ordinal, first) = place(of: wanted.lowerBound)
        while true {
            let next = ordinal + 1 < pages.upperBound ? self.page(ordinal + 1) : nil
            let stop = min(next?.first ?? end, wanted.upperBound)
            let start = max(first, wanted.lowerBound)
            if start < stop {
                try body(page, Int(start - first)..<Int(stop - first), start)
            }
            guard let next, next.first < wanted.upperBound else { return }
            (page, first) = next
            ordinal += 1
        }
    }

    // MARK: Trimming

    /// Forgets the rows before a position, and the pages that have no others.
    ///
    /// - Parameter keepsTail: Whether the last page stays though all its rows go, for those that will come.
    mutating func forget(before position: UInt64, keepsTail: Bool) {
        if position < end {
            pages = place(of: position).ordinal..<pages.upperBound
        } else if keepsTail, !pages.isEmpty {
            pages = pages.upperBound - 1..<pages.upperBound
        } else {
            pages = 0..<0
            root = nil
            height = 0
        }
        head = position
    }

    /// Calls `page` and `node` with what is part of this extent, and by ``forget(before:keepsTail:)`` not of a
    /// later one.
    ///
    /// Nodes come after what is below them.
    func forEachForgotten(
        in later: LogExtent, page: (Page) -> Void, node: (LogNode) -> Void
    ) {
        guard let root else { return }
        let isGone = later.root == nil
        let dead = pages.lowerBound..<(isGone ? pages.upperBound : later.pages.lowerBound)
        if dead.isEmpty { return }
        visit(root, height - 1, 0, dead, isGone, page, node)
    }

    /// - Parameters:
    ///   - dead: The ordinals that are no longer kept.
    ///   - isGone: Whether all is given up, and not only nodes whose places are all taken.
    private func visit(
        _ node: LogNode, _ level: Int, _ base: Int, _ dead: Range<Int>, _ isGone: Bool,
        _ page: (Page) -> Void, _ given: (LogNode) -> Void
    ) {
        let shift = Self.shift(level)
        let last = min((pages.upperBound - 1) >> shift, base + LogNode.mask)
        var index = max(dead.lowerBound >> shift, base)
        // The child that the first kept page is in has dead ones too.
        while index <= last, index << shift < dead.upperBound {
            let entry = node.entry(index & LogNode.mask)
            if level == 0 {
                unsafe page(Page(base: entry.address))
            } else {
                unsafe visit(
                    LogNode(base: entry.address), level - 1, index << LogNode.bits, dead, isGone,
                    page, given)
            }
            index += 1
        }
        // The root stands until all is gone: there are pages to come.
        let isFull = (base + LogNode.mask + 1) << shift <= dead.upperBound
        if isGone || (isFull && level < height - 1) { given(node) }
    }
}

/// A node of a log's directory: entries of pages, or of nodes.
///
/// In memory it begins as a table's node does, so that it is freed as one.
@safe
struct LogNode: Equatable {
    let base: UnsafeMutableRawPointer

    /// A page or a node, and the position of the first row that came below it.
    @safe
    struct Entry {
        let position: UInt64
        let address: UnsafeMutableRawPointer

        init(position: UInt64, _ address: UnsafeMutableRawPointer) {
            self.position = position
            unsafe self.address = unsafe address
        }
    }

    /// Bits of an ordinal that choose among a node's entries: 512 are 8 KiB.
    static let bits = 9
    static let mask = 1 << bits - 1

    init(base: UnsafeMutableRawPointer) { unsafe self.base = unsafe base }

    static func == (a: LogNode, b: LogNode) -> Bool { unsafe a.base == b.base }

    /// A node whose entries are not yet written.
    static func make(birth: UInt64, pool: PagePool) -> LogNode {
        let (base, blockSize) = unsafe pool.allocate(
            atLeast: DirectoryNode.headerSize + MemoryLayout<Entry>.stride << bits)
        unsafe base.assumingMemoryBound(to: DirectoryNode.Header.self).initialize(
            to: DirectoryNode.Header(
                retirable: Retirable(kind: .node, birth: birth), blockSize: UInt32(blockSize),
                depth: 0, bits: UInt8(bits), hasNodes: false))
        return unsafe LogNode(base: base)
    }

    private var entries: UnsafeMutablePointer<Entry> {
        unsafe (base + DirectoryNode.headerSize).assumingMemoryBound(to: Entry.self)
    }

    func entry(_ index: Int) -> Entry {
        // SAFETY: indices are masked, and an extent knows which entries were written.
        unsafe entries[index]
    }

    /// The last of some entries whose position is not behind the one given, which the first one's is not.
    ///
    /// Pages mostly have about as many rows as their neighbours, so the search begins where the row would be if all
    /// had equally many, and goes from there in growing steps: a few cache lines instead of nine.
    func search(_ position: UInt64, in entries: ClosedRange<Int>) -> Int {
        var (low, high) = (entries.lowerBound, entries.upperBound)
        let (first, last) = (entry(low).position, entry(high).position)
        if low == high || last <= position { return high }
        let share = Double(position - first) / Double(last - first)
        let guess = low + Int(share * Double(high - low))
        var step = 1
        if entry(guess).position <= position {
            low = guess
            while low + step < high, entry(low + step).position <= position {
                low += step
                step *= 2
            }
            high = min(high, low + step) - 1
        } else {
            high = guess - 1
            while high - step > low, entry(high - step + 1).position > position {
                high -= step
                step *= 2
            }
            low = max(low, high - step)
        }
        while low < high {
            let middle = (low + high + 1) / 2
            if entry(middle).position <= position { low = middle } else { high = middle - 1 }
        }
        return low
    }

    func child(_ index: Int) -> LogNode { unsafe LogNode(base: entry(index).address) }

    func set(_ index: Int, _ entry: Entry) {
        // SAFETY: as above.
        unsafe (entries + index).initialize(to: entry)
    }
}
