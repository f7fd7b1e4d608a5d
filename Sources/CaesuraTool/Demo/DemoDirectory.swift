import CaesuraRepository
import Foundation

/// Where the demo leaves its report and its repository; what an earlier demo left there makes room, and nothing
/// else is touched.
struct DemoDirectory {
    private let root: String
    /// The repository, without checkpoints; its lock keeps a second demo out.
    let repository: Repository
    /// Says that a directory is the demo's.
    private static let marker = ".caesura-demo"

    /// Makes the directory, or takes away what a demo made in it; one that no demo made is refused.
    init(_ root: String) async throws {
        self.root = root
        let files = FileManager.default
        let names = (try? files.contentsOfDirectory(atPath: root)) ?? []
        guard names.isEmpty || names.contains(Self.marker) else {
            throw ToolError(
                "\(root) holds files that no demo made",
                hint: "name an empty or a new directory with --directory")
        }
        do {
            try files.createDirectory(atPath: root, withIntermediateDirectories: true)
            try Data().write(to: URL(filePath: root + "/" + Self.marker))
        } catch {
            throw ToolError(writing: root, error)
        }
        repository = try await Self.emptyRepository(root + "/state")
        // Not before the lock is ours.
        for name in ["report.html", "sessions.json", Self.ownersName] {
            try? files.removeItem(atPath: path(name))
        }
    }

    private static let ownersName = "owners"

    /// A directory for an owner register, which is taken away when the demo is made anew.
    var owners: String { path(Self.ownersName) }

    private static func emptyRepository(_ path: String) async throws -> Repository {
        do throws(RepositoryError) {
            // Whoever has it keeps this demo out.
            try await Repository.open(.directory(path)).close()
        } catch {
            guard error.code != .locked else {
                throw ToolError(
                    error.description,
                    hint: "wait until that demo has ended, or name another directory with "
                        + "--directory", exitCode: .locked)
            }
            guard error.code == .damaged || error.code == .unsupported else { throw error }
        }
        // A repository remembers what was removed from it, and one that an earlier demo left may be damaged: it goes as a whole.
        try FileManager.default.removeItem(atPath: path)
        return try await Repository.open(.directory(path))
    }

    /// The path of a file in it.
    func path(_ name: String) -> String { root + "/" + name }

    /// Writes a file whole or not at all.
    func write(_ text: String, to name: String) throws(ToolError) {
        do {
            try Data(text.utf8).write(to: URL(filePath: path(name)), options: .atomic)
        } catch {
            throw ToolError(writing: path(name), error)
        }
    }
}
