import CaesuraFormat

/// Builds pages from the columns of a batch: the reverse of ``PageGatherer``.
///
/// The rows come in hash order, so each page takes a run of them, and each column is read once from its
/// start to its end: the filler keeps its place in every column.
@safe
struct PageFiller: ~Copyable {
    private let layout: RowLayout
    private let batch: ColumnBatch
    private let entries: UnsafeMutablePointer<UnsafeMutableRawPointer>
    private let cursors: UnsafeMutablePointer<LeafCursor>

    init(_ layout: RowLayout, _ batch: ColumnBatch) {
        self.layout = layout
        self.batch = batch
        unsafe entries = .allocate(capacity: 64)
        unsafe cursors = .allocate(capacity: layout.leaves.count)
        for (index, leaf) in layout.leaves.enumerated() {
            unsafe (cursors + index).initialize(
                to: LeafCursor(leaf, of: layout, batch.columns[index], after: 0, 0))
        }
    }

    deinit {
        unsafe entries.deallocate()
        unsafe cursors.deallocate()
    }

    /// The heap bytes of each row, summed up: element i is that of the rows before i.
    func heapSums() -> [Int] {
        var sums = [Int](repeating: 0, count: batch.rowCount + 1)
        for (index, leaf) in layout.leaves.enumerated() {
            switch leaf.kind {
            case .presence, .fixed: continue
            case .bytes, .array: break
            }
            let lengths = unsafe cursors[index].lengths
            let shift = unsafe cursors[index].shift
            func heapBytes(_ position: Int) -> Int {
                unsafe HeapWriter.heapByteCount(
                    of: Int(lengths[position]) << shift, upTo: Page.valueLimit)
            }
            if let scope = leaf.scope {
                for (position, row) in presentRows(scope).enumerated() {
                    sums[row + 1] += heapBytes(position)
                }
            } else {
                for row in 0..<batch.rowCount { sums[row + 1] += heapBytes(row) }
            }
        }
        for row in 0..<batch.rowCount { sums[row + 1] += sums[row] }
        return sums
    }

    /// The rows for which a presence leaf is 1.
    private func presentRows(_ leaf: Int) -> [Int] {
        let column = batch.columns[leaf]
        var outer: [Int]?
        if let scope = layout.leaves[leaf].scope { outer = presentRows(scope) }
        return (0..<column.count).compactMap { position in
            unsafe column.values.load(fromByteOffset: position, as: UInt8.self) == 1
                ? outer?[position] ?? position : nil
        }
    }

    /// Takes a slot of the page for the row that ``fill(_:row:count:epoch:limit:segmented:)`` is to put
    /// there as its `index`-th.
    mutating func takeSlot(of page: Page, index: Int, tag: UInt16, epoch: UInt64) {
        let slot = page.takeSlot(
            tag: tag, stamp: epoch << 16 | 0xFFFF, stride: layout.stride,
            isChanged: false)
        unsafe entries[index] = unsafe page.entries + slot &* layout.stride
    }

    /// As ``takeSlot(of:index:tag:epoch:)``, of a page of a log: its rows stand in their order.
    mutating func takeSlot(inOrder index: Int, of page: Page) {
        unsafe entries[index] = unsafe page.takeSlot(inOrder: index, stride: layout.stride)
    }

    /// Takes a slot that is taken for the row that ``fill(_:row:count:epoch:limit:segmented:)`` is to put there
    /// as its `index`-th.
    func use(_ slot: Int, of page: Page, index: Int) {
        unsafe entries[index] = unsafe page.entries + slot &* layout.stride
    }

    /// Moves the next `count` rows, which start at `row` of the batch, into the slots that were taken.
    ///
    /// - Parameters:
    ///   - limit: Values of more bytes go outside the page.
    ///   - segmented: Gives the values that came in segments.
    mutating func fill(
        _ page: Page, row: Int, count: Int, epoch: UInt64, limit: Int,
        segmented: (_ row: Int, _ leaf: Int) -> LargeValue?
    ) {
        for leaf in 0..<layout.leaves.count {
            // A copy, because the thread sanitizer takes `&cursors[leaf]` for an access to the layout's leaves.
            var cursor = unsafe cursors[leaf]
            switch cursor.shape {
            case .one: fillFixed(UInt8.self, &cursor, count)
            case .two: fillFixed(UInt16.self, &cursor, count)
            case .four: fillFixed(UInt32.self, &cursor, count)
            case .eight: fillFixed(UInt64.self, &cursor, count)
            case .sixteen: fillFixed(SIMD2<UInt64>.self, &cursor, count)
            case .reference:
                fillBytes(&cursor, count, page, limit, epoch) { index in
                    segmented(row + index, leaf)
                }
            }
            unsafe cursors[leaf] = cursor
        }
    }

    @inline(__always)
    private func fillFixed<Word: BitwiseCopyable>(
        _ type: Word.Type, _ cursor: inout LeafCursor, _ count: Int
    ) {
        let offset = cursor.offset
        var source = unsafe UnsafeRawPointer(cursor.values)
        for index in 0..<count {
            let entry = unsafe entries[index]
            // An absent outer optional left its inner presence byte 0.
            if unsafe !cursor.isPresent(in: entry) { continue }
            // SAFETY: the decoder made as many values as the presence leaves say.
            unsafe entry.storeBytes(
                of: source.loadUnaligned(as: Word.self), toByteOffset: offset, as: Word.self)
            unsafe source += MemoryLayout<Word>.size
        }
        unsafe cursor.values = UnsafeMutableRawPointer(mutating: source)
    }

    private func fillBytes(
        _ cursor: inout LeafCursor, _ count: Int, _ page: Page, _ limit: Int, _ epoch: UInt64,
        segmented: (_ index: Int) -> LargeValue?
    ) {
        let (offset, shift) = (cursor.offset, cursor.shift)
        var lengths = unsafe cursor.lengths
        var content = unsafe cursor.content
        var top = unsafe Int(page.header.pointee.heapTop)
        for index in 0..<count {
            let entry = unsafe entries[index]
            if unsafe !cursor.isPresent(in: entry) { continue }
            let byteCount = unsafe Int(lengths.pointee) &<< shift
            unsafe lengths += 1
            if byteCount == 0 { continue }
            let reference: HeapReference
            if byteCount <= limit {
                // SAFETY: the page was made with heap room for these rows (heapSums).
                unsafe PageGatherer.copy(content, to: page.base + top, byteCount)
                reference = HeapReference(
                    offset: UInt16(truncatingIfNeeded: top),
                    length: UInt16(truncatingIfNeeded: byteCount))
                top &+= byteCount
                unsafe content += byteCount
            } else {
                let value: LargeValue
                if byteCount > Limits.inlineValueBytes {
                    guard let came = segmented(index) else {
                        preconditionFailure("the ledger knows all segmented values")
                    }
                    value = came
                } else {
                    value = unsafe LargeValue.make(
                        copying: UnsafeRawBufferPointer(start: content, count: byteCount))
                    unsafe content += byteCount
                }
                unsafe page.header.pointee.heapTop = UInt32(top)
                var writer = unsafe HeapWriter(
                    page: page.base, limit: 0, staged: nil, partition: nil)
                reference = writer.place(value)
                unsafe value.header.pointee.retirable.birth = epoch
                top = unsafe Int(page.header.pointee.heapTop)
            }
            unsafe entry.storeBytes(of: reference, toByteOffset: offset, as: HeapReference.self)
        }
        unsafe page.header.pointee.heapTop = UInt32(top)
        unsafe cursor.lengths = unsafe lengths
        unsafe cursor.content = unsafe content
    }
}
