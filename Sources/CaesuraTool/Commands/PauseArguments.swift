import ArgumentParser
import CaesuraMigration

/// How long the writes of a partition that moves may stop, and what is done about it.
struct PauseArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "How long the writes of a partition may stop, as 500us or 1ms.", valueName: "time"))
    var budget = ShortTime(.milliseconds(1))
    @Option(
        help: ArgumentHelp(
            """
            If that cannot be: slow the partition's writers; hand it over before all of its rows have gone, which follow on \
            demand (postcopy; with a budget of 0ms it does so at once); or fail.
            """, valueName: "policy"))
    var policy = Policy.slow

    enum Policy: String, ExpressibleByArgument, CaseIterable {
        case slow, postcopy, fail

        /// What a node is told.
        var policy: SourceMove.Policy {
            switch self {
            case .slow: .slow(limit: .milliseconds(1))
            case .postcopy: .postcopy
            case .fail: .fail
            }
        }
    }

    /// The order to move partitions so.
    func order(of partitions: [PartitionNumber], to target: String) -> MoveOrder {
        MoveOrder(
            of: partitions, to: target, budget: budget.duration,
            policy: policy.policy)
    }
}
