public import Caesura
import CaesuraFormat
public import CaesuraSchemas
public import Foundation

/// What a program's schemas promise, checked against every version that shipped: `docs/SCHEMAS.md`, "Proof".
///
/// One line in a test target:
///
///     @Test func schemas() throws {
///         try SchemaContract(lock: URL(filePath: "caesura.schema.json")) { try Service.declare(in: $0) }.check()
///     }
///
/// For each region and each version in the lock, rows at random are written as a program of that version would, and
/// read by this one, before and after its types are declared:
///
/// - What is read is what resolution says: values, conversions, defaults, nothing of retired fields.
/// - What this program does not know comes back whole when it writes.
/// - Migrations give the same rows each time.
/// - A program of that version reads what this one writes, if ``SchemaCheck`` says that it can.
public struct SchemaContract {
    private let lock: SchemaLock
    private let declare: (Store) throws -> Void
    private let seed: UInt64
    /// Rows of each region and version.
    private static let rowCount = 64

    /// Creates a contract.
    ///
    /// - Parameters:
    ///   - lock: The file of the schemas that shipped.
    ///   - seed: What rows at random are made of; it is in every violation.
    ///   - declare: Declares the program's regions, with their migrations.
    /// - Throws: ``SchemaLockError``, or why the file cannot be read.
    public init(
        lock: URL, seed: UInt64 = .random(in: 0 ... .max), declare: @escaping (Store) throws -> Void
    ) throws {
        self.init(try SchemaLock(json: Data(contentsOf: lock)), seed: seed, declare: declare)
    }

    /// Creates a contract.
    public init(
        _ lock: SchemaLock, seed: UInt64 = .random(in: 0 ... .max),
        declare: @escaping (Store) throws -> Void
    ) {
        self.lock = lock
        self.seed = seed
        self.declare = declare
    }

    /// Checks everything.
    ///
    /// - Throws: ``SchemaContractViolation``, with all that was found, and what `declare` throws.
    public func check() throws {
        let present = Store()
        try declare(present)
        var violations = SchemaCheck(present.schemaOffer, against: lock).problems
            .filter { $0.severity == .error }
            .map { "\($0.rule) \($0.place): \($0.message)" }
        for schema in present.regions {
            for version in lock.regions[schema.name] ?? [] where version.isReadable {
                let isMigrated = present.migrations(of: schema.name).contains {
                    $0.from.version >= version.schema.row.version
                        && $0.to.version <= schema.row.version
                }
                violations += try broken(
                    by: schema, reading: version.schema, isMigrated: isMigrated)
            }
        }
        guard violations.isEmpty else {
            throw SchemaContractViolation(violations: violations, seed: seed)
        }
    }

    /// What is broken where a program reads data.
    private func broken(
        by program: RegionSchema, reading data: RegionSchema, isMigrated: Bool
    ) throws -> [String] {
        let place = "region \(data.name), version \(data.row.version)"
        let sample = try SampleStream(of: data, rows: Self.rowCount, seed: seed)
        let written: [UInt8]
        do {
            written = try bytes(restoring: sample, isLate: false)
        } catch {
            return ["\(place) is not read: \(error)"]
        }
        guard let (stored, rows) = try SampleStream.rows(of: data.name, in: written) else {
            return ["\(place): the region is not written again"]
        }
        var violations: [String] = []
        if rows.count != sample.rows.count {
            violations.append("\(place): of \(sample.rows.count) rows \(rows.count) came")
        }
        // Rows, and not bytes: types that come late begin an epoch, and every chunk carries one.
        let late = try SampleStream.rows(
            of: data.name, in: bytes(restoring: sample, isLate: true))
        if late?.0 != stored || late?.1 != rows {
            violations.append(
                "\(place): rows differ when they are read twice, or before the types are declared; a migration must "
                    + "give the same for the same row")
        }
        // What a migration makes of a row is its own affair.
        if isMigrated { return violations }
        let expected = sample.rows.map { ReadingModel.row($0, data, as: stored) }
        if rows != expected {
            violations.append("\(place): a row came with other values than it had")
        }
        return violations + back(from: stored, rows, to: data, sample.rows, place)
    }

    /// Checks that a program of the data's version gets what it knows, and if it is the newer one, all of it.
    private func back(
        from stored: RegionSchema, _ rows: [[Value]], to data: RegionSchema, _ original: [[Value]],
        _ place: String
    ) -> [String] {
        guard data.row.version >= stored.row.version,
            let resolution = try? SchemaResolution(writer: stored, reader: data)
        else { return [] }
        let again = rows.map { ReadingModel.row($0, stored, as: resolution.stored) }
        let whole = original.map { ReadingModel.row($0, data, as: resolution.stored) }
        return again == whole
            ? [] : ["\(place): this program loses something of what it does not know"]
    }

    /// What the program writes once it has restored a stream.
    private func bytes(restoring sample: SampleStream, isLate: Bool) throws -> [UInt8] {
        var configuration = Store.Configuration()
        configuration.partitionBits = 0
        let store = Store(configuration)
        if !isLate { try declare(store) }
        var restorer = StreamRestorer(into: store)
        try restorer.push(sample.bytes)
        try restorer.finish()
        if isLate { try declare(store) }
        let cut = store.cut()
        defer { cut.close() }
        return try cut.write(to: ByteArraySink()).bytes
    }
}

/// What ``SchemaContract`` found.
public struct SchemaContractViolation: Error, CustomStringConvertible {
    /// What is wrong, a sentence each.
    public var violations: [String]
    /// What the rows were made of; give it to the contract to see it again.
    public var seed: UInt64

    /// All of them, a line each.
    public var description: String {
        violations.joined(separator: "\n") + "\n(seed \(seed))"
    }
}
