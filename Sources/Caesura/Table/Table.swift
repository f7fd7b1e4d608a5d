public import CaesuraFormat
public import Synchronization

/// A mutable table of rows by key, which a cut freezes without a pause.
///
///     let sessions = try store.table("sessions", key: UUID.self, row: Session.self)
///     sessions[id] = Session(user: 7, token: "...")
///     sessions.update(id) { $0.visits += 1 }
///     let visits = sessions.read(id) { $0.visits }
///
/// Each access takes the lock of one of the table's partitions; accesses to rows of different partitions
/// do not meet. A closure runs under that lock: keep it short, and do not use the store inside it (a row
/// of the same partition would wait for itself). For several rows at once, see
/// ``Store/transaction(_:staging:body:)``.
///
/// Keys are compared by their bytes, strings by their UTF-8: see ``TableKey``. Rows lie in pages in the order of
/// their keys' hashes: this is no table for ranges of keys.
@safe
public final class Table<Key: TableKey, Row: SchemaStruct>: Sendable {
    @usableFromInline let core: TableCore
    private let store: StoreCore
    @usableFromInline nonisolated(unsafe) let block: UnsafeMutableRawPointer
    @usableFromInline let shift: UInt64
    @usableFromInline nonisolated(unsafe) let control: UnsafeMutablePointer<StoreControl>

    init(core: TableCore) {
        self.core = core
        store = unsafe core.store
        unsafe block = unsafe core.block
        shift = UInt64(64 - core.partitionBits)
        unsafe control = unsafe core.store.control
    }

    /// The table's name and schemas.
    public var schema: RegionSchema { core.declared.schema }

    /// The number of rows.
    ///
    /// While others write, each partition's is of its own instant; a cut has an exact one.
    ///
    /// - Complexity: O(partitions).
    public var count: Int { core.count }

    // MARK: Access to one row

    /// The row of a key: a copy, with its strings built.
    ///
    /// Setting nil removes the row. Setting a row replaces all fields; ``update(_:_:)`` touches only
    /// those it sets.
    ///
    /// Not for changing a field: `table[key]?.visits += 1` gets the row and sets it under two locks, and what
    /// another thread wrote in between is lost. Use ``update(_:_:)``, or a transaction for several rows.
    ///
    /// - Precondition: No value has more than ``Store/valueByteLimit`` bytes.
    /// - Complexity: O(bytes of the row). A row is set with its values of more than 1 KiB copied before the
    ///   partition is locked; what they replace is freed after that. A row is read with all its bytes
    ///   copied while writers of the partition wait: ``read(_:_:)`` takes less, and a cut makes nobody
    ///   wait.
    @inlinable public subscript(key: Key) -> Row? {
        get {
            let hash = unsafe key.hash(with: control.pointee.hashKey)
            let partition = unsafe lock(hash)
            defer { unsafe partition.unlock() }
            return unsafe partition.pointee.load(key, hash, as: Row.self)
        }
        set {
            if let newValue {
                set(newValue, for: key)
            } else {
                remove(key)
            }
        }
    }

    /// Reads a row in place: `body` takes what it needs from the fields, and no string is built for it.
    ///
    /// - Returns: What `body` returns, or nil when there is no such row.
    @inlinable public func read<Result>(
        _ key: Key, _ body: (borrowing Row.Reader) throws -> Result
    ) rethrows -> Result? {
        let hash = unsafe key.hash(with: control.pointee.hashKey)
        let partition = unsafe lock(hash)
        defer { unsafe partition.unlock() }
        return try unsafe partition.pointee.read(key, hash, as: Row.self, body)
    }

    /// Changes a row in place: only the fields that `body` sets are written.
    ///
    /// Copies one page (a few KiB) if a cut sees it and this is the first write to it since. When `body`
    /// throws, what it has set stays set.
    ///
    /// - Precondition: `body` sets no value of more than ``Store/valueByteLimit`` bytes.
    /// - Complexity: O(bytes that `body` sets), all copied while other writers of the partition wait. For
    ///   values of more than a few KiB use ``update(_:staging:_:body:)``. What they replace is freed when
    ///   nobody waits any more.
    /// - Returns: What `body` returns, or nil when there is no such row.
    @inlinable @discardableResult public func update<Result>(
        _ key: Key, _ body: (inout Row.Editor) throws -> Result
    ) rethrows -> Result? {
        let hash = unsafe key.hash(with: control.pointee.hashKey)
        let partition = unsafe lock(hash)
        defer { unsafe partition.unlockAfterWriting() }
        unsafe partition.pointee.beginWriting()
        return try unsafe partition.update(key, hash, as: Row.self, staged: nil, body)
    }

    /// Changes a row in place, with large values copied before the partition is locked.
    ///
    ///     photos.update(id, staging: image) { $0.image = image }
    ///
    /// Other writers of the partition then wait for no copy of the value, whatever its size. That holds for
    /// the first field that `body` sets to it; a second one copies under the lock.
    ///
    /// - Parameters:
    ///   - key: The row's key.
    ///   - value: What `body` will set. Strings and arrays of up to 1 KiB need no staging; of a struct,
    ///     its parts are staged.
    ///   - others: More of it.
    ///   - body: Changes the row.
    /// - Complexity: O(bytes of the values) before the lock is taken, also when there is no such row.
    /// - Returns: What `body` returns, or nil when there is no such row.
    @inlinable @discardableResult public func update<Result>(
        _ key: Key, staging value: any FieldValue, _ others: any FieldValue...,
        body: (inout Row.Editor) throws -> Result
    ) rethrows -> Result? {
        let values = [value] + others
        var staged = StagedValues(values)
        return try withExtendedLifetime(values) {
            try unsafe withUnsafeMutablePointer(to: &staged) { staged in
                let hash = unsafe key.hash(with: control.pointee.hashKey)
                let partition = unsafe lock(hash)
                defer { unsafe partition.unlockAfterWriting() }
                unsafe partition.pointee.beginWriting()
                return try unsafe partition.update(key, hash, as: Row.self, staged: staged, body)
            }
        }
    }

    /// Inserts a row or replaces it.
    ///
    /// - Precondition: Neither the key nor the row has a value of more than ``Store/valueByteLimit`` bytes.
    /// - Complexity: O(bytes of the key and the row); values of more than 1 KiB are copied before the partition is
    ///   locked, and those they replace freed after that.
    @inlinable public func set(_ row: Row, for key: Key) {
        var staged = StagedValues()
        Key.stage(key, upTo: Page.valueLimit, in: &staged)
        Row.stage(row, upTo: Page.valueLimit, in: &staged)
        while true {
            let generation = unsafe control.pointee.keyGeneration.load(ordering: .acquiring)
            let hash = unsafe key.hash(with: control.pointee.hashKey)
            let partition = unsafe lock(hash)
            defer { unsafe partition.unlockAfterWriting() }
            // A restore has changed the hash key meanwhile: the row belongs elsewhere.
            if unsafe control.pointee.keyGeneration.load(ordering: .relaxed) != generation {
                continue
            }
            unsafe partition.pointee.beginWriting()
            unsafe withUnsafeMutablePointer(to: &staged) {
                unsafe partition.set(row, for: key, hash, staged: $0)
            }
            return
        }
    }

    /// Removes a row; whether there was one.
    @inlinable @discardableResult public func remove(_ key: Key) -> Bool {
        let hash = unsafe key.hash(with: control.pointee.hashKey)
        let partition = unsafe lock(hash)
        defer { unsafe partition.unlockAfterWriting() }
        unsafe partition.pointee.beginWriting()
        return unsafe partition.remove(key, hash, as: Row.self)
    }

    /// Whether there is a row of that key.
    @inlinable public func contains(_ key: Key) -> Bool {
        let hash = unsafe key.hash(with: control.pointee.hashKey)
        let partition = unsafe lock(hash)
        defer { unsafe partition.unlock() }
        return unsafe partition.pointee.find(key, hash, as: Row.self) != nil
    }

    /// The partition of a hash.
    @inlinable func partition(of hash: UInt64) -> UnsafeMutablePointer<Partition> {
        // A shift by 64, for one partition, gives 0.
        let index = Int(truncatingIfNeeded: hash >> shift)
        return unsafe (block + (index &* TableCore.blockSize &+ TableCore.partitionOffset))
            .assumingMemoryBound(
                to: Partition.self)
    }

    @inlinable func lock(_ hash: UInt64) -> UnsafeMutablePointer<Partition> {
        let partition = unsafe partition(of: hash)
        unsafe partition.lock()
        return unsafe partition
    }
}
