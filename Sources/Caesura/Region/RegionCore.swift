import CaesuraFormat

/// A region without its Swift types: a table, a cell, which is a table of one row, or a log.
enum RegionCore {
    case table(TableCore)
    case log(LogCore)

    var schema: RegionSchema {
        switch self {
        case .table(let table): table.schema
        case .log(let log): log.schema
        }
    }
}
