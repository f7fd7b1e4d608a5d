import ArgumentParser
import Caesura
import CaesuraMigration
import CaesuraNode
import CaesuraNodeService
import CaesuraRepository
import CaesuraService
import CaesuraTransport
import Foundation
import Logging
import ServiceLifecycle
import UnixSignals

/// `caesura node`.
struct RunNode: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node",
        abstract:
            "Run a node that takes partitions from others, keeps them on disk, and gives them on.",
        discussion: """
            It has no service in it: it keeps what services move to it, whatever their schemas are. All nodes of one \
            register have the same --partitions. Ends on SIGTERM or Ctrl-C, after it has given its partitions to its \
            successors and taken a last checkpoint.
            """)

    @Option(help: ArgumentHelp("The node's name, which its certificate has.", valueName: "name"))
    var name: String
    @Option(
        help: ArgumentHelp("Where to listen; port 0 takes a free one.", valueName: "host:port"),
        transform: NetworkAddress.typed)
    var listen: NetworkAddress
    @Option(
        help: ArgumentHelp(
            "Where others reach it, if not where it listens.", valueName: "host:port"),
        transform: NetworkAddress.typed)
    var advertise: NetworkAddress?
    @Option(help: ArgumentHelp("The directory of its checkpoints.", valueName: "directory"))
    var repository: String
    @OptionGroup var nodes: NodeArguments
    @Option(
        help: ArgumentHelp("How many partitions tables have: a power of two.", valueName: "number"))
    var partitions = 16
    @Flag(help: "Create partitions that the register has no entry of; on one node of all.")
    var create = false
    @Option(
        name: .customLong("successor"),
        help: ArgumentHelp(
            "A node that gets partitions when this one ends; may come several times.",
            valueName: "name"))
    var successors: [String] = []
    @Option(
        name: .customLong("operator"),
        help: ArgumentHelp(
            "A name in certificates of who may give orders; may come several times.",
            valueName: "name"))
    var operators: [String] = ["operator"]
    @Option(help: ArgumentHelp("The time between checkpoints.", valueName: "time"))
    var interval = ShortTime(.milliseconds(100))
    @Option(
        help: ArgumentHelp(
            "Megabytes a second that may leave while writers go on.", valueName: "number"))
    var bandwidth: Int?

    mutating func validate() throws {
        if !(1...OwnerEntry.ownerLimit).contains(name.utf8.count) {
            throw ValidationError("a name has 1 to \(OwnerEntry.ownerLimit) bytes")
        }
        if partitions < 1 || partitions & (partitions - 1) != 0
            || partitions > 1 << Store.Configuration().partitionBits
        {
            throw ValidationError(
                "--partitions is a power of two of at most \(1 << Store.Configuration().partitionBits)"
            )
        }
        if let bandwidth, bandwidth < 1 { throw ValidationError("--bandwidth is at least 1") }
        if interval.duration <= .zero { throw ValidationError("--interval is more than 0") }
    }

    func run() async throws {
        let security = try nodes.security
        let repository = try await Repository.open(.directory(repository))
        let store = Store()
        try await repository.restore(into: store)
        var options = ContinuousCheckpoints.Options()
        options.retention = Retention(newest: 2)
        options.observer = { event in
            switch event {
            case .failed(let error), .maintenanceFailed(let error):
                StandardError.write("caesura: warning: \(error)\n")
            default: break
            }
        }
        let checkpoints = repository.checkpoints(
            of: store, every: interval.duration, options: options)
        let node = try await NodeService(
            configuration(security), of: store, register: DirectoryOwnerRegister(nodes.owners),
            addresses: DirectoryAddressBook(nodes.owners), checkpoints: checkpoints)
        let group = ServiceGroup(
            services: [CheckpointService(checkpoints), node],
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: Logger(label: "caesura", factory: { _ in SwiftLogNoOpLogHandler() }))
        try await group.run()
    }

    private func configuration(_ security: TransportSecurity) -> NodeService.Configuration {
        var own = Node.Configuration(
            name: name, moveBits: partitions.trailingZeroBitCount, createsPartitions: create)
        own.bytesPerSecond = bandwidth.map { UInt64($0) * 1_000_000 }
        var configuration = NodeService.Configuration(own, listen: listen, security: security)
        configuration.advertised = advertise
        configuration.operators = Set(operators)
        configuration.successors = successors
        let name = name
        configuration.observer = { event in
            let line = NodeLine(event, of: name)
            switch event {
            case .listens: try? StandardOutput.write(line.text + "\n")
            default: StandardError.write("caesura: \(line.text)\n")
            }
        }
        return configuration
    }
}

/// What a node tells, as a line for people.
struct NodeLine {
    let text: String

    init(_ event: NodeService.Event, of node: String) {
        text =
            switch event {
            case .listens(let address): "node \(node) listens on \(address)"
            case .reported(let report): Self.text(report, node)
            case .connectionFailed(let error): "warning: \(error)"
            case .registerFailed(let error): "warning: \(error)"
            case .notDurable(let error): "warning: what came is not on disk yet: \(error)"
            }
    }

    private static func text(_ report: Node.Report, _ node: String) -> String {
        switch report {
        case .serves(let partition, let entry):
            "partition \(partition.short) is served here, by entry \(entry.number)"
        case .handedOver(let partition, let entry, let blackout):
            "partition \(partition.short) is node \(entry.owner)'s, by entry \(entry.number); "
                + "its writes had stopped for \(durationText(blackout.nanoseconds))"
        case .misses(let partition, let entry):
            "partition \(partition.short) is this node's by entry \(entry.number), and its rows are not here: "
                + "waiting for the node that it came from"
        case .ended(let end):
            switch end.outcome {
            case .moved: "partition \(end.partition.short) is on the disk of node \(end.target)"
            case .givenUp(let problem):
                "partition \(end.partition.short) stays here: \(problem.message)"
            case .aborted(let entry, let problem):
                "partition \(end.partition.short) stays here, by entry \(entry.number): \(problem.message)"
            case .overtaken(let entry):
                "partition \(end.partition.short) is node \(entry.owner)'s, by entry \(entry.number)"
            }
        case .unreachable(let name, let problem):
            "node \(name) cannot be reached: \(problem.message)"
        }
    }
}
