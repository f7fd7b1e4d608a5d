import CaesuraFormat
import Synchronization

/// A row that a transaction will touch, whether it is there or not.
public struct RowReference: Sendable {
    let table: TableCore
    /// Hashes the key with the store's present hash key.
    let hash: @Sendable () -> UInt64

    /// The hash of its key.
    package var keyHash: UInt64 { hash() }

    /// The partition that the row lies in.
    var partition: Int {
        table.partitionBits == 0
            ? 0 : Int(truncatingIfNeeded: hash() >> UInt64(64 - table.partitionBits))
    }
}

extension Table {
    /// Names a row for ``Store/transaction(_:staging:body:)``.
    public func row(_ key: Key) -> RowReference {
        RowReference(table: core) { [self] in unsafe key.hash(with: control.pointee.hashKey) }
    }
}

extension Store {
    /// Reads and changes several rows, of any tables, as one: a cut sees all of it or nothing.
    ///
    ///     try store.transaction(accounts.row(from), accounts.row(to)) { transaction in
    ///         guard let balance = transaction[accounts, from]?.balance, balance >= amount else {
    ///             throw Shortage()
    ///         }
    ///         transaction.update(accounts, from) { $0.balance -= amount }
    ///         transaction.update(accounts, to) { $0.balance += amount }
    ///     }
    ///
    /// The partitions of the named rows are locked for the time of `body`, in one order for all
    /// transactions, so that none waits for another in a circle. When `body` throws, what it has changed is
    /// put back. Keep it short, and use nothing of the store but the transaction inside it.
    ///
    /// - Parameters:
    ///   - rows: All rows that `body` touches.
    ///   - values: Large values, or rows with such, that `body` will set: they are copied before a
    ///     partition is locked. Others of more than 1 KiB are copied while writers wait.
    ///   - body: What to do. Touching a row in a partition of none of the named rows is a programming error
    ///     and traps.
    /// - Complexity: For each change, a copy of the row without its values of more than 1 KiB.
    /// - Returns: What `body` returns.
    public func transaction<Result, Failure: Error>(
        _ rows: RowReference..., staging values: any FieldValue...,
        body: (borrowing Transaction) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try transaction(rows, staging: values, body: body)
    }

    /// Reads and changes several rows as one: rows that are known only when the program runs.
    ///
    /// As ``transaction(_:staging:body:)-(RowReference...,_,_)`` in all else.
    public func transaction<Result, Failure: Error>(
        _ rows: [RowReference], staging values: [any FieldValue] = [],
        body: (borrowing Transaction) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let log = TransactionLog(StagedValues(values))
        // Held until the locks are given back: what was staged and not used is freed with the log.
        defer { withExtendedLifetime((values, log)) {} }
        while true {
            let generation = unsafe core.control.pointee.keyGeneration.load(ordering: .acquiring)
            let partitions = partitions(of: rows)
            for partition in partitions { partition.lock() }
            defer { unlock(partitions) }
            // A restore has changed the hash key meanwhile: the rows lie in other partitions.
            if unsafe core.control.pointee.keyGeneration.load(ordering: .relaxed) != generation {
                continue
            }
            // One epoch for all: the locks are held, so a cut waits for the transaction to end, or the
            // transaction belongs to the epoch after it.
            let epoch = unsafe core.control.pointee.epoch.load(ordering: .acquiring)
            for partition in partitions { partition.begin(epoch) }
            do throws(Failure) {
                return try body(Transaction(partitions: partitions, log: log))
            } catch {
                log.undo()
                throw error
            }
        }
    }

    /// Gives the locks back after a transaction, and then frees the large values it has replaced.
    private func unlock(_ partitions: [LockedPartition]) {
        var freed = LargeValueList()
        for partition in partitions.reversed() { partition.unlock(freeing: &freed) }
        freed.deallocateAll()
    }

    private func partitions(of rows: [RowReference]) -> [LockedPartition] {
        // Another store has other epochs, and another order of its tables.
        precondition(
            rows.allSatisfy { unsafe $0.table.store === core },
            "a transaction names a row of another store's table")
        let places = rows.map { (table: $0.table, partition: $0.partition) }
            .sorted { ($0.table.ordinal, $0.partition) < ($1.table.ordinal, $1.partition) }
        var partitions: [LockedPartition] = []
        for place in places {
            let partition = unsafe LockedPartition(pointer: place.table.partition(place.partition))
            if partitions.last != partition { partitions.append(partition) }
        }
        return partitions
    }
}

/// A partition that its holder locks.
@safe
struct LockedPartition: Equatable {
    let pointer: UnsafeMutablePointer<Partition>

    static func == (a: LockedPartition, b: LockedPartition) -> Bool {
        unsafe a.pointer == b.pointer
    }

    func lock() { unsafe pointer.lock() }
    func unlock() { unsafe pointer.unlock() }
    /// Takes the lock unless it stays taken for longer than a write takes; whether it did.
    func tryLock() -> Bool {
        for _ in 0..<64 where unsafe pointer.guarding.pointee.tryLock() { return true }
        return false
    }
    func unlock(freeing list: inout LargeValueList) {
        unsafe pointer.pointee.settleReplacedValues(freeing: &list)
        unsafe pointer.unlock()
    }
    func begin(_ epoch: UInt64) { unsafe pointer.pointee.beginWriting(in: epoch) }
}

/// Access to rows inside ``Store/transaction(_:staging:body:)``.
public struct Transaction: ~Copyable {
    private let partitions: [LockedPartition]
    private let log: TransactionLog

    fileprivate init(partitions: [LockedPartition], log: TransactionLog) {
        self.partitions = partitions
        self.log = log
    }

    /// The row of a key: a copy.
    ///
    /// Setting nil removes it.
    public subscript<Key: TableKey, Row: SchemaStruct>(
        table: Table<Key, Row>, key: Key
    ) -> Row? {
        get {
            let (partition, hash) = unsafe locked(table, key)
            return unsafe partition.pointee.load(key, hash, as: Row.self)
        }
        nonmutating set {
            let (partition, hash) = unsafe locked(table, key)
            unsafe log.note(partition, key, hash, Row.self)
            if let newValue {
                unsafe partition.set(newValue, for: key, hash, staged: log.staged)
            } else {
                _ = unsafe partition.remove(key, hash, as: Row.self)
            }
        }
    }

    /// Reads a row in place, or returns nil when there is none.
    ///
    /// The closure may read other rows of the transaction, and change none.
    public func read<Key: TableKey, Row: SchemaStruct, Result>(
        _ table: Table<Key, Row>, _ key: Key, _ body: (borrowing Row.Reader) throws -> Result
    ) rethrows -> Result? {
        let (partition, hash) = unsafe locked(table, key)
        return try log.withOpenRow {
            try unsafe partition.pointee.read(key, hash, as: Row.self, body)
        }
    }

    /// Changes a row in place, or returns nil when there is none.
    ///
    /// The closure may read other rows of the transaction, and change none but its own.
    @discardableResult
    public func update<Key: TableKey, Row: SchemaStruct, Result>(
        _ table: Table<Key, Row>, _ key: Key, _ body: (inout Row.Editor) throws -> Result
    ) rethrows -> Result? {
        let (partition, hash) = unsafe locked(table, key)
        unsafe log.note(partition, key, hash, Row.self)
        return try log.withOpenRow {
            try unsafe partition.update(key, hash, as: Row.self, staged: log.staged, body)
        }
    }

    /// Removes a row; whether there was one.
    @discardableResult
    public func remove<Key: TableKey, Row: SchemaStruct>(
        _ table: Table<Key, Row>, _ key: Key
    ) -> Bool {
        let (partition, hash) = unsafe locked(table, key)
        unsafe log.note(partition, key, hash, Row.self)
        return unsafe partition.remove(key, hash, as: Row.self)
    }

    private func locked<Key: TableKey, Row: SchemaStruct>(
        _ table: Table<Key, Row>, _ key: Key
    ) -> (partition: UnsafeMutablePointer<Partition>, hash: UInt64) {
        let hash = unsafe key.hash(with: table.control.pointee.hashKey)
        let partition = unsafe table.partition(of: hash)
        unsafe precondition(
            partitions.contains(LockedPartition(pointer: partition)),
            "a transaction touches a row of table \(table.schema.name) that was not named when it began"
        )
        return unsafe (partition, hash)
    }
}
