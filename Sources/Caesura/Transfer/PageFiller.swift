import CaesuraFormat

/// Builds pages from the columns of a batch: the reverse of ``PageGatherer``.
///
/// The rows come in hash order, so each page takes a run of them, and each column is read once from its
/// start to its end: the filler keeps its place in every column.
@safe
struct PageFiller: ~Copyable {
    private let layout: RowLayout
    private let batch: ColumnBatch
    /// For each leaf, the next value and the next byte of content.
    private var values: [Int]
    private var contents: [Int]
    private let entries: UnsafeMutablePointer<UnsafeMutableRawPointer>

    init(_ layout: RowLayout, _ batch: ColumnBatch) {
        self.layout = layout
        self.batch = batch
        values = Array(repeating: 0, count: layout.leaves.count)
        contents = values
        unsafe entries = .allocate(capacity: 64)
    }

    deinit { unsafe entries.deallocate() }

    /// The heap bytes of each row, summed up: element i is that of the rows before i.
    func heapSums() -> [Int] {
        var sums = [Int](repeating: 0, count: batch.rowCount + 1)
        for (index, leaf) in layout.leaves.enumerated() {
            switch leaf.kind {
            case .presence, .fixed: continue
            case .bytes, .array: break
            }
            let column = batch.columns[index]
            if let scope = leaf.scope {
                for (position, row) in presentRows(scope).enumerated() {
                    sums[row + 1] += heapBytes(column, position)
                }
            } else {
                for row in 0..<batch.rowCount { sums[row + 1] += heapBytes(column, row) }
            }
        }
        for row in 0..<batch.rowCount { sums[row + 1] += sums[row] }
        return sums
    }

    private func heapBytes(_ column: ColumnBuffer, _ position: Int) -> Int {
        unsafe HeapWriter.heapByteCount(
            of: Int(column.lengths[position]) * column.width, upTo: Page.valueLimit)
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

    /// Moves the next `count` rows, which start at `row` of the batch, into an empty page.
    ///
    /// - Parameters:
    ///   - tag: The tag of each of the rows.
    ///   - limit: Values of more bytes go outside the page.
    ///   - segmented: Gives the values that came in segments.
    mutating func fill(
        _ page: Page, row: Int, count: Int, epoch: UInt64, limit: Int,
        tag: (_ index: Int) -> UInt16,
        segmented: (_ row: Int, _ leaf: Int) -> LargeValue?
    ) {
        let base = unsafe page.entries
        for index in 0..<count {
            let slot = page.takeSlot(
                tag: tag(index), stamp: epoch << 16 | 0xFFFF,
                stride: layout.stride)
            unsafe entries[index] = unsafe base + slot &* layout.stride
        }
        for leaf in 0..<layout.leaves.count {
            let described = layout.leaves[leaf]
            switch described.kind {
            case .presence: fillFixed(UInt8.self, leaf, described, count)
            case .fixed(let scalar):
                switch scalar.width {
                case 1: fillFixed(UInt8.self, leaf, described, count)
                case 2: fillFixed(UInt16.self, leaf, described, count)
                case 4: fillFixed(UInt32.self, leaf, described, count)
                case 8: fillFixed(UInt64.self, leaf, described, count)
                default: fillFixed(SIMD2<UInt64>.self, leaf, described, count)
                }
            case .bytes, .array:
                fillBytes(leaf, described, count, row, page, limit, epoch, segmented)
            }
        }
    }

    @inline(__always)
    private mutating func fillFixed<Word: BitwiseCopyable>(
        _ type: Word.Type, _ leaf: Int, _ described: RowLayout.Leaf, _ count: Int
    ) {
        var source = unsafe UnsafeRawPointer(
            batch.columns[leaf].values + values[leaf] &* MemoryLayout<Word>.size)
        let presence = described.scope.map { layout.leaves[$0].offset }
        var taken = 0
        for index in 0..<count {
            let entry = unsafe entries[index]
            // An absent outer optional left its inner presence byte 0.
            if let presence, unsafe entry.load(fromByteOffset: presence, as: UInt8.self) == 0 {
                continue
            }
            // SAFETY: the decoder made as many values as the presence leaves say.
            unsafe entry.storeBytes(
                of: source.loadUnaligned(as: Word.self), toByteOffset: described.offset,
                as: Word.self)
            unsafe source += MemoryLayout<Word>.size
            taken &+= 1
        }
        values[leaf] += taken
    }

    private mutating func fillBytes(
        _ leaf: Int, _ described: RowLayout.Leaf, _ count: Int, _ row: Int, _ page: Page,
        _ limit: Int,
        _ epoch: UInt64, _ segmented: (_ row: Int, _ leaf: Int) -> LargeValue?
    ) {
        let column = batch.columns[leaf]
        let presence = described.scope.map { layout.leaves[$0].offset }
        var position = values[leaf]
        var content = contents[leaf]
        var top = unsafe Int(page.header.pointee.heapTop)
        for index in 0..<count {
            let entry = unsafe entries[index]
            if let presence, unsafe entry.load(fromByteOffset: presence, as: UInt8.self) == 0 {
                continue
            }
            let byteCount = unsafe Int(column.lengths[position]) &* column.width
            position &+= 1
            if byteCount == 0 { continue }
            let reference: HeapReference
            if byteCount <= limit {
                // SAFETY: the page was made with heap room for these rows (heapSums).
                unsafe (page.base + top).copyMemory(
                    from: column.content + content, byteCount: byteCount)
                reference = HeapReference(
                    offset: UInt16(truncatingIfNeeded: top),
                    length: UInt16(truncatingIfNeeded: byteCount))
                top &+= byteCount
                content &+= byteCount
            } else {
                let value: LargeValue
                if byteCount > Limits.inlineValueBytes {
                    guard let came = segmented(row + index, leaf) else {
                        preconditionFailure("the ledger knows all segmented values")
                    }
                    value = came
                } else {
                    value = unsafe LargeValue.make(
                        copying: UnsafeRawBufferPointer(
                            start: column.content + content, count: byteCount))
                    content += byteCount
                }
                unsafe value.header.pointee.retirable.birth = epoch
                unsafe page.header.pointee.heapTop = UInt32(top)
                var writer = unsafe HeapWriter(
                    page: page.base, limit: 0, staged: nil, partition: nil)
                reference = writer.place(value)
                unsafe value.header.pointee.retirable.birth = epoch
                top = unsafe Int(page.header.pointee.heapTop)
            }
            unsafe entry.storeBytes(
                of: reference, toByteOffset: described.offset, as: HeapReference.self)
        }
        unsafe page.header.pointee.heapTop = UInt32(top)
        values[leaf] = position
        contents[leaf] = content
    }
}
