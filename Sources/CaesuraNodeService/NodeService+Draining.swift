import CaesuraMigration
import CaesuraNode
import CaesuraTransport

/// Giving partitions away when the process is about to end.
extension NodeService {
    /// How long a partition stays that a successor has not taken, until another is asked.
    private static let drainPause = Duration.milliseconds(200)
    /// How long one is left alone that was not reached, if there are others.
    private static let silence = Duration.seconds(2)

    /// Gives all partitions to the successors, as far as that goes within the limit.
    func drain() async {
        node.takesPartitions = false
        guard !configuration.successors.isEmpty else { return }
        let limit = configuration.drainLimit
        let cancel = loop.schedule(in: limit) { self.assumeIsolated { $0.giveUpDraining() } }
        await withTaskGroup { group in
            for (index, partition) in division.partitions.enumerated() {
                group.addTask { await self.giveAway(partition, beginningBehind: index) }
            }
        }
        cancel()
    }

    /// Gives a partition to the first successor that takes it, with a larger budget each time that one is too small.
    private func giveAway(_ partition: PartitionNumber, beginningBehind index: Int) async {
        var next = index
        var budget = configuration.drainBudget
        while isStillNeeded(partition), !isDrainOver, !Task.isCancelled {
            let name = successor(&next)
            let end = try? await move(
                partition, to: name, budget: budget, policy: configuration.drainPolicy)
            switch end?.outcome {
            case .moved: return
            // A longer pause is better than that it stays with a process that ends.
            case .givenUp(let problem) where problem.code == .doesNotConverge:
                budget = min(budget * 4, configuration.drainLimit)
            default: break
            }
            await loop.sleep(for: Self.drainPause)
        }
    }

    /// Takes a successor that is not reached out of the turn for a while, and what waits for it to another one.
    func passBy(_ name: String) {
        guard !node.takesPartitions else { return }
        silent[name] = now
        for move in node.moves where move.target == name {
            switch move.stage {
            case .waiting, .connecting: carryOut(node.stop(move.partition, at: now))
            default: break
            }
        }
    }

    /// The next successor in turn, of those that were reached of late as long as there are any.
    private func successor(_ next: inout Int) -> String {
        let successors = configuration.successors
        for _ in successors {
            next += 1
            let name = successors[next % successors.count]
            guard let time = silent[name], now - time < Self.silence else { return name }
        }
        next += 1
        return successors[next % successors.count]
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
