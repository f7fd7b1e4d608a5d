import CaesuraFormat

/// Finding rows backwards: `docs/FORMAT.md`, "Backwards".
extension RowFinder {
    /// Finds the rows that the delta has inserted, by their keys, and those it has updated, by their places among all
    /// others.
    ///
    /// - Parameters:
    ///   - going: The inserted rows.
    ///   - survivors: Ascending places among the rows that were not inserted; those that are not there are left
    ///     out.
    ///   - hashing: Whether the hashes of the updated rows are wanted.
    /// - Throws: `inconsistentData` when an inserted row is not there.
    mutating func find(
        going: KeyedRows, survivors: [UInt64], hashing: Bool, _ partitions: ClosedRange<Int>
    ) throws(StoreError) -> FoundRows {
        var found = FoundRows()
        let visits = try visits(going.hashes, survivors, partitions, &found.rowCount)
        let keys = going.keys
        for index in 0..<min(Self.ahead, visits.count) { visits[index].leaf.prefetchHeader() }
        for (index, visit) in visits.enumerated() {
            if index + Self.ahead < visits.count {
                visits[index + Self.ahead].leaf.prefetchHeader()
            }
            try find(visit, going, keys, survivors, hashing, &found)
        }
        return found
    }

    private var missing: StoreError {
        StoreError(
            .inconsistentData,
            "a row that the delta has inserted is not there; restore an earlier state instead",
            region: table.schema.name)
    }

    private mutating func find(
        _ visit: Visit, _ going: KeyedRows, _ keys: [[UInt8]], _ survivors: [UInt64],
        _ hashing: Bool, _ found: inout FoundRows
    ) throws(StoreError) {
        let page = visit.leaf.page
        let isWhole =
            visit.first >= range.first && visit.first &+ (visit.leaf.span &- 1) <= range.last
        let before = sort(page, isWhole)
        let count = page.usedSlots.count
        var isGoing: UInt64 = 0
        for index in visit.removed {
            let tag = Page.tag(of: going.hashes[index], depth: visit.leaf.depth)
            let rank = (before..<count).first { rank in
                guard unsafe page.tags[order[rank]] == tag else { return false }
                let row = row(order[rank], page)
                return unsafe table.keys.hash(row) == going.hashes[index]
                    && table.keys.canonicalBytes(row.entry, row.heap) == keys[index]
            }
            guard let rank else { throw missing }
            isGoing |= 1 << UInt64(rank)
            found.removed.append(place(rank, order[rank], visit, true, hashing: true))
        }
        var rank = before
        var passed = visit.passed
        for index in visit.updated {
            while isGoing >> UInt64(rank) & 1 == 1 || passed < survivors[index] {
                if isGoing >> UInt64(rank) & 1 == 0 { passed += 1 }
                rank += 1
            }
            found.updated.append(place(rank, order[rank], visit, true, hashing: hashing))
        }
    }

    /// Walks the range and lists the pages that have such rows.
    private func visits(
        _ hashes: [UInt64], _ survivors: [UInt64], _ partitions: ClosedRange<Int>,
        _ rowCount: inout UInt64
    ) throws(StoreError) -> [Visit] {
        var visits: [Visit] = []
        var next = (going: 0, survivor: 0)
        // Survivors before the present page.
        var passed: UInt64 = 0
        rowCount = 0
        for index in partitions {
            let whole = HashRange(partition: index, bits: table.partitionBits)
            let isInside = range.contains(whole)
            if isInside, next.going == hashes.count || hashes[next.going] > whole.last {
                let rows = unsafe UInt64(table.partition(index).pointee.rowCount)
                if next.survivor == survivors.count || survivors[next.survivor] >= passed + rows {
                    passed += rows
                    rowCount += rows
                    continue
                }
            }
            var walk = unsafe LeafWalk(
                below: table.partition(index).pointee.root, from: whole.first,
                writtenIn: table.partition(index).pointee.writeEpoch)
            while let leaf = walk.next() {
                let first = walk.end &- leaf.span
                let last = walk.end &- 1
                let count = isInside ? leaf.rowCount : rowsInRange(of: leaf, first, last: last)
                let start = next
                while next.going < hashes.count, hashes[next.going] <= last { next.going += 1 }
                guard next.going - start.going <= count else { throw missing }
                let behind = passed + UInt64(count - (next.going - start.going))
                while next.survivor < survivors.count, survivors[next.survivor] < behind {
                    next.survivor += 1
                }
                if next != start {
                    visits.append(
                        Visit(
                            leaf: leaf, first: first, partition: index, passed: passed,
                            removed: start.going..<next.going,
                            updated: start.survivor..<next.survivor))
                }
                passed = behind
                rowCount += UInt64(count)
                if !isInside, last >= range.last { break }
            }
        }
        return visits
    }
}
