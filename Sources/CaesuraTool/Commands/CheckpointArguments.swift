import ArgumentParser
import CaesuraRepository

/// Which checkpoint of which repository a command reads.
struct CheckpointArguments: ParsableArguments {
    @Argument(help: ArgumentHelp("The repository.", valueName: "directory"))
    var directory: String
    @Option(help: ArgumentHelp("The checkpoint; the newest unless told.", valueName: "epoch"))
    var at: UInt64?

    /// Opens the repository for reading.
    func open() async throws(RepositoryError) -> Repository {
        try await Repository.open(.directory(directory), for: .read)
    }
}

extension ToolError {
    /// What a library refused, in the tool's words.
    init(_ error: RepositoryError) {
        let exitCode: ExitCode =
            switch error.code {
            case .cancelled: .interrupted
            case .damaged: .damage
            case .locked: .locked
            default: .failure
            }
        self.init(error.description, hint: error.hint, exitCode: exitCode)
    }
}
