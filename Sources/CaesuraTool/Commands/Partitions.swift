import ArgumentParser
import CaesuraMigration
import CaesuraNodeService

/// `caesura partitions`.
struct Partitions: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what partitions a node has, and what of it is moving.")

    @Option(help: ArgumentHelp("The node that is asked.", valueName: "name"))
    var node: String
    @OptionGroup var nodes: NodeArguments
    @Flag(help: "Print it as JSON.")
    var json = false

    func run() async throws {
        let (nodes, name) = (nodes, node)
        let overview = try await stopping {
            let node = try await nodes.connect(to: name)
            var overview = NodeOverview(node: name)
            for try await answer in node.answers(to: .show) { overview.note(answer) }
            return overview
        }
        if json {
            try StandardOutput.writeJSON(overview)
        } else {
            try StandardOutput.write(overview.text)
        }
    }
}

/// What `caesura partitions` prints.
struct NodeOverview: Codable {
    var node: String
    var partitions: [Partition] = []
    var moves: [Move] = []

    /// What a partition is to the node.
    struct Partition: Codable {
        /// Hexadecimal.
        var partition: String
        var holding: String
        var owner: String?
        var entry: UInt64?
        var fencingEpoch: UInt64?
    }

    /// A move out of the node.
    struct Move: Codable {
        var partition: String
        var target: String
        var stage: String
        var round: UInt32
        var sentBytes: UInt64
    }

    init(node: String) { self.node = node }

    mutating func note(_ answer: Answer) {
        switch answer {
        case .holds(let status):
            partitions.append(
                Partition(
                    partition: status.partition.short, holding: "\(status.holding)",
                    owner: status.entry?.owner, entry: status.entry?.number,
                    fencingEpoch: status.entry?.fencingEpoch))
        case .moves(let status):
            moves.append(
                Move(
                    partition: status.partition.short, target: status.target,
                    stage: "\(status.stage)", round: status.round, sentBytes: status.sentBytes))
        case .handedOver, .ended, .done: break
        }
    }

    /// What a person reads.
    var text: String {
        let served = partitions.count { $0.holding == "served" }
        var text = "node \(node) serves \(served) of \(counted(partitions.count, "partition"))\n"
        var table = TextTable(["partition", "here", "owner", "entry", "fencing epoch"])
        for partition in partitions {
            table.append([
                partition.partition, partition.holding, partition.owner ?? "-",
                partition.entry.map { "\($0)" } ?? "-",
                partition.fencingEpoch.map { "\($0)" } ?? "-",
            ])
        }
        text += table.text
        guard !moves.isEmpty else { return text }
        text += "\(counted(moves.count, "move")) out of it\n"
        table = TextTable(["partition", "to", "stage", "round", "sent"])
        for move in moves {
            table.append([
                move.partition, move.target, move.stage, "\(move.round)",
                byteText(Int(clamping: move.sentBytes)),
            ])
        }
        return text + table.text
    }
}
