import CPrefetch
import CaesuraFormat

/// Finds what differs between two cuts of a table, in hash order, a few pages at a time.
///
///     base     │ page │  page  │ page │ gap │      leaves of the two directories, side by side:
///     target   │ page │ pg│ pg │ page │ page│      runs are the shortest ranges with an end in both
///                                 ▲
///                                 not written after the base: skipped, and no byte of it is read
///
/// A run of one page each, whose header says what changed since the base, costs the newer header's line, the older
/// page's tags, and the lines of the changed rows. All other runs are compared row by row, see ``DeltaCounts``.
/// How a run is compared never shows in the result.
@safe
struct DeltaScan: ~Copyable {
    let table: TableCore
    private let base: FrozenTable
    private let target: FrozenTable
    /// What is stamped with a later epoch than the base's was written after it.
    private let baseEpoch: UInt64
    /// Whether stamps say so in the present partition.
    ///
    /// Not if its rows came from elsewhere after the base, with stamps of their own: all of it is compared then.
    private var hasStamps = true
    let comparer: RowComparer
    var weigher: RowWeigher
    let stride: Int

    /// What was found; the first `taken` of it were taken.
    var changes: [RowChange] = []
    /// The sets of changed leaves; rows that were found one after the other share theirs.
    var masks: [UInt64] = []
    var lastMask = -1
    private var taken = 0
    /// How runs were compared, for telemetry and tests.
    var counts = DeltaCounts()

    private let partitions: Range<Int>
    private var partition: Int
    private var runs: [Run] = []
    private var nextRun = 0
    /// The runs that have several leaves on a side.
    var wideRuns: [WideRun] = []
    var order: PageOrder
    /// The place in hash order of the row of each slot of a page.
    let ranks: UnsafeMutablePointer<UInt8>
    /// Rows of the base in partitions before the present one.
    private var rowsBefore: UInt64
    /// The first hash that has not been looked at; nil when all have.
    private var frontier: UInt64? = 0

    /// A range with an end in both directories, something of which was written after the base.
    struct Run {
        /// The words of the leaves' entries, when there is one leaf on each side.
        var baseWord: UInt64
        var targetWord: UInt64
        /// Rows of the region's base before the run.
        var position: UInt64
        /// The first hash behind the run; 0 for the end of all.
        var end: UInt64
        /// Its place in ``wideRuns``; -1 when there is one leaf on each side.
        var wide = -1

        var base: DirectoryEntry { DirectoryEntry(word: baseWord, epoch: 0) }
        var target: DirectoryEntry { DirectoryEntry(word: targetWord, epoch: 0) }
    }

    /// The leaves of a run.
    struct WideRun {
        var base: [DirectoryEntry]
        var target: [DirectoryEntry]
    }

    /// - Parameter partitions: Those that are compared: one at least.
    init(
        _ base: FrozenTable, _ target: FrozenTable, in partitions: Range<Int>, baseEpoch: UInt64,
        fixedRowWeight: Int
    ) {
        self.partitions = partitions
        partition = partitions.lowerBound
        rowsBefore = base.rowCounts[..<partitions.lowerBound].reduce(0) { $0 + UInt64($1) }
        table = target.table
        self.base = base
        self.target = target
        self.baseEpoch = baseEpoch
        comparer = RowComparer(target.table)
        weigher = RowWeigher(target.table, fixedRowWeight: fixedRowWeight)
        stride = target.table.layout.stride
        order = PageOrder(stride: target.table.layout.stride, keys: target.table.keys)
        unsafe ranks = .allocate(capacity: 64)
        collect()
    }

    deinit { unsafe ranks.deallocate() }

    /// Words of a set of changed leaves.
    var maskWordCount: Int { comparer.wordCount }

    /// Whether all hashes up to this one have been looked at.
    func hasPassed(_ hash: UInt64) -> Bool { frontier.map { hash < $0 } ?? true }

    /// The weight of the next changes.
    func pendingWeight(_ count: Int) -> Int {
        changes[taken..<taken + count].reduce(0) { $0 + Int($1.weight) }
    }

    /// Changes that were found and not taken, up to a hash.
    func pendingCount(upTo hash: UInt64) -> Int {
        // All that were found lie before the frontier.
        if hash == .max || frontier.map({ $0 == 0 || $0 - 1 <= hash }) == true {
            return changes.count - taken
        }
        var low = taken
        var high = changes.count
        while low < high {
            let middle = (low + high) / 2
            if table.keys.hash(changes[middle].row) <= hash {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low - taken
    }

    /// Takes the next changes, and the sets of leaves that they refer to.
    mutating func take(_ count: Int) -> (changes: [RowChange], masks: [UInt64]) {
        var found = Array(changes[taken..<taken + count])
        var (first, last) = (Int32.max, -1 as Int32)
        for change in found where change.mask >= 0 {
            first = min(first, change.mask)
            last = max(last, change.mask)
        }
        var words: [UInt64] = []
        if last >= 0 {
            words = Array(masks[Int(first)..<Int(last) + comparer.wordCount])
            for index in found.indices where found[index].mask >= 0 { found[index].mask -= first }
        }
        taken += count
        if taken >= Limits.rowsPerChunk || taken == changes.count { forgetTaken() }
        return (found, words)
    }

    private mutating func forgetTaken() {
        changes.removeFirst(taken)
        taken = 0
        var first = Int32.max
        for change in changes where change.mask >= 0 { first = min(first, change.mask) }
        guard first < .max else {
            masks.removeAll(keepingCapacity: true)
            lastMask = -1
            return
        }
        masks.removeFirst(Int(first))
        lastMask -= Int(first)
        for index in changes.indices where changes[index].mask >= 0 { changes[index].mask -= first }
    }

    /// Looks at the next few runs; does nothing at the end.
    mutating func advance() {
        while nextRun == runs.count {
            rowsBefore += UInt64(base.rowCounts[partition])
            partition += 1
            guard partition < partitions.upperBound else {
                partition -= 1
                frontier = nil
                return
            }
            collect()
        }
        let end = min(nextRun + 128, runs.count)
        for index in nextRun..<min(nextRun + Self.pagesAhead, end) { prefetchPage(index) }
        for index in nextRun..<min(nextRun + Self.rowsAhead, end) { prefetchRows(index) }
        while nextRun < end {
            if nextRun + Self.pagesAhead < end { prefetchPage(nextRun + Self.pagesAhead) }
            if nextRun + Self.rowsAhead < end { prefetchRows(nextRun + Self.rowsAhead) }
            compare(runs[nextRun])
            nextRun += 1
        }
        frontier = nextRun < runs.count ? runs[nextRun - 1].end : partitionEnd
        if frontier == 0 { frontier = nil }
    }

    /// Whether what has a stamp may have been written after the base.
    @inline(__always) func isLater(_ epoch: UInt64) -> Bool {
        epoch > baseEpoch || !hasStamps
    }

    /// The first hash behind the present partition; 0 for the end of all.
    var partitionEnd: UInt64 {
        table.partitionBits == 0 ? 0 : UInt64(partition + 1) << UInt64(64 - table.partitionBits)
    }

    // MARK: Runs

    /// Lists the present partition's runs that have changes.
    private mutating func collect() {
        runs.removeAll(keepingCapacity: true)
        wideRuns.removeAll(keepingCapacity: true)
        nextRun = 0
        let roots = (base.roots[partition], target.roots[partition])
        let start =
            partitionEnd &- (table.partitionBits == 0 ? 0 : 1 << UInt64(64 - table.partitionBits))
        frontier = start
        if roots.1.epoch <= baseEpoch, base.rowCounts[partition] == target.rowCounts[partition] {
            return
        }
        hasStamps = table.lastAdoption(of: partition) <= baseEpoch
        var old = LeafWalk(below: roots.0, from: start)
        var new = LeafWalk(below: roots.1, from: start)
        var position = rowsBefore
        var pages = 0
        while true {
            // A node that both have was not written below: whoever does copies what the base sees.
            if let node = old.nextNode(), node.word == new.nextNode()?.word,
                let rows = old.rowCount(below: node)
            {
                old.pass(node, rowCount: rows)
                new.pass(node, rowCount: rows)
                position &+= UInt64(rows)
                continue
            }
            guard let oldLeaf = old.next(), let newLeaf = new.next() else { break }
            guard old.end == new.end else {
                position &+= collectWide(oldLeaf, newLeaf, &old, &new, start, position, &pages)
                continue
            }
            pages &+= 1
            // Rows that a restore brought while the base was cut have older epochs, and show here.
            if isLater(newLeaf.epoch) || oldLeaf.rowCount != newLeaf.rowCount {
                runs.append(
                    Run(
                        baseWord: oldLeaf.word, targetWord: newLeaf.word, position: position,
                        end: old.end))
            }
            position &+= UInt64(truncatingIfNeeded: oldLeaf.rowCount)
        }
        counts.pages += pages
    }

    /// Lists a run that has several leaves, up to the next end in both directories; the number of its rows at the
    /// base.
    @inline(never)
    private mutating func collectWide(
        _ oldLeaf: DirectoryEntry, _ newLeaf: DirectoryEntry, _ old: inout LeafWalk,
        _ new: inout LeafWalk, _ start: UInt64, _ position: UInt64, _ pages: inout Int
    ) -> UInt64 {
        var run = WideRun(base: [oldLeaf], target: [newLeaf])
        // Ends are counted in hashes modulo 2^64.
        while old.end != new.end {
            if old.end &- start &- 1 < new.end &- start &- 1 {
                guard let leaf = old.next() else { preconditionFailure("a directory has no end") }
                run.base.append(leaf)
            } else {
                guard let leaf = new.next() else { preconditionFailure("a directory has no end") }
                run.target.append(leaf)
            }
        }
        pages += run.target.count
        let rows = run.base.reduce(0) { $0 + $1.rowCount }
        let rowsNow = run.target.reduce(0) { $0 + $1.rowCount }
        if rows != rowsNow || run.target.contains(where: { isLater($0.epoch) }) {
            runs.append(
                Run(
                    baseWord: 0, targetWord: 0, position: position, end: old.end,
                    wide: wideRuns.count))
            wideRuns.append(run)
        }
        return UInt64(rows)
    }

    // A page takes about as long to compare as one of its lines to come; a core has about a dozen on the way.

    /// Pages whose first lines are asked for before they are looked at.
    private static let pagesAhead = 16
    /// Pages whose changed rows are.
    private static let rowsAhead = 6

    private func prefetchPage(_ index: Int) {
        let run = runs[index]
        if run.base.isEmpty || run.target.isEmpty { return }
        unsafe caesura_prefetch(run.target.address)
        run.base.prefetchTags()
    }

    private func prefetchRows(_ index: Int) {
        let run = runs[index]
        if run.base.isEmpty || run.target.isEmpty { return }
        let new = unsafe run.target.address + Page.entriesOffset(slotCount: run.target.slotCount)
        let old = unsafe run.base.address + Page.entriesOffset(slotCount: run.base.slotCount)
        for slot in unsafe run.target.page.header.pointee.changes.slots {
            let offset = slot &* stride
            unsafe caesura_prefetch(new + offset)
            unsafe caesura_prefetch(old + offset)
            if stride > 32 {
                unsafe caesura_prefetch(new + offset + stride - 1)
                unsafe caesura_prefetch(old + offset + stride - 1)
            }
        }
    }

    // MARK: Positions

    /// The number of the base's rows.
    var baseRowCount: UInt64 { UInt64(base.rowCount) }

    /// The number of the base's rows before a hash.
    ///
    /// - Complexity: O(partitions), and O(pages of one partition) for a hash inside one.
    mutating func basePosition(of hash: UInt64) -> UInt64 {
        let index = table.partitionIndex(of: hash)
        var position = base.rowCounts[..<index].reduce(0) { $0 + UInt64($1) }
        let start = HashRange(partition: index, bits: table.partitionBits).first
        if hash == start { return position }
        var walk = LeafWalk(below: base.roots[index], from: start)
        while true {
            if let node = walk.nextNode(), walk.end &+ (node.span &- 1) < hash,
                let rows = walk.rowCount(below: node)
            {
                walk.pass(node, rowCount: rows)
                position += UInt64(rows)
                continue
            }
            guard let leaf = walk.next() else { break }
            if walk.end &- 1 < hash {
                position += UInt64(leaf.rowCount)
                continue
            }
            if walk.end &- leaf.span < hash {
                position += UInt64(rows(of: leaf).prefix { $0.hash < hash }.count)
            }
            break
        }
        return position
    }
}
