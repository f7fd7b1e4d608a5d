import CaesuraFormat
import Synchronization

/// A row that a transaction will touch, whether it is there or not.
public struct RowReference: Sendable {
    let table: TableCore
    /// Hashes the key with the store's present hash key.
    let hash: @Sendable () -> UInt64

    /// The partition that the row lies in.
    var partition: Int {
        table.partitionBits == 0
            ? 0 : Int(truncatingIfNeeded: hash() >> UInt64(64 - table.partitionBits))
    }
}

extension Table {
    /// Names a row for ``Store/transaction(_:_:)``.
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
    ///   - body: What to do. Touching a row in a partition of none of the named rows is a programming error
    ///     and traps.
    /// - Returns: What `body` returns.
    public func transaction<Result, Failure: Error>(
        _ rows: RowReference..., body: (borrowing Transaction) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        while true {
            let generation = unsafe core.control.pointee.keyGeneration.load(ordering: .acquiring)
            let partitions = partitions(of: rows)
            for partition in partitions { partition.lock() }
            defer { for partition in partitions.reversed() { partition.unlock() } }
            // A restore has changed the hash key meanwhile: the rows lie in other partitions.
            if unsafe core.control.pointee.keyGeneration.load(ordering: .relaxed) != generation {
                continue
            }
            // One epoch for all: the locks are held, so a cut waits for the transaction to end, or the
            // transaction belongs to the epoch after it.
            let epoch = unsafe core.control.pointee.epoch.load(ordering: .acquiring)
            for partition in partitions { partition.begin(epoch) }
            let transaction = Transaction(partitions: partitions)
            do throws(Failure) {
                return try body(transaction)
            } catch {
                transaction.undo()
                throw error
            }
        }
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
    func begin(_ epoch: UInt64) { unsafe pointer.pointee.writeEpoch = epoch }
}

/// Access to rows inside ``Store/transaction(_:body:)``.
public struct Transaction: ~Copyable {
    private let partitions: [LockedPartition]
    private let changes = UndoLog()

    init(partitions: [LockedPartition]) {
        self.partitions = partitions
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
            unsafe changes.note(partition, key, hash, Row.self)
            if let newValue {
                unsafe partition.set(newValue, for: key, hash)
            } else {
                _ = unsafe partition.remove(key, hash, as: Row.self)
            }
        }
    }

    /// Reads a row in place, or returns nil when there is none.
    public func read<Key: TableKey, Row: SchemaStruct, Result>(
        _ table: Table<Key, Row>, _ key: Key, _ body: (borrowing Row.Reader) throws -> Result
    ) rethrows -> Result? {
        let (partition, hash) = unsafe locked(table, key)
        return try unsafe partition.pointee.read(key, hash, as: Row.self, body)
    }

    /// Changes a row in place, or returns nil when there is none.
    @discardableResult
    public func update<Key: TableKey, Row: SchemaStruct, Result>(
        _ table: Table<Key, Row>, _ key: Key, _ body: (inout Row.Editor) throws -> Result
    ) rethrows -> Result? {
        let (partition, hash) = unsafe locked(table, key)
        unsafe changes.note(partition, key, hash, Row.self)
        return try unsafe partition.update(key, hash, as: Row.self, body)
    }

    /// Removes a row; whether there was one.
    @discardableResult
    public func remove<Key: TableKey, Row: SchemaStruct>(
        _ table: Table<Key, Row>, _ key: Key
    ) -> Bool {
        let (partition, hash) = unsafe locked(table, key)
        unsafe changes.note(partition, key, hash, Row.self)
        return unsafe partition.remove(key, hash, as: Row.self)
    }

    func undo() { changes.undo() }

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

/// What puts a transaction's changes back, the last first.
private final class UndoLog {
    private var steps: [() -> Void] = []

    /// Notes a row as it is, before it is changed.
    func note<Key: TableKey, Row: SchemaStruct>(
        _ partition: UnsafeMutablePointer<Partition>, _ key: Key, _ hash: UInt64, _ type: Row.Type
    ) {
        let before = unsafe partition.pointee.load(key, hash, as: Row.self)
        steps.append {
            if let before {
                unsafe partition.set(before, for: key, hash)
            } else {
                _ = unsafe partition.remove(key, hash, as: Row.self)
            }
        }
    }

    func undo() {
        for step in steps.reversed() { step() }
    }
}

extension UnsafeMutablePointer where Pointee == Partition {
    /// Inserts or replaces a row under the lock; large values are copied here.
    func set<Key: TableKey, Row: SchemaStruct>(_ row: Row, for key: Key, _ hash: UInt64) {
        var staged = StagedValues()
        unsafe withUnsafeMutablePointer(to: &staged) { unsafe set(row, for: key, hash, staged: $0) }
    }
}
