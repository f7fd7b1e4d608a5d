import CaesuraFormat

/// A row in a frozen page: its entry and the page that its references point into.
@safe
struct FrozenRow {
    let entry: UnsafeRawPointer
    let page: UnsafeRawPointer

    init(_ entry: UnsafeRawPointer, _ page: Page) {
        unsafe self.entry = unsafe entry
        unsafe self.page = UnsafeRawPointer(page.base)
    }

    /// A row whose page begins so many bytes before its entry.
    @inline(__always) init(_ entry: UnsafeRawPointer, offset: UInt16) {
        unsafe self.entry = unsafe entry
        unsafe page = unsafe entry - Int(offset)
    }

    /// Where in its page the entry lies: pages have at most 64 KiB.
    @inline(__always) var offset: UInt16 {
        UInt16(truncatingIfNeeded: unsafe entry - page)
    }

    var heap: HeapView { unsafe HeapView(page: page) }
    /// The epoch of the row's last change.
    var epoch: UInt64 { unsafe entry.load(as: UInt64.self) >> 16 }
    /// The fields that changed in that epoch.
    var changeMask: UInt16 { unsafe entry.load(as: UInt16.self) }
}

/// Tells which leaves of two rows differ, by the table's layout.
@safe
struct RowComparer: ~Copyable {
    /// One leaf, as the loop needs it: no enumeration with a payload, no optional.
    private struct Leaf {
        /// Bytes of the value; 0 for a reference.
        var width: Int
        var offset: Int
        /// Where the byte lies that says whether there is a value; -1 when there always is.
        var presence: Int
    }

    private let leaves: UnsafeMutablePointer<Leaf>
    /// For each bit of a row's change mask the first leaf of its fields, and behind the last the number of leaves.
    private let fieldStarts: UnsafeMutablePointer<Int>
    let leafCount: Int
    let keyLeafCount: Int
    /// Words of a set of leaves.
    let wordCount: Int

    init(_ table: TableCore) {
        let layout = table.layout
        leafCount = layout.leaves.count
        keyLeafCount = layout.keyLeafCount
        wordCount = (leafCount + 63) / 64
        unsafe leaves = .allocate(capacity: leafCount)
        for (index, leaf) in layout.leaves.enumerated() {
            let width =
                switch leaf.kind {
                case .presence: 1
                case .fixed(let scalar): scalar.width
                case .bytes, .array: 0
                }
            unsafe (leaves + index).initialize(
                to: Leaf(
                    width: width, offset: leaf.offset,
                    presence: leaf.scope.map { layout.leaves[$0].offset } ?? -1))
        }
        unsafe fieldStarts = .allocate(capacity: 17)
        unsafe fieldStarts.initialize(repeating: leafCount, count: 17)
        for leaf in (keyLeafCount..<leafCount).reversed() {
            let bit = Self.fieldBit(table.leaves[leaf], table.schema.row)
            for earlier in 0...bit { unsafe fieldStarts[earlier] = leaf }
        }
    }

    deinit {
        unsafe leaves.deallocate()
        unsafe fieldStarts.deallocate()
    }

    /// As ``RowCursor/markChanged(field:)`` counts fields.
    private static func fieldBit(_ leaf: LeafColumn, _ row: Schema) -> Int {
        guard let index = row.fields.firstIndex(where: { $0.number == leaf.path[0] }) else {
            preconditionFailure("a leaf of no field")
        }
        return min(index, 15)
    }

    /// Whether two rows have the same key.
    @inline(__always)
    func haveSameKey(_ a: FrozenRow, _ b: FrozenRow) -> Bool {
        if keyLeafCount == 1, unsafe leaves[0].width == 8 {
            // SAFETY: the layout's offset.
            let offset = unsafe leaves[0].offset
            return unsafe a.entry.load(fromByteOffset: offset, as: UInt64.self)
                == b.entry.load(fromByteOffset: offset, as: UInt64.self)
        }
        for leaf in 0..<keyLeafCount where !isEqual(leaf, a, b) { return false }
        return true
    }

    /// Where there are at most 64 leaves: the set of those, the key's apart, in which two rows differ.
    ///
    /// - Parameter mask: Fields that may differ, as bits of a row's change mask; others are not looked at.
    @inline(__always)
    func differences(_ a: FrozenRow, _ b: FrozenRow, in mask: UInt16) -> UInt64 {
        var set: UInt64 = 0
        var fields = mask
        while fields != 0 {
            let field = fields.trailingZeroBitCount
            fields &= fields &- 1
            var leaf = unsafe fieldStarts[field]
            let end = unsafe fieldStarts[field &+ 1]
            while leaf < end {
                if !isEqual(leaf, a, b) { set |= 1 &<< UInt64(truncatingIfNeeded: leaf) }
                leaf &+= 1
            }
        }
        return set
    }

    /// Appends the set of leaves, the key's apart, in which two rows differ; whether there is one.
    ///
    /// - Parameter mask: As above.
    func appendDifferences(
        _ a: FrozenRow, _ b: FrozenRow, in mask: UInt16, to words: inout [UInt64]
    ) -> Bool {
        let start = words.count
        for _ in 0..<wordCount { words.append(0) }
        var isDifferent = false
        for field in 0..<16 where mask >> UInt16(field) & 1 == 1 {
            for leaf in unsafe fieldStarts[field]..<fieldStarts[field + 1]
            where !isEqual(leaf, a, b) {
                words[start + leaf >> 6] |= 1 << UInt64(leaf & 63)
                isDifferent = true
            }
        }
        if !isDifferent { words.removeLast(wordCount) }
        return isDifferent
    }

    private func isEqual(_ index: Int, _ a: FrozenRow, _ b: FrozenRow) -> Bool {
        let leaf = unsafe leaves[index]
        if leaf.presence >= 0 {
            let isThere = unsafe a.entry.load(fromByteOffset: leaf.presence, as: UInt8.self)
            // Where only one has a value, the presence differs, and the value is what the other lacks.
            if unsafe isThere != b.entry.load(fromByteOffset: leaf.presence, as: UInt8.self) {
                return false
            }
            if isThere == 0 { return true }
        }
        // SAFETY: the layout's offsets and widths lie in an entry.
        let (x, y) = unsafe (a.entry + leaf.offset, b.entry + leaf.offset)
        switch leaf.width {
        case 1: return unsafe x.load(as: UInt8.self) == y.load(as: UInt8.self)
        case 2: return unsafe x.load(as: UInt16.self) == y.load(as: UInt16.self)
        case 4: return unsafe x.load(as: UInt32.self) == y.load(as: UInt32.self)
        case 8: return unsafe x.load(as: UInt64.self) == y.load(as: UInt64.self)
        case 16:
            return unsafe x.loadUnaligned(as: SIMD2<UInt64>.self)
                == y.loadUnaligned(as: SIMD2<UInt64>.self)
        default:
            return unsafe Self.isEqual(
                x.load(as: HeapReference.self), a.heap, y.load(as: HeapReference.self), b.heap)
        }
    }

    private static func isEqual(
        _ x: HeapReference, _ xHeap: HeapView, _ y: HeapReference, _ yHeap: HeapView
    ) -> Bool {
        if x.isOutOfLine, y.isOutOfLine {
            let (a, b) = (xHeap.largeValue(x), yHeap.largeValue(y))
            if unsafe a.base == b.base { return true }
            return a.byteCount == b.byteCount && a.hasSameBytes(0..<a.byteCount, as: b)
        }
        guard xHeap.byteCount(of: x) == yHeap.byteCount(of: y) else { return false }
        return unsafe xHeap.withBytes(of: x) { a in
            unsafe yHeap.withBytes(of: y) { b in unsafe isEqual(a, b) }
        }
    }

    /// Compares bytes a word at a time.
    private static func isEqual(
        _ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer
    ) -> Bool {
        var offset = 0
        while offset &+ 8 <= a.count {
            // SAFETY: both have `a.count` bytes.
            if unsafe a.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                != b.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            {
                return false
            }
            offset &+= 8
        }
        while offset < a.count {
            if unsafe a[offset] != b[offset] { return false }
            offset &+= 1
        }
        return true
    }
}
