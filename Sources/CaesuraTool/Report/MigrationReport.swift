import CaesuraMigration

/// What `caesura migrate` prints.
struct MigrationReport: Codable, Sendable {
    var from: String
    var to: String
    /// In the order in which they ended.
    var moves: [Move] = []

    /// A move that has ended.
    struct Move: Codable, Sendable {
        /// Hexadecimal.
        var partition: String
        /// `moved`, `givenUp`, `aborted` or `overtaken`.
        var outcome: String
        /// Why it has not moved.
        var problem: String?
        /// The node that has it now.
        var owner: String
        var rounds: UInt32
        var sentBytes: UInt64
        /// Nanoseconds.
        var duration: UInt64
        /// Nanoseconds for which its writes had stopped.
        var blackout: UInt64
    }

    private enum CodingKeys: CodingKey { case from, to, moves }

    /// The last that was told of moves that are under way.
    private var underWay: [PartitionNumber: MoveStatus] = [:]
    private var ended: Set<PartitionNumber> = []

    init(from: String, to: String) {
        self.from = from
        self.to = to
    }

    /// Partitions that have not moved.
    var stayed: Int { moves.count { $0.outcome != "moved" } }

    mutating func note(_ answer: Answer) {
        switch answer {
        case .moves(let status): underWay[status.partition] = status
        case .ended(let end):
            underWay[end.partition] = nil
            ended.insert(end.partition)
            moves.append(Move(end, from: from))
        case .holds, .handedOver, .done: break
        }
    }

    /// The partitions of an order that are not known to have ended; none for all.
    func unfinished(of order: MoveOrder) -> [PartitionNumber] {
        order.partitions.isEmpty
            ? underWay.keys.sorted() : order.partitions.filter { !ended.contains($0) }
    }

    /// How much of an order is done.
    func share(of order: MoveOrder) -> Double {
        let count = order.partitions.isEmpty ? underWay.count + ended.count : order.partitions.count
        return count == 0 ? 0 : Double(ended.count) / Double(count)
    }

    /// What is going on, in a few words.
    var detail: String {
        MoveStatus.furthest(underWay.values)?.detail ?? "\(ended.count) moved"
    }

    /// What a person reads.
    var text: String {
        guard !moves.isEmpty else { return "node \(from) serves no partition\n" }
        var table = TextTable(["partition", "", "rounds", "sent", "time", "writes stopped"])
        for move in moves {
            table.append([
                move.partition, move.outcome == "moved" ? "moved" : "stayed", "\(move.rounds)",
                byteText(Int(clamping: move.sentBytes)), durationText(move.duration),
                move.blackout == 0 ? "-" : durationText(move.blackout),
            ])
        }
        var text = table.text
        for move in moves where move.outcome != "moved" {
            text += "  partition \(move.partition): \(move.problem ?? move.outcome)\n"
        }
        let moved = moves.filter { $0.outcome == "moved" }
        let blackouts = moved.map(\.blackout).filter { $0 > 0 }.sorted()
        text += "\(moved.count) of \(counted(moves.count, "partition")) moved to node \(to)"
        if let last = blackouts.last {
            text +=
                "; writes of one stopped for \(durationText(blackouts[blackouts.count / 2])) "
                + "in the middle and \(durationText(last)) at most"
        }
        return text + "\n"
    }
}

extension MoveStatus {
    /// Of moves that do not wait, the one that is nearest to its end.
    static func furthest(_ moves: some Sequence<MoveStatus>) -> MoveStatus? {
        moves.filter { $0.stage != .waiting }
            .max { ($0.stage.rawValue, $0.partition) < ($1.stage.rawValue, $1.partition) }
    }

    /// How far it is, in a few words.
    var detail: String {
        var detail =
            "partition \(partition.short): \(stage), round \(round), "
            + byteText(Int(clamping: sentBytes))
        if let rate = dirtyBytesPerSecond {
            detail += ", \(byteText(Int(clamping: rate)))/s written"
        }
        if let prediction {
            detail += ", would stop for \(durationText(prediction.nanoseconds))"
        }
        return detail
    }
}

extension MigrationReport.Move {
    init(_ end: MoveEnd, from source: String) {
        partition = end.partition.short
        rounds = end.cost.rounds
        sentBytes = end.cost.sentBytes
        duration = end.cost.duration.nanoseconds
        blackout = end.cost.blackout.nanoseconds
        switch end.outcome {
        case .moved(let entry): (outcome, problem, owner) = ("moved", nil, entry.owner)
        case .givenUp(let why): (outcome, problem, owner) = ("givenUp", why.description, source)
        case .aborted(let entry, let why):
            (outcome, problem, owner) = ("aborted", why.description, entry.owner)
        case .overtaken(let entry):
            outcome = "overtaken"
            problem = "node \(entry.owner) owns it by entry \(entry.number)"
            owner = entry.owner
        }
    }
}
