import ArgumentParser
import Caesura
import CaesuraRepository
import Foundation

/// The `caesura` command.
@main
struct CaesuraCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "caesura",
        abstract: "Snapshots of in-memory state that do not pause its writers.",
        discussion: """
            Exit codes: 0 done; 1 failed; 64 wrong command line; 65 damage found; 75 another writer is
            at work; 130 interrupted.
            Results go to standard output, progress and errors to standard error.
            """,
        subcommands: [
            Replay.self, Inspect.self, Verify.self, Export.self, Restore.self, Demo.self,
        ])

    /// Runs the command line and turns every failure into an error, a hint and an exit code.
    static func main() async {
        Interruption.install()
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let error as ToolError {
            fail(error)
        } catch let error as RepositoryError {
            fail(ToolError(error))
        } catch let error as StoreError {
            fail(ToolError(error.description))
        } catch {
            if exitCode(for: error) == .success { exit(withError: error) }
            fail(usageError(error))
        }
    }

    /// What the argument parser found, in the words of our other errors.
    static func usageError(_ error: any Error) -> ToolError {
        let message = message(for: error)
        // Its first letter would be the only capital behind our colon.
        let lowered = (message.first?.lowercased() ?? "") + message.dropFirst()
        // The full message ends in "See 'caesura replay routes --help' for more information."
        let help = fullMessage(for: error).firstMatch(of: #/See '([^']*)'/#)?.1
        return ToolError(
            lowered, hint: "\(help ?? "caesura --help") shows how it is used", exitCode: .usage)
    }

    static func fail(_ error: ToolError) -> Never {
        FileHandle.standardError.write(Data(error.text.utf8))
        Foundation.exit(error.exitCode.rawValue)
    }
}
