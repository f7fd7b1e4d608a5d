public import CaesuraFormat

/// A part of a store's state: what moves to another node at once (`docs/MIGRATION.md` section 2).
public enum StorePart: Hashable, Sendable {
    /// Everything.
    case all
    /// The rows of all tables whose keys' hashes are in a range, which is no part of one of a store's partitions.
    case rows(HashRange)
    /// All logs and cells.
    case logsAndCells

    /// What one partition of a table, or of the table that a cell is, belongs to and nothing outside it overlaps.
    init(partition: Int, of table: TableCore) {
        self =
            table.schema.kind == .cell
            ? .logsAndCells : .rows(HashRange(partition: partition, bits: table.partitionBits))
    }

    /// The partitions of a table, or of the table that a cell is, that belong to the part.
    func partitions(of table: TableCore) -> Range<Int> {
        let all = 0..<table.partitionCount
        switch (self, table.schema.kind) {
        case (.all, _), (.logsAndCells, .cell): return all
        case (.rows(let range), .table):
            precondition(
                range.prefixBits <= table.partitionBits, "a part consists of whole partitions")
            return table.partitionIndex(of: range.first)..<table.partitionIndex(of: range.last) + 1
        default: return 0..<0
        }
    }

    /// The hashes of its rows.
    var range: HashRange {
        if case .rows(let range) = self { range } else { .all }
    }

    /// How much of all rows it has, if they are spread evenly.
    var share: Double {
        if case .rows(let range) = self {
            1 / Double(UInt64(1) << range.prefixBits)
        } else {
            1
        }
    }

    /// Whether something may be of both.
    func overlaps(_ other: StorePart) -> Bool {
        switch (self, other) {
        case (.rows(let range), .rows(let other)):
            range.contains(other) || other.contains(range)
        case (.rows, .logsAndCells), (.logsAndCells, .rows): false
        default: true
        }
    }

    /// Whether logs belong to the part.
    var hasLogs: Bool { self == .all || self == .logsAndCells }

    /// Whether a chunk of a region is one of the part.
    func contains(_ header: ChunkHeader, of kind: RegionKind) -> Bool {
        switch (self, kind) {
        case (.all, _), (.logsAndCells, .cell), (.logsAndCells, .log): true
        case (.rows(let range), .table): range.contains(header.range)
        default: false
        }
    }
}
