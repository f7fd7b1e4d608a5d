import Caesura
import CaesuraMigration
import Testing

@testable import CaesuraNode

/// What a node makes of peers that ask for much.
struct NodeRequestTests {
    private static let link = Node.Link(number: 1)

    /// A node that owns nothing, and a peer that owns the first partition and has greeted.
    private struct Met {
        let node: Node
        let entry: OwnerEntry
        let partition: PartitionNumber
        private let notices = Notices()

        /// What gates have told.
        private final class Notices: @unchecked Sendable {
            // One thread uses it.
            var events: [Node.Event] = []
        }

        init(_ change: (inout Node.Configuration) -> Void = { _ in }) throws {
            var configuration = Node.Configuration(name: "x", moveBits: 1)
            change(&configuration)
            let store = Store()
            _ = try store.table("accounts", key: UInt64.self, row: Account.self)
            node = try Node(configuration, store, seed: 1) { [notices] in
                notices.events.append($0)
            }
            partition = node.division.partitions[1]
            entry = try OwnerEntry(creating: "a")
            for action in node.start(at: .zero) {
                guard case .read(let partition, let ticket) = action else { continue }
                _ = handle(.read(ticket, .some(partition == self.partition ? entry : nil)))
            }
            let peer = Store()
            _ = try peer.table("accounts", key: UInt64.self, row: Account.self)
            var handshake = Handshake(
                as: .source,
                Hello(
                    node: "a", hashKey0: store.hashKey.k0, hashKey1: store.hashKey.k1,
                    takesHashKey: false, moveBits: 1, partitionBits: 6),
                offering: peer.schemaOffer)
            var toPeer = messages(node.handle(.accepted(link, names: nil), at: .zero))
            var toNode = [handshake.firstMessage]
            while !toPeer.isEmpty || !toNode.isEmpty {
                for message in toNode {
                    toPeer += messages(
                        node.handle(.received(link, move: 0, message), at: .zero))
                }
                toNode = toPeer.flatMap { handshake.handle(.received($0)) }
                toPeer = []
            }
            guard case .agreed = handshake.state else {
                throw MigrationProblem(.mismatch, "\(handshake.state)")
            }
        }

        /// Takes an event, and what gates tell because of it.
        func handle(_ event: Node.Event) -> [Node.Action] {
            var actions = node.handle(event, at: .zero)
            while !notices.events.isEmpty {
                actions += node.handle(notices.events.removeFirst(), at: .zero)
            }
            return actions
        }

        func receive(_ message: MigrationMessage, _ number: UInt64) -> [Node.Action] {
            handle(.received(link, move: number, message))
        }

        func ask(_ number: UInt64) -> [Node.Action] {
            receive(
                .move(
                    MoveRequest(
                        partition: partition, attempt: number, purpose: .handover, entry: entry)),
                number)
        }
    }

    private static func messages(_ actions: [Node.Action]) -> [MigrationMessage] {
        actions.compactMap { if case .send(_, _, let message) = $0 { message } else { nil } }
    }

    private static func reads(_ actions: [Node.Action]) -> [Node.Ticket] {
        actions.compactMap { if case .read(_, let ticket) = $0 { ticket } else { nil } }
    }

    @Test
    func `who asks again and again makes it read the register once, and the last is answered`()
        throws
    {
        let met = try Met()
        let reads = (1...1_000).flatMap { Self.reads(met.ask($0)) }
        #expect(reads.count == 1)
        let answers = met.handle(.read(try #require(reads.first), met.entry))
        let sent: [(move: UInt64, message: MigrationMessage)] = answers.compactMap {
            if case .send(_, let move, let message) = $0 { (move, message) } else { nil }
        }
        #expect(sent.map(\.move) == [1_000])
        #expect(sent.map(\.message) == [.have(.nothing)])
    }

    @Test func `moves that have ended leave nothing behind`() throws {
        let met = try Met()
        for number in 1...100 as ClosedRange<UInt64> {
            for ticket in Self.reads(met.ask(number)) {
                _ = met.handle(.read(ticket, met.entry))
            }
            #expect(met.node.incoming.count == 1)
            let ended = met.receive(.giveUp(MigrationProblem(.stopped, "")), number)
            #expect(met.node.incoming.isEmpty)
            for ticket in Self.reads(ended) {
                _ = met.handle(.read(ticket, met.entry))
            }
        }
        let session = try #require(met.node.sessions[Self.link])
        #expect(session.incoming.isEmpty && session.requests.isEmpty)
        #expect(met.node.purposes.isEmpty)
    }

    @Test func `an entry that a source makes up is not believed`() throws {
        let met = try Met()
        for ticket in Self.reads(met.ask(1)) {
            _ = met.handle(.read(ticket, met.entry))
        }
        let last = OwnerEntry.limit - 1
        let madeUp = try OwnerEntry(
            number: last, owner: "x", fencingEpoch: last, tenure: 1, previousTenure: 0)
        let ended = met.receive(.aborted(madeUp), 1)
        // It reads the register.
        let tickets = Self.reads(ended)
        #expect(tickets.count == 1)
        for ticket in tickets {
            let actions = met.handle(.read(ticket, met.entry))
            #expect(!actions.contains { if case .append = $0 { true } else { false } })
        }
        #expect(met.node.gates[met.partition]?.state == .elsewhere(met.entry))
    }

    @Test(arguments: [true, false])
    func `a node says that it takes a hash key over as long as nothing settles it`(takes: Bool)
        throws
    {
        for takesPart in [false, true] {
            let met = try Met { $0.takesHashKey = takes }
            if takesPart {
                for ticket in Self.reads(met.ask(1)) {
                    _ = met.handle(.read(ticket, met.entry))
                }
            }
            let greeting = met.handle(
                .accepted(Node.Link(number: 2), names: nil))
            guard case .hello(let hello)? = Self.messages(greeting).first else {
                Issue.record("no greeting")
                continue
            }
            // Not while rows come under the one it has.
            #expect(hello.takesHashKey == (takes && !takesPart))
        }
    }
}
