import ArgumentParser
import Caesura
import CaesuraMigration
import CaesuraRepository
import CaesuraTransport
import Foundation

/// The `caesura` command.
@main
struct CaesuraCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "caesura",
        abstract: "Snapshots of in-memory state that do not pause its writers.",
        // Lines short enough that the parser does not wrap them at 80 columns.
        discussion: """
            Results go to standard output, progress and errors to standard error.

            Exit codes:
              0    done
              1    failed
              64   wrong command line
              65   damage found
              75   another writer is at work
              130  interrupted
            """,
        version: "0.1.0",
        subcommands: [
            Log.self, Inspect.self, Verify.self, Export.self, Diff.self, Restore.self, Compact.self,
            Schema.self,
            Prune.self, Replay.self, RunNode.self, Migrate.self, Rebalance.self, Partitions.self,
            Simulate.self, Demo.self, DemoSuccessor.self,
        ])

    /// Runs the command line and turns every failure into an error, a hint and an exit code.
    static func main() async {
        StandardDescriptors.occupy()
        Interruption.install()
        do {
            try checkHelp(CommandLine.arguments.dropFirst())
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
        } catch let error as TransportError {
            fail(ToolError(error))
        } catch let error as OwnerRegisterError {
            fail(ToolError(error))
        } catch let error as MigrationProblem {
            fail(ToolError(error.message))
        } catch let error as RebalancingError {
            fail(ToolError(error.message))
        } catch let error as StoreError {
            fail(ToolError(error.description))
        } catch {
            fail(parserError(error))
        }
    }

    /// Tells a wrong command line from what no part of the tool expected, and answers what is no error at all:
    /// help and the version.
    static func parserError(_ error: any Error) -> ToolError {
        switch exitCode(for: error) {
        case .success:
            do throws(ToolError) {
                try StandardOutput.write(fullMessage(for: error) + "\n")
            } catch {
                return error
            }
            Foundation.exit(0)
        case .validationFailure: return usageError(error)
        default: return ToolError(failureText(error))
        }
    }

    /// Refuses `help` for a command that is not there; the parser would show the help of the one above.
    static func checkHelp(_ arguments: ArraySlice<String>) throws(ToolError) {
        guard arguments.first == "help" else { return }
        var command: any ParsableCommand.Type = CaesuraCommand.self
        for name in arguments.dropFirst() where !name.hasPrefix("-") {
            let subcommands = command.configuration.subcommands
            guard let next = subcommands.first(where: { $0._commandName == name }) else {
                throw ToolError(
                    "there is no command '\(name)'",
                    hint: "caesura --help shows the commands there are", exitCode: .usage)
            }
            command = next
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
        StandardError.write(error.text)
        Foundation.exit(error.exitCode.rawValue)
    }
}
