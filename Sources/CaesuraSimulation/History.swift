import CaesuraMigration

/// What clients asked and were answered, and what nodes accepted: checked as it comes.
///
/// Each row is a counter, and each write adds one and is answered with the count. So a write that is there once has a count
/// that no other has; one that is lost or there twice shows in the counts of those behind it, and per key all that
/// linearizability (Herlihy and Wing, TOPLAS 1990) asks for can be seen in O(1): who begins after another was answered
/// gets a larger count.
struct History {
    private struct Key {
        /// The largest count that was answered.
        var answered: UInt64 = 0
        /// All counts that were answered to writes.
        var counts: Set<UInt64> = []
        /// Writes that were asked for.
        var asked: UInt64 = 0
    }

    private var keys: [UInt64: Key] = [:]
    /// The node that has accepted writes under a fencing epoch of a partition, and the last of them.
    private var owners: [PartitionNumber: (epoch: UInt64, node: String)] = [:]
    /// What is wrong.
    private(set) var violations: [String] = []
    /// Writes and reads that were answered.
    private(set) var answered = 0

    /// Notes that something is wrong.
    mutating func violate(_ what: String) {
        if violations.count < 20 { violations.append(what) }
    }

    /// A client asks for a write of a key.
    ///
    /// - Returns: The count that its answer must be above.
    mutating func askWrite(_ key: UInt64) -> UInt64 {
        keys[key, default: Key()].asked += 1
        return keys[key]?.answered ?? 0
    }

    /// A client asks for the count of a key.
    ///
    /// - Returns: The count that its answer must be at least.
    func askRead(_ key: UInt64) -> UInt64 { keys[key]?.answered ?? 0 }

    /// A write was answered.
    mutating func answerWrite(_ key: UInt64, _ count: UInt64, above least: UInt64) {
        answered += 1
        var state = keys[key] ?? Key()
        if count <= least {
            violate(
                "a write of key \(key) got count \(count), and \(least) was answered before it began"
            )
        }
        if count > state.asked {
            violate(
                "a write of key \(key) got count \(count) of \(state.asked): one was done twice")
        }
        if !state.counts.insert(count).inserted {
            violate("two writes of key \(key) got count \(count): one is lost")
        }
        state.answered = max(state.answered, count)
        keys[key] = state
    }

    /// A read was answered.
    mutating func answerRead(_ key: UInt64, _ count: UInt64, atLeast least: UInt64) {
        answered += 1
        let asked = keys[key]?.asked ?? 0
        if count < least || count > asked {
            violate("a read of key \(key) got \(count), and it is from \(least) to \(asked)")
        }
        let answered = max(keys[key]?.answered ?? 0, count)
        keys[key, default: Key()].answered = answered
    }

    /// A node has done a write under a fencing epoch.
    mutating func accept(_ partition: PartitionNumber, _ epoch: UInt64, by node: String) {
        if let last = owners[partition] {
            if epoch < last.epoch {
                violate(
                    "node \(node) wrote partition \(partition) under epoch \(epoch) after \(last.node) under \(last.epoch)"
                )
            }
            if epoch == last.epoch, node != last.node {
                violate("both \(node) and \(last.node) wrote partition \(partition) under \(epoch)")
            }
        }
        owners[partition] = (epoch, node)
    }

    /// The count that each key must have once all writes were answered.
    var finalCounts: [UInt64: UInt64] { keys.mapValues(\.asked) }
}
