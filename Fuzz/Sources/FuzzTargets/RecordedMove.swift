import CaesuraMigration
import CaesuraNode

/// What peers send to a ``FuzzedNode`` in a move, and what happens meanwhile.
///
/// A node does the same each time that it gets the same, so it is recorded with peers of the kind that it is itself.
struct RecordedMove {
    var hasLost = false
    var messages: [(move: UInt64, message: MigrationMessage)] = []

    /// Both kinds of partitions come, one also ahead of its rows, one of them comes back that was lost, and one goes.
    static let all: [RecordedMove] = {
        let partitions = FuzzedNode.partitions
        return [
            coming(partitions[1], hasLost: false), coming(partitions[0], hasLost: false),
            coming(partitions[1], hasLost: false, policy: .postcopy),
            coming(partitions[1], hasLost: true), going(partitions[2]),
        ]
    }()

    /// What peers say before moves begin.
    struct Greetings {
        /// a, who has dialled.
        var ofSource: [MigrationMessage]
        /// a, who was dialled.
        var ofOldOwner: [MigrationMessage]
        /// b.
        var ofTarget: [MigrationMessage]
    }

    static let greetings = Greetings(
        ofSource: greeting(between: source(hasLost: false), and: .init("x", FuzzedRegister())),
        ofOldOwner: greeting(of: "a"), ofTarget: greeting(of: "b"))

    /// The owner of the first partitions; it moves one of them to x.
    private static func source(
        of partition: PartitionNumber = FuzzedNode.partitions[1], hasLost: Bool,
        policy: SourceMove.Policy = .slow(limit: .milliseconds(1))
    ) -> FuzzedNode {
        let register = FuzzedRegister()
        let owned = Array(FuzzedNode.partitions[...1])
        for partition in owned { register.create(partition, for: "a") }
        let source = FuzzedNode("a", register, rowsOf: owned)
        source.begin()
        if hasLost {
            register.append(.commit, to: "x", of: partition)
            source.handle(.overtaken(partition))
        } else {
            source.order(partition, to: "x", policy: policy)
        }
        source.settle()
        return source
    }

    // MARK: Greetings

    private static func greeting(of name: String) -> [MigrationMessage] {
        let register = FuzzedRegister()
        register.create(FuzzedNode.partitions[2], for: "x")
        let dialler = FuzzedNode("x", register, rowsOf: [FuzzedNode.partitions[2]])
        dialler.begin()
        dialler.order(FuzzedNode.partitions[2], to: name)
        dialler.settle()
        let other = FuzzedNode(name, FuzzedRegister())
        _ = greeting(between: dialler, and: other)
        return other.sent.filter { $0.move == 0 }.map(\.message)
    }

    /// Lets two greet each other.
    ///
    /// - Returns: What the one who has dialled says.
    private static func greeting(
        between dialler: FuzzedNode, and other: FuzzedNode
    ) -> [MigrationMessage] {
        other.accept()
        var (here, there) = (0, 0)
        while here < dialler.sent.count || there < other.sent.count {
            if here < dialler.sent.count {
                deliver(dialler.sent[here], to: other, over: other.accepted)
                here += 1
            } else {
                deliver(other.sent[there], to: dialler, over: dialler.dialled)
                there += 1
            }
        }
        return dialler.sent.filter { $0.move == 0 }.map(\.message)
    }

    private static func deliver(
        _ sent: (link: Node.Link, move: UInt64, message: MigrationMessage),
        to node: FuzzedNode, over link: Node.Link?
    ) {
        guard sent.move == 0, let link else { return }
        node.handle(.received(link, move: 0, sent.message))
        node.settle()
    }

    // MARK: Moves

    private static func coming(
        _ partition: PartitionNumber, hasLost: Bool,
        policy: SourceMove.Policy = .slow(limit: .milliseconds(1))
    ) -> RecordedMove {
        var record = RecordedMove(hasLost: hasLost)
        let node = FuzzedNode(hasLost: hasLost, isRecorded: true)
        let source = source(of: partition, hasLost: hasLost, policy: policy)
        record.play(node, over: node.accepted, with: source) { source.dialled }
        return record
    }

    private static func going(_ partition: PartitionNumber) -> RecordedMove {
        var record = RecordedMove()
        let node = FuzzedNode(hasLost: false, isRecorded: true)
        // An order to move it to b, who is listened to from then on; and a write.
        let index = UInt64(FuzzedNode.partitions.firstIndex(of: partition) ?? 0)
        for number in [index << 4 | 6, 10, 5 << 4 | 14] as [UInt64] {
            record.say(0, .ping(number), to: node)
        }
        let target = FuzzedNode("b", node.register)
        target.begin()
        target.accept()
        record.play(node, over: node.dialled, with: target) { target.accepted }
        return record
    }

    private mutating func say(_ move: UInt64, _ message: MigrationMessage, to node: FuzzedNode) {
        messages.append((move, message))
        node.take(move, message)
    }

    /// Plays a move; the node has been greeted already.
    private mutating func play(
        _ node: FuzzedNode, over link: Node.Link?, with peer: FuzzedNode,
        _ peersLink: () -> Node.Link?
    ) {
        var (here, there) = (0, 0)
        while here < node.sent.count || there < peer.sent.count {
            if here < node.sent.count {
                let sent = node.sent[here]
                here += 1
                guard sent.link == link, let link = peersLink() else { continue }
                peer.handle(.received(link, move: sent.move, sent.message))
                peer.settle()
            } else {
                let sent = peer.sent[there]
                there += 1
                if sent.move != 0 { say(sent.move, sent.message, to: node) }
            }
        }
        let again = FuzzedNode(hasLost: hasLost)
        for (move, message) in messages { again.take(move, message) }
        again.end()
        law(
            again.node.partitions == node.node.partitions
                && again.node.partitions.count { $0.holding == .served } != 1,
            "a recorded move comes to its end each time")
    }
}
