import CaesuraFormat

/// One delta chunk on its way into a table: everything is found and checked before anything is changed.
struct Application {
    private let patcher: RowPatcher
    private let layout: RegionLayout
    private let batch: DeltaBatch
    private let range: HashRange
    private let offset: Int

    init(
        _ patcher: RowPatcher, _ layout: RegionLayout, _ batch: DeltaBatch, _ range: HashRange,
        _ offset: Int
    ) {
        self.patcher = patcher
        self.layout = layout
        self.batch = batch
        self.range = range
        self.offset = offset
    }

    private var table: TableCore { patcher.table }

    /// Applies the chunk under the locks of its range's partitions.
    func run(hashKey: HashKey) throws {
        var hasher = BatchHasher(hashKey: hashKey, keyLeafCount: table.layout.keyLeafCount)
        if batch.inserted.rowCount > 0 {
            try checkInserted()
            try hasher.hash(batch.inserted, in: range, at: offset) { _, _ in nil }
        }
        // Ascending, as everybody does who takes several locks.
        let partitions =
            table.partitionIndex(of: range.first)...table.partitionIndex(of: range.last)
        var freed = LargeValueList()
        defer { freed.deallocateAll() }
        for index in partitions {
            unsafe table.partition(index).lock()
            unsafe table.partition(index).pointee.beginWriting()
        }
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
        let (removed, _) = patcher.places(batch.removed, in: range, partitions)
        let (updated, rowCount) = patcher.places(batch.updated, in: range, partitions)
        guard rowCount == batch.baseRowCount else {
            throw StoreError(
                .wrongBase,
                "the delta was not applied: it builds on \(batch.baseRowCount) rows where the store has "
                    + "\(rowCount)", region: table.schema.name)
        }
        precondition(
            removed.count == batch.removed.count && updated.count == batch.updated.count,
            "the decoder has compared positions with the number of rows")
        try resolve(updated)
        try checkCases(updated)
        for row in 0..<batch.inserted.rowCount {
            let key = { KeyBytes.canonical(row, batch.inserted, table.layout.keyLeafCount) }
            if unsafe patcher.contains(hasher.hashes[row], key) {
                throw StoreError(
                    .inconsistentData, "a row to be inserted is there already",
                    region: table.schema.name)
            }
        }
        update(updated)
        remove(removed)
        insert(hasher)
    }

    // MARK: Checking

    private func checkInserted() throws(FormatError) {
        guard batch.inserted.segmentedValues.isEmpty else {
            throw FormatError(
                .unsupported, "a value of more than 64 KiB in a delta is of a newer format",
                at: offset)
        }
    }

    /// Makes the changes of each leaf its new values.
    private func resolve(_ places: [RowPlace]) throws {
        let gatherer = RowGatherer(table.layout)
        for leaf in batch.keyLeafCount..<batch.leaves.count {
            let changes = batch.changes[leaf]
            if changes.new.count == 0 { continue }
            let rows = batch.masks.rows(places.map(\.row), changing: leaf)
            let before = ColumnBuffer(kind: changes.new.kind)
            guard gatherer.gather(leaf, of: rows, absentToo: true, into: before) else {
                throw FormatError(
                    .unsupported, "a value of more than 64 KiB in a delta is of a newer format",
                    at: offset)
            }
            try changes.resolve(against: before, of: batch.leaves[leaf], at: offset)
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
        var values = ChangedValues(batch)
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
        var values = ChangedValues(batch)
        for (index, place) in places.enumerated() {
            values.next(index)
            var byteCounts: [(leaf: Int, byteCount: Int)] = []
            for leaf in batch.keyLeafCount..<batch.leaves.count where isHeap(leaf) {
                if let bytes = unsafe values[leaf] {
                    byteCounts.append((leaf, bytes.count))
                }
            }
            unsafe patcher.update(place, byteCounts: byteCounts) { entry, heap in
                for leaf in batch.keyLeafCount..<batch.leaves.count {
                    guard let bytes = unsafe values[leaf] else { continue }
                    let target = unsafe entry + table.layout.leaves[leaf].offset
                    if isHeap(leaf) {
                        var reference = unsafe target.load(as: HeapReference.self)
                        unsafe heap.replace(&reference, with: bytes)
                        unsafe target.storeBytes(of: reference, as: HeapReference.self)
                    } else {
                        unsafe target.copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
                    }
                }
                unsafe clearAbsent(entry, heap)
            }
        }
    }

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

    private func remove(_ places: [RowPlace]) {
        // The last first, so that those of the same hash before it are still there.
        for place in places.reversed() { patcher.remove(place.hash, tie: place.tie) }
    }

    private func insert(_ hasher: borrowing BatchHasher) {
        var rows = RowValues(batch.inserted)
        for row in 0..<batch.inserted.rowCount {
            rows.next()
            var byteCounts: [Int] = []
            for leaf in batch.leaves.indices where isHeap(leaf) {
                unsafe byteCounts.append(rows[leaf]?.count ?? 0)
            }
            unsafe patcher.insert(hasher.hashes[row], byteCounts: byteCounts) { entry, heap in
                for leaf in batch.leaves.indices {
                    guard let bytes = unsafe rows[leaf] else { continue }
                    let target = unsafe entry + table.layout.leaves[leaf].offset
                    if isHeap(leaf) {
                        unsafe target.storeBytes(of: heap.place(bytes), as: HeapReference.self)
                    } else {
                        unsafe target.copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
                    }
                }
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

/// The place of one column's next value.
@safe
private struct ValueCursor {
    private let column: ColumnBuffer
    private var index = 0
    private var content = 0

    init(_ column: ColumnBuffer) { self.column = column }

    /// The next value's bytes.
    mutating func next() -> UnsafeRawBufferPointer {
        defer { index += 1 }
        switch column.kind {
        case .presence, .fixed:
            return unsafe UnsafeRawBufferPointer(
                start: column.values + index * column.width, count: column.width)
        case .bytes, .array:
            let byteCount = unsafe Int(column.lengths[index]) * column.width
            defer { content += byteCount }
            return unsafe UnsafeRawBufferPointer(start: column.content + content, count: byteCount)
        }
    }
}

/// The new values of one updated row after the other.
@safe
private struct ChangedValues {
    private let batch: DeltaBatch
    private var cursors: [ValueCursor]
    private var values: [UnsafeRawBufferPointer?]

    init(_ batch: DeltaBatch) {
        self.batch = batch
        cursors = batch.changes.map { ValueCursor($0.new) }
        unsafe values = Array(repeating: nil, count: cursors.count)
    }

    mutating func next(_ row: Int) {
        let code = Int(batch.masks.codes[row])
        for leaf in batch.keyLeafCount..<cursors.count {
            unsafe values[leaf] =
                batch.masks.contains(leaf, in: code) ? cursors[leaf].next() : nil
        }
    }

    /// The new value of a leaf, if it has changed.
    subscript(leaf: Int) -> UnsafeRawBufferPointer? { unsafe values[leaf] }
}

/// The values of one row of a batch after the other.
@safe
private struct RowValues {
    private let batch: ColumnBatch
    private var cursors: [ValueCursor]
    private var values: [UnsafeRawBufferPointer?]

    init(_ batch: ColumnBatch) {
        self.batch = batch
        cursors = batch.columns.map { ValueCursor($0) }
        unsafe values = Array(repeating: nil, count: cursors.count)
    }

    mutating func next() {
        for leaf in cursors.indices {
            if let scope = batch.leaves[leaf].scope {
                let isPresent = unsafe values[scope].map { unsafe $0[0] == 1 } ?? false
                guard isPresent else {
                    unsafe values[leaf] = nil
                    continue
                }
            }
            unsafe values[leaf] = cursors[leaf].next()
        }
    }

    subscript(leaf: Int) -> UnsafeRawBufferPointer? { unsafe values[leaf] }
}
