import CaesuraFormat

/// Rows of a delta chunk that have their keys: those that come, and those that go.
struct KeyedRows {
    let batch: ColumnBatch
    /// The number of the first row, as segments name it.
    let first: Int
    let pieces: DeltaPieces
    private let keyLeafCount: Int
    /// The hashes of the keys.
    private(set) var hashes: [UInt64] = []

    /// Hashes the keys and checks that they stand in hash order and in the chunk's range.
    init(
        _ batch: ColumnBatch, from first: Int, _ pieces: DeltaPieces, _ table: TableCore,
        _ hashKey: HashKey, _ range: HashRange, _ offset: Int
    ) throws(FormatError) {
        self.batch = batch
        self.first = first
        self.pieces = pieces
        keyLeafCount = table.layout.keyLeafCount
        if batch.rowCount == 0 { return }
        var hasher = BatchHasher(hashKey: hashKey, keyLeafCount: keyLeafCount)
        try hasher.hash(batch, in: range, at: offset) { row, leaf in
            pieces.value(row: row + first, leaf: leaf)
        }
        hashes = unsafe Array(
            UnsafeBufferPointer(start: hasher.hashes, count: batch.rowCount))
    }

    var count: Int { hashes.count }

    /// The canonical bytes of a row's key.
    func key(_ row: Int) -> [UInt8] {
        KeyBytes.canonical(row, batch, keyLeafCount) { [pieces, first] row, leaf in
            pieces.value(row: row + first, leaf: leaf)
        }
    }

    /// The canonical bytes of all keys.
    var keys: [[UInt8]] {
        KeyBytes.all(batch, keyLeafCount) { [pieces, first] row, leaf in
            pieces.value(row: row + first, leaf: leaf)
        }
    }

    /// Rows whose pages are asked for before they are looked at.
    private static let ahead = 8

    /// Asks for the page that a row to come is, or goes, into.
    func prefetch(behind row: Int, in patcher: RowPatcher) {
        if row + Self.ahead < hashes.count {
            patcher.leaf(of: hashes[row + Self.ahead]).prefetchHeader()
        }
    }

    /// Checks that none of the rows is there.
    func check(areNewTo patcher: RowPatcher) throws(StoreError) {
        for row in hashes.indices {
            prefetch(behind: row, in: patcher)
            if patcher.contains(hashes[row], { key(row) }) {
                throw StoreError(
                    .inconsistentData, "a row that a delta brings is there already",
                    region: patcher.table.schema.name)
            }
        }
    }
}
