/// Blocks that are taken out of a table: a list through ``Retirable/next``.
@safe
struct RetiredList {
    /// The epoch in which they are taken out.
    let epoch: UInt64
    private(set) var first: UnsafeMutableRawPointer?

    init(epoch: UInt64) {
        self.epoch = epoch
        unsafe first = nil
    }

    mutating func append(_ block: UnsafeMutableRawPointer) {
        let retirable = unsafe block.assumingMemoryBound(to: Retirable.self)
        unsafe retirable.pointee.retired = epoch
        unsafe retirable.pointee.next = unsafe first
        unsafe first = unsafe block
    }
}

extension Partition {
    /// Takes all rows out, under the lock.
    ///
    /// - Returns: The root of what is no longer part of the table; cuts may see what is below it.
    mutating func detachAll() -> DirectoryEntry {
        beginWriting()
        if root.epoch != writeEpoch {
            frozenRoot = root
            frozenRowCount = rowCount
        }
        let old = root
        var empty = DirectoryEntry(emptyAtDepth: depth)
        empty.epoch = writeEpoch
        unsafe rootPointer.pointee = empty
        rowCount = 0
        return old
    }
}

extension TableCore {
    /// Collects the pages and nodes below a root that is no longer part of the table.
    ///
    /// - Parameters:
    ///   - withValues: Whether the rows' large values go too.
    ///   - layout: That of the pages; nil for the table's present one.
    func retireAll(
        below entry: DirectoryEntry, withValues: Bool, layout: PageLayout? = nil,
        into list: inout RetiredList
    ) {
        guard !entry.isEmpty else { return }
        guard entry.isNode else {
            if withValues {
                (layout ?? pageLayout).forEachLargeValue(of: entry.page) {
                    unsafe list.append($0.base)
                }
            }
            return unsafe list.append(entry.address)
        }
        entry.node.forEachChild { _, child in
            retireAll(below: child, withValues: withValues, layout: layout, into: &list)
        }
        unsafe list.append(entry.address)
    }
}
