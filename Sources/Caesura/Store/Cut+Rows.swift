import CaesuraFormat

extension Cut {
    /// Calls `body` with each row of a table as it was at the cut, in the order of the keys' hashes.
    ///
    /// Writers go on meanwhile; a cancellation of the cut waits for one page's calls.
    ///
    /// - Throws: `cutCancelled`, `cutClosed`, `unknownRegion` when the table is younger than the cut, and
    ///   what `body` throws.
    public func forEach<Key: TableKey, Row: SchemaStruct>(
        in table: Table<Key, Row>, _ body: (Key, borrowing Row.Reader) throws -> Void
    ) throws {
        let frozen = try self.frozen(table.core)
        for root in frozen.roots { try forEach(below: root, in: table.core, body, Row.self) }
    }

    private func forEach<Key: TableKey, Row: SchemaStruct>(
        below root: DirectoryEntry, in core: TableCore,
        _ body: (Key, borrowing Row.Reader) throws -> Void, _ type: Row.Type
    ) throws {
        // Which pages there are is read at once, what they hold page by page.
        let pages = try read { () throws(StoreError) in
            var pages: [Page] = []
            FrozenTable.forEachPage(below: root) { pages.append($0) }
            return pages
        }
        var gatherer = PageGatherer(core)
        for page in pages {
            try read(
                { () throws(any Error) in
                    let heap = unsafe HeapView(page: UnsafeRawPointer(page.base))
                    _ = try unsafe gatherer.forEachRow(of: page, in: nil) { _, entry in
                        let key = unsafe Key.load(
                            entry.load(
                                fromByteOffset: EntryShape<Key, Row>.keyOffset, as: Key.Stored.self),
                            from: heap)
                        try unsafe body(
                            key,
                            Row.Reader(
                                RowView(row: entry + EntryShape<Key, Row>.rowOffset, heap: heap)))
                    }
                }, cancelled: { $0 })
        }
    }

    /// Reads a row as it was at the cut; nil when there was none.
    ///
    /// - Throws: As ``forEach(in:_:)`` does.
    public func read<Key: TableKey, Row: SchemaStruct, Result>(
        _ key: Key, in table: Table<Key, Row>, _ body: (borrowing Row.Reader) throws -> Result
    ) throws -> Result? {
        let frozen = try self.frozen(table.core)
        let hash = key.hash(with: store.hashKey)
        let bits = table.core.partitionBits
        let root = frozen.roots[bits == 0 ? 0 : Int(hash >> UInt64(64 - bits))]
        return try read(
            { () throws(any Error) in
                try root.read(
                    key, hash, depth: bits, stride: table.core.pageLayout.stride, as: Row.self, body
                )
            }, cancelled: { $0 })
    }

    /// Reads a cell's value as it was at the cut.
    ///
    /// - Throws: As ``forEach(in:_:)`` does.
    public func read<Value: SchemaStruct, Result>(
        _ cell: Cell<Value>, _ body: (borrowing Value.Reader) throws -> Result
    ) throws -> Result {
        let root = try frozen(cell.core).roots[0]
        return try read(
            { () throws(any Error) in
                let result = try root.read(
                    NoKey(), NoKey.hash, depth: 0, stride: cell.core.pageLayout.stride,
                    as: Value.self, body)
                guard let result else { preconditionFailure("a cell has a value") }
                return result
            }, cancelled: { $0 })
    }

    private func frozen(_ table: TableCore) throws(StoreError) -> FrozenTable {
        requireAll()
        guard let frozen = tables.first(where: { $0.table === table }) else {
            throw StoreError(
                .unknownRegion, "the cut is older than the region, or of another store",
                region: table.schema.name, epoch: epoch)
        }
        return frozen
    }
}
