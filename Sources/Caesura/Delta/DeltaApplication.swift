import CaesuraFormat

/// One delta chunk on its way into a table: everything is found and checked before anything is changed.
struct Application {
    private let patcher: RowPatcher
    /// How chunks hold the store's rows.
    private let layout: RegionLayout
    /// The changes as they came.
    private let data: DeltaBatch
    /// Makes them changes of the store's columns; nil if they are.
    private let resolver: DeltaResolver?
    /// The changes of the store's columns, once they are resolved.
    private let batch: DeltaBatch
    private let direction: LeafChanges.Direction
    private let pieces: DeltaPieces
    private let range: HashRange
    private let offset: Int

    init(
        _ patcher: RowPatcher, _ layout: RegionLayout, _ data: DeltaBatch,
        _ resolver: DeltaResolver?, _ direction: LeafChanges.Direction, _ pieces: DeltaPieces,
        _ range: HashRange,
        _ offset: Int
    ) {
        self.patcher = patcher
        self.layout = layout
        self.data = data
        self.resolver = resolver
        batch = resolver?.batch ?? data
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
        try pieces.check(data, at: offset)
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
            try pieces.makeRows(
                rows, from: first, leaves: leaves, as: resolver?.targets, at: offset)
            return try KeyedRows(
                resolver?.resolve(rows) ?? rows, from: first, pieces, table, hashKey, range, offset)
        }
        let leafCount = data.leaves.count
        let inserted = data.firstInsertedRow
        guard direction == .backwards else {
            return (try keyed(data.inserted, inserted, leaves: leafCount), nil)
        }
        return (
            try keyed(data.removedRows, data.firstRemovedRow, leaves: leafCount),
            try keyed(data.inserted, inserted, leaves: data.keyLeafCount)
        )
    }

    /// Finds the rows that go and the rows that change, and checks how many there are in all.
    private func find(
        _ going: KeyedRows?, _ partitions: ClosedRange<Int>
    ) throws(StoreError) -> FoundRows {
        var finder = RowFinder(table, in: range)
        let found: FoundRows
        var expected = data.baseRowCount
        if let going {
            expected += UInt64(data.inserted.rowCount)
            expected -= UInt64(data.removed.count)
            found = try finder.find(
                going: going, survivors: data.survivors, hashing: hasContent, partitions)
        } else {
            found = finder.find(
                removed: data.removed, updated: data.updated, hashing: hasContent, partitions)
        }
        guard found.rowCount == expected else {
            throw StoreError(
                .wrongBase,
                "the delta was not applied: it builds on \(expected) rows where the store has "
                    + "\(found.rowCount)", region: table.schema.name)
        }
        precondition(
            found.removed.count == going?.count ?? data.removed.count
                && found.updated.count == data.updated.count,
            "positions were compared with the number of rows")
        return found
    }

    // MARK: Checking

    /// Whether leaves of variable length change: then rows may move.
    private var hasContent: Bool {
        resolver?.fillsContent == true
            || data.changes.contains { changes in
                switch changes.new.kind {
                case .presence, .fixed: false
                case .bytes, .array: changes.new.count > 0
                }
            }
    }

    /// Makes the changes of each leaf the values that the rows are to have, in the store's columns.
    private func resolve(_ places: [RowPlace]) throws(FormatError) {
        if !places.isEmpty { try resolveValues(places.map(\.row)) }
        resolver?.resolve(data)
    }

    private func resolveValues(_ rows: [FrozenRow]) throws(FormatError) {
        let gatherer = RowGatherer(table.layout)
        for leaf in data.keyLeafCount..<data.leaves.count {
            let changes = data.changes[leaf]
            if changes.new.count == 0 || target(of: leaf) == nil { continue }
            if changes.mode == .value {
                try changes.check(data.leaves[leaf], direction, at: offset)
                continue
            }
            func gather(_ stored: Int, into column: ColumnBuffer) {
                gatherer.gather(
                    stored, of: data.masks.rows(rows, changing: leaf), absentToo: true, into: column
                )
            }
            if let resolver {
                resolver.takeBase(of: leaf, for: changes, gather)
            } else {
                changes.base.removeAll()
                gather(leaf, into: changes.base)
            }
            try changes.resolve(of: data.leaves[leaf], direction, at: offset)
        }
        if data.changes.contains(where: { $0.values(direction).hasSegmented }) {
            try makeLargeValues(rows)
        }
    }

    /// The store's leaf for one of the delta's; nil if it is not stored.
    private func target(of leaf: Int) -> Int? {
        if let resolver { resolver.targets[leaf] } else { leaf }
    }

    /// Makes the large values that updated rows are to have.
    private func makeLargeValues(_ rows: [FrozenRow]) throws(FormatError) {
        let leafCount = data.leaves.count
        for value in data.segmentedValues where value.row < data.firstInsertedRow {
            let isOld = value.leaf >= leafCount
            guard isOld == (direction == .backwards) else { continue }
            let leaf = value.leaf % leafCount
            guard let target = target(of: leaf) else { continue }
            try pieces.make(
                row: value.row, leaf: value.leaf, as: isOld ? value.leaf : target,
                data.leaves[leaf].kind, value.byteCount,
                from: LargeChange.value(rows[value.row], target, table), at: offset)
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
}

extension ChangeMasks {
    /// Those of the updated rows that change a leaf.
    func rows(_ rows: [FrozenRow], changing leaf: Int) -> [FrozenRow] {
        // Mostly all rows change the same fields.
        if count == 1 { return contains(leaf, in: 0) ? rows : [] }
        return zip(rows, codes).compactMap { contains(leaf, in: Int($1)) ? $0 : nil }
    }
}
