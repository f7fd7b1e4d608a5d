import CaesuraMigration
import CaesuraNode

/// Giving partitions away when the process is about to end.
extension NodeService {
    /// How long a partition stays that a successor has not taken, until another is asked.
    private static let drainPause = Duration.milliseconds(200)

    /// Gives all partitions to the successors, as far as that goes within the limit.
    func drain() async {
        node.takesPartitions = false
        guard !configuration.successors.isEmpty else { return }
        let limit = configuration.drainLimit
        let timer = Task {
            try await Task.sleep(for: limit)
            giveUpDraining()
        }
        await withTaskGroup { group in
            for (index, partition) in division.partitions.enumerated() {
                group.addTask { await self.giveAway(partition, beginningWith: index) }
            }
        }
        timer.cancel()
    }

    /// Gives a partition to the first successor that takes it, with a larger budget each time that one is too small.
    private func giveAway(_ partition: PartitionNumber, beginningWith index: Int) async {
        let successors = configuration.successors
        var next = index
        var budget = configuration.drainBudget
        while isStillNeeded(partition), !isDrainOver {
            let end = try? await move(
                partition, to: successors[next % successors.count], budget: budget,
                policy: configuration.drainPolicy)
            next += 1
            switch end?.outcome {
            case .moved: return
            // A longer pause is better than that it stays with a process that ends.
            case .givenUp(let problem) where problem.code == .doesNotConverge: budget *= 4
            default: break
            }
            try? await Task.sleep(for: Self.drainPause)
        }
    }

    private func giveUpDraining() {
        isDrainOver = true
        for status in node.moves { carryOut(node.stop(status.partition, at: now)) }
        // Those that only let go cannot be stopped, and need not be waited for: the rows are in the last checkpoint.
        endWaiting("the time to give partitions away is over")
    }

    /// Whether the rows of a partition are needed here.
    private func isStillNeeded(_ partition: PartitionNumber) -> Bool {
        node.partitions.contains {
            $0.partition == partition && ($0.holding == .served || $0.holding == .lettingGo)
        }
    }
}
