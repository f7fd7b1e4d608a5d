import CaesuraFormat

/// The hashes of the rows that a delta chunk inserts.
@safe
struct InsertedHashes {
    private let batch: DeltaBatch
    private let keyLeafCount: Int
    private let hashes: [UInt64]

    /// Hashes the keys and checks that they stand in hash order and in the chunk's range.
    init(
        _ batch: DeltaBatch, _ table: TableCore, _ hashKey: HashKey, _ range: HashRange,
        _ offset: Int
    ) throws(FormatError) {
        self.batch = batch
        keyLeafCount = table.layout.keyLeafCount
        var hasher = BatchHasher(hashKey: hashKey, keyLeafCount: keyLeafCount)
        try hasher.hash(batch.inserted, in: range, at: offset) { _, _ in nil }
        hashes = unsafe Array(
            UnsafeBufferPointer(start: hasher.hashes, count: batch.inserted.rowCount))
    }

    subscript(row: Int) -> UInt64 { hashes[row] }

    /// Rows whose pages are asked for before they are looked at.
    private static let ahead = 8

    /// Asks for the page that a row to come goes into.
    func prefetch(behind row: Int, in patcher: RowPatcher) {
        if row + Self.ahead < hashes.count {
            patcher.leaf(of: hashes[row + Self.ahead]).prefetchHeader()
        }
    }

    /// Checks that none of the rows is there.
    func check(areNewTo patcher: RowPatcher) throws(StoreError) {
        for row in hashes.indices {
            prefetch(behind: row, in: patcher)
            let key = { KeyBytes.canonical(row, batch.inserted, keyLeafCount) }
            if patcher.contains(hashes[row], key) {
                throw StoreError(
                    .inconsistentData, "a row to be inserted is there already",
                    region: patcher.table.schema.name)
            }
        }
    }
}
