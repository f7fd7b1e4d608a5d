import CaesuraFormat

/// How rows of a stream's region become rows of a region of the store, worked out once.
struct RowPlan: Sendable {
    /// The way.
    let path: ReadingPath
    /// The code for its migrations.
    let migrations: [RowMigration]

    /// The schema of the data.
    var writer: RegionSchema { path.writer }
    /// What its rows are stored under.
    var stored: RegionSchema { path.stored }
    /// Whether rows are stored as they come.
    var isIdentity: Bool { path.isIdentity }

    /// Whether deltas of the data can be applied to what is stored: code has seen no rows of which they change fields.
    var resolvesDeltas: Bool { path.stages.count == 1 || writer.kind == .log }
    /// The resolution; nil if rows are migrated by code.
    var resolution: SchemaResolution? {
        if path.stages.count == 1, case .resolve(let only) = path.stages[0] { return only }
        return nil
    }

    /// - Throws: `schemaMismatch` with each difference that is in the way.
    init(
        from data: RegionSchema, to declared: RegionSchema, _ migrations: [RowMigration]
    ) throws(StoreError) {
        self.migrations = migrations
        do throws(SchemaConflicts) {
            path = try ReadingPath(
                from: data, to: declared, through: migrations.map(\.schemas))
        } catch {
            let hint =
                migrations.isEmpty && data.row.version < declared.row.version
                ? "\nor declare the region with a RowMigration from version \(data.row.version)"
                : ""
            throw StoreError(.schemaMismatch, error.description + hint, region: data.name)
        }
    }
}

/// A plan at work, on one thread.
final class RowPipeline {
    private enum Stage {
        case resolve(ColumnResolver)
        case migrate(any MigrationStep, keys: Int, before: ColumnBatch, after: ColumnBatch)
    }

    private let stages: [Stage]
    /// For each of the data's leaves whether it must be decoded.
    let wantedLeaves: [Bool]

    init(_ plan: RowPlan) {
        var wanted: [Bool]?
        stages = plan.path.stages.map { stage in
            switch stage {
            case .resolve(let resolution):
                let resolver = ColumnResolver(resolution)
                wanted = wanted ?? resolver.wantedLeaves
                return .resolve(resolver)
            case .migrate(let index):
                let migration = plan.migrations[index]
                var region = plan.writer
                region.row = migration.from
                let before = ColumnBatch(leaves: region.withoutKey.leaves)
                region.row = migration.to
                return .migrate(
                    migration.makeStep(), keys: region.leaves.prefix(while: \.isKey).count,
                    before: before, after: ColumnBatch(leaves: region.leaves))
            }
        }
        wantedLeaves = wanted ?? []
    }

    /// The rows as they are stored.
    ///
    /// - Parameters:
    ///   - rows: The data's; its columns have nothing any more then.
    ///   - segments: Their values that are not in columns; those of the rows as they are stored then.
    func run(_ rows: ColumnBatch, _ segments: PendingSegments) -> ColumnBatch {
        var rows = rows
        for stage in stages {
            switch stage {
            case .resolve(let resolver):
                resolver.resolve(rows)
                segments.rename(resolver.targets)
                rows = resolver.batch
            case .migrate(let step, let keys, let before, let after):
                let values = segments.takeValues(from: keys)
                defer { values.discard() }
                before.take(rows.columns[keys...], rowCount: rows.rowCount)
                let (migrated, large) = step.migrate(before, values)
                after.take(rows.columns[..<keys] + migrated.columns, rowCount: rows.rowCount)
                segments.add(large, from: keys)
                rows = after
            }
        }
        return rows
    }
}

extension ColumnBatch {
    /// Takes over columns of the same kinds.
    fileprivate func take(_ others: some Sequence<ColumnBuffer>, rowCount: Int) {
        removeAll()
        self.rowCount = rowCount
        for (column, other) in zip(columns, others) { column.takeContents(of: other) }
    }
}

extension RegionSchema {
    /// The rows alone.
    fileprivate var withoutKey: RegionSchema {
        RegionSchema(name: name, kind: .log, key: nil, row: row)
    }
}
