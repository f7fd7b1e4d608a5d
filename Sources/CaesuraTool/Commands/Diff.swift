import ArgumentParser
import Caesura
import CaesuraFormat
import CaesuraRepository
import Foundation

/// `caesura diff`.
struct Diff: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show which rows and fields differ between two checkpoints.",
        discussion: """
            A line a row: + inserted, - removed, ~ updated, with the fields that changed, from what to what. The \
            states are compared in memory. Values of fields marked sensitive are left out.
            """)

    @Argument(help: ArgumentHelp("The repository.", valueName: "directory"))
    var directory: String
    @Argument(help: ArgumentHelp("The checkpoint to begin with.", valueName: "epoch"))
    var from: UInt64
    @Argument(help: ArgumentHelp("The one to end with, older or newer.", valueName: "epoch"))
    var to: UInt64
    @Option(help: ArgumentHelp("Only this table, log or cell.", valueName: "name"))
    var region: String?
    @Flag(help: "Print sensitive values too.")
    var sensitive = false
    @Flag(help: "Print it as JSON, a line a row.")
    var json = false

    func run() async throws {
        let repository = try await Repository.open(.directory(directory), for: .read)
        try await repository.checkEpoch(from, in: directory)
        try await repository.checkEpoch(to, in: directory)
        let states = try await states(of: repository)
        var names = Set(states.old.schemas.map(\.name)).union(states.new.schemas.map(\.name))
        if let region {
            guard names.contains(region) else {
                throw ToolError(
                    "neither epoch has a region \(region)",
                    hint: names.isEmpty
                        ? nil : "they have \(names.sorted().joined(separator: ", "))",
                    exitCode: .usage)
            }
            names = [region]
        }
        var total = Counts()
        for name in names.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
            try compare(name, states, &total)
        }
        if !json { try StandardOutput.write(total.text) }
    }

    private func states(of repository: Repository) async throws -> (old: CutChunks, new: CutChunks)
    {
        let (from, to) = (from, to)
        let cuts = try await stopping { () -> (old: Cut, new: Cut) in
            let store = try await repository.emptyStore(for: from)
            try await repository.restore(into: store, at: from)
            let old = store.cut()
            // What both have in common is in memory once, where deltas lead from one to the other.
            if try await repository.advance(store, to: to) != nil {
                return (old, store.cut())
            }
            let other = try await repository.emptyStore(for: to)
            try await repository.restore(into: other, at: to)
            return (old, other.cut())
        }
        return (try CutChunks(cuts.old), try CutChunks(cuts.new))
    }

    /// How many rows differ.
    private struct Counts {
        var inserted = 0
        var updated = 0
        var removed = 0

        var text: String {
            inserted + updated + removed == 0
                ? "nothing differs\n"
                : "\(inserted.grouped) inserted, \(updated.grouped) updated, \(removed.grouped) removed\n"
        }
    }

    private func compare(
        _ name: String, _ states: (old: CutChunks, new: CutChunks), _ total: inout Counts
    ) throws {
        let old = try states.old.rows(of: name)
        let new = try states.new.rows(of: name)
        guard let schema = (new ?? old)?.schema else { return }
        if let old, let new, old.schema.wireFingerprint != new.schema.wireFingerprint {
            throw ToolError(
                "\(name) has other fields at epoch \(to) than at epoch \(from)",
                hint: "export both and compare the lines")
        }
        var printer = DifferencePrinter(
            schema, isJSON: json, includingSensitive: sensitive)
        if schema.kind == .log {
            try compareLog(name, old, new, states, &printer, &total)
        } else {
            // Rows of one partition stand together in both, where keys are hashed alike.
            let isAligned =
                states.old.hashKey == states.new.hashKey
                && states.old.partitionBits == states.new.partitionBits
            try compareTable(old, new, isAligned, &printer, &total)
        }
    }

    // MARK: Tables and cells

    private func compareTable(
        _ old: RegionRows?, _ new: RegionRows?, _ isAligned: Bool,
        _ printer: inout DifferencePrinter, _ total: inout Counts
    ) throws {
        var before = PartitionRows(old, isAligned: isAligned)
        var after = PartitionRows(new, isAligned: isAligned)
        while let partition = [try before.partition(), try after.partition()].compactMap(\.self)
            .min()
        {
            try Interruption.check()
            var known: [[UInt8]: DifferencePrinter.Row] = [:]
            for row in try before.take(partition, &printer) { known[row.key] = row }
            for row in try after.take(partition, &printer) {
                let was = known.removeValue(forKey: row.key)
                guard let line = printer.line(from: was, to: row) else { continue }
                if was == nil { total.inserted += 1 } else { total.updated += 1 }
                try StandardOutput.write(line)
            }
            let gone = known.values.sorted { $0.key.lexicographicallyPrecedes($1.key) }
            for row in gone {
                total.removed += 1
                if let line = printer.line(from: row, to: nil) { try StandardOutput.write(line) }
            }
        }
    }

    // MARK: Logs

    /// Rows of a log do not change: only those differ that were appended, and those that were trimmed.
    private func compareLog(
        _ name: String, _ old: RegionRows?, _ new: RegionRows?,
        _ states: (old: CutChunks, new: CutChunks), _ printer: inout DifferencePrinter,
        _ total: inout Counts
    ) throws {
        let before = old == nil ? 0..<0 : states.old.positions(of: name)
        let after = new == nil ? 0..<0 : states.new.positions(of: name)
        for (rows, other, isNew) in [(old, after, false), (new, before, true)] {
            while let rows, try rows.next() != nil {
                try Interruption.check()
                var position = rows.range.first
                var cursor = rows.cursor
                while cursor.advance() {
                    defer { position += 1 }
                    if other.contains(position) { continue }
                    let row = printer.row(cursor)
                    let line = printer.line(
                        from: isNew ? nil : row, to: isNew ? row : nil, key: "\(position)")
                    if isNew { total.inserted += 1 } else { total.removed += 1 }
                    if let line { try StandardOutput.write(line) }
                }
            }
        }
    }
}

/// The rows of a region, a partition at a time.
private struct PartitionRows {
    private let rows: RegionRows?
    private let isAligned: Bool
    private var hasChunk = false
    private var isAtEnd: Bool

    /// - Parameter isAligned: Whether partitions are told apart; all rows are of one if not.
    init(_ rows: RegionRows?, isAligned: Bool) {
        self.rows = rows
        self.isAligned = isAligned
        isAtEnd = rows == nil
    }

    /// The partition of the next rows; nil at the end.
    mutating func partition() throws -> Int? {
        if isAtEnd { return nil }
        guard let rows else { return nil }
        if !hasChunk {
            guard try rows.next() != nil else {
                isAtEnd = true
                return nil
            }
            hasChunk = true
        }
        return isAligned ? rows.partition : 0
    }

    /// The rows of a partition, if they are the next ones.
    mutating func take(
        _ partition: Int, _ printer: inout DifferencePrinter
    ) throws -> [DifferencePrinter.Row] {
        var taken: [DifferencePrinter.Row] = []
        while try self.partition() == partition, let rows {
            var cursor = rows.cursor
            while cursor.advance() { taken.append(printer.row(cursor)) }
            hasChunk = false
        }
        return taken
    }
}

extension Repository {
    /// A store with as many partitions as a checkpoint has.
    fileprivate func emptyStore(for epoch: UInt64) async throws -> Store {
        let full = try await log().restorePaths()[epoch]?.full ?? epoch
        var configuration = Store.Configuration()
        configuration.partitionBits = min(12, try await reader(at: full).manifest.partitionBits)
        return Store(configuration)
    }
}

extension CutChunks {
    /// The rows of a region by its name.
    fileprivate func rows(of name: String) throws(ToolError) -> RegionRows? {
        guard let region = schemas.firstIndex(where: { $0.name == name }) else { return nil }
        return try RegionRows(self, region: region)
    }
}
