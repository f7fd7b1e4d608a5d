public import Caesura
public import CaesuraMigration
public import CaesuraNode

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
    ///   - deadline: When it stops waiting.
    ///   - body: What to do; it is given the fencing epoch under which it runs.
    /// - Complexity: As ``PartitionGate/perform(checking:until:_:)``, and a hash of the key.
    /// - Throws: Whenever `body` has not run. `elsewhere` says where the request belongs.
    public nonisolated(nonsending) func write<Value>(
        to key: some TableKey, checking known: UInt64? = nil,
        until deadline: ContinuousClock.Instant, _ body: (UInt64) -> Value
    ) async throws(GateError) -> Value {
        let partition = partition(of: key)
        guard let gate = gates[partition] else { preconditionFailure("each hash has a gate") }
        do throws(GateError) {
            return try await gate.perform(checking: known, until: deadline, body)
        } catch {
            if case .overtaken = error { await overtaken(partition) }
            throw error
        }
    }

    /// Reads the row of a key, if this node has it; while the partition is handed over, reads go on.
    ///
    /// What another node has written since it has taken over may be missed for about a round trip, as
    /// ``PartitionGate/read(_:)`` says.
    ///
    /// - Parameters:
    ///   - key: The key of the row, or of one of several that are in one partition.
    ///   - deadline: When it stops waiting, should it come between two states of the gate.
    /// - Throws: `elsewhere` with the node that has it; whatever else has kept `body` from running.
    public nonisolated(nonsending) func read<Value>(
        of key: some TableKey, until deadline: ContinuousClock.Instant, _ body: () -> Value
    ) async throws(GateError) -> Value {
        let partition = partition(of: key)
        guard let gate = gates[partition] else { preconditionFailure("each hash has a gate") }
        switch gate.read(body) {
        case .done(let value): return value
        case .elsewhere(let entry): throw .elsewhere(entry)
        case .wait, .overtaken: return try await gate.perform(until: deadline) { _ in body() }
        }
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
