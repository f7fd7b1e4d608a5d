import Foundation

/// Where the demo leaves its report and its repository; what an earlier demo left there makes room.
struct DemoDirectory {
    private let root: String
    /// Says that a directory is the demo's, so that it may empty it.
    private static let marker = ".caesura-demo"

    /// Makes or empties the directory; one that holds anything else is refused.
    init(_ root: String) throws(ToolError) {
        self.root = root
        let files = FileManager.default
        do {
            let names = try? files.contentsOfDirectory(atPath: root)
            if let names, !names.isEmpty, !names.contains(Self.marker) {
                throw ToolError(
                    "\(root) holds files that no demo made",
                    hint: "name an empty or a new directory with --directory")
            }
            for name in names ?? [] { try files.removeItem(atPath: root + "/" + name) }
            try files.createDirectory(atPath: root, withIntermediateDirectories: true)
            try Data().write(to: URL(filePath: path(Self.marker)))
        } catch let error as ToolError {
            throw error
        } catch {
            throw ToolError("cannot write to \(root): \(error.localizedDescription)")
        }
    }

    /// The path of a file in it.
    func path(_ name: String) -> String { root + "/" + name }

    /// Writes a file whole or not at all.
    func write(_ text: String, to name: String) throws(ToolError) {
        do {
            try Data(text.utf8).write(to: URL(filePath: path(name)), options: .atomic)
        } catch {
            throw ToolError("cannot write \(path(name)): \(error.localizedDescription)")
        }
    }

    /// Removes a file, if it is there.
    func remove(_ name: String) { try? FileManager.default.removeItem(atPath: path(name)) }
}
