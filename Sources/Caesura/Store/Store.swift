public import CaesuraFormat
import Synchronization

/// All the state of one service process: a set of named tables, logs and cells that a cut freezes together.
///
///     let store = Store()
///     let sessions = try store.table("sessions", key: UUID.self, row: Session.self)
///     let visits = try store.log("visits", row: Visit.self)
///     let limits = try store.cell("limits", initial: Limits())
///     let cut = store.cut()
public final class Store: Sendable {
    /// What is fixed when a store is created.
    public struct Configuration: Sendable {
        /// The number of leading hash bits that choose a table's partition, from 0 to 12: 2 to that power
        /// is the number of partitions, each with a lock of its own.
        ///
        /// 64 partitions keep two writers of 16 apart 88 % of the time and a cut's pass through their locks
        /// under 2 us.
        public var partitionBits = 6
        /// The key of the hash that places rows.
        ///
        /// Random unless given; equal keys make equal snapshots.
        public var hashKey: HashKey?
        /// The bytes that may be kept for open cuts while writers go on; past it the cuts are cancelled.
        public var retainedByteLimit = Int.max

        /// Creates the default configuration.
        public init() {}
    }

    /// The most bytes that one string, byte array or array may have: 1 GiB, what a reader of checkpoints
    /// takes unless told otherwise.
    ///
    /// Setting a larger value ends the process with a sentence that says so: an assignment cannot throw, and a
    /// store that keeps what it can never restore would fail later and worse. Where values come from
    /// outside, compare their size with this first.
    public static let valueByteLimit = Limits().valueBytes

    let core: StoreCore

    /// Creates an empty store.
    public init(_ configuration: Configuration = Configuration()) {
        precondition(
            (0...12).contains(configuration.partitionBits), "partitionBits is from 0 to 12")
        core = StoreCore(
            hashKey: configuration.hashKey
                ?? HashKey(
                    k0: UInt64.random(in: .min ... .max), k1: UInt64.random(in: .min ... .max)),
            partitionBits: configuration.partitionBits,
            retainedLimit: configuration.retainedByteLimit)
    }

    init(core: StoreCore) { self.core = core }

    /// The table of that name, created if the store has none.
    ///
    /// A table may also be declared when a restore has brought its rows already, without their Swift types.
    /// It then takes these types, and with them this schema's names, defaults and versions, as if it had been
    /// declared first. The rows stay where they are, unless a field's type has another name than its own (a
    /// typealias) or the schemas differ: then all rows of the table are copied. Rows of another version of the schema
    /// become rows of this one as far as `docs/SCHEMAS.md` says.
    ///
    /// - Throws: `regionConflict` when it has one of other types or fields, or is to take types while a
    ///   restore fills it; `schemaMismatch` when rows that were restored are of a version that this one cannot read;
    ///   `unsupportedSchema` when a row can not be stored.
    public func table<Key: TableKey, Row: SchemaStruct>(
        _ name: String, key: Key.Type, row: Row.Type, migrations: [RowMigration] = []
    ) throws(StoreError) -> Table<Key, Row> {
        let keySchema: Schema
        if case .structure(let fields, _) = Key.fieldType {
            keySchema = Schema(name: "key", fields: fields)
        } else {
            keySchema = Schema(
                name: "key", fields: [Field(number: 1, name: "key", type: Key.fieldType)])
        }
        let schema = RegionSchema(name: name, kind: .table, key: keySchema, row: Row.schema)
        let core = try core.table(
            schema, RowLayout(key: key, row: row), isTyped: true, migrations: migrations)
        return Table(core: core)
    }

    /// The log of that name, created if the store has none.
    ///
    /// As with tables, it may also be declared when a restore has brought its rows already.
    ///
    /// - Throws: As ``table(_:key:row:)``.
    public func log<Row: SchemaStruct>(
        _ name: String, row: Row.Type, migrations: [RowMigration] = []
    ) throws(StoreError) -> Log<Row> {
        let schema = RegionSchema(name: name, kind: .log, key: nil, row: Row.schema)
        return Log(
            core: try core.log(schema, RowLayout(row: row), isTyped: true, migrations: migrations))
    }

    /// The cell of that name, created if the store has none.
    ///
    /// - Parameters:
    ///   - name: The region's name.
    ///   - initial: The value that it has until another is set or restored, and when the store was emptied. The
    ///     first declaration's stays.
    /// - Throws: As ``table(_:key:row:)``.
    public func cell<Value: SchemaStruct>(
        _ name: String, initial: Value, migrations: [RowMigration] = []
    ) throws(StoreError) -> Cell<Value> {
        let schema = RegionSchema(name: name, kind: .cell, key: nil, row: Value.schema)
        let core = try core.table(
            schema, RowLayout(row: Value.self), isTyped: true, migrations: migrations,
            putInitialValue: { cell in
                var staged = StagedValues()
                unsafe withUnsafeMutablePointer(to: &staged) {
                    unsafe cell.partition(0).set(initial, for: NoKey(), NoKey.hash, staged: $0)
                }
            })
        return Cell(core: core)
    }

    /// The region of a schema whose Swift types are not known, created if the store has none.
    ///
    /// For tools: its rows come from a stream and go to one. A cell has no value until one comes.
    public func declare(_ schema: RegionSchema) throws(StoreError) {
        let layout = RowLayout(region: schema)
        switch schema.kind {
        case .table, .cell: _ = try core.table(schema, layout, isTyped: false)
        case .log: _ = try core.log(schema, layout, isTyped: false)
        }
    }

    /// The regions, sorted by name.
    public var regions: [RegionSchema] {
        (core.tables.map(\.schema) + core.logs.map(\.schema)).sorted { $0.name < $1.name }
    }

    /// What the store writes and reads, to settle with another program before state is moved.
    public var schemaOffer: SchemaOffer {
        let regions = core.tables.map(RegionCore.table) + core.logs.map(RegionCore.log)
        let offers = regions.map { region in
            SchemaOffer.Region(
                region.schema, reading: region.declared.schema,
                migrations: region.migrations.map(\.schemas))
        }
        return SchemaOffer(offers.sorted { $0.written.name < $1.written.name })
    }

    /// The migrations that a region was declared with.
    package func migrations(of region: String) -> [RowMigration] {
        core.region(named: region)?.migrations ?? []
    }

    /// The number of rows of a region, or nil when there is none of that name.
    public func rowCount(of region: String) -> Int? {
        core.table(named: region)?.count ?? core.log(named: region)?.extent.count
    }

    /// The present epoch: what writes are stamped with.
    public var epoch: Epoch {
        unsafe Epoch(rawValue: core.control.pointee.epoch.load(ordering: .acquiring))
    }

    /// Removes all rows of all tables and logs, and gives cells their initial values, as one change: a cut sees all
    /// of it or nothing.
    ///
    /// What a restore that failed has left is gone with it, and the next one can begin. A restore that is under
    /// way fails. Regions stay declared, epochs go on, and cuts that are open keep their rows. The positions of a
    /// log go on too: none is given twice, so that whoever has a position or rows of it is not misled. A restore
    /// brings the positions of its logs along.
    ///
    /// - Complexity: O(partitions) while writers wait, then O(pages) beside them.
    public func removeAll() { core.removeAll() }

    /// Freezes the whole store as it is now and goes on in a new epoch.
    ///
    /// The cut sees each write (and each transaction) whole or not at all, and of two writes the later only
    /// with the earlier. Writers do not stop: from the flip of the epoch on they copy a page before they
    /// change it for the first time. The call passes once through each partition's lock, to wait for writes
    /// that began before the flip. Logs and cells have a lock each.
    ///
    /// - Complexity: O(partitions), whatever the amount of state. No bytes are copied. Before the flip the call
    ///   frees what a cut that was cancelled, or closed inside a closure, has left behind.
    public func cut() -> Cut { core.cut() }

    /// Maps and touches memory for the copies that writers will make while the next cut is open.
    ///
    /// Call it before a cut, on the thread that takes it, so that no writer under load has to map memory:
    /// as much as earlier cuts kept and a quarter more; before the first, what the rate of writes so far
    /// makes likely, at most half of the pages. Does nothing when that much is free. A repository's checkpoint does it by itself.
    public func prepareForCut() { core.prepareForCut() }

    /// Memory in use.
    public struct MemoryUse: Sendable {
        /// Bytes mapped for pages.
        public var mapped: Int
        /// Bytes of pages and directories, those kept for cuts included.
        public var inUse: Int
        /// Bytes that are kept for open cuts only.
        public var retained: Int
        /// How often a writer had to map memory itself, because none was prepared.
        public var coldMappings: Int
    }

    /// Memory in use now.
    public var memoryUse: MemoryUse {
        let pool = core.pool.statistics
        return unsafe MemoryUse(
            mapped: pool.mapped, inUse: pool.inUse,
            retained: core.control.pointee.retained.load(ordering: .relaxed),
            coldMappings: pool.coldMappings)
    }

    /// Maps and touches memory for `byteCount` bytes of pages, so that no write pays for it.
    ///
    /// Useful before a bulk load. Before a cut under load, call ``prepareForCut()``.
    public func prefault(_ byteCount: Int) { core.pool.prefault(byteCount) }
}
