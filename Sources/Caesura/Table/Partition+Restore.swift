import CaesuraFormat

/// Taking pages that were built elsewhere.
extension Partition {
    /// Whether nothing lies in a part of the directory.
    func isVacant(_ range: HashRange) -> Bool {
        let gap = root.leaf(of: range.first, depth: depth)
        return gap.isEmpty && gap.depth <= range.prefixBits
    }

    /// Whether something in a part of the directory was written after `epoch`, that of restored rows.
    func isWritten(in range: HashRange, after epoch: UInt64) -> Bool {
        var entry = root
        guard entry.isNode else {
            // The root's epoch is that of the restore's own writing.
            guard !entry.isEmpty else { return false }
            let page = entry.page
            return page.usedSlots.contains { slot in
                unsafe (page.entries + slot * layout.stride).load(as: UInt64.self) >> 16 > epoch
            }
        }
        while entry.isNode, entry.node.depth + entry.node.bits <= range.prefixBits {
            let node = entry.node
            entry = unsafe node.entries[
                DirectoryNode.index(of: range.first, depth: node.depth, bits: node.bits)]
        }
        return entry.hasLeaf(writtenAfter: epoch)
    }

    /// Puts a page that was built elsewhere into a vacant part of the directory.
    ///
    /// Its rows are of an earlier `epoch`, but the directory changes in the present one: a cut may have
    /// been taken since the restore began. Such a cut lacks rows that have older epochs than itself, so
    /// no delta may be based on it.
    mutating func attach(_ page: Page, _ range: HashRange, epoch: UInt64) {
        assert(isVacant(range), "a page is attached where another lies")
        beginWriting()
        let depth = range.prefixBits
        while true {
            let (entries, aliases) = unsafe writableLeaf(for: range.first)
            let gap = unsafe entries[aliases.lowerBound]
            if gap.depth == depth {
                // The root says when the partition was last written, whatever is below it.
                let isRoot = unsafe entries == rootPointer
                let written = DirectoryEntry(page, epoch: isRoot ? writeEpoch : epoch)
                for index in aliases { unsafe entries[index] = written }
                unsafe rowCount += Int(page.header.pointee.rowCount)
                return
            }
            if aliases.count == 1 {
                deepen(for: range.first)
                continue
            }
            var half = DirectoryEntry(emptyAtDepth: gap.depth + 1)
            half.epoch = epoch
            for index in aliases { unsafe entries[index] = half }
        }
    }
}

extension DirectoryEntry {
    /// Whether a page or a gap at or below this entry has a later epoch.
    fileprivate func hasLeaf(writtenAfter epoch: UInt64) -> Bool {
        guard isNode else { return self.epoch > epoch }
        return (0..<node.count).contains { unsafe node.entries[$0].hasLeaf(writtenAfter: epoch) }
    }
}
