import CaesuraFormat

/// One delta chunk on its way into a table: everything is found and checked before anything is changed.
struct Application {
    private let patcher: RowPatcher
    private let layout: RegionLayout
    private let batch: DeltaBatch
    private let direction: LeafChanges.Direction
    private let pieces: DeltaPieces
    private let range: HashRange
    private let offset: Int

    init(
        _ patcher: RowPatcher, _ layout: RegionLayout, _ batch: DeltaBatch,
        _ direction: LeafChanges.Direction, _ pieces: DeltaPieces, _ range: HashRange,
        _ offset: Int
    ) {
        self.patcher = patcher
        self.layout = layout
        self.batch = batch
        self.direction = direction
        self.pieces = pieces
        self.range = range
        self.offset = offset
    }

    private var table: TableCore { patcher.table }

    /// Applies the chunk under the locks of its range's partitions.
    ///
    /// - Parameter writeCount: How often it has had a partition's lock is added to it, whatever comes of it.
    func run(hashKey: HashKey, writeCount: inout Int) throws {
        try pieces.check(batch, at: offset)
        let (coming, going) = try keyedRows(hashKey)
        // Ascending, as everybody does who takes several locks.
        let partitions =
            table.partitionIndex(of: range.first)...table.partitionIndex(of: range.last)
        var freed = LargeValueList()
        defer { freed.deallocateAll() }
        for index in partitions {
            unsafe table.partition(index).lock()
            unsafe table.partition(index).pointee.beginWriting()
        }
        writeCount &+= partitions.count
        defer {
            for index in partitions {
                let partition = unsafe table.partition(index)
                unsafe partition.pointee.settleReplacedValues(freeing: &freed)
                unsafe partition.unlock()
            }
        }
        guard !table.isReplaced else {
            throw StoreError(
                .wrongBase,
                "the delta was not applied: the table has taken its Swift types meanwhile; begin again",
                region: table.schema.name)
        }
        let found = try find(going, partitions)
        try resolve(found.updated)
        try checkCases(found.updated)
        try coming.check(areNewTo: patcher)
        update(found.updated)
        // The last first, so that those of the same hash before it are still there.
        for place in found.removed.reversed() { patcher.remove(place) }
        insert(coming)
    }

    /// The rows that come, and those that go and have their keys in the chunk: backwards only.
    private func keyedRows(
        _ hashKey: HashKey
    ) throws(FormatError) -> (coming: KeyedRows, going: KeyedRows?) {
        func keyed(_ rows: ColumnBatch, _ first: Int, leaves: Int) throws(FormatError) -> KeyedRows
        {
            try pieces.makeRows(rows, from: first, leaves: leaves, at: offset)
            return try KeyedRows(rows, from: first, pieces, table, hashKey, range, offset)
        }
        let leafCount = batch.leaves.count
        let inserted = batch.firstInsertedRow
        guard direction == .backwards else {
            return (try keyed(batch.inserted, inserted, leaves: leafCount), nil)
        }
        return (
            try keyed(batch.removedRows, batch.firstRemovedRow, leaves: leafCount),
            try keyed(batch.inserted, inserted, leaves: batch.keyLeafCount)
        )
    }

    /// Finds the rows that go and the rows that change, and checks how many there are in all.
    private func find(
        _ going: KeyedRows?, _ partitions: ClosedRange<Int>
    ) throws(StoreError) -> FoundRows {
        var finder = RowFinder(table, in: range)
        let found: FoundRows
        var expected = batch.baseRowCount
        if let going {
            expected += UInt64(batch.inserted.rowCount)
            expected -= UInt64(batch.removed.count)
            found = try finder.find(
                going: going, survivors: batch.survivors, hashing: hasContent, partitions)
        } else {
            found = finder.find(
                removed: batch.removed, updated: batch.updated, hashing: hasContent, partitions)
        }
        guard found.rowCount == expected else {
            throw StoreError(
                .wrongBase,
                "the delta was not applied: it builds on \(expected) rows where the store has "
                    + "\(found.rowCount)", region: table.schema.name)
        }
        precondition(
            found.removed.count == going?.count ?? batch.removed.count
                && found.updated.count == batch.updated.count,
            "positions were compared with the number of rows")
        return found
    }

    // MARK: Checking

    /// Whether leaves of variable length change: then rows may move.
    private var hasContent: Bool {
        batch.leaves.indices.contains { isHeap($0) && batch.changes[$0].new.count > 0 }
    }

    /// Makes the changes of each leaf the values that the rows are to have.
    private func resolve(_ places: [RowPlace]) throws(FormatError) {
        if places.isEmpty { return }
        let gatherer = RowGatherer(table.layout)
        let rows = places.map(\.row)
        for leaf in batch.keyLeafCount..<batch.leaves.count {
            let changes = batch.changes[leaf]
            if changes.new.count == 0 { continue }
            if changes.mode == .value {
                try changes.check(batch.leaves[leaf], direction, at: offset)
            } else {
                changes.base.removeAll()
                gatherer.gather(
                    leaf, of: batch.masks.rows(rows, changing: leaf), absentToo: true,
                    into: changes.base)
                try changes.resolve(of: batch.leaves[leaf], direction, at: offset)
            }
        }
        if batch.changes.contains(where: { $0.values(direction).hasSegmented }) {
            try makeLargeValues(rows)
        }
    }

    /// Makes the large values that updated rows are to have.
    private func makeLargeValues(_ rows: [FrozenRow]) throws(FormatError) {
        let leafCount = batch.leaves.count
        for value in batch.segmentedValues where value.row < batch.firstInsertedRow {
            let isOld = value.leaf >= leafCount
            guard isOld == (direction == .backwards) else { continue }
            let leaf = value.leaf % leafCount
            try pieces.make(
                row: value.row, leaf: value.leaf, batch.leaves[leaf].kind, value.byteCount,
                from: LargeChange.value(rows[value.row], leaf, table), at: offset)
        }
    }

    /// Checks that enumerations hold their cases in the rows as they will be.
    private func checkCases(_ places: [RowPlace]) throws(FormatError) {
        let leaves = batch.leaves
        let isNeeded = leaves.contains { leaf in
            if case .enumeration = leaf.type { return true }
            return leaf.scope != nil
        }
        if !isNeeded { return }
        var values = ChangedValues(batch, table.layout, direction, pieces)
        for (index, place) in places.enumerated() {
            values.next(index)
            for leaf in batch.keyLeafCount..<leaves.count {
                guard isPresent(leaf, values, place) else { continue }
                if let bytes = unsafe values[leaf] {
                    guard unsafe layout.isCase(bytes, of: leaf) else {
                        throw FormatError(
                            .malformed, "a changed value is no case of its type", at: offset)
                    }
                } else if let scope = leaves[leaf].scope, unsafe values[scope] != nil {
                    throw FormatError(
                        .malformed, "an optional has come without its value", at: offset)
                }
            }
        }
    }

    /// Whether a row will have a value for a leaf.
    private func isPresent(_ leaf: Int, _ values: ChangedValues, _ place: RowPlace) -> Bool {
        guard let scope = batch.leaves[leaf].scope else { return true }
        guard isPresent(scope, values, place) else { return false }
        if let bytes = unsafe values[scope] { return unsafe bytes[0] == 1 }
        return unsafe place.row.entry.load(
            fromByteOffset: table.layout.leaves[scope].offset, as: UInt8.self) == 1
    }

    // MARK: Changing

    private func update(_ places: [RowPlace]) {
        var values = ChangedValues(batch, table.layout, direction, pieces)
        var index = 0
        while index < places.count {
            var page: Page? = patcher.writablePage(places[index])
            let first = unsafe places[index].row.page
            repeat {
                values.next(index)
                let place = places[index]
                if values.hasContent || page == nil {
                    let isThere = unsafe patcher.update(
                        place, in: page, byteCounts: values.byteCounts
                    ) { entry, heap in
                        unsafe values.store(in: entry, &heap)
                        unsafe clearAbsent(entry, heap)
                    }
                    // The rows that follow in a page that was rebuilt are looked up.
                    if !isThere { page = nil }
                } else if let page {
                    let entry = unsafe page.entries + place.slot &* table.layout.stride
                    unsafe values.storeFixed(in: entry)
                    if hasScopes {
                        unsafe clearAbsent(entry, writer(page, place.partition))
                    }
                    patcher.stamp(page, place)
                }
                index += 1
            } while unsafe index < places.count && places[index].row.page == first
        }
    }

    private func writer(_ page: Page, _ partition: Int) -> HeapWriter {
        unsafe HeapWriter(
            page: page.base, limit: Page.valueLimit, staged: nil,
            partition: table.partition(partition))
    }

    private var hasScopes: Bool { batch.leaves.contains { $0.scope != nil } }

    /// Makes the leaves of optionals that are absent zero and empty, as everybody else leaves them.
    ///
    /// An outer presence leaf comes before the inner ones.
    private func clearAbsent(_ entry: UnsafeMutableRawPointer, _ heap: HeapWriter) {
        for leaf in table.layout.leaves {
            guard let scope = leaf.scope else { continue }
            let presence = table.layout.leaves[scope].offset
            guard unsafe entry.load(fromByteOffset: presence, as: UInt8.self) == 0 else { continue }
            switch leaf.kind {
            case .presence:
                unsafe entry.storeBytes(of: 0, toByteOffset: leaf.offset, as: UInt8.self)
            case .fixed(let scalar):
                unsafe (entry + leaf.offset).initializeMemory(
                    as: UInt8.self, repeating: 0, count: scalar.width)
            case .bytes, .array:
                unsafe heap.discard(
                    entry.load(fromByteOffset: leaf.offset, as: HeapReference.self))
                unsafe entry.storeBytes(
                    of: HeapReference(), toByteOffset: leaf.offset, as: HeapReference.self)
            }
        }
    }

    private func insert(_ rows: KeyedRows) {
        if rows.count == 0 { return }
        var filler = PageFiller(table.layout, rows.batch)
        let sums = filler.heapSums()
        for row in 0..<rows.count {
            let hash = rows.hashes[row]
            rows.prefetch(behind: row, in: patcher)
            let (page, slot, limit) = patcher.insertSlot(for: hash, heap: sums[row + 1] - sums[row])
            filler.use(slot, of: page, index: 0)
            let epoch = unsafe table.partition(table.partitionIndex(of: hash)).pointee.writeEpoch
            filler.fill(page, row: row, count: 1, epoch: epoch, limit: limit) {
                pieces.take(row: rows.first + $0, leaf: $1)
            }
        }
    }

    private func isHeap(_ leaf: Int) -> Bool {
        switch batch.leaves[leaf].kind {
        case .presence, .fixed: false
        case .bytes, .array: true
        }
    }
}

extension ChangeMasks {
    /// Those of the updated rows that change a leaf.
    func rows(_ rows: [FrozenRow], changing leaf: Int) -> [FrozenRow] {
        // Mostly all rows change the same fields.
        if count == 1 { return contains(leaf, in: 0) ? rows : [] }
        return zip(rows, codes).compactMap { contains(leaf, in: Int($1)) ? $0 : nil }
    }
}
