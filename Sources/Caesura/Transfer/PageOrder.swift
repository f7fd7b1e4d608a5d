import CaesuraFormat

/// The rows of a page in hash order: by tag, those of one tag by the whole hash, then by canonical key bytes.
///
/// One order, for whoever walks a page's rows: snapshots, deltas, and who finds a row by its position.
@safe
struct PageOrder: ~Copyable {
    private let keys: KeyLayout?
    private let stride: Int
    /// (tag, slot) pairs.
    private let order: UnsafeMutablePointer<UInt32>
    /// Whether two rows had the same tag.
    private(set) var hasTies = false

    /// - Parameter keys: How to hash keys; nil for rows whose tags are all different.
    init(stride: Int, keys: KeyLayout?) {
        self.keys = keys
        self.stride = stride
        unsafe order = .allocate(capacity: 64)
    }

    deinit { unsafe order.deallocate() }

    /// The slot of a row by its place in the order.
    @inline(__always) subscript(index: Int) -> Int {
        unsafe Int(truncatingIfNeeded: order[index] & 0xFFFF)
    }

    /// Sorts the rows of a page; their number.
    @inline(__always)
    mutating func sort(_ page: Page) -> Int {
        var count = 0
        var hasTies = false
        // Slots follow the tag, but for collisions: insertion sort is nearly linear.
        for slot in page.usedSlots {
            let item = unsafe UInt32(page.tags[slot]) << 16 | UInt32(truncatingIfNeeded: slot)
            var place = count
            while place > 0, unsafe order[place &- 1] > item {
                unsafe order[place] = unsafe order[place &- 1]
                place &-= 1
            }
            unsafe order[place] = item
            count &+= 1
        }
        for index in 1..<max(1, count) {
            hasTies = unsafe hasTies || order[index] >> 16 == order[index &- 1] >> 16
        }
        self.hasTies = hasTies
        if hasTies { sortTies(page, count) }
        return count
    }

    /// Orders the rows whose tags are equal.
    private func sortTies(_ page: Page, _ count: Int) {
        guard let keys else {
            preconditionFailure("rows without keys stand in the order of their tags")
        }
        let sorted = (0..<count).map { index in
            let row = unsafe FrozenRow(page.entries + self[index] &* stride, page)
            return unsafe (item: order[index], row: row, hash: keys.hash(row))
        }.sorted { a, b in
            if a.item >> 16 != b.item >> 16 { return a.item < b.item }
            return keys.precedes(a.hash, a.row, b.hash, b.row)
        }
        for index in 0..<count { unsafe order[index] = sorted[index].item }
    }
}

extension KeyLayout {
    /// The hash of a row's key.
    @inline(__always) func hash(_ row: FrozenRow) -> UInt64 { unsafe hash(row.entry, row.heap) }

    /// Whether a row stands before another in hash order.
    func precedes(_ aHash: UInt64, _ a: FrozenRow, _ bHash: UInt64, _ b: FrozenRow) -> Bool {
        if aHash != bHash { return aHash < bHash }
        return unsafe canonicalBytes(a.entry, a.heap)
            .lexicographicallyPrecedes(canonicalBytes(b.entry, b.heap))
    }
}

extension Page {
    /// How many tags are less than one, and how many equal; unused slots have the greatest.
    func tagCounts(_ tag: UInt16) -> (less: Int, equal: Int) {
        unsafe Self.tagCounts(tag, tags, Int(header.pointee.slotCount))
    }

    /// As above, for who has the number of slots from elsewhere.
    @inline(__always)
    static func tagCounts(
        _ tag: UInt16, _ tags: UnsafePointer<UInt16>, _ slotCount: Int
    ) -> (less: Int, equal: Int) {
        // Eight at a time: left to itself the compiler makes a branch of each.
        var less = SIMD8<Int16>()
        var equal = SIMD8<Int16>()
        let key = SIMD8<UInt16>(repeating: tag)
        let vectors = slotCount & ~7
        var slot = 0
        while slot < vectors {
            // SAFETY: `slot + 8` tags are there. A mask's lanes are 0 and -1.
            let eight = unsafe UnsafeRawPointer(tags + slot).loadUnaligned(
                as: SIMD8<UInt16>.self)
            unsafe less &-= unsafeBitCast(eight .< key, to: SIMD8<Int16>.self)
            unsafe equal &-= unsafeBitCast(eight .== key, to: SIMD8<Int16>.self)
            slot &+= 8
        }
        var counts = (less: Int(less.wrappedSum()), equal: Int(equal.wrappedSum()))
        while slot < slotCount {
            if unsafe tags[slot] < tag { counts.less &+= 1 }
            if unsafe tags[slot] == tag { counts.equal &+= 1 }
            slot &+= 1
        }
        return counts
    }
}

extension SlotSet {
    /// The number of slots in the set.
    var count: Int { bits.nonzeroBitCount }

    /// The slot before which so many of the set are.
    func slot(_ nth: Int) -> Int {
        var left = bits
        for _ in 0..<nth { left &= left &- 1 }
        return left.trailingZeroBitCount
    }
}
