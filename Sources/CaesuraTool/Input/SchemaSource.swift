import CaesuraFormat
import CaesuraRepository
import CaesuraSchemas
import Foundation

/// A repository, a stream, a lock or what a registry prints, from which schemas are taken; `-` is standard input.
struct SchemaSource {
    let path: String

    init(_ path: String) { self.path = path }

    /// The schemas: of a repository those of the newest checkpoint, of a lock the newest of each region.
    func schemas(allVersions: Bool = false) async throws -> [RegionSchema] {
        var isDirectory: ObjCBool = false
        let exists = unsafe FileManager.default.fileExists(
            atPath: path, isDirectory: &isDirectory)
        if exists, isDirectory.boolValue {
            let repository = try await Repository.open(.directory(path), for: .read)
            return try await Self.schemas(
                of: repository, at: try await repository.epoch(nil, in: path))
        }
        let data: Data
        do {
            data =
                path == "-"
                ? try FileHandle.standardInput.readToEnd() ?? Data()
                : try Data(contentsOf: URL(filePath: path), options: .mappedIfSafe)
        } catch {
            throw ToolError(
                "cannot read \(path): \(failureText(error))",
                hint: "name a repository, or a file that holds a stream")
        }
        if data.first == UInt8(ascii: "{") {
            do throws(SchemaLockError) {
                let lock = try SchemaLock(json: data)
                guard allVersions else { return lock.newest }
                return lock.regions.sorted { $0.key < $1.key }.flatMap { $1.map(\.schema) }
            } catch {
                throw ToolError("\(path): \(error)", exitCode: .damage)
            }
        }
        var reader = StreamReader()
        do throws(FormatError) {
            // The schemas come first.
            let head = [UInt8](data.prefix(2 * Limits().metadataBytes))
            unsafe head.withUnsafeBytes { unsafe reader.push($0) }
            if case .metadata(let metadata)? = try reader.next() { return metadata.regions }
        } catch {
            throw ToolError("\(path) holds no stream: \(error)", exitCode: .damage)
        }
        throw ToolError("\(path) holds no stream: it ends before its schemas", exitCode: .damage)
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
