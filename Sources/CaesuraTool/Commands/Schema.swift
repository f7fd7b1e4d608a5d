import ArgumentParser
import CaesuraSchemas
import Foundation

/// `caesura schema`.
struct Schema: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Keep what shipped schemas promise.",
        discussion: """
            A lock, caesura.schema.json beside the code, has every schema that was shipped. The present schemas come \
            from the program's registry (swift package caesura-schema runs it), or from data that the present \
            program has written.
            """,
        subcommands: [Check.self, Lock.self, Diff.self, Show.self, Compat.self])

    /// Where the present schemas are taken from.
    static let presentHelp: String =
        "What the program's registry wrote, or data of it: a repository or a stream. - is standard input."
    /// Where any schemas are taken from.
    static let sourceHelp: String =
        "What a registry wrote, a repository (state, or state@12 for an epoch), a stream, or a lock (caesura.schema.json, "
        + "or caesura.schema.json@3 for a version). - is standard input."

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
