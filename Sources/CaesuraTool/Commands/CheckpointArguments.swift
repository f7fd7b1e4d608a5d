import ArgumentParser
import CaesuraRepository

/// Which checkpoint of which repository a command reads.
struct CheckpointArguments: ParsableArguments {
    @Argument(help: ArgumentHelp("The repository.", valueName: "directory"))
    var directory: String
    @Option(help: ArgumentHelp("The checkpoint; the newest unless told.", valueName: "epoch"))
    var at: UInt64?

    /// Opens the repository.
    func open(for access: Repository.Access = .read) async throws -> Repository {
        let repository = try await Repository.open(.directory(directory), for: access)
        try await repository.checkEpoch(at, in: directory)
        return repository
    }
}

extension Repository {
    /// The epoch asked for, or that of the newest checkpoint.
    func epoch(_ epoch: UInt64?, in directory: String) async throws -> UInt64 {
        if let epoch { return epoch }
        guard let newest = try await newest() else {
            throw ToolError("\(directory) has no checkpoint yet")
        }
        return newest
    }

    /// Refuses an epoch without a checkpoint, and names those that have one.
    func checkEpoch(_ epoch: UInt64?, in directory: String) async throws {
        guard let epoch else { return }
        let epochs = try await epochs()
        guard !epochs.contains(epoch) else { return }
        // As many as fit on a line.
        let list =
            epochs.count <= 8
            ? epochs.map(String.init).joined(separator: ", ")
            : "\(epochs.count) from \(epochs[0]) to \(epochs[epochs.count - 1])"
        throw ToolError(
            "\(directory) has no checkpoint of epoch \(epoch)",
            hint: epochs.isEmpty ? "it has none at all" : "the epochs it has: \(list)")
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

    /// Some of a repository's checkpoints are damaged.
    ///
    /// - Parameter dependents: How many others are restored through these.
    init(
        damaged epochs: [UInt64], of count: Int, dependents: Int = 0, in directory: String
    ) {
        self.init(
            "\(epochs.count) of \(count) checkpoint\(count == 1 ? "" : "s") damaged"
                + (dependents == 0 ? "" : ", and \(dependents) more restored through that"),
            hint: "caesura restore \(directory) --at \(epochs[0]) --check --salvage shows what can "
                + "be brought back", exitCode: .damage)
    }
}
