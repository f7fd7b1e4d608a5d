import CaesuraFormat

/// Hashes the keys of a decoded batch and checks that its rows stand in hash order and in their range.
@safe
struct BatchHasher: ~Copyable {
    private let hashKey: HashKey
    private let keyLeafCount: Int
    /// The hash of each row.
    private(set) var hashes: UnsafeMutablePointer<UInt64>

    init(hashKey: HashKey, keyLeafCount: Int) {
        self.hashKey = hashKey
        self.keyLeafCount = keyLeafCount
        unsafe hashes = .allocate(capacity: Limits.rowsPerChunk)
    }

    deinit { unsafe hashes.deallocate() }

    /// Hashes all rows; `segmented` has the content of key values that came in segments.
    mutating func hash(
        _ batch: ColumnBatch, in range: HashRange, at offset: Int,
        segmented: (_ row: Int, _ leaf: Int) -> LargeValue?
    ) throws(FormatError) {
        let first = batch.columns[0]
        switch (keyLeafCount, first.kind) {
        case (0, _): unsafe hashes.initialize(repeating: NoKey.hash, count: batch.rowCount)
        case (1, .fixed(let scalar)) where scalar.width == 8:
            for row in 0..<batch.rowCount {
                // SAFETY: the column has `rowCount` values of 8 bytes; `hashes` has room for a chunk's rows.
                unsafe hashes[row] = unsafe hashKey.hash(
                    first.values.loadUnaligned(fromByteOffset: row &* 8, as: UInt64.self))
            }
        case (1, .fixed(let scalar)):
            for row in 0..<batch.rowCount {
                unsafe hashes[row] = unsafe hashKey.hash(
                    bytes: UnsafeRawBufferPointer(
                        start: first.values + row &* scalar.width, count: scalar.width))
            }
        default: hashLeaves(batch, segmented)
        }
        try check(batch, range, offset, segmented)
    }

    private func hashLeaves(
        _ batch: ColumnBatch, _ segmented: (_ row: Int, _ leaf: Int) -> LargeValue?
    ) {
        var cursor = KeyCursor(batch, keyLeafCount)
        for row in 0..<batch.rowCount {
            var hasher = KeyHasher(key: hashKey)
            unsafe cursor.next(row, segmented) { unsafe hasher.absorb($0) }
            unsafe hashes[row] = hasher.finalize()
        }
    }

    private func check(
        _ batch: ColumnBatch, _ range: HashRange, _ offset: Int,
        _ segmented: (_ row: Int, _ leaf: Int) -> LargeValue?
    ) throws(FormatError) {
        guard unsafe range.contains(hashes[0]), unsafe range.contains(hashes[batch.rowCount - 1])
        else {
            throw FormatError(.malformed, "a chunk has rows outside its hash range", at: offset)
        }
        var ties = false
        for row in 1..<max(1, batch.rowCount) {
            if unsafe hashes[row - 1] > hashes[row] {
                throw FormatError(.malformed, "a chunk's rows are not in hash order", at: offset)
            }
            ties = unsafe ties || hashes[row - 1] == hashes[row]
        }
        guard ties else { return }
        var cursor = KeyCursor(batch, keyLeafCount)
        var previous: [UInt8] = []
        for row in 0..<batch.rowCount {
            var key: [UInt8] = []
            unsafe cursor.next(row, segmented) { unsafe key += $0 }
            if row > 0, unsafe hashes[row - 1] == hashes[row],
                !previous.lexicographicallyPrecedes(key)
            {
                throw FormatError(.malformed, "a chunk has a key twice or out of order", at: offset)
            }
            previous = key
        }
    }
}

/// The canonical bytes of keys.
enum KeyBytes {
    /// Those of a row's key; `segmented` has the content of values that came in segments.
    ///
    /// - Complexity: O(rows before it).
    static func canonical(
        _ row: Int, _ batch: ColumnBatch, _ keyLeafCount: Int,
        segmented: (_ row: Int, _ leaf: Int) -> LargeValue?
    ) -> [UInt8] {
        var cursor = KeyCursor(batch, keyLeafCount)
        var key: [UInt8] = []
        for index in 0...row {
            key.removeAll(keepingCapacity: true)
            unsafe cursor.next(index, segmented, absorb: { unsafe key += $0 })
        }
        return key
    }

    /// Those of all rows' keys.
    static func all(
        _ batch: ColumnBatch, _ keyLeafCount: Int,
        segmented: (_ row: Int, _ leaf: Int) -> LargeValue?
    ) -> [[UInt8]] {
        var cursor = KeyCursor(batch, keyLeafCount)
        return (0..<batch.rowCount).map { row in
            var key: [UInt8] = []
            unsafe cursor.next(row, segmented, absorb: { unsafe key += $0 })
            return key
        }
    }
}

/// Walks the keys of a batch and gives their canonical bytes.
private struct KeyCursor {
    private let batch: ColumnBatch
    private let keyLeafCount: Int
    private var index: [Int]
    private var content: [Int]
    private var isPresent: [Bool]

    init(_ batch: ColumnBatch, _ keyLeafCount: Int) {
        self.batch = batch
        self.keyLeafCount = keyLeafCount
        index = Array(repeating: 0, count: keyLeafCount)
        content = index
        isPresent = Array(repeating: true, count: keyLeafCount)
    }

    /// Calls `absorb` with the canonical bytes of the next row's key, piece by piece.
    mutating func next(
        _ row: Int, _ segmented: (_ row: Int, _ leaf: Int) -> LargeValue?,
        absorb: (UnsafeRawBufferPointer) -> Void
    ) {
        for leaf in 0..<keyLeafCount {
            let scope = batch.leaves[leaf].scope
            isPresent[leaf] = scope.map { isPresent[$0] } ?? true
            guard isPresent[leaf] else { continue }
            let column = batch.columns[leaf]
            let position = index[leaf]
            index[leaf] += 1
            switch column.kind {
            case .presence:
                let byte = unsafe column.values.load(fromByteOffset: position, as: UInt8.self)
                isPresent[leaf] = byte != 0
                unsafe withUnsafeBytes(of: byte) { unsafe absorb($0) }
            case .fixed:
                unsafe absorb(
                    UnsafeRawBufferPointer(
                        start: column.values + position * column.width, count: column.width))
            case .bytes, .array:
                let byteCount = unsafe Int(column.lengths[position]) * column.width
                if keyLeafCount > 1 {
                    unsafe withUnsafeBytes(of: UInt32(byteCount).littleEndian) { unsafe absorb($0) }
                }
                if byteCount > Limits.inlineValueBytes {
                    unsafe segmented(row, leaf)?.withContiguousBytes { unsafe absorb($0) }
                } else {
                    unsafe absorb(
                        UnsafeRawBufferPointer(
                            start: column.content + content[leaf], count: byteCount))
                    content[leaf] += byteCount
                }
            }
        }
    }
}
