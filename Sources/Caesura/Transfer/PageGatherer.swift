import CaesuraFormat

/// Copies rows out of frozen pages into columns, in hash order.
///
/// Page by page, and in a page column by column: the page stays in the first-level cache, each inner loop
/// copies one field of up to 64 rows, and its kind is looked at once, not once a row.
@safe
struct PageGatherer: ~Copyable {
    private let layout: RowLayout
    private let keys: KeyLayout?
    private let order: UnsafeMutablePointer<UInt32>
    private let rows: UnsafeMutablePointer<UnsafeRawPointer>

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
        unsafe order = .allocate(capacity: 64)
        unsafe rows = .allocate(capacity: 64)
    }

    /// Bytes of an entry.
    var stride: Int { layout.stride }

    deinit {
        unsafe order.deallocate()
        unsafe rows.deallocate()
    }

    /// Appends the page's rows whose hashes are in `range` (all of them if nil).
    mutating func gather(_ page: Page, in range: HashRange?, into batch: ColumnBatch) {
        let count = sort(page, range)
        guard count > 0 else { return }
        for index in 0..<layout.leaves.count {
            append(layout.leaves[index], count, page, to: batch.columns[index])
        }
        batch.rowCount += count
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
        var count = 0
        // (tag, slot) pairs. Slots follow the tag, but for collisions: insertion sort is nearly linear.
        for slot in unsafe 0..<Int(page.header.pointee.slotCount) {
            if unsafe (entries + slot &* stride).load(as: UInt64.self) == 0 { continue }
            let item = unsafe UInt32(page.tags[slot]) << 16 | UInt32(truncatingIfNeeded: slot)
            var place = count
            while place > 0, unsafe order[place &- 1] > item {
                unsafe order[place] = unsafe order[place &- 1]
                place &-= 1
            }
            unsafe order[place] = item
            count &+= 1
        }
        var hasTies = false
        for index in 0..<count {
            unsafe rows[index] = unsafe UnsafeRawPointer(
                entries + Int(truncatingIfNeeded: order[index] & 0xFFFF) &* stride)
            if index > 0, unsafe order[index] >> 16 == order[index &- 1] >> 16 { hasTies = true }
        }
        guard let keys else {
            precondition(
                !hasTies && range == nil, "rows without keys stand in the order of their tags")
            return count
        }
        if hasTies { unsafe sortTies(keys, count, HeapView(page: UnsafeRawPointer(page.base))) }
        guard let range else { return count }
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

    /// Orders the rows whose tags are equal by the whole hash, then by canonical key bytes.
    private mutating func sortTies(_ keys: KeyLayout, _ count: Int, _ heap: HeapView) {
        let sorted = unsafe (0..<count).map { index in
            unsafe (row: rows[index], tag: order[index] >> 16, hash: keys.hash(rows[index], heap))
        }.sorted { a, b in
            if unsafe a.tag != b.tag { return unsafe a.tag < b.tag }
            if unsafe a.hash != b.hash { return unsafe a.hash < b.hash }
            return unsafe keys.canonicalBytes(a.row, heap)
                .lexicographicallyPrecedes(keys.canonicalBytes(b.row, heap))
        }
        for index in 0..<count { unsafe rows[index] = unsafe sorted[index].row }
    }

    private func append(
        _ leaf: RowLayout.Leaf, _ count: Int, _ page: Page, to column: ColumnBuffer
    ) {
        switch leaf.kind {
        case .presence: appendFixed(UInt8.self, leaf, count, to: column)
        case .fixed(let scalar):
            switch scalar.width {
            case 1: appendFixed(UInt8.self, leaf, count, to: column)
            case 2: appendFixed(UInt16.self, leaf, count, to: column)
            case 4: appendFixed(UInt32.self, leaf, count, to: column)
            case 8: appendFixed(UInt64.self, leaf, count, to: column)
            default: appendFixed(SIMD2<UInt64>.self, leaf, count, to: column)
            }
        case .bytes, .array: appendBytes(leaf, count, page, to: column)
        }
    }

    @inline(__always)
    private func appendFixed<Word: BitwiseCopyable>(
        _ type: Word.Type, _ leaf: RowLayout.Leaf, _ count: Int, to column: ColumnBuffer
    ) {
        column.reserveCapacity(column.count + count)
        var target = unsafe column.values + column.count &* MemoryLayout<Word>.size
        let offset = leaf.offset
        if let scope = leaf.scope {
            let presence = layout.leaves[scope].offset
            var added = 0
            for index in 0..<count
            where unsafe rows[index].load(fromByteOffset: presence, as: UInt8.self) != 0 {
                // SAFETY: there is room for `count` more values.
                unsafe target.storeBytes(
                    of: rows[index].loadUnaligned(fromByteOffset: offset, as: Word.self),
                    as: Word.self)
                unsafe target += MemoryLayout<Word>.size
                added &+= 1
            }
            column.count += added
        } else {
            for index in 0..<count {
                // SAFETY: as above.
                unsafe target.storeBytes(
                    of: rows[index].loadUnaligned(fromByteOffset: offset, as: Word.self),
                    as: Word.self)
                unsafe target += MemoryLayout<Word>.size
            }
            column.count += count
        }
    }

    private func appendBytes(
        _ leaf: RowLayout.Leaf, _ count: Int, _ page: Page, to column: ColumnBuffer
    ) {
        column.reserveCapacity(column.count + count)
        // The page's heap bounds what lies in it; what lies outside reserves its own room.
        unsafe column.reserveContent(column.contentByteCount + Int(page.header.pointee.heapTop))
        let presence = leaf.scope.map { layout.leaves[$0].offset }
        let shift = column.width.trailingZeroBitCount
        var target = unsafe column.content + column.contentByteCount
        let lengths = unsafe column.lengths + column.count
        var added = 0
        for index in 0..<count {
            let row = unsafe rows[index]
            if let presence, unsafe row.load(fromByteOffset: presence, as: UInt8.self) == 0 {
                continue
            }
            let reference = unsafe row.load(fromByteOffset: leaf.offset, as: HeapReference.self)
            if reference.isOutOfLine {
                column.contentByteCount = unsafe target - column.content
                unsafe lengths[added] = appendOutOfLine(reference, page, shift, to: column)
                unsafe column.reserveContent(
                    column.contentByteCount + Int(page.header.pointee.heapTop))
                unsafe target = unsafe column.content + column.contentByteCount
            } else {
                let byteCount = Int(reference.length)
                unsafe lengths[added] = UInt32(truncatingIfNeeded: byteCount &>> shift)
                unsafe Self.copy(page.base + Int(reference.offset), to: target, byteCount)
                unsafe target += byteCount
            }
            added &+= 1
        }
        column.contentByteCount = unsafe target - column.content
        column.count += added
    }

    /// Appends a value that lies outside the page; its length in elements.
    private func appendOutOfLine(
        _ reference: HeapReference, _ page: Page, _ shift: Int, to column: ColumnBuffer
    ) -> UInt32 {
        let value = unsafe HeapView(page: UnsafeRawPointer(page.base)).largeValue(reference)
        if value.byteCount <= Limits.inlineValueBytes {
            column.reserveContent(column.contentByteCount + value.byteCount)
            unsafe value.read(0..<value.byteCount, into: column.content + column.contentByteCount)
            column.contentByteCount += value.byteCount
        }
        return UInt32(value.byteCount >> shift)
    }

    /// Copies a few bytes without a call; most strings are shorter than 64.
    @inline(__always)
    private static func copy(
        _ source: UnsafeMutableRawPointer, to target: UnsafeMutableRawPointer, _ byteCount: Int
    ) {
        if byteCount > 64 {
            unsafe target.copyMemory(from: source, byteCount: byteCount)
        } else if byteCount >= 16 {
            var done = 0
            while done &+ 16 <= byteCount {
                unsafe target.storeBytes(
                    of: source.loadUnaligned(fromByteOffset: done, as: SIMD2<UInt64>.self),
                    toByteOffset: done, as: SIMD2<UInt64>.self)
                done &+= 16
            }
            // The last 16 bytes again, overlapping.
            unsafe target.storeBytes(
                of: source.loadUnaligned(fromByteOffset: byteCount &- 16, as: SIMD2<UInt64>.self),
                toByteOffset: byteCount &- 16, as: SIMD2<UInt64>.self)
        } else if byteCount >= 8 {
            unsafe target.storeBytes(of: source.loadUnaligned(as: UInt64.self), as: UInt64.self)
            unsafe target.storeBytes(
                of: source.loadUnaligned(fromByteOffset: byteCount &- 8, as: UInt64.self),
                toByteOffset: byteCount &- 8, as: UInt64.self)
        } else {
            for index in 0..<byteCount {
                unsafe target.storeBytes(
                    of: source.load(fromByteOffset: index, as: UInt8.self), toByteOffset: index,
                    as: UInt8.self)
            }
        }
    }
}
