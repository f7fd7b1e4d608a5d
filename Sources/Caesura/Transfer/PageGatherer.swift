import CPrefetch
import CaesuraFormat

/// Copies rows out of frozen pages into columns, in hash order.
///
/// Page by page, and in a page column by column: the page stays in the first-level cache, each inner loop
/// copies one field of up to 64 rows, and its kind is looked at once, not once a row.
@safe
struct PageGatherer: ~Copyable {
    private let layout: RowLayout
    private let keys: KeyLayout?
    private var order: PageOrder
    private let rows: UnsafeMutablePointer<UnsafeRawPointer>
    private let cursors: UnsafeMutablePointer<LeafCursor>

    init(_ table: TableCore) {
        self.init(table.layout, table.keys)
    }

    /// A gatherer of rows whose tags are all different, so that their keys do not matter.
    init(_ layout: RowLayout) {
        self.init(layout, nil)
    }

    private init(_ layout: RowLayout, _ keys: KeyLayout?) {
        self.layout = layout
        self.keys = keys
        order = PageOrder(stride: layout.stride, keys: keys)
        unsafe rows = .allocate(capacity: 64)
        unsafe cursors = .allocate(capacity: layout.leaves.count)
    }

    /// Bytes of an entry.
    var stride: Int { layout.stride }

    deinit {
        unsafe rows.deallocate()
        unsafe cursors.deallocate()
    }

    /// Appends the pages' rows whose hashes are in `range` (all of them if nil).
    mutating func gather(_ pages: [Page], in range: HashRange?, into batch: ColumnBatch) {
        // The heaps bound what lies in them; what lies outside reserves its own room.
        var rowBound = 0
        var heapBound = 0
        for page in pages {
            unsafe rowBound += Int(page.header.pointee.rowCount)
            unsafe heapBound += Int(page.header.pointee.heapTop)
        }
        begin(batch, rowBound: rowBound, heapBound: heapBound)
        for (place, page) in pages.enumerated() {
            let ahead = PageAhead(
                place + 1 < pages.count ? pages[place + 1] : nil, steps: layout.leaves.count)
            append(sort(page, range), of: page, ahead: ahead, heapBound: heapBound, to: batch)
        }
        end(batch)
    }

    /// Appends the rows of a log among some positions.
    mutating func gather(
        _ extent: LogExtent, _ positions: Range<UInt64>, into batch: ColumnBatch
    ) {
        var heapBound = 0
        // Where a page's heap ends is the appending thread's to know; a block's size never changes.
        extent.forEachPage(in: positions) { page, _, _ in
            unsafe heapBound += Int(page.header.pointee.blockSize)
        }
        begin(batch, rowBound: positions.count, heapBound: heapBound)
        extent.forEachPage(in: positions) { page, slots, _ in
            let entries = unsafe page.entries
            for (index, slot) in slots.enumerated() {
                unsafe rows[index] = unsafe UnsafeRawPointer(entries + slot &* layout.stride)
            }
            append(
                slots.count, of: page, ahead: PageAhead(nil, steps: layout.leaves.count),
                heapBound: heapBound, to: batch)
        }
        end(batch)
    }

    /// Makes room in a batch for so many rows and bytes of heaps.
    private func begin(_ batch: ColumnBatch, rowBound: Int, heapBound: Int) {
        for (index, leaf) in layout.leaves.enumerated() {
            let column = batch.columns[index]
            column.reserveCapacity(column.count + rowBound)
            switch leaf.kind {
            case .presence, .fixed: break
            case .bytes, .array: column.reserveContent(column.contentByteCount + heapBound)
            }
            unsafe cursors[index] = LeafCursor(
                leaf, of: layout, column, after: column.count, column.contentByteCount)
        }
    }

    /// Appends the first of ``rows``, which are a page's.
    @inline(__always)
    private func append(
        _ count: Int, of page: Page, ahead: PageAhead, heapBound: Int, to batch: ColumnBatch
    ) {
        var ahead = ahead
        for index in 0..<layout.leaves.count {
            ahead.step()
            unsafe append(&cursors[index], count, page) { value, cursor in
                Self.append(value, &cursor, batch.columns[index], heapBound)
            }
        }
        batch.rowCount += count
    }

    /// Tells the columns how far they are filled.
    private func end(_ batch: ColumnBatch) {
        for (index, column) in batch.columns.enumerated() {
            unsafe cursors[index].settle(column)
        }
    }

    /// Calls `body` with each row of the page that ``gather(_:in:into:)`` would append; their number.
    mutating func forEachRow(
        of page: Page, in range: HashRange?, _ body: (Int, UnsafeRawPointer) throws -> Void
    ) rethrows -> Int {
        let count = sort(page, range)
        for index in 0..<count { try unsafe body(index, rows[index]) }
        return count
    }

    /// The page's rows in hash order, as addresses in `rows`; their number.
    private mutating func sort(_ page: Page, _ range: HashRange?) -> Int {
        let stride = layout.stride
        let entries = unsafe page.entries
        let count = order.sort(page)
        for index in 0..<count {
            unsafe rows[index] = unsafe UnsafeRawPointer(entries + order[index] &* stride)
        }
        guard let range else { return count }
        guard let keys else { preconditionFailure("rows without keys have no hashes") }
        var kept = 0
        for index in 0..<count
        where unsafe range.contains(
            keys.hash(rows[index], HeapView(page: UnsafeRawPointer(page.base))))
        {
            unsafe rows[kept] = unsafe rows[index]
            kept += 1
        }
        return kept
    }

    /// Appends a leaf's values; `appendOutOfLine` those that lie outside the page.
    @inline(__always)
    private func append(
        _ cursor: inout LeafCursor, _ count: Int, _ page: Page,
        appendOutOfLine: (LargeValue, inout LeafCursor) -> Void
    ) {
        switch cursor.shape {
        case .one: appendFixed(UInt8.self, &cursor, count)
        case .two: appendFixed(UInt16.self, &cursor, count)
        case .four: appendFixed(UInt32.self, &cursor, count)
        case .eight: appendFixed(UInt64.self, &cursor, count)
        case .sixteen: appendFixed(SIMD2<UInt64>.self, &cursor, count)
        case .reference: appendBytes(&cursor, count, page, appendOutOfLine)
        }
    }

    @inline(__always)
    private func appendFixed<Word: BitwiseCopyable>(
        _ type: Word.Type, _ cursor: inout LeafCursor, _ count: Int
    ) {
        let offset = cursor.offset
        var target = unsafe cursor.values
        if cursor.presence == nil {
            for index in 0..<count {
                // SAFETY: there is room for all rows of the pages.
                unsafe target.storeBytes(
                    of: rows[index].loadUnaligned(fromByteOffset: offset, as: Word.self),
                    as: Word.self)
                unsafe target += MemoryLayout<Word>.size
            }
        } else {
            for index in 0..<count where unsafe cursor.isPresent(in: rows[index]) {
                // SAFETY: as above.
                unsafe target.storeBytes(
                    of: rows[index].loadUnaligned(fromByteOffset: offset, as: Word.self),
                    as: Word.self)
                unsafe target += MemoryLayout<Word>.size
            }
        }
        unsafe cursor.values = unsafe target
    }

    private func appendBytes(
        _ cursor: inout LeafCursor, _ count: Int, _ page: Page,
        _ appendOutOfLine: (LargeValue, inout LeafCursor) -> Void
    ) {
        let (offset, shift) = (cursor.offset, cursor.shift)
        var target = unsafe cursor.content
        var lengths = unsafe cursor.lengths
        for index in 0..<count {
            let row = unsafe rows[index]
            if unsafe !cursor.isPresent(in: row) { continue }
            let reference = unsafe row.load(fromByteOffset: offset, as: HeapReference.self)
            if reference.isOutOfLine {
                let value = unsafe HeapView(page: UnsafeRawPointer(page.base))
                    .largeValue(reference)
                unsafe cursor.content = unsafe target
                appendOutOfLine(value, &cursor)
                unsafe target = unsafe cursor.content
                unsafe lengths.pointee = UInt32(value.byteCount >> shift)
            } else {
                let byteCount = Int(reference.length)
                unsafe lengths.pointee = UInt32(truncatingIfNeeded: byteCount &>> shift)
                unsafe Self.copy(page.base + Int(reference.offset), to: target, byteCount)
                unsafe target += byteCount
            }
            unsafe lengths += 1
        }
        unsafe cursor.content = unsafe target
        unsafe cursor.lengths = unsafe lengths
    }

    /// Appends the bytes of a value that lies outside the page, unless they go into segments.
    private static func append(
        _ value: LargeValue, _ cursor: inout LeafCursor, _ column: ColumnBuffer, _ heapBound: Int
    ) {
        guard value.byteCount <= Limits.inlineValueBytes else { return }
        column.contentByteCount = unsafe cursor.content - column.content
        column.reserveContent(column.contentByteCount + value.byteCount + heapBound)
        unsafe cursor.content = unsafe column.content + column.contentByteCount
        unsafe value.read(0..<value.byteCount, into: cursor.content)
        unsafe cursor.content += value.byteCount
    }

    @inline(__always)
    private static func copyVector(
        _ source: UnsafeMutableRawPointer, to target: UnsafeMutableRawPointer, at offset: Int
    ) {
        unsafe target.storeBytes(
            of: source.loadUnaligned(fromByteOffset: offset, as: SIMD2<UInt64>.self),
            toByteOffset: offset, as: SIMD2<UInt64>.self)
    }

    /// Copies a few bytes without a call; most strings are shorter than 64.
    @inline(__always)
    static func copy(
        _ source: UnsafeMutableRawPointer, to target: UnsafeMutableRawPointer, _ byteCount: Int
    ) {
        // Two or four vectors, which overlap where the length is none of theirs.
        if byteCount > 64 {
            unsafe target.copyMemory(from: source, byteCount: byteCount)
        } else if byteCount >= 16 {
            unsafe copyVector(source, to: target, at: 0)
            if byteCount > 32 {
                unsafe copyVector(source, to: target, at: 16)
                unsafe copyVector(source, to: target, at: byteCount &- 32)
            }
            unsafe copyVector(source, to: target, at: byteCount &- 16)
        } else if byteCount >= 8 {
            unsafe target.storeBytes(of: source.loadUnaligned(as: UInt64.self), as: UInt64.self)
            unsafe target.storeBytes(
                of: source.loadUnaligned(fromByteOffset: byteCount &- 8, as: UInt64.self),
                toByteOffset: byteCount &- 8, as: UInt64.self)
        } else if byteCount >= 4 {
            unsafe target.storeBytes(of: source.loadUnaligned(as: UInt32.self), as: UInt32.self)
            unsafe target.storeBytes(
                of: source.loadUnaligned(fromByteOffset: byteCount &- 4, as: UInt32.self),
                toByteOffset: byteCount &- 4, as: UInt32.self)
        } else if byteCount > 0 {
            // One, two or three: the first, the middle and the last, which may be the same.
            let middle = byteCount &>> 1
            unsafe target.storeBytes(of: source.load(as: UInt8.self), as: UInt8.self)
            unsafe target.storeBytes(
                of: source.load(fromByteOffset: middle, as: UInt8.self), toByteOffset: middle,
                as: UInt8.self)
            unsafe target.storeBytes(
                of: source.load(fromByteOffset: byteCount &- 1, as: UInt8.self),
                toByteOffset: byteCount &- 1, as: UInt8.self)
        }
    }
}

/// The page that is gathered next, on its way into the cache while the present one is read.
///
/// Its lines are asked for a few at a time: a core keeps about a dozen on the way.
@safe
private struct PageAhead {
    private var next: UnsafeRawPointer
    private let end: UnsafeRawPointer
    private let stepSize: Int

    init(_ page: Page?, steps: Int) {
        guard let page else {
            unsafe next = UnsafeRawPointer(bitPattern: 64)!
            unsafe end = unsafe next
            stepSize = 0
            return
        }
        unsafe next = UnsafeRawPointer(page.base)
        let byteCount = unsafe Int(page.header.pointee.heapTop)
        unsafe end = unsafe next + byteCount
        stepSize = (byteCount / steps + 64) & ~63
    }

    mutating func step() {
        let stop = unsafe min(next + stepSize, end)
        while unsafe next < stop {
            unsafe caesura_prefetch(next)
            unsafe next += 64
        }
    }
}
