import CaesuraFormat

/// Cuts a batch into pages.
@safe
struct PageBuilder: ~Copyable {
    private let table: TableCore
    private let hashes: UnsafePointer<UInt64>
    private let epoch: UInt64
    private let segments: PendingSegments
    private let heapSums: [Int]
    private var filler: PageFiller
    private var pages: [(page: Page, range: HashRange)] = []

    init(
        _ table: TableCore, _ batch: ColumnBatch, _ hashes: UnsafePointer<UInt64>, epoch: UInt64,
        _ segments: PendingSegments
    ) {
        self.table = table
        unsafe self.hashes = unsafe hashes
        self.epoch = epoch
        self.segments = segments
        filler = PageFiller(table.layout, batch)
        heapSums = filler.heapSums()
    }

    /// Builds the pages of the rows in `range`, halving it until a page takes them; whether one does.
    mutating func build(_ range: HashRange, rows: Range<Int>) -> Bool {
        if rows.isEmpty { return true }
        let heap = heapSums[rows.upperBound] - heapSums[rows.lowerBound]
        let capacity = Partition.capacity(slotCount: table.pageLayout.maximumSlots)
        let fixed = Page.byteCount(slotCount: rows.count + 8, stride: table.layout.stride, heap: 0)
        // A page that is nearly full would split at once.
        let fits =
            rows.count <= capacity - capacity / 8 && fixed + heap + heap / 8 <= Page.softSize
        if range.prefixBits >= table.partitionBits, fits || rows.count == 1 {
            add(range, rows, heap)
            return true
        }
        guard range.prefixBits < Page.deepest, let (low, high) = range.halves else {
            // Equal hashes, but for the last bit: a page takes them all, their values outside it.
            let spilled = rows.count * table.pageLayout.referenceOffsets.count
            let size = Page.byteCount(
                slotCount: table.pageLayout.maximumSlots, stride: table.layout.stride,
                heap: spilled * MemoryLayout<LargeValueRecord>.size)
            guard rows.count <= capacity, size <= Page.maximumSize else { return false }
            add(range, rows, heap)
            return true
        }
        var middle = rows.lowerBound
        var end = rows.upperBound
        while middle < end {
            let probe = (middle + end) / 2
            if unsafe hashes[probe] < high.first { middle = probe + 1 } else { end = probe }
        }
        return build(low, rows: rows.lowerBound..<middle)
            && build(high, rows: middle..<rows.upperBound)
    }

    private mutating func add(_ range: HashRange, _ rows: Range<Int>, _ heap: Int) {
        let range = range.widened(to: Page.deepest)
        let references = table.pageLayout.referenceOffsets.count
        var limit = Page.valueLimit
        var heap = heap
        let largest =
            Page.maximumSize
            - Page.byteCount(
                slotCount: max(8, rows.count * 2), stride: table.layout.stride, heap: 0)
        if heap > min(largest, Page.softSize) {
            limit = 0
            heap = rows.count * references * MemoryLayout<LargeValueRecord>.size
        }
        let page = unsafe table.partition(0).pointee.makePage(
            depth: range.prefixBits, rows: rows.count, liveHeap: heap, heapNeeded: 0, birth: epoch)
        for index in 0..<rows.count {
            let tag = unsafe Page.tag(
                of: hashes[rows.lowerBound + index], depth: range.prefixBits)
            filler.takeSlot(of: page, index: index, tag: tag, epoch: epoch)
        }
        let segments = segments
        filler.fill(page, row: rows.lowerBound, count: rows.count, epoch: epoch, limit: limit) {
            segments.take(row: $0, leaf: $1)
        }
        pages.append((page, range))
    }

    consuming func finish() -> [(page: Page, range: HashRange)] { pages }
}

extension HashRange {
    /// The range, or the one of so many prefix bits around it.
    fileprivate func widened(to prefixBits: Int) -> HashRange {
        self.prefixBits <= prefixBits
            ? self
            : HashRange(
                prefixBits: prefixBits, prefix: first & ~(UInt64.max >> prefixBits))
    }
}
