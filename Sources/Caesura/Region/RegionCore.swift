import CaesuraFormat

/// A region without its Swift types: a table, a cell, which is a table of one row, or a log.
enum RegionCore: Equatable {
    case table(TableCore)
    case log(LogCore)

    static func == (a: RegionCore, b: RegionCore) -> Bool {
        switch (a, b) {
        case (.table(let a), .table(let b)): a === b
        case (.log(let a), .log(let b)): a === b
        case (.table, .log), (.log, .table): false
        }
    }

    var schema: RegionSchema {
        switch self {
        case .table(let table): table.schema
        case .log(let log): log.schema
        }
    }

    /// The shape as the region was declared.
    var declared: RegionShape {
        switch self {
        case .table(let table): table.declared
        case .log(let log): log.declared
        }
    }

    /// The shape that its rows have now.
    var shape: RegionShape {
        switch self {
        case .table(let table): table.shape
        case .log(let log): log.shape
        }
    }

    /// Code for rows of earlier versions.
    var migrations: [RowMigration] {
        switch self {
        case .table(let table): table.migrations.withLock { $0 }
        case .log(let log): log.migrations.withLock { $0 }
        }
    }

    /// Stores rows under another schema, or the declared one, from now on: ``TableCore/take(_:)``.
    func take(_ shape: RegionShape) {
        switch self {
        case .table(let table): table.take(shape)
        case .log(let log): log.take(shape)
        }
    }

    /// How chunks hold the region's rows.
    func chunkLayout() throws(StoreError) -> RegionLayout {
        let layout =
            switch self {
            case .table(let table): table.regionLayout
            case .log(let log): log.regionLayout
            }
        guard let layout else {
            throw StoreError(
                .unsupportedSchema, "the format has no place for its fields", region: schema.name)
        }
        return layout
    }
}
