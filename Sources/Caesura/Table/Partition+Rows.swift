import CaesuraFormat

/// Finding and reading rows by Swift types, under the lock.
extension Partition {
    /// The entry of a key, its slot and the directory's entry of its page.
    @inlinable @inline(__always) func find<Key: TableKey, Row: SchemaStruct>(
        _ key: Key, _ hash: UInt64, as type: Row.Type, inserting: Bool = false
    ) -> (entry: UnsafeMutableRawPointer, slot: Int, leaf: DirectoryEntry)? {
        unsafe root.find(
            key, hash, depth: depth, stride: layout.stride, as: type, inserting: inserting)
    }

    @inlinable func load<Key: TableKey, Row: SchemaStruct>(
        _ key: Key, _ hash: UInt64, as type: Row.Type
    ) -> Row? {
        guard let found = unsafe find(key, hash, as: type) else { return nil }
        return unsafe Row.load(
            found.entry.load(
                fromByteOffset: EntryShape<Key, Row>.rowOffset, as: Row.Stored.self),
            from: HeapView(page: found.leaf.address))
    }

    @inlinable @inline(__always) func read<Key: TableKey, Row: SchemaStruct, Result>(
        _ key: Key, _ hash: UInt64, as type: Row.Type,
        _ body: (borrowing Row.Reader) throws -> Result
    ) rethrows -> Result? {
        try root.read(key, hash, depth: depth, stride: layout.stride, as: type, body)
    }
}

/// Writing rows by Swift types, under the lock.
extension UnsafeMutablePointer where Pointee == Partition {
    /// A cursor on a row that is there, its page made writable.
    @inlinable @inline(__always) func cursor<Key: TableKey, Row: SchemaStruct>(
        _ key: Key, _ hash: UInt64, as type: Row.Type,
        staged: UnsafeMutablePointer<StagedValues>?, inserting: Bool = false
    ) -> RowCursor? {
        guard let found = unsafe pointee.find(key, hash, as: type, inserting: inserting)
        else {
            return nil
        }
        var page = unsafe Page(base: found.leaf.address)
        var entry = unsafe found.entry
        if unsafe found.leaf.epoch != pointee.writeEpoch {
            page = unsafe pointee.writablePage(for: hash)
            // A copy has its rows in the same slots.
            unsafe entry = unsafe page.base + (entry - found.leaf.address)
        }
        return unsafe RowCursor(
            entry: entry, slot: found.slot, rowOffset: EntryShape<Key, Row>.rowOffset, hash: hash,
            heap: HeapWriter(
                page: page.base, limit: Page.valueLimit, staged: staged, partition: self))
    }

    /// Stamps a row as changed in this epoch.
    @inlinable @inline(__always) func stamp(_ cursor: borrowing RowCursor) {
        guard cursor.changes != 0 else { return }
        let old = unsafe cursor.entry.load(as: UInt64.self)
        // The mask collects the changes of one epoch.
        let isStamped = unsafe old &>> 16 == pointee.writeEpoch
        let mask = isStamped ? UInt16(truncatingIfNeeded: old) | cursor.changes : cursor.changes
        unsafe cursor.entry.storeBytes(
            of: pointee.writeEpoch &<< 16 | UInt64(mask), as: UInt64.self)
        // A row that was stamped in this epoch is noted; to look would wait for another cache line.
        if !isStamped {
            unsafe Page.noteChange(cursor.slot, of: cursor.heap.page)
        }
    }

    /// Which optionals that have kept fields are present in a row that is about to change.
    @inlinable @inline(__always) func presence(_ cursor: borrowing RowCursor) -> UInt64 {
        guard unsafe pointee.layout.settlesKeptFields else { return 0 }
        return unsafe pointee.layout.keptPresence(in: UnsafeRawPointer(cursor.entry))
    }

    /// Stamps a row that has changed, and brings its kept fields in line.
    ///
    /// - Parameter before: ``presence(_:)`` as it was.
    @inlinable @inline(__always) func finish(
        _ cursor: borrowing RowCursor, presentBefore before: UInt64
    ) {
        unsafe stamp(cursor)
        if unsafe pointee.layout.settlesKeptFields {
            unsafe settleKept(cursor.entry, cursor.slot, cursor.hash, cursor.heap, before)
        }
    }

    @usableFromInline func settleKept(
        _ entry: UnsafeMutableRawPointer, _ slot: Int, _ hash: UInt64, _ heap: HeapWriter,
        _ before: UInt64
    ) {
        let kept = unsafe pointee.layout.kept
        guard unsafe kept.presence(in: entry) != before else { return }
        var (entry, heap) = unsafe (entry, heap)
        heap.limit = Page.valueLimit
        let needed = kept.heapByteCount(upTo: heap.limit)
        if heap.room < needed {
            var (page, slot, hasRoom) = unsafe pointee.reserveHeap(
                needed, for: hash, slot: slot, isSpilled: false)
            if !hasRoom {
                // As RowCursor.reserve does.
                heap.limit = 0
                (page, slot, hasRoom) = unsafe pointee.reserveHeap(
                    kept.heapByteCount(upTo: 0), for: hash, slot: slot, isSpilled: true)
                precondition(hasRoom, "a row's references fit in a page")
            }
            unsafe entry = unsafe page.entries + slot * pointee.layout.stride
            unsafe heap.page = unsafe page.base
        }
        unsafe kept.settle(entry, heap, presentBefore: before)
    }

    @inlinable @inline(__always) func update<Key: TableKey, Row: SchemaStruct, Result>(
        _ key: Key, _ hash: UInt64, as type: Row.Type,
        staged: UnsafeMutablePointer<StagedValues>?, _ body: (inout Row.Editor) throws -> Result
    ) rethrows -> Result? {
        guard let cursor = unsafe cursor(key, hash, as: type, staged: staged) else { return nil }
        let before = unsafe presence(cursor)
        var editor = Row.Editor(cursor)
        // Not `defer`, which becomes a call that is given the editor in memory: it waits for the stores.
        let result: Result
        do {
            result = try body(&editor)
        } catch {
            unsafe finish(editor.cursor, presentBefore: before)
            throw error
        }
        unsafe finish(editor.cursor, presentBefore: before)
        return result
    }

    @inlinable func set<Key: TableKey, Row: SchemaStruct>(
        _ row: Row, for key: Key, _ hash: UInt64, staged: UnsafeMutablePointer<StagedValues>
    ) {
        if var cursor = unsafe cursor(key, hash, as: Row.self, staged: staged, inserting: true) {
            let before = unsafe presence(cursor)
            unsafe cursor.reserve(for: row, replacing: cursor.stored(as: Row.Stored.self).pointee)
            let stored = unsafe cursor.stored(as: Row.Stored.self)
            unsafe Row.replace(&stored.pointee, with: row, in: &cursor.heap)
            cursor.changes = 0xFFFF
            unsafe finish(cursor, presentBefore: before)
            return
        }
        var limit = Page.valueLimit
        var heap = 0
        if !(Key.isInline && Row.isInline) {
            heap =
                Key.heapByteCount(of: key, upTo: limit) + Row.heapByteCount(of: row, upTo: limit)
            if heap > Page.softSize / 2 {
                // Many values that would each fit: a page must hold more than one such row.
                limit = 0
                heap = Key.heapByteCount(of: key, upTo: 0) + Row.heapByteCount(of: row, upTo: 0)
            }
        }
        let keepsFields = unsafe pointee.layout.keepsFields
        if keepsFields { heap += unsafe pointee.layout.keptHeapByteCount(upTo: limit) }
        let (page, slot) = unsafe pointee.insertSlot(for: hash, heap: heap)
        var writer = unsafe HeapWriter(
            page: page.base, limit: limit, staged: staged, partition: self)
        let entry = unsafe page.entries + slot &* pointee.layout.stride
        unsafe entry.storeBytes(
            of: Key.place(key, in: &writer), toByteOffset: EntryShape<Key, Row>.keyOffset,
            as: Key.Stored.self)
        unsafe entry.storeBytes(
            of: Row.place(row, in: &writer), toByteOffset: EntryShape<Key, Row>.rowOffset,
            as: Row.Stored.self)
        if keepsFields { unsafe pointee.layout.placeKept(in: entry, writer) }
    }

    @inlinable func remove<Key: TableKey, Row: SchemaStruct>(
        _ key: Key, _ hash: UInt64, as type: Row.Type
    ) -> Bool {
        guard var cursor = unsafe cursor(key, hash, as: type, staged: nil) else { return false }
        if !(Key.isInline && Row.isInline) {
            unsafe Row.discard(cursor.stored(as: Row.Stored.self).pointee, from: &cursor.heap)
            unsafe Key.discard(
                cursor.entry.load(
                    fromByteOffset: EntryShape<Key, Row>.keyOffset, as: Key.Stored.self),
                from: &cursor.heap)
        }
        if unsafe pointee.layout.keepsFields {
            unsafe pointee.layout.discardKept(from: cursor.entry, cursor.heap)
        }
        unsafe pointee.removeSlot(cursor.slot, for: hash)
        return true
    }
}
