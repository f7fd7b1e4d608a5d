import CaesuraFormat

/// Comparing the pages of a run, row by row.
extension DeltaScan {
    mutating func compare(_ run: Run) {
        let cause: DeltaCounts.Cause
        if run.wide >= 0 {
            cause = .splitOrMerged
        } else if run.base.isEmpty || run.target.isEmpty {
            cause = .filledOrEmptied
        } else if let obstacle = comparePages(run) {
            cause = obstacle
        } else {
            counts.comparedBySlots += 1
            return
        }
        counts.add(cause)
        compareRows(run)
    }

    /// Compares two pages of one range by what the newer one notes.
    ///
    /// - Returns: Why that is not enough, and nothing is found; nil when it is.
    private mutating func comparePages(_ run: Run) -> DeltaCounts.Cause? {
        let new = run.target.page
        let noted = unsafe new.header.pointee.changes
        guard !isLater(noted.epoch) else { return .laterEpoch }
        let old = OlderPage(run.base, stride)
        let entries =
            unsafe run.target.address + Page.entriesOffset(slotCount: run.target.slotCount)
        let before = (changes.count, masks.count)
        // Looking up many rows costs more than sorting all.
        let isSorted = noted.slots.count > 6
        if isSorted { rankAll(run.base.page) }
        var inserted = 0
        for slot in noted.slots {
            let row = unsafe FrozenRow(entries + slot &* stride, new)
            var place = slot
            // Mostly the row is where it was, and the older page, which is needed anyway, has its tag.
            if !old.hasSameKey(row, in: slot, comparer) {
                place = search(row, tag: unsafe new.tags[slot], in: old)
            }
            let tag = unsafe place == slot ? old.tags[slot] : new.tags[slot]
            if place < 0 { inserted += 1 }
            let rank =
                isSorted && place >= 0
                ? unsafe Int(ranks[place]) : rank(of: row, tag, place >= 0, in: old)
            append(
                position: run.position + UInt64(truncatingIfNeeded: rank), new: row,
                old: place >= 0 ? old.row(place) : nil, mask: row.changeMask)
        }
        guard run.base.rowCount + inserted == run.target.rowCount else {
            changes.removeLast(changes.count - before.0)
            masks.removeLast(masks.count - before.1)
            lastMask = -1
            return .removedOrRestored
        }
        sort(from: before.0)
        return nil
    }

    /// The slot of the row of the same key in a page; -1 when there is none.
    ///
    /// As a lookup finds a row: from its home to the first unused slot.
    @inline(never)
    private func search(_ row: FrozenRow, tag: UInt16, in page: OlderPage) -> Int {
        var slot = Page.home(tag: tag, slotCount: page.slotCount)
        while page.isUsed(slot) {
            if page.mayHave(tag, in: slot), comparer.haveSameKey(row, page.row(slot)) {
                return slot
            }
            slot += 1
            if slot == page.slotCount { slot = 0 }
        }
        return -1
    }

    /// The number of rows of a page before a key in hash order.
    ///
    /// - Parameter isThere: Whether the page has a row of the key.
    private func rank(
        of row: FrozenRow, _ tag: UInt16, _ isThere: Bool, in page: OlderPage
    ) -> Int {
        let (less, equal) = page.tagCounts(tag)
        // Unused slots have the greatest tag.
        if equal == 0 || equal == 1 && isThere && tag != Page.unusedTag { return less }
        var rank = less
        let hash = table.keys.hash(row)
        for slot in 0..<page.slotCount where page.mayHave(tag, in: slot) {
            let other = page.row(slot)
            if table.keys.precedes(table.keys.hash(other), other, hash, row) { rank += 1 }
        }
        return rank
    }

    /// Notes the place in hash order of each row of a page.
    private mutating func rankAll(_ page: Page) {
        let count = order.sort(page)
        for index in 0..<count { unsafe ranks[order[index]] = UInt8(truncatingIfNeeded: index) }
    }

    /// Orders what one page has brought by the rows' keys: a few, nearly in order.
    private mutating func sort(from start: Int) {
        guard changes.count - start > 1 else { return }
        for index in start + 1..<changes.count {
            var place = index
            let change = changes[index]
            while place > start, follows(changes[place - 1], change) {
                changes[place] = changes[place - 1]
                place -= 1
            }
            if place < index { changes[place] = change }
        }
    }

    @inline(__always)
    private func follows(_ a: RowChange, _ b: RowChange) -> Bool {
        if a.place != b.place { return a.place > b.place }
        // Two that were inserted before the same row.
        let (x, y) = (a.row, b.row)
        return table.keys.precedes(table.keys.hash(y), y, table.keys.hash(x), x)
    }

    /// Compares all rows of a run.
    private mutating func compareRows(_ run: Run) {
        let old: [HashedRow]
        let new: [HashedRow]
        if run.wide < 0 {
            old = rows(of: run.base)
            new = rows(of: run.target)
        } else {
            old = wideRuns[run.wide].base.flatMap { rows(of: $0) }
            new = wideRuns[run.wide].target.flatMap { rows(of: $0) }
        }
        var (i, j) = (0, 0)
        var position = run.position
        while i < old.count || j < new.count {
            if i < old.count, j < new.count, old[i].hash == new[j].hash,
                comparer.haveSameKey(old[i].row, new[j].row)
            {
                if isLater(new[j].row.epoch) {
                    append(position: position, new: new[j].row, old: old[i].row)
                }
                (i, j) = (i + 1, j + 1)
                position += 1
            } else if j == new.count
                || i < old.count
                    && table.keys.precedes(old[i].hash, old[i].row, new[j].hash, new[j].row)
            {
                append(position: position, new: nil, old: old[i].row)
                i += 1
                position += 1
            } else {
                append(position: position, new: new[j].row, old: nil)
                j += 1
            }
        }
    }

    typealias HashedRow = (hash: UInt64, row: FrozenRow)

    /// The rows of a page or a gap in hash order.
    mutating func rows(of leaf: DirectoryEntry) -> [HashedRow] {
        if leaf.isEmpty { return [] }
        let page = leaf.page
        let count = order.sort(page)
        var rows: [HashedRow] = []
        rows.reserveCapacity(count)
        for index in 0..<count {
            let row = unsafe FrozenRow(page.entries + order[index] &* stride, page)
            rows.append((table.keys.hash(row), row))
        }
        return rows
    }

    /// Adds a change, unless an updated row is as it was.
    ///
    /// - Parameter mask: Where all that was written after the base was written in one epoch, the row's change
    ///   mask of it.
    @inline(__always)
    private mutating func append(
        position: UInt64, new: FrozenRow?, old: FrozenRow?, mask: UInt16 = .max
    ) {
        var place = -1
        let weight: Int
        if let new, let old {
            place = noteDifferences(new, old, mask)
            if place < 0 { return }
            weight =
                comparer.wordCount == 1
                ? weigher.weight(of: new, old, in: masks[place])
                : weigher.weight(new) + weigher.weight(old)
        } else {
            weight = weigher.weight(new) + weigher.weight(old)
        }
        changes.append(
            RowChange(position: position, new: new, old: old, weight: weight, mask: place))
    }

    /// Where the set of leaves in which two rows differ begins in ``masks``; -1 when there is none.
    @inline(__always)
    private mutating func noteDifferences(
        _ new: FrozenRow, _ old: FrozenRow, _ mask: UInt16
    ) -> Int {
        if comparer.wordCount == 1 {
            let word = comparer.differences(new, old, in: mask)
            if word == 0 { return -1 }
            if lastMask < 0 || masks[lastMask] != word {
                lastMask = masks.count
                masks.append(word)
            }
            return lastMask
        }
        let place = masks.count
        guard comparer.appendDifferences(new, old, in: mask, to: &masks) else { return -1 }
        return place
    }
}
