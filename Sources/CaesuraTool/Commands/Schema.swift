import ArgumentParser
import CaesuraSchemas
import Foundation

/// `caesura schema`.
struct Schema: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Keep what shipped schemas promise.",
        discussion: """
            A lock, caesura.schema.json beside the code, has every schema that was shipped. The present schemas come \
            from data that the present program has written: a repository, or a file that holds a stream.
            """,
        subcommands: [Check.self, Lock.self, Show.self, Compat.self])

    /// Where the lock is.
    struct LockArguments: ParsableArguments {
        @Option(help: ArgumentHelp("The lock.", valueName: "file"))
        var lock = SchemaLock.fileName

        /// The lock; an empty one if there is no file and there need not be.
        func read(orEmpty isNewAllowed: Bool = false) throws -> SchemaLock {
            let data: Data
            do {
                data = try Data(contentsOf: URL(filePath: lock))
            } catch {
                if isNewAllowed, !FileManager.default.fileExists(atPath: lock) {
                    return SchemaLock()
                }
                throw ToolError(
                    "cannot read \(lock): \(failureText(error))",
                    hint: "caesura schema lock makes it; --lock names another one")
            }
            do throws(SchemaLockError) {
                return try SchemaLock(json: data)
            } catch {
                throw ToolError(
                    "\(lock): \(error)", exitCode: error.code == .malformed ? .damage : .failure)
            }
        }
    }
}
