public import CaesuraFormat

/// Turns rows of one version of a schema into rows of a later one, where that takes code: `docs/SCHEMAS.md`, "Migrations".
///
///     let split = RowMigration(from: PersonVersion2.self, to: Person.self) { old in
///         let names = old.name.split(separator: " ")
///         return Person(first: String(names.first ?? ""), last: String(names.last ?? ""))
///     }
///     let people = try store.table("people", key: UInt64.self, row: Person.self, migrations: [split])
///
/// Rows of versions up to the one it begins with become rows of that by resolution, then the closure's, and then
/// whatever the next migration or the program's own type wants. Keys do not change.
public struct RowMigration: Sendable {
    /// The schema that it begins with.
    public let from: Schema
    /// The schema that it leads to.
    public let to: Schema
    let makeStep: @Sendable () -> any MigrationStep

    /// What it begins with and leads to.
    public var schemas: SchemaStep { SchemaStep(from: from, to: to) }

    /// Creates a migration.
    ///
    /// - Parameters:
    ///   - from: The struct of the earlier version, as it was.
    ///   - to: That of a later one.
    ///   - migrate: Gives the row of the later version. It is called on several threads, for each row once, and must give
    ///     the same for the same.
    /// - Precondition: The versions ascend.
    public init<Old: SchemaStruct, New: SchemaStruct>(
        from: Old.Type, to: New.Type, _ migrate: @escaping @Sendable (Old) -> New
    ) {
        self.from = Old.schema
        self.to = New.schema
        precondition(
            Old.schema.version < New.schema.version, "a migration leads to a later version")
        makeStep = { TypedMigrationStep(migrate) }
    }
}

/// A migration at work, on one thread.
protocol MigrationStep: AnyObject {
    /// The columns of the migrated rows, and their values that are not in columns.
    ///
    /// - Parameter rows: The columns of the rows, without those of a key; they have nothing any more then.
    func migrate(
        _ rows: ColumnBatch, _ segments: PendingSegments
    ) -> (rows: ColumnBatch, segments: PendingSegments)
}

private final class TypedMigrationStep<Old: SchemaStruct, New: SchemaStruct>: MigrationStep {
    private let body: @Sendable (Old) -> New
    private let loader = RowLoader<Old>(RowLayout(row: Old.self))
    private let collector = RowCollector<New>()

    init(_ body: @escaping @Sendable (Old) -> New) { self.body = body }

    func migrate(
        _ rows: ColumnBatch, _ segments: PendingSegments
    ) -> (rows: ColumnBatch, segments: PendingSegments) {
        collector.removeAll()
        let migrated = PendingSegments()
        loader.forEach(in: rows, segments) { row in
            let place = collector.rowCount
            collector.append(body(row)) { leaf, value in
                let copy = unsafe value.withContiguousBytes { unsafe LargeValue.make(copying: $0) }
                migrated.put(copy, row: place, leaf: leaf)
            }
        }
        collector.finish()
        return (collector.batch, migrated)
    }
}
