import CPrefetch
import CaesuraFormat

/// Where a row of the base is.
///
/// A page may be rebuilt or split while others are changed, but the hash of a key stays, and so does its order among
/// the few, if any, that share it.
struct RowPlace {
    var partition: Int
    /// A hash that leads to the row's page.
    var pageHash: UInt64
    /// The row as it is before anything is changed.
    var row: FrozenRow
    /// Its slot, until its page is rebuilt.
    var slot: Int
    /// The hash of its key, if it was asked for.
    var hash: UInt64
    /// Rows of the same hash before it in hash order.
    var tie: Int
}

/// The rows of a table that a delta chunk speaks of.
struct FoundRows {
    var removed: [RowPlace] = []
    var updated: [RowPlace] = []
    /// All rows of the chunk's range.
    var rowCount: UInt64 = 0
}

/// Finds rows by their positions among those of a range, under the locks of the range's partitions.
///
/// Partitions and pages without such a row are passed by their numbers of rows, which the partition and the directory
/// have; of the others the header and the tags are read.
@safe
struct RowFinder: ~Copyable {
    let table: TableCore
    let range: HashRange
    var order: PageOrder

    /// A page with rows that are looked for.
    struct Visit {
        var leaf: DirectoryEntry
        var first: UInt64
        var partition: Int
        /// Rows of the range before the page.
        var passed: UInt64
        /// Which of the removed and of the updated rows it has.
        var removed: Range<Int>
        var updated: Range<Int>
    }

    init(_ table: TableCore, in range: HashRange) {
        self.table = table
        self.range = range
        order = PageOrder(stride: table.layout.stride, keys: table.keys)
    }

    /// Finds the rows at ascending positions; those that are not there are left out.
    ///
    /// - Parameter hashing: Whether the hashes of the updated rows are wanted; those of the removed ones always are.
    mutating func find(
        removed: [UInt64], updated: [UInt64], hashing: Bool, _ partitions: ClosedRange<Int>
    ) -> FoundRows {
        var found = FoundRows()
        let visits = visits(removed, updated, partitions, &found.rowCount)
        found.removed.reserveCapacity(removed.count)
        found.updated.reserveCapacity(updated.count)
        for index in 0..<min(Self.ahead, visits.count) { visits[index].leaf.prefetchHeader() }
        for (index, visit) in visits.enumerated() {
            if index + Self.ahead < visits.count {
                visits[index + Self.ahead].leaf.prefetchHeader()
            }
            let count = visit.removed.count + visit.updated.count
            // Looking up many rows costs more than sorting all.
            let isWhole =
                visit.first >= range.first && visit.first &+ (visit.leaf.span &- 1) <= range.last
            let isSorted = count > 3 || !isWhole
            let before = isSorted ? sort(visit.leaf.page, isWhole) : 0
            for index in visit.removed {
                let rank = before + Int(removed[index] - visit.passed)
                found.removed.append(place(rank, visit, isSorted, hashing: true))
            }
            for index in visit.updated {
                let rank = before + Int(updated[index] - visit.passed)
                found.updated.append(place(rank, visit, isSorted, hashing: hashing))
            }
        }
        return found
    }

    /// Pages that are asked for before they are looked at.
    static let ahead = 8

    /// Sorts a page; the number of its rows before the range.
    mutating func sort(_ page: Page, _ isWhole: Bool) -> Int {
        let count = order.sort(page)
        return isWhole ? 0 : rowsBefore(page, count)
    }

    private func rowsBefore(_ page: Page, _ count: Int) -> Int {
        (0..<count).first { table.keys.hash(row(order[$0], page)) >= range.first } ?? count
    }

    @inline(__always) func row(_ slot: Int, _ page: Page) -> FrozenRow {
        unsafe FrozenRow(page.entries + slot &* table.layout.stride, page)
    }

    // MARK: Pages

    /// Walks the range and lists the pages that have rows at these positions.
    private mutating func visits(
        _ removed: [UInt64], _ updated: [UInt64], _ partitions: ClosedRange<Int>,
        _ rowCount: inout UInt64
    ) -> [Visit] {
        var visits: [Visit] = []
        var next = (removed: 0, updated: 0)
        func position() -> UInt64 {
            min(
                next.removed < removed.count ? removed[next.removed] : .max,
                next.updated < updated.count ? updated[next.updated] : .max)
        }
        var passed: UInt64 = 0
        for index in partitions {
            let whole = HashRange(partition: index, bits: table.partitionBits)
            let rows = unsafe UInt64(table.partition(index).pointee.rowCount)
            let isInside = range.contains(whole)
            let end = passed + rows
            if isInside, position() >= end {
                passed = end
                continue
            }
            var walk = unsafe LeafWalk(
                below: table.partition(index).pointee.root, from: whole.first,
                writtenIn: table.partition(index).pointee.writeEpoch)
            while true {
                if isInside, let node = walk.nextNode(), let rows = walk.rowCount(below: node),
                    position() >= passed + UInt64(rows)
                {
                    walk.pass(node, rowCount: rows)
                    passed += UInt64(rows)
                    continue
                }
                guard let leaf = walk.next() else { break }
                let first = walk.end &- leaf.span
                let count =
                    isInside ? leaf.rowCount : rowsInRange(of: leaf, first, last: walk.end &- 1)
                let behind = passed + UInt64(count)
                if position() < behind {
                    let start = next
                    while next.removed < removed.count, removed[next.removed] < behind {
                        next.removed += 1
                    }
                    while next.updated < updated.count, updated[next.updated] < behind {
                        next.updated += 1
                    }
                    visits.append(
                        Visit(
                            leaf: leaf, first: first, partition: index, passed: passed,
                            removed: start.removed..<next.removed,
                            updated: start.updated..<next.updated))
                }
                passed = behind
                if isInside, position() >= end { break }
                if !isInside, walk.end &- 1 >= range.last { break }
            }
            if isInside { passed = end }
        }
        rowCount = passed
        return visits
    }

    /// The rows of a leaf that are in the range.
    func rowsInRange(of leaf: DirectoryEntry, _ first: UInt64, last: UInt64) -> Int {
        if leaf.isEmpty || last < range.first || first > range.last { return 0 }
        if first >= range.first, last <= range.last { return leaf.rowCount }
        return leaf.page.usedSlots.reduce(0) {
            range.contains(table.keys.hash(row($1, leaf.page))) ? $0 + 1 : $0
        }
    }

    // MARK: Rows

    private mutating func place(
        _ rank: Int, _ visit: Visit, _ isSorted: Bool, hashing: Bool
    ) -> RowPlace {
        let page = visit.leaf.page
        var isSorted = isSorted
        var slot = isSorted ? order[rank] : select(rank, page)
        if slot < 0 {
            _ = order.sort(page)
            isSorted = true
            slot = order[rank]
        }
        return place(rank, slot, visit, isSorted, hashing: hashing)
    }

    /// The place of a row.
    ///
    /// - Parameter isSorted: Whether `order` has its page.
    func place(
        _ rank: Int, _ slot: Int, _ visit: Visit, _ isSorted: Bool, hashing: Bool
    ) -> RowPlace {
        let page = visit.leaf.page
        let row = row(slot, page)
        // The lines that will be read next, and then written.
        unsafe caesura_prefetch(row.entry)
        unsafe caesura_prefetch(row.entry + table.layout.stride - 1)
        let hash = hashing ? table.keys.hash(row) : 0
        // A row that was found without sorting shares its tag with none.
        let tie = hashing && isSorted && order.hasTies ? tie(rank, hash, page) : 0
        return RowPlace(
            partition: visit.partition, pageHash: visit.first, row: row, slot: slot, hash: hash,
            tie: tie)
    }

    /// The slot of the row of that rank, guessed from the number of rows before it and then put right; -1 when two
    /// rows share its tag, or the guess leads nowhere.
    private mutating func select(_ rank: Int, _ page: Page) -> Int {
        let used = page.usedSlots
        var nth = rank
        for _ in 0..<4 {
            let slot = used.slot(nth)
            let tag = unsafe page.tags[slot]
            let (less, equal) = page.tagCounts(tag)
            if equal != 1 { return -1 }
            if less == rank { return slot }
            nth += rank - less
            if nth < 0 || nth >= used.count { return -1 }
        }
        return -1
    }

    /// Rows of the same hash before the row of that rank, in a page that is sorted.
    func tie(_ rank: Int, _ hash: UInt64, _ page: Page) -> Int {
        var tie = 0
        while tie < rank, table.keys.hash(row(order[rank - tie - 1], page)) == hash { tie += 1 }
        return tie
    }
}
