public import Caesura
public import CaesuraMigration
public import CaesuraNode
import CaesuraRepository

/// Requests, which any task brings.
extension NodeService {
    /// The partition in which the row of a key lies.
    public nonisolated func partition(of key: some TableKey) -> PartitionNumber {
        division.partition(ofHash: key.hash(with: store.hashKey))
    }

    /// Does a write to the row of a key, if this node serves its partition, and waits for that while it is handed over.
    ///
    /// - Parameters:
    ///   - key: The key of the row, or of one of several that are in one partition.
    ///   - known: The fencing epoch that the sender knows; nil to do without.
    ///   - rows: All rows that `body` touches; nil if it may touch any of the partition. A write that says them waits for no
    ///     others where rows come after ownership: the policy *postcopy*.
    ///   - deadline: When it stops waiting.
    ///   - body: What to do; it is given the fencing epoch under which it runs.
    /// - Complexity: As ``PartitionGate/perform(checking:touching:until:_:)``, and a hash of the key.
    /// - Throws: Whenever `body` has not run. `elsewhere` says where the request belongs.
    public nonisolated(nonsending) func write<Value>(
        to key: some TableKey, checking known: UInt64? = nil,
        touching rows: [RowReference]? = nil, until deadline: ContinuousClock.Instant,
        _ body: (UInt64) -> Value
    ) async throws(GateError) -> Value {
        let partition = partition(of: key)
        guard let gate = gates[partition] else { preconditionFailure("each hash has a gate") }
        do throws(GateError) {
            return try await gate.perform(
                checking: known, touching: rows, until: deadline, body)
        } catch {
            if case .overtaken = error { await overtaken(partition) }
            throw error
        }
    }

    /// Reads the row of a key, if this node has it; while the partition is handed over, reads go on.
    ///
    /// What another node has written since it has taken over may be missed for about a round trip, as
    /// ``PartitionGate/read(touching:_:)`` says.
    ///
    /// - Parameters:
    ///   - key: The key of the row, or of one of several that are in one partition.
    ///   - rows: As in ``write(to:checking:touching:until:_:)``.
    ///   - deadline: When it stops waiting, should it come between two states of the gate.
    /// - Throws: `elsewhere` with the node that has it; whatever else has kept `body` from running.
    public nonisolated(nonsending) func read<Value>(
        of key: some TableKey, touching rows: [RowReference]? = nil,
        until deadline: ContinuousClock.Instant, _ body: () -> Value
    ) async throws(GateError) -> Value {
        let partition = partition(of: key)
        guard let gate = gates[partition] else { preconditionFailure("each hash has a gate") }
        switch gate.read(touching: rows, body) {
        case .done(let value): return value
        case .elsewhere(let entry): throw .elsewhere(entry)
        case .wait, .overtaken:
            return try await gate.perform(touching: rows, until: deadline) { _ in body() }
        }
    }

    /// Waits until what was written to the row of a key is in a durable checkpoint, and so is its partition.
    ///
    /// A checkpoint by itself says less while rows of a partition are still to come (the policy *postcopy*): it does not have the
    /// partition then.
    ///
    /// - Parameters:
    ///   - key: As in ``write(to:checking:touching:until:_:)``.
    ///   - epoch: The fencing epoch under which it was written.
    ///   - deadline: When it stops waiting for the rows that are to come.
    /// - Throws: A `GateError`, `elsewhere` or `overtaken` also if the partition was served under another entry meanwhile: whether
    ///   the write is kept is not known then, and its sender has to ask again. A `RepositoryError`.
    public nonisolated(nonsending) func durable(
        _ key: some TableKey, writtenUnder epoch: UInt64, until deadline: ContinuousClock.Instant
    ) async throws {
        // Any row may be touched only once all are there, and the mark.
        try await write(to: key, checking: epoch, until: deadline) { _ in }
        try await checkpoints?.durable()
    }

    /// Says that somebody knows a later owner of a partition than this node does: the register is read.
    public func overtaken(_ partition: PartitionNumber) { handle(.overtaken(partition)) }

    /// Where the owner of a partition answers clients; nil if nobody has said.
    ///
    /// - Throws: As ``AddressBook/addresses(of:)``.
    public nonisolated func serviceAddress(
        of entry: OwnerEntry
    ) async throws(OwnerRegisterError) -> NetworkAddress? {
        try await addresses.addresses(of: entry.owner)?.service
    }
}
