import CaesuraMigration

/// The owner register of a simulated world.
final class SimulatedRegister {
    /// All entries of the partitions.
    private(set) var entries: [PartitionNumber: [OwnerEntry]] = [:]
    /// Until when it cannot be reached.
    var outage = Duration.zero
    /// What happens to the next appends: their answers are lost, and they are made so much later, or never.
    var unknown: [Duration?] = []

    /// The last entry of a partition.
    func last(of partition: PartitionNumber) -> OwnerEntry? { entries[partition]?.last }

    /// Makes an entry the last one, if that before it is.
    func append(_ entry: OwnerEntry, to partition: PartitionNumber) -> OwnerAppending? {
        let present = entries[partition] ?? []
        if entry.number == UInt64(present.count) + 1 {
            entries[partition, default: []].append(entry)
            return .appended
        }
        return present.last.map { .refused($0) }
    }
}
