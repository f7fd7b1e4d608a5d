import Caesura
import CaesuraFormat
public import CaesuraMigration

/// Whose a partition is: `docs/MIGRATION.md` section 4, "A node that starts".
extension Node {
    /// What the partitions are to this node, in their order.
    public var partitions: [PartitionStatus] {
        division.partitions.map { partition in
            var known: OwnerEntry?
            switch gates[partition]?.state {
            case .serving(let entry), .sealed(let entry): known = entry
            case .elsewhere(let entry): known = entry
            case nil: break
            }
            switch holdings[partition] {
            case .serving(let entry, _): return PartitionStatus(partition, .served, entry)
            case .missing(let entry): return PartitionStatus(partition, .missing, entry)
            case .lettingGo(let entry): return PartitionStatus(partition, .lettingGo, entry)
            case .absent: return PartitionStatus(partition, .elsewhere, known)
            case .unknown, .appending, nil: return PartitionStatus(partition, .unknown, known)
            }
        }
    }

    /// Goes by the last entry of a partition and the mark that its rows have.
    ///
    /// A move that is under way decides for itself, but for one that lets rows go.
    func settle(
        _ partition: PartitionNumber, _ last: OwnerEntry?, _ now: Duration,
        _ actions: inout [Action]
    ) {
        switch holdings[partition] {
        case .serving(let entry, _):
            guard last != entry, last.map({ $0.fencingEpoch > entry.fencingEpoch }) ?? false else {
                return
            }
            // The move, if there is one, finds out by itself once it appends; till then nothing of it counts.
            if let number = outgoingMove(of: partition) {
                guard isCopying(number) else { return }
                drop(number, now, &actions)
            }
            gates[partition]?.close(last)
        case .lettingGo:
            if let last, isPredecessor(of: last, partition) { return }
            if let number = outgoingMove(of: partition) { drop(number, now, &actions) }
        case .appending: return
        case .unknown, .missing, .absent, nil: if incoming[partition] != nil { return }
        }
        guard let last else { return create(partition, &actions) }
        if last.owner == configuration.name {
            returnOrMiss(partition, last, &actions)
        } else if isPredecessor(of: last, partition) {
            letGo(partition, last, now, &actions)
        } else {
            empty(partition, .absent, last)
        }
    }

    /// Whether the rows that are here are those that an owner's came from.
    private func isPredecessor(of last: OwnerEntry, _ partition: PartitionNumber) -> Bool {
        guard last.owner != configuration.name, let mark = marks[partition] else { return false }
        return mark.node == configuration.name && mark.tenure == last.previousTenure
    }

    private func create(_ partition: PartitionNumber, _ actions: inout [Action]) {
        guard configuration.createsPartitions else {
            holdings[partition] = .absent
            gates[partition]?.close(nil)
            return
        }
        append(
            entry { () throws(OwnerRegisterError) in
                try OwnerEntry(creating: configuration.name)
            }, to: partition, &actions)
    }

    private func returnOrMiss(
        _ partition: PartitionNumber, _ last: OwnerEntry, _ actions: inout [Action]
    ) {
        let mark = marks[partition]
        let isOwn = mark == Mark(node: configuration.name, tenure: last.tenure)
        // Who has created a partition, and has no checkpoint since, has nothing to miss.
        guard isOwn || mark == nil && last.previousTenure == 0 else {
            return miss(partition, last, &actions)
        }
        append(
            entry { () throws(OwnerRegisterError) in
                try OwnerEntry(.abort, of: last, to: configuration.name)
            }, to: partition, &actions)
    }

    private func append(
        _ entry: OwnerEntry, to partition: PartitionNumber, _ actions: inout [Action]
    ) {
        holdings[partition] = .appending(entry)
        actions.append(.append(entry, to: partition, ticket(.begin(partition))))
    }

    private func entry(_ body: () throws(OwnerRegisterError) -> OwnerEntry) -> OwnerEntry {
        do throws(OwnerRegisterError) {
            return try body()
        } catch {
            preconditionFailure("an entry of the register can be followed by another: \(error)")
        }
    }

    /// Takes what became of the entry of a start.
    func begun(
        _ partition: PartitionNumber, _ outcome: OwnerAppending?, _ now: Duration,
        _ actions: inout [Action]
    ) {
        guard case .appending(let entry) = holdings[partition] else { return }
        switch outcome {
        case .appended:
            // A checkpoint that has the rows has their mark, too; what was only created is in none.
            let isDurable =
                marks[partition] == Mark(node: configuration.name, tenure: entry.tenure)
            serve(partition, entry, isDurable: isDurable, &actions)
            if !isDurable { actions.append(.makeDurable(ticket(.keep(partition, entry)))) }
        case .refused(let last):
            holdings[partition] = .unknown
            settle(partition, last, now, &actions)
        case nil:
            holdings[partition] = .unknown
            actions.append(.wait(.register(partition), Self.pause))
        }
    }

    /// Lets writes begin under an entry that this node has appended.
    func serve(
        _ partition: PartitionNumber, _ entry: OwnerEntry, isDurable: Bool,
        _ actions: inout [Action]
    ) {
        // Before the first write, so that no checkpoint has one without it.
        mark(partition, entry)
        holdings[partition] = .serving(entry, isDurable: isDurable)
        gates[partition]?.serve(entry)
        actions.append(.report(.serves(partition, entry)))
    }

    /// Lets writes begin under an entry that this node has appended, but for those of slices that are still to come.
    ///
    /// There is no mark: a checkpoint does not have the partition before all of it has come.
    func serve(
        _ partition: PartitionNumber, _ entry: OwnerEntry, except slices: Set<HashRange>,
        _ actions: inout [Action]
    ) {
        holdings[partition] = .serving(entry, isDurable: false)
        let notify = notify
        gates[partition]?.serve(entry, except: slices) { notify(.wanted(partition, $0)) }
        actions.append(.report(.serves(partition, entry)))
    }

    /// Whether a checkpoint of now has all that was written here of a partition: false while rows are still to come, and what
    /// a checkpoint has of it counts for nothing.
    public func hasAllRows(of partition: PartitionNumber) -> Bool {
        if case .pulling = incoming[partition]?.move.machine.state { false } else { true }
    }

    /// Notes with the rows whose they are.
    func mark(_ partition: PartitionNumber, _ entry: OwnerEntry) {
        let mark = Mark(node: configuration.name, tenure: entry.tenure)
        if marks[partition] != mark { marks[partition] = mark }
    }

    /// Forgets what is here of a partition that this node owns: whoever has its rows will send them.
    func miss(
        _ partition: PartitionNumber, _ last: OwnerEntry, _ actions: inout [Action]
    ) {
        empty(partition, .missing(last), last)
        actions.append(.report(.misses(partition, last)))
    }

    /// Lets no more writes begin, and takes the rows out that are of no use to anybody, once no write is inside.
    private func empty(
        _ partition: PartitionNumber, _ holding: Holding, _ last: OwnerEntry
    ) {
        holdings[partition] = holding
        gates[partition]?.close(last)
        let (ticket, notify) = (ticket(.remove(partition)), notify)
        gates[partition]?.seal { notify(.drained(ticket)) }
    }

    /// Takes the rows out, if they are still of no use.
    func remove(_ partition: PartitionNumber) {
        switch holdings[partition] {
        case .absent, .missing:
            if incoming[partition] == nil, let part = division.part(partition) {
                removals.append(store.detach(part))
            }
        case .unknown, .appending, .serving, .lettingGo, nil: break
        }
    }
}
