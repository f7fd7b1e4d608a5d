import Caesura
import CaesuraMigration
import Testing

@testable import CaesuraNode

/// What a node makes of a target that refuses it.
struct NodeDiallingTests {
    private static let links = [Node.Link(number: 1), Node.Link(number: 2)]

    /// A node that owns all, and dials node b for a move of the first partition.
    private static func dialling() throws -> Node {
        let store = Store()
        _ = try store.table("accounts", key: UInt64.self, row: Account.self)
        let node = try Node(
            Node.Configuration(name: "a", moveBits: 1, createsPartitions: true), store, seed: 1
        ) { _ in }
        var actions = node.start(at: .zero)
        settle(node, &actions)
        actions = try node.move(node.division.partitions[0], to: "b", at: .zero)
        settle(node, &actions)
        #expect(dials(actions) == ["b"])
        return node
    }

    /// Does what a register that is empty at first, and a repository, would.
    private static func settle(_ node: Node, _ actions: inout [Node.Action]) {
        var next = 0
        while next < actions.count {
            let event: Node.Event? =
                switch actions[next] {
                case .read(_, let ticket): .read(ticket, .some(nil))
                case .append(_, _, let ticket): .appended(ticket, .appended)
                case .makeDurable(let ticket): .durable(ticket)
                default: nil
                }
            if let event { actions += node.handle(event, at: .zero) }
            next += 1
        }
    }

    private static func dials(_ actions: [Node.Action]) -> [String] {
        actions.compactMap { if case .dial(let name) = $0 { name } else { nil } }
    }

    private static func ends(_ actions: [Node.Action]) -> [MoveEnd] {
        actions.compactMap { if case .report(.ended(let end)) = $0 { end } else { nil } }
    }

    private static func refusal(
        _ code: MigrationProblem.Code, _ message: String = ""
    ) -> Node.Event {
        .received(links[0], move: 0, .refusal(MigrationProblem(code, message)))
    }

    @Test(arguments: [
        refusal(.busy), refusal(.timedOut), .timedOut(.handshake(links[0])),
    ])
    func `a node that has no room or no time is dialled again`(_ event: Node.Event) throws {
        let node = try Self.dialling()
        _ = node.handle(.dialled("b", Self.links[0]), at: .zero)
        let refused = node.handle(event, at: .seconds(10))
        #expect(Self.ends(refused).isEmpty)
        #expect(refused.contains { if case .close(Self.links[0]) = $0 { true } else { false } })
        #expect(
            refused.contains { if case .report(.unreachable("b", _)) = $0 { true } else { false } })
        // Not at once, and not never.
        #expect(Self.dials(refused).isEmpty)
        #expect(
            refused.contains {
                if case .wait(.dial("b"), .milliseconds(100)?) = $0 { true } else { false }
            })
        #expect(Self.dials(node.handle(.timedOut(.dial("b")), at: .seconds(11))) == ["b"])
        // The next connection greets.
        let greeting = node.handle(.dialled("b", Self.links[1]), at: .seconds(11))
        #expect(
            greeting.contains {
                if case .send(Self.links[1], move: 0, .hello) = $0 { true } else { false }
            })
    }

    @Test(arguments: [
        MigrationProblem.Code.mismatch, .unsupported, .malformed, .stopped,
    ])
    func `a node that does not go with this one ends its moves`(_ code: MigrationProblem.Code)
        throws
    {
        let node = try Self.dialling()
        _ = node.handle(.dialled("b", Self.links[0]), at: .zero)
        let refused = node.handle(Self.refusal(code), at: .seconds(1))
        #expect(Self.ends(refused).map(\.outcome) == [.givenUp(MigrationProblem(code, ""))])
        #expect(node.moves.isEmpty)
    }

    @Test func `who does not reach a node in a minute says why`() throws {
        let node = try Self.dialling()
        let timer = try #require(node.outgoing.keys.first.map { Node.Timer.outgoing($0) })
        _ = node.handle(.dialled("b", Self.links[0]), at: .zero)
        _ = node.handle(Self.refusal(.busy, "no room"), at: .seconds(1))
        _ = node.handle(.timedOut(.dial("b")), at: .seconds(2))
        let problem = MigrationProblem(.timedOut, "nobody listens")
        _ = node.handle(.notDialled("b", problem), at: .seconds(3))
        let ended = node.handle(.timedOut(timer), at: .seconds(60))
        #expect(
            Self.ends(ended).map(\.outcome) == [
                .givenUp(MigrationProblem(.timedOut, "node b is not reached: nobody listens"))
            ])
        // It is forgotten with the last timer.
        _ = node.handle(.timedOut(.dial("b")), at: .seconds(61))
        #expect(node.unreached.isEmpty)
    }
}
