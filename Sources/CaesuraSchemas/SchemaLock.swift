public import CaesuraFormat
public import Foundation

/// The schemas that a package has shipped, each version of each region: `caesura.schema.json`, beside its code.
///
/// Data of these versions may lie somewhere, and programs of them may still run. ``SchemaCheck`` compares the present
/// schemas with all of them.
///
///     { "format": 1,
///       "regions": [ { "name": "sessions", "versions": [ { "version": 1, "schema": [...], "schemaBytes": "…" }, … ] } ] }
///
/// What counts is `schemaBytes`: the region as `docs/FORMAT.md` codes it. The rest is for people and for `git diff`,
/// and must agree with it.
public struct SchemaLock: Hashable, Sendable {
    /// A version that shipped.
    public struct Version: Hashable, Sendable {
        /// The region as it was.
        public var schema: RegionSchema
        /// Whether data of it must still be read.
        public var isReadable: Bool

        /// Creates a version.
        public init(_ schema: RegionSchema, isReadable: Bool = true) {
            self.schema = schema
            self.isReadable = isReadable
        }
    }

    /// For each region, by name, its versions, ascending.
    public private(set) var regions: [String: [Version]] = [:]

    /// The name that the file has unless told.
    public static let fileName = "caesura.schema.json"

    /// Creates a lock of nothing.
    public init() {}

    /// All versions: regions by name, and of each region the oldest first.
    public var versions: [RegionSchema] {
        regions.sorted { $0.key < $1.key }.flatMap { $1.map(\.schema) }
    }

    /// The newest version of each region, by name.
    public var newest: [RegionSchema] {
        regions.values.compactMap { $0.last?.schema }.sorted { $0.name < $1.name }
    }

    /// Adds the present schemas; those that are there stay as they are.
    ///
    /// - Returns: What was added.
    /// - Throws: `versionTaken` when another schema has the version already, or a later one is there.
    @discardableResult
    public mutating func add(_ schemas: [RegionSchema]) throws(SchemaLockError) -> [RegionSchema] {
        var added: [RegionSchema] = []
        var regions = self.regions
        for schema in schemas {
            let versions = regions[schema.name] ?? []
            if versions.contains(where: { $0.schema == schema }) { continue }
            if let last = versions.last?.schema.row.version, schema.row.version <= last {
                throw SchemaLockError(
                    .versionTaken,
                    "region \(schema.name) has version \(last) in the lock, and another schema of version "
                        + "\(schema.row.version) now; raise the version of \(schema.row.name)")
            }
            regions[schema.name] = versions + [Version(schema)]
            added.append(schema)
        }
        self.regions = regions
        return added
    }

    /// Says that data of versions before one need not be read any more.
    ///
    /// - Throws: `notFound` when the region is not there.
    public mutating func retire(
        _ region: String, before version: UInt32
    ) throws(SchemaLockError) {
        guard var versions = regions[region] else {
            throw SchemaLockError(.notFound, "the lock has no region \(region)")
        }
        for index in versions.indices where versions[index].schema.row.version < version {
            versions[index].isReadable = false
        }
        regions[region] = versions
    }
}

/// Why a lock could not be read or changed.
public struct SchemaLockError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What a caller may act on.
    @nonexhaustive
    public enum Code: Sendable {
        /// The file is not what it should be.
        case malformed
        /// It is of a later format.
        case unsupported
        /// Another schema has the version.
        case versionTaken
        /// There is no such region.
        case notFound
    }

    /// What a caller may act on.
    public var code: Code
    /// What is wrong, and what to do.
    public var message: String

    /// Creates an error.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }

    /// Compares the codes.
    public static func == (a: SchemaLockError, b: SchemaLockError) -> Bool { a.code == b.code }
}

// MARK: - The file

extension SchemaLock {
    private struct File: Codable {
        var format: Int
        var regions: [Region]

        struct Region: Codable {
            var name: String
            var versions: [Version]
        }

        struct Version: Codable {
            var version: UInt32
            var fingerprint: String
            var isReadable: Bool
            var schema: [String]
            var schemaBytes: String
        }
    }

    /// The file's bytes: the same for the same lock.
    public var json: Data {
        let file = File(
            format: 1,
            regions: regions.sorted { $0.key < $1.key }.map { name, versions in
                File.Region(name: name, versions: versions.map(Self.file))
            })
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        do {
            return try encoder.encode(file) + Data("\n".utf8)
        } catch {
            preconditionFailure("strings and numbers can be written as JSON: \(error)")
        }
    }

    private static func file(_ version: Version) -> File.Version {
        var writer = ByteWriter()
        version.schema.encode(into: &writer)
        return File.Version(
            version: version.schema.row.version,
            fingerprint: version.schema.resolutionFingerprint.description,
            isReadable: version.isReadable,
            schema: version.schema.description.split(separator: "\n").map(String.init),
            schemaBytes: unsafe writer.bytes.map { byte in
                (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }.joined())
    }

    /// Reads a file.
    ///
    /// - Throws: `malformed` and `unsupported`, with the place.
    public init(json: Data) throws(SchemaLockError) {
        let file: File
        do {
            file = try JSONDecoder().decode(File.self, from: json)
        } catch {
            throw SchemaLockError(
                .malformed, "it is no lock of schemas, or was cut or merged wrongly: \(error)")
        }
        guard file.format == 1 else {
            throw SchemaLockError(
                .unsupported, "it is of format \(file.format); use a newer caesura")
        }
        for region in file.regions {
            func problem(_ message: String) -> SchemaLockError {
                SchemaLockError(.malformed, "region \(region.name): \(message)")
            }
            guard regions[region.name] == nil else { throw problem("it is there twice") }
            var versions: [Version] = []
            for entry in region.versions {
                let schema = try Self.schema(entry, of: region.name)
                guard schema.name == region.name, schema.row.version == entry.version,
                    schema.resolutionFingerprint.description == entry.fingerprint
                else {
                    throw problem(
                        "version \(entry.version) is not what its bytes say; take the file as it was, and lock again"
                    )
                }
                if let last = versions.last?.schema.row.version, last >= entry.version {
                    throw problem("version \(entry.version) comes after version \(last)")
                }
                versions.append(Version(schema, isReadable: entry.isReadable))
            }
            guard !versions.isEmpty else { throw problem("it has no versions") }
            regions[region.name] = versions
        }
    }

    private static func schema(
        _ entry: File.Version, of region: String
    ) throws(SchemaLockError) -> RegionSchema {
        let digits = Array(entry.schemaBytes.utf8)
        var bytes: [UInt8] = []
        for place in stride(from: 0, to: digits.count - 1, by: 2) {
            let pair = String(decoding: digits[place..<place + 2], as: UTF8.self)
            // A sign would be taken for a digit.
            guard let byte = UInt8(pair, radix: 16), pair.first != "+", pair.first != "-" else {
                break
            }
            bytes.append(byte)
        }
        let place = "region \(region), version \(entry.version)"
        guard digits.count == 2 * bytes.count else {
            throw SchemaLockError(.malformed, "\(place): its bytes are no hexadecimal digits")
        }
        do throws(FormatError) {
            return try unsafe bytes.span.bytes.withUnsafeBytes { (bytes) throws(FormatError) in
                var reader = unsafe ByteReader(bytes)
                let schema = try RegionSchema(reading: &reader)
                guard reader.remaining == 0 else {
                    throw FormatError(.malformed, "there is more behind it", at: reader.position)
                }
                return schema
            }
        } catch {
            throw SchemaLockError(.malformed, "\(place): \(error)")
        }
    }
}
