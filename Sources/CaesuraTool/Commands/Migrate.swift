import ArgumentParser
import CaesuraMigration
import CaesuraNodeService
import Foundation
import Synchronization

/// `caesura migrate`.
struct Migrate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Move partitions from one node to another while both serve.",
        discussion: """
            Ctrl-C stops the moves that are not decided; partitions that have moved stay moved. The same command again \
            goes on with the rest, and follows moves that are under way already. Ends with exit code 1 if a \
            partition has not moved.
            """)

    @Option(help: ArgumentHelp("The node that has them.", valueName: "name"))
    var from: String
    @Option(help: ArgumentHelp("The node that is to have them.", valueName: "name"))
    var to: String
    @OptionGroup var nodes: NodeArguments
    @Option(
        help: ArgumentHelp(
            "Which, as 10,11,1f; all that the node serves unless told.", valueName: "numbers"),
        transform: PartitionNumber.list)
    var partitions: [PartitionNumber] = []
    @OptionGroup var pause: PauseArguments
    @Flag(help: "Print it as JSON.")
    var json = false

    mutating func validate() throws {
        if from == to { throw ValidationError("--from and --to are the same node") }
        if partitions.count > Order.partitionLimit {
            throw ValidationError("--partitions names at most \(Order.partitionLimit)")
        }
    }

    private var order: MoveOrder { pause.order(of: partitions, to: to) }

    func run() async throws {
        let report = try await follow()
        if json {
            try StandardOutput.writeJSON(report)
        } else {
            try StandardOutput.write(report.text)
        }
        try Interruption.check()
        guard report.stayed == 0 else {
            throw ToolError(
                "\(counted(report.stayed, "partition")) stayed with node \(from)",
                hint: "the lines above say why; the same command tries again")
        }
    }

    /// Gives the order, shows how it goes, and stops it if the person wants that.
    private func follow() async throws -> MigrationReport {
        let node = try await nodes.connect(to: from)
        let report = Mutex(MigrationReport(from: from, to: to))
        let (nodes, from, order) = (nodes, from, order)
        let watch = Task {
            while !Interruption.isRequested { try await Task.sleep(for: .milliseconds(20)) }
            // Over a connection of its own: the other one is waiting for the end.
            let other = try await nodes.connect(to: from)
            let named = report.withLock { $0.unfinished(of: order) }
            for try await _ in other.answers(to: .stop(named)) {}
        }
        defer { watch.cancel() }
        var bar = ProgressBar("moving")
        for try await answer in node.answers(to: .move(order)) {
            let (share, detail) = report.withLock { report in
                report.note(answer)
                return (report.share(of: order), report.detail)
            }
            bar.update(share, detail)
        }
        bar.clear()
        return report.withLock { $0 }
    }
}
