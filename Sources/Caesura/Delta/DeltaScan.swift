import CPrefetch
import CaesuraFormat

/// A row that differs between two cuts.
struct RowChange {
    /// The hash of its key.
    var hash: UInt64
    /// Its place among the region's rows at the base; of an inserted row, that of the row behind it.
    var position: UInt64
    /// The row at the target; nil when it was removed.
    var new: FrozenRow?
    /// The row at the base; nil when it was inserted.
    var old: FrozenRow?
    /// The row's weight at both cuts, to bound chunks.
    var weight: Int
    /// Where its set of changed leaves begins in ``DeltaScan/masks``; -1 unless it was updated.
    var mask: Int
}

/// Finds what differs between two cuts of a table, in hash order, a few pages at a time.
///
///     base     │ page │  page  │ page │ gap │      leaves of the two directories, side by side:
///     target   │ page │ pg│ pg │ page │ page│      runs are the shortest ranges with an end in both
///                                 ▲
///                                 not written after the base: skipped, and no byte of it is read
///
/// A run of one page each, whose header says what changed since the base, costs the lines of both
/// headers and of the changed rows. All other runs are compared row by row: pages that were split, that lost rows,
/// whose header speaks of a later epoch. How a run is compared never shows in the result.
struct DeltaScan: ~Copyable {
    private let table: TableCore
    private let base: FrozenTable
    private let target: FrozenTable
    /// What is stamped with a later epoch was written after the base.
    private let baseEpoch: UInt64
    private let comparer: RowComparer
    private let fixedRowWeight: Int
    private let stride: Int

    /// What was found; the first `taken` of it were taken.
    private var changes: [RowChange] = []
    private var masks: [UInt64] = []
    private var taken = 0
    /// How runs were compared, for telemetry and tests.
    private(set) var counts = DeltaCounts()

    private var partition = 0
    private var runs: [Run] = []
    private var nextRun = 0
    private var baseLeaves: [DirectoryEntry] = []
    private var targetLeaves: [DirectoryEntry] = []
    /// Rows of the base in partitions before the present one.
    private var rowsBefore: UInt64 = 0
    /// The first hash that has not been looked at; nil when all have.
    private var frontier: UInt64? = 0

    /// A range with an end in both directories, something of which was written after the base.
    private struct Run {
        var base: Range<Int>
        var target: Range<Int>
        /// Rows of the region's base before the run.
        var position: UInt64
        /// The first hash behind the run; 0 for the end of all.
        var end: UInt64
    }

    init(
        _ base: FrozenTable, _ target: FrozenTable, baseEpoch: UInt64, fixedRowWeight: Int
    ) {
        table = target.table
        self.base = base
        self.target = target
        self.baseEpoch = baseEpoch
        self.fixedRowWeight = fixedRowWeight
        comparer = RowComparer(target.table)
        stride = target.table.layout.stride
        collect()
    }

    /// Words of a set of changed leaves.
    var maskWordCount: Int { comparer.wordCount }

    /// Whether all hashes up to this one have been looked at.
    func hasPassed(_ hash: UInt64) -> Bool { frontier.map { hash < $0 } ?? true }

    /// The weight of the next changes.
    func pendingWeight(_ count: Int) -> Int {
        changes[taken..<taken + count].reduce(0) { $0 + $1.weight }
    }

    /// Changes that were found and not taken, up to a hash.
    func pendingCount(upTo hash: UInt64) -> Int {
        var low = taken
        var high = changes.count
        while low < high {
            let middle = (low + high) / 2
            if changes[middle].hash <= hash { low = middle + 1 } else { high = middle }
        }
        return low - taken
    }

    /// Takes the next changes, and the sets of leaves that they refer to.
    mutating func take(_ count: Int) -> (changes: [RowChange], masks: [UInt64]) {
        var found = Array(changes[taken..<taken + count])
        var words: [UInt64] = []
        for index in found.indices where found[index].mask >= 0 {
            let start = found[index].mask
            found[index].mask = words.count
            words += masks[start..<start + comparer.wordCount]
        }
        taken += count
        if taken >= Limits.rowsPerChunk || taken == changes.count { forgetTaken() }
        return (found, words)
    }

    private mutating func forgetTaken() {
        changes.removeFirst(taken)
        taken = 0
        var first = masks.count
        for change in changes where change.mask >= 0 { first = min(first, change.mask) }
        masks.removeFirst(first)
        for index in changes.indices where changes[index].mask >= 0 { changes[index].mask -= first }
    }

    /// Looks at the next few runs; does nothing at the end.
    mutating func advance() {
        while nextRun == runs.count {
            rowsBefore += UInt64(base.rowCounts[partition])
            partition += 1
            guard partition < table.partitionCount else {
                partition -= 1
                frontier = nil
                return
            }
            collect()
        }
        let end = min(nextRun + 64, runs.count)
        prefetchHeaders(nextRun..<min(nextRun + 8, end))
        while nextRun < end {
            prefetchHeaders(min(nextRun + 8, end)..<min(nextRun + 9, end))
            prefetchRows(min(nextRun + 4, end)..<min(nextRun + 5, end))
            compare(runs[nextRun])
            nextRun += 1
        }
        frontier = nextRun < runs.count ? runs[nextRun - 1].end : partitionEnd
        if frontier == 0 { frontier = nil }
    }

    /// The first hash behind the present partition; 0 for the end of all.
    private var partitionEnd: UInt64 {
        table.partitionBits == 0 ? 0 : UInt64(partition + 1) << UInt64(64 - table.partitionBits)
    }

    // MARK: Runs

    /// Lists the present partition's runs that have changes.
    private mutating func collect() {
        runs.removeAll(keepingCapacity: true)
        nextRun = 0
        let roots = (base.roots[partition], target.roots[partition])
        let start =
            partitionEnd &- (table.partitionBits == 0 ? 0 : 1 << UInt64(64 - table.partitionBits))
        frontier = start
        if roots.1.epoch <= baseEpoch, base.rowCounts[partition] == target.rowCounts[partition] {
            return
        }
        baseLeaves.removeAll(keepingCapacity: true)
        targetLeaves.removeAll(keepingCapacity: true)
        Self.appendLeaves(below: roots.0, to: &baseLeaves)
        Self.appendLeaves(below: roots.1, to: &targetLeaves)
        var (i, j) = (0, 0)
        var position = rowsBefore
        // Ends of the leaves, counted in hashes modulo 2^64.
        var (baseEnd, targetEnd) = (start, start)
        while i < baseLeaves.count {
            let first = (i, j)
            baseEnd &+= Self.span(baseLeaves[i])
            targetEnd &+= Self.span(targetLeaves[j])
            var rows = baseLeaves[i].rowCount
            var rowsNow = targetLeaves[j].rowCount
            var isChanged = targetLeaves[j].epoch > baseEpoch
            (i, j) = (i + 1, j + 1)
            while baseEnd != targetEnd {
                if baseEnd &- start &- 1 < targetEnd &- start &- 1 {
                    baseEnd &+= Self.span(baseLeaves[i])
                    rows += baseLeaves[i].rowCount
                    i += 1
                } else {
                    targetEnd &+= Self.span(targetLeaves[j])
                    rowsNow += targetLeaves[j].rowCount
                    isChanged = isChanged || targetLeaves[j].epoch > baseEpoch
                    j += 1
                }
            }
            // Rows that a restore brought while the base was cut have older epochs, and show here.
            if isChanged || rows != rowsNow {
                runs.append(
                    Run(
                        base: first.0..<i, target: first.1..<j, position: position, end: baseEnd))
            }
            position += UInt64(rows)
        }
        counts.pages += targetLeaves.count
    }

    /// The hashes below a leaf; 2^64 is 0.
    private static func span(_ leaf: DirectoryEntry) -> UInt64 {
        leaf.depth == 0 ? 0 : 1 << UInt64(64 - leaf.depth)
    }

    private static func appendLeaves(
        below entry: DirectoryEntry, to leaves: inout [DirectoryEntry]
    ) {
        guard entry.isNode else { return leaves.append(entry) }
        let (entries, count) = unsafe (entry.node.entries, entry.node.count)
        let end = entry.node.depth + entry.node.bits
        var index = 0
        while index < count {
            // SAFETY: each child stands in the entries from its first on, to the next child's.
            let child = unsafe entries[index]
            index += 1 &<< (end - child.depth)
            if child.isNode {
                appendLeaves(below: child, to: &leaves)
            } else {
                leaves.append(child)
            }
        }
    }

    private func prefetchHeaders(_ indices: Range<Int>) {
        for index in indices {
            let run = runs[index]
            prefetchHeader(baseLeaves[run.base.lowerBound])
            prefetchHeader(targetLeaves[run.target.lowerBound])
        }
    }

    private func prefetchHeader(_ leaf: DirectoryEntry) {
        if leaf.isEmpty { return }
        // The header and 64 tags.
        unsafe caesura_prefetch(leaf.address)
        unsafe caesura_prefetch(leaf.address + 64)
        unsafe caesura_prefetch(leaf.address + 128)
    }

    private func prefetchRows(_ indices: Range<Int>) {
        for index in indices {
            let run = runs[index]
            let pages = (baseLeaves[run.base.lowerBound], targetLeaves[run.target.lowerBound])
            guard !pages.0.isEmpty, !pages.1.isEmpty else { continue }
            for slot in unsafe pages.1.page.header.pointee.changes.slots {
                let offset = slot &* stride
                unsafe caesura_prefetch(pages.1.page.entries + offset)
                unsafe caesura_prefetch(pages.0.page.entries + offset)
            }
        }
    }

    // MARK: Comparing

    private mutating func compare(_ run: Run) {
        if run.base.count == 1, run.target.count == 1 {
            let leaves = (baseLeaves[run.base.lowerBound], targetLeaves[run.target.lowerBound])
            if !leaves.0.isEmpty, !leaves.1.isEmpty,
                comparePages(leaves.0.page, leaves.1.page, run.position)
            {
                counts.comparedBySlots += 1
                return
            }
        }
        counts.comparedByRows += 1
        compareRows(run)
    }

    /// Compares two pages of one range by what the newer one notes; false, and nothing found, when that is
    /// not enough.
    private mutating func comparePages(_ old: Page, _ new: Page, _ position: UInt64) -> Bool {
        let noted = unsafe new.header.pointee.changes
        guard noted.epoch <= baseEpoch else { return false }
        let before = (changes.count, masks.count)
        var inserted = 0
        for slot in noted.slots {
            let row = unsafe FrozenRow(new.entries + slot &* stride, new)
            let tag = unsafe new.tags[slot]
            let hash = unsafe table.keys.hash(row.entry, row.heap)
            let found = find(row, tag: tag, slot: slot, in: old)
            if found == nil { inserted += 1 }
            append(
                hash: hash,
                position: position + UInt64(rank(of: row, hash, tag, found != nil, in: old)),
                new: row, old: found, mask: row.changeMask)
        }
        guard
            unsafe Int(old.header.pointee.rowCount) + inserted == Int(new.header.pointee.rowCount)
        else {
            changes.removeLast(changes.count - before.0)
            masks.removeLast(masks.count - before.1)
            return false
        }
        sort(from: before.0)
        return true
    }

    /// The row of the same key in a page, first looked for in the same slot.
    private func find(_ row: FrozenRow, tag: UInt16, slot: Int, in page: Page) -> FrozenRow? {
        let slotCount = unsafe Int(page.header.pointee.slotCount)
        if slot < slotCount, let same = match(row, tag, slot, page) { return same }
        for slot in 0..<slotCount {
            if let other = match(row, tag, slot, page) { return other }
        }
        return nil
    }

    private func match(_ row: FrozenRow, _ tag: UInt16, _ slot: Int, _ page: Page) -> FrozenRow? {
        guard unsafe page.tags[slot] == tag, page.usedSlots.contains(slot) else { return nil }
        let other = unsafe FrozenRow(page.entries + slot &* stride, page)
        return comparer.haveSameKey(row, other) ? other : nil
    }

    /// The number of rows of a page before a key in hash order.
    ///
    /// - Parameter isThere: Whether the page has a row of the key.
    private func rank(
        of row: FrozenRow, _ hash: UInt64, _ tag: UInt16, _ isThere: Bool, in page: Page
    ) -> Int {
        // Unused slots have the greatest tag.
        let tags = unsafe page.tags
        let slotCount = unsafe Int(page.header.pointee.slotCount)
        // In 16 bits, so that the loop is a few vectors.
        var less: UInt16 = 0
        var equal: UInt16 = 0
        for slot in 0..<slotCount {
            less &+= unsafe tags[slot] < tag ? 1 : 0
            equal &+= unsafe tags[slot] == tag ? 1 : 0
        }
        var rank = Int(less)
        let ties = equal
        // Unused slots have that tag too.
        if ties == 0 || ties == 1 && isThere && tag != Page.unusedTag { return rank }
        for slot in page.usedSlots where unsafe tags[slot] == tag {
            let other = unsafe FrozenRow(page.entries + slot &* stride, page)
            let otherHash = unsafe table.keys.hash(other.entry, other.heap)
            if precedes(otherHash, other, hash, row) { rank += 1 }
        }
        return rank
    }

    private func precedes(
        _ aHash: UInt64, _ a: FrozenRow, _ bHash: UInt64, _ b: FrozenRow
    ) -> Bool {
        if aHash != bHash { return aHash < bHash }
        return unsafe table.keys.canonicalBytes(a.entry, a.heap)
            .lexicographicallyPrecedes(table.keys.canonicalBytes(b.entry, b.heap))
    }

    /// Orders what one page has brought by the rows' keys: a few, nearly in order.
    private mutating func sort(from start: Int) {
        guard changes.count - start > 1 else { return }
        for index in start + 1..<changes.count {
            let change = changes[index]
            var place = index
            while place > start, follows(changes[place - 1], change) {
                changes[place] = changes[place - 1]
                place -= 1
            }
            changes[place] = change
        }
    }

    private func follows(_ a: RowChange, _ b: RowChange) -> Bool {
        if a.hash != b.hash { return a.hash > b.hash }
        guard let x = a.new ?? a.old, let y = b.new ?? b.old else { return false }
        return precedes(b.hash, y, a.hash, x)
    }

    /// Compares all rows of a run.
    private mutating func compareRows(_ run: Run) {
        let old = rows(of: baseLeaves[run.base])
        let new = rows(of: targetLeaves[run.target])
        var (i, j) = (0, 0)
        var position = run.position
        while i < old.count || j < new.count {
            if i < old.count, j < new.count, old[i].hash == new[j].hash,
                comparer.haveSameKey(old[i].row, new[j].row)
            {
                if new[j].row.epoch > baseEpoch {
                    append(
                        hash: new[j].hash, position: position, new: new[j].row, old: old[i].row)
                }
                (i, j) = (i + 1, j + 1)
                position += 1
            } else if j == new.count
                || i < old.count && precedes(old[i].hash, old[i].row, new[j].hash, new[j].row)
            {
                append(hash: old[i].hash, position: position, new: nil, old: old[i].row)
                i += 1
                position += 1
            } else {
                append(hash: new[j].hash, position: position, new: new[j].row, old: nil)
                j += 1
            }
        }
    }

    /// The rows of some leaves in hash order.
    private func rows(of leaves: ArraySlice<DirectoryEntry>) -> [(hash: UInt64, row: FrozenRow)] {
        var rows: [(hash: UInt64, row: FrozenRow)] = []
        for leaf in leaves where !leaf.isEmpty {
            let page = leaf.page
            for slot in page.usedSlots {
                let row = unsafe FrozenRow(page.entries + slot &* stride, page)
                unsafe rows.append((table.keys.hash(row.entry, row.heap), row))
            }
        }
        rows.sort { precedes($0.hash, $0.row, $1.hash, $1.row) }
        return rows
    }

    /// Adds a change, unless an updated row is as it was.
    ///
    /// - Parameter mask: Where all that was written after the base was written in one epoch, the row's change
    ///   mask of it.
    private mutating func append(
        hash: UInt64, position: UInt64, new: FrozenRow?, old: FrozenRow?, mask: UInt16 = .max
    ) {
        var differences = -1
        if let new, let old {
            differences = masks.count
            guard comparer.appendDifferences(new, old, in: mask, to: &masks) else { return }
        }
        let weight = weight(new) + weight(old)
        changes.append(
            RowChange(
                hash: hash, position: position, new: new, old: old, weight: weight,
                mask: differences))
    }

    private func weight(_ row: FrozenRow?) -> Int {
        guard let row else { return 0 }
        var weight = fixedRowWeight
        for offset in table.pageLayout.referenceOffsets {
            let reference = unsafe row.entry.load(fromByteOffset: offset, as: HeapReference.self)
            weight += min(row.heap.byteCount(of: reference), Limits.inlineValueBytes)
        }
        return weight
    }

    // MARK: Positions

    /// The number of the base's rows before a hash.
    ///
    /// - Complexity: O(partitions + pages of one partition).
    func basePosition(of hash: UInt64) -> UInt64 {
        let index = table.partitionIndex(of: hash)
        var position = base.rowCounts[..<index].reduce(0) { $0 + UInt64($1) }
        var leaves: [DirectoryEntry] = []
        Self.appendLeaves(below: base.roots[index], to: &leaves)
        var start = HashRange(partition: index, bits: table.partitionBits).first
        for leaf in leaves {
            if start >= hash { break }
            let last = start &+ (Self.span(leaf) &- 1)
            if last < hash {
                position += UInt64(leaf.rowCount)
            } else if !leaf.isEmpty {
                position += UInt64(rows(of: [leaf]).prefix { $0.hash < hash }.count)
            }
            start = last &+ 1
            if start == 0 { break }
        }
        return position
    }
}

/// How the pages of a delta were looked at.
public struct DeltaCounts: Hashable, Sendable {
    /// Pages and gaps of the partitions that were written to.
    public internal(set) var pages = 0
    /// Ranges compared by the slots that the page's header notes.
    public internal(set) var comparedBySlots = 0
    /// Ranges compared row by row: a *delta miss*.
    public internal(set) var comparedByRows = 0
}
