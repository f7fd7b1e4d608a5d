import Synchronization

/// An owner register in one process: for tests, simulations, and moves between stores of one process.
///
/// Its entries end with it.
public final class LocalOwnerRegister: OwnerRegister {
    private let entries = Mutex<[PartitionNumber: OwnerEntry]>([:])
    private let shape = Mutex<OwnerShape?>(nil)

    /// Creates a register without entries.
    public init() {}

    /// The last entry of a partition.
    nonisolated(nonsending) public func last(
        of partition: PartitionNumber
    ) async throws(OwnerRegisterError) -> OwnerEntry? {
        entries.withLock { $0[partition] }
    }

    /// Makes an entry the last one, if that before it is.
    nonisolated(nonsending) public func append(
        _ entry: OwnerEntry, to partition: PartitionNumber
    ) async throws(OwnerRegisterError) -> OwnerAppending {
        let (last, isAppended) = entries.withLock { entries in
            let last = entries[partition]
            let isNext = entry.number == (last?.number ?? 0) + 1
            if isNext { entries[partition] = entry }
            return (last, isNext)
        }
        if isAppended { return .appended }
        guard let last, entry.number <= last.number else {
            throw OwnerRegisterError(
                .outOfOrder,
                "partition \(partition) has \(last?.number ?? 0) entries, and number \(entry.number) is to follow"
            )
        }
        return .refused(last)
    }

    /// Returns at once, as an append does.
    nonisolated(nonsending) public func probe() async throws(OwnerRegisterError) {}

    /// What the first who asked has proposed.
    nonisolated(nonsending) public func shape(proposing proposed: OwnerShape)
        async throws(OwnerRegisterError) -> OwnerShape
    {
        shape.withLock { shape in
            let settled = shape ?? proposed
            shape = settled
            return settled
        }
    }
}
