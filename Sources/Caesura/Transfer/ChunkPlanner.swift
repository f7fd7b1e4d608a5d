import CaesuraFormat

/// One chunk to come: a hash range of a frozen partition, and the pages that hold its rows.
struct PlannedChunk {
    var range: HashRange
    var pages: Range<Int>
    /// The pages hold rows of other ranges too.
    var isPartOfPage: Bool
}

/// Decides which hash range goes into which chunk: a function of the rows alone (FORMAT, "Ranges and
/// planning").
///
/// Page boundaries depend on history, the plan must not. Where the rows of a range are few and their
/// heaps small, page headers suffice; otherwise its rows are weighed.
struct ChunkPlanner {
    private let table: TableCore
    private let fixedRowWeight: Int
    /// The partition's pages that have rows, in hash order.
    private(set) var pages: [Page] = []
    private var starts: [HashRange] = []
    private(set) var chunks: [PlannedChunk] = []

    init(_ table: TableCore, fixedRowWeight: Int) {
        self.table = table
        self.fixedRowWeight = fixedRowWeight
    }

    /// Plans a partition's chunks.
    mutating func plan(partition: Int, root: DirectoryEntry) throws(StoreError) {
        pages.removeAll(keepingCapacity: true)
        starts.removeAll(keepingCapacity: true)
        chunks.removeAll(keepingCapacity: true)
        let whole = HashRange(partition: partition, bits: table.partitionBits)
        collect(root, whole)
        try split(whole, pages.indices)
    }

    private mutating func collect(_ entry: DirectoryEntry, _ range: HashRange) {
        if entry.isEmpty { return }
        if !entry.isNode {
            pages.append(entry.page)
            starts.append(range)
            return
        }
        let node = entry.node
        node.forEachChild { index, child in
            let place = (UInt64(index) << UInt64(64 - node.bits)) >> UInt64(node.depth)
            collect(child, HashRange(prefixBits: child.depth, prefix: range.first | place))
        }
    }

    private mutating func split(_ range: HashRange, _ pages: Range<Int>) throws(StoreError) {
        if pages.isEmpty { return }
        if pages.count == 1, starts[pages.lowerBound].prefixBits < range.prefixBits {
            return try splitPage(range, pages.lowerBound)
        }
        if isOneChunk(pages) {
            chunks.append(PlannedChunk(range: range, pages: pages, isPartOfPage: false))
            return
        }
        if pages.count == 1, starts[pages.lowerBound] == range {
            return try splitPage(range, pages.lowerBound)
        }
        guard let (low, high) = range.halves else {
            preconditionFailure("a page's range has a half")
        }
        // Pages' ranges and the halves are aligned: a page is in one half, or it is wider than a half
        // and then the only one.
        if pages.count == 1 {
            let half = low.contains(starts[pages.lowerBound]) ? low : high
            return try split(half, pages)
        }
        let middle = pages.first { starts[$0].first >= high.first } ?? pages.upperBound
        try split(low, pages.lowerBound..<middle)
        try split(high, middle..<pages.upperBound)
    }

    private func isOneChunk(_ range: Range<Int>) -> Bool {
        var rows = 0
        var bound = 0
        var isBounded = true
        for index in range {
            // Field by field: a writer may be putting the page on a list of the retired.
            let header = unsafe pages[index].header
            unsafe rows += Int(header.pointee.rowCount)
            let entries = unsafe Page.byteCount(
                slotCount: Int(header.pointee.slotCount), stride: table.layout.stride, heap: 0)
            unsafe bound += Int(header.pointee.heapTop) - entries
            isBounded = unsafe isBounded && !header.pointee.hasOutOfLine
        }
        bound += rows * fixedRowWeight
        if rows > Limits.rowsPerChunk { return rows <= 1 }
        if isBounded, HashRange.isOneChunk(rows: rows, weight: bound) { return true }
        var weight = 0
        for index in range {
            let page = pages[index]
            for slot in page.usedSlots { weight += self.weight(page, slot) }
        }
        return HashRange.isOneChunk(rows: rows, weight: weight)
    }

    /// Plans the rows of one page that are in `range`, row by row.
    private mutating func splitPage(_ range: HashRange, _ index: Int) throws(StoreError) {
        let page = pages[index]
        let heap = unsafe HeapView(page: UnsafeRawPointer(page.base))
        var rows: [(hash: UInt64, weight: Int)] = []
        for slot in page.usedSlots {
            let hash = unsafe table.keys.hash(page.entries + slot * table.layout.stride, heap)
            if range.contains(hash) { rows.append((hash, weight(page, slot))) }
        }
        rows.sort { $0.hash < $1.hash }
        do throws(FormatError) {
            let planned = try range.plan(hashes: rows.map(\.hash), weights: rows.map(\.weight))
            for chunk in planned {
                chunks.append(
                    PlannedChunk(range: chunk.range, pages: index..<index + 1, isPartOfPage: true))
            }
        } catch {
            throw StoreError(.inconsistentData, error.message, region: table.schema.name)
        }
    }

    /// The weight of a row (FORMAT).
    private func weight(_ page: Page, _ slot: Int) -> Int {
        let entry = unsafe page.entries + slot * table.layout.stride
        let heap = unsafe HeapView(page: UnsafeRawPointer(page.base))
        var weight = fixedRowWeight
        for offset in table.pageLayout.referenceOffsets {
            let reference = unsafe entry.load(fromByteOffset: offset, as: HeapReference.self)
            weight += min(heap.byteCount(of: reference), Limits.inlineValueBytes)
        }
        return weight
    }
}
