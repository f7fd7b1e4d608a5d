import ArgumentParser
import CaesuraFormat
import CaesuraRepository
import CaesuraSchemas
import Foundation

/// Where schemas are taken from: a repository, a stream, a lock, or what a registry has written.
///
///     state                    the newest checkpoint of a repository
///     state@12                 that of epoch 12
///     caesura.schema.json      a lock: the newest version of each region
///     caesura.schema.json@3    the regions that have a version 3, as they were then
///     -                        standard input
struct SchemaSource: ExpressibleByArgument {
    let path: String
    /// The epoch of a repository, the version of a lock.
    let point: UInt64?

    /// As it was typed.
    var argument: String { path + (point.map { "@\($0)" } ?? "") }
    /// What messages call it.
    var name: String { path == "-" ? "standard input" : argument }

    /// A file that is there is meant as it is written.
    init(argument: String) {
        if let sign = argument.lastIndex(of: "@"), sign != argument.startIndex,
            let point = UInt64(argument[sign...].dropFirst()),
            !FileManager.default.fileExists(atPath: argument)
        {
            path = String(argument[..<sign])
            self.point = point
        } else {
            path = argument
            point = nil
        }
    }

    /// Whether it is a version of a lock: then it has only the regions with that version.
    var isLockVersion: Bool { point != nil && !isDirectory }

    private var isDirectory: Bool {
        var isDirectory: ObjCBool = false
        let exists = unsafe FileManager.default.fileExists(
            atPath: path, isDirectory: &isDirectory)
        return exists && isDirectory.boolValue
    }

    /// The schemas: of a repository those of the newest checkpoint, of a lock the newest of each region.
    func schemas(allVersions: Bool = false) async throws -> [RegionSchema] {
        try await offer(allVersions: allVersions).regions.map(\.read)
    }

    /// The schemas, and the migrations, if it is the program that tells of them.
    func offer(allVersions: Bool = false) async throws -> SchemaOffer {
        if isDirectory {
            let repository = try await Repository.open(.directory(path), for: .read)
            try await repository.checkEpoch(point, in: path)
            let epoch = try await repository.epoch(point, in: path)
            return SchemaOffer(of: try await Self.schemas(of: repository, at: epoch))
        }
        let data = try read()
        switch data.first {
        case UInt8(ascii: "{"):
            return SchemaOffer(of: try schemas(ofLock: data, allVersions: allVersions))
        case SchemaRegistry.firstByte:
            try checkNoPoint("a registry's output")
            do throws(FormatError) {
                return try SchemaRegistry.offer([UInt8](data))
            } catch {
                throw ToolError(
                    "\(name) is no whole output of a registry: \(error)", exitCode: .damage)
            }
        default:
            try checkNoPoint("a stream")
            return SchemaOffer(of: try schemas(ofStream: data))
        }
    }

    /// More than any lock has; of a stream the schemas come first.
    private static let inputByteCount = 64 << 20

    private func read() throws(ToolError) -> Data {
        do {
            if path == "-" {
                return try FileHandle.standardInput.read(upToCount: Self.inputByteCount) ?? Data()
            }
            return try Data(contentsOf: URL(filePath: path), options: .mappedIfSafe)
        } catch {
            throw ToolError(
                "cannot read \(name): \(failureText(error))",
                hint:
                    "name a repository, or a file that holds a stream, a lock or a registry's output"
            )
        }
    }

    private func checkNoPoint(_ what: String) throws(ToolError) {
        guard point != nil else { return }
        throw ToolError(
            "\(path) is \(what), which has one version of each region",
            hint: "'@' stands behind a repository or a lock", exitCode: .usage)
    }

    private func schemas(
        ofLock data: Data, allVersions: Bool
    ) throws(ToolError) -> [RegionSchema] {
        let lock: SchemaLock
        do throws(SchemaLockError) {
            lock = try SchemaLock(json: data)
        } catch {
            throw ToolError("\(name): \(error)", exitCode: .damage)
        }
        guard let point else {
            return allVersions ? lock.versions : lock.newest
        }
        let found = lock.versions.filter { $0.row.version == point }
        guard !found.isEmpty else {
            let list = lock.regions.sorted { $0.key < $1.key }.map { region, versions in
                "\(region) \(versions.map { "\($0.schema.row.version)" }.joined(separator: ", "))"
            }
            throw ToolError(
                "\(path) has no region of version \(point)",
                hint: list.isEmpty ? "it has none at all" : "it has \(list.joined(separator: "; "))"
            )
        }
        return found
    }

    private func schemas(ofStream data: Data) throws(ToolError) -> [RegionSchema] {
        var reader = StreamReader()
        do throws(FormatError) {
            // The schemas come first.
            let head = [UInt8](data.prefix(2 * Limits().metadataBytes))
            unsafe head.withUnsafeBytes { unsafe reader.push($0) }
            if case .metadata(let metadata)? = try reader.next() { return metadata.regions }
        } catch {
            throw ToolError("\(name) holds no stream: \(error)", exitCode: .damage)
        }
        throw ToolError("\(name) holds no stream: it ends before its schemas", exitCode: .damage)
    }

    /// The schemas of a checkpoint.
    static func schemas(
        of repository: Repository, at epoch: UInt64
    ) async throws -> [RegionSchema] {
        do throws(RepositoryError) {
            return try await repository.reader(at: epoch).manifest.regions.map(\.schema)
        } catch {
            // A delta has those of the full checkpoint before it.
            guard error.code == .notFound else { throw error }
            guard let delta = try await repository.delta(at: epoch) else { throw error }
            return delta.schemas
        }
    }
}
