import CaesuraFormat

/// Puts the rows of a batch into pages of a log, in their order.
struct LogPages: ~Copyable {
    private let log: LogCore
    private let segments: PendingSegments
    private let epoch: UInt64
    private let rowCount: Int
    private let heapSums: [Int]
    private var filler: PageFiller

    init(_ log: LogCore, _ batch: ColumnBatch, _ segments: PendingSegments, epoch: UInt64) {
        self.log = log
        self.segments = segments
        self.epoch = epoch
        rowCount = batch.rowCount
        filler = PageFiller(log.layout, batch)
        heapSums = filler.heapSums()
    }

    /// Makes the pages.
    consuming func build() -> [(page: Page, rowCount: Int)] {
        let layout = log.pageLayout
        var pages: [(page: Page, rowCount: Int)] = []
        var row = 0
        while row < rowCount {
            var count = 1
            while row + count < rowCount, count < layout.maximumSlots,
                Page.byteCount(
                    slotCount: count + 1, stride: layout.stride,
                    heap: heapSums[row + count + 1] - heapSums[row]) <= Page.softSize
            { count += 1 }
            let heap = heapSums[row + count] - heapSums[row]
            // As in LogTail, where it is half of the soft size for a row.
            let isSpilled = count == 1 && heap > Page.softSize / 2
            let page = Page.make(
                slotCount: count, depth: 0,
                heap: isSpilled
                    ? layout.referenceOffsets.count * MemoryLayout<LargeValueRecord>.size : heap,
                birth: epoch, layout: layout, pool: log.pool)
            for index in 0..<count { filler.takeSlot(inOrder: index, of: page) }
            let segments = segments
            filler.fill(
                page, row: row, count: count, epoch: epoch, limit: isSpilled ? 0 : Page.valueLimit
            ) { segments.take(row: $0, leaf: $1) }
            pages.append((page, count))
            row += count
        }
        return pages
    }
}
