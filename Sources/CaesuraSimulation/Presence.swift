import Caesura
import CaesuraFormat
import CaesuraMigration
import CaesuraNode

/// Something that is in a step of the protocol, at one of its nodes.
struct Presence: Hashable {
    var step: ProtocolStep
    /// The node at which it is.
    var node: Int
    var source: Int
    /// Nil where no other node takes part, or it is not known.
    var target: Int?
    var partition: PartitionNumber?
    /// The number of the move on the connection of its two nodes; nil if it is none, or has no connection now.
    var move: UInt64?

    /// The same, whatever connection it has.
    var place: Self {
        var place = self
        place.move = nil
        return place
    }

    /// Whether it is between two nodes.
    func isBetween(_ a: Int, _ b: Int) -> Bool {
        source == a && target == b || source == b && target == a
    }
}

extension ProtocolStep {
    init?(_ state: SourceMove.State) {
        switch state {
        case .connecting: self = .connecting
        case .asking: self = .asking
        case .copying: self = .copying
        case .sealing: self = .sealing
        case .finishing: self = .finishing
        case .handingOver: self = .handingOver
        case .aborting: self = .aborting
        case .lettingGo: self = .lettingGo
        case .ended: return nil
        }
    }

    init?(_ move: TargetMove) {
        switch move.state {
        case .receiving: self = move.request.purpose == .recovery ? .recovering : .receiving
        case .waiting: self = .waiting
        case .appending: self = .appending
        case .pulling: self = .pulling
        case .owning: self = .owning
        case .adopting, .ended: return nil
        }
    }

    init(_ standing: Node.Standing) {
        switch standing {
        case .reading: self = .reading
        case .appending: self = .returning
        case .missing: self = .missing
        }
    }
}

extension SimulatedProcess {
    /// All that is in a step here.
    var presences: [Presence] {
        var all: [Presence] = []
        for (number, link, move) in node.movesOut {
            guard let step = ProtocolStep(move.state) else { continue }
            all.append(
                Presence(
                    step: step, node: index, source: index,
                    target: Self.index(of: move.plan.target),
                    partition: move.plan.partition, move: link == nil ? nil : number))
        }
        for (number, link, move) in node.movesIn {
            guard let step = ProtocolStep(move), let source = peers[link] else { continue }
            all.append(
                Presence(
                    step: step, node: index, source: source, target: index,
                    partition: move.request.partition, move: number))
        }
        for (number, link, partition) in node.requestsToMove {
            guard let source = peers[link] else { continue }
            all.append(
                Presence(
                    step: .asked, node: index, source: source, target: index, partition: partition,
                    move: number))
        }
        for (link, isNegotiating) in node.handshakes {
            guard let peer = peers[link], let isOpener = links[link]?.isOpener else { continue }
            all.append(
                Presence(
                    step: isNegotiating ? .negotiating : .greeting, node: index,
                    source: isOpener ? index : peer, target: isOpener ? peer : index, move: 0))
        }
        for (partition, standing) in node.unsettled {
            all.append(
                Presence(
                    step: ProtocolStep(standing), node: index, source: index, partition: partition))
        }
        let queued = waiting.values.map { write in
            node.division.partition(ofHash: write.request.key.hash(with: Self.hashKey))
        }
        for partition in Set(queued).sorted() {
            let move = node.movesOut.first { $0.machine.plan.partition == partition }
            all.append(
                Presence(
                    step: .queued, node: index, source: index,
                    target: (move?.machine.plan.target).flatMap(Self.index), partition: partition,
                    move: move?.link == nil ? nil : move?.number))
        }
        if !answers.isEmpty || checkpoint?.answers.isEmpty == false {
            all.append(Presence(step: .unanswered, node: index, source: index))
        }
        return all
    }
}
