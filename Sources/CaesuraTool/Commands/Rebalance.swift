import ArgumentParser
import CaesuraMigration
import CaesuraNode
import CaesuraRepository
import Foundation

/// `caesura rebalance`.
struct Rebalance: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Move as few partitions as give each node its share, several at once.",
        discussion: """
            Nodes that have partitions and are not named are emptied. Partitions count alike, or by --loads, a file of \
            lines as "1f 4096": a partition and its load, in one unit for all. Ctrl-C begins no more moves, and stops \
            those that are not decided; partitions that have moved stay moved. The same command again makes a new plan \
            from there. Ends with exit code 1 if a partition has not moved.
            """)

    @OptionGroup var arguments: NodeArguments
    @Option(
        help: ArgumentHelp(
            "The nodes that are to have partitions, as a,b,c=2: c is to have twice as many.",
            valueName: "names"),
        transform: Self.nodes)
    var nodes: [RebalancingPlan.Node]
    @Option(help: ArgumentHelp("What is to be shared out, if not a count.", valueName: "file"))
    var loads: String?
    @Option(
        help: ArgumentHelp(
            "Percent of its share of loads that a node may have beyond it; 10 unless told.",
            valueName: "number"))
    var tolerance: Int?
    @Flag(
        name: [.customLong("plan"), .customLong("dry-run")],
        help: "Only say what would be moved.")
    var isPlan = false
    @Option(
        help: ArgumentHelp(
            "How many partitions move at the same time; to one node never more than \(MoveSchedule.incomingLimit).",
            valueName: "number"))
    var atOnce = 8
    @OptionGroup var pause: PauseArguments
    @Flag(help: "Print it as JSON.")
    var json = false

    /// Each takes a connection.
    private static let atOnceLimit = 256

    mutating func validate() throws {
        do throws(RebalancingError) {
            _ = try RebalancingPlan(of: [], over: nodes)
        } catch {
            throw ValidationError("--nodes: \(error.message)")
        }
        if let tolerance {
            if loads == nil { throw ValidationError("--tolerance is of loads: give --loads, too") }
            if !(0...100).contains(tolerance) { throw ValidationError("--tolerance is 0 to 100") }
        }
        if !(1...Self.atOnceLimit).contains(atOnce) {
            throw ValidationError("--at-once is 1 to \(Self.atOnceLimit)")
        }
    }

    /// Nodes as they are typed: names with commas between, some with `=` and a weight.
    static func nodes(_ text: String) throws -> [RebalancingPlan.Node] {
        try text.split(separator: ",", omittingEmptySubsequences: false).map { part in
            guard let sign = part.lastIndex(of: "=") else {
                return RebalancingPlan.Node(String(part))
            }
            guard let weight = UInt32(part[part.index(after: sign)...]) else {
                throw ValidationError("'\(part)' is no node and weight, as in c=2")
            }
            return RebalancingPlan.Node(String(part[..<sign]), weight: weight)
        }
    }

    func run() async throws {
        let plan = try await plan()
        var report = RebalancingReport(plan, hasLoads: loads != nil)
        if !json { try StandardOutput.write(report.planText(withMoves: isPlan)) }
        if !isPlan, !plan.moves.isEmpty {
            let schedule = MoveSchedule(plan.moves, atOnce: atOnce)
            let orders = MoveOrders(schedule, of: plan.moves.count, arguments, pause)
            report.moves = await orders.follow()
            if !json { try StandardOutput.write(report.movesText) }
        }
        if json { try StandardOutput.writeJSON(report) }
        try Interruption.check()
        guard report.stayed == 0 else {
            throw ToolError(
                "\(counted(report.stayed, "partition")) \(report.stayed == 1 ? "has" : "have") not moved",
                hint: "the same command makes a new plan from what is there")
        }
    }

    // MARK: The plan

    private func plan() async throws -> RebalancingPlan {
        let loads = try loads.map(PartitionLoads.init)
        let register = try await DirectoryOwnerRegister(arguments.owners)
        guard let shape = try await register.shape() else {
            throw ToolError(
                "no node has ever run with the register in \(arguments.owners)",
                hint: "start one with caesura node --owners \(arguments.owners) --create")
        }
        for node in nodes { _ = try await arguments.address(of: node.name) }
        var partitions: [RebalancingPlan.Partition] = []
        for number in Division(bits: shape.moveBits).partitions {
            try Interruption.check()
            let owner = try await register.last(of: number)?.owner
            let load = try loads?.load(of: number, isNeeded: owner != nil) ?? 1
            partitions.append(.init(number, owner: owner, load: load))
        }
        try loads?.check(Set(partitions.map(\.number)))
        return try RebalancingPlan(
            of: partitions, over: nodes,
            by: loads == nil ? .count : .load(tolerance: Double(tolerance ?? 10) / 100))
    }
}
