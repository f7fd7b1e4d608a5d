import Caesura
import CaesuraMigration
import CaesuraNode
import CaesuraNodeService
import CaesuraTransport
import Synchronization
import TestCertificates
import Testing
import X509

/// What operators order, and who may.
@Suite(.timeLimit(.minutes(60)))
struct OrderTests {
    private static let rowCount: UInt64 = 500

    private func fill(_ member: Member) async {
        await member.servesAll()
        for key in 0..<Self.rowCount { member.accounts[key] = Account(count: 1, note: "") }
    }

    private func address(of node: String, in world: World) async throws -> NetworkAddress {
        try #require(try await world.addresses.addresses(of: node)).node
    }

    private func answers(
        to order: Order, of name: String, in world: World,
        as security: TransportSecurity = .insecure
    ) async throws -> [Answer] {
        let node = try await NodeOperator(
            of: name, at: address(of: name, in: world), security: security)
        var answers: [Answer] = []
        for try await answer in node.answers(to: order) { answers.append(answer) }
        await node.close()
        return answers
    }

    @Test func `an operator moves all partitions, and is told how each has ended`() async throws {
        let authority = try TestAuthority()
        let world = World()
        let a = try await world.member("a", createsPartitions: true, security: authority.node("a"))
        let b = try await world.member("b", security: authority.node("b"))
        try await world.run {
            await fill(a)
            var answers: [Answer] = []
            // On a busy machine a handover may take longer than it is given, and is taken back.
            repeat {
                answers += try await self.answers(
                    to: .move(MoveOrder(to: "b", budget: .seconds(60))), of: "a", in: world,
                    as: authority.node("operator"))
            } while await a.service.partitions.contains { $0.holding == .served }
            let partitions = Set(a.service.division.partitions)
            var (handedOver, moved) = (Set<PartitionNumber>(), Set<PartitionNumber>())
            for answer in answers {
                switch answer {
                case .handedOver(let partition, let entry, let blackout):
                    #expect(entry.owner == "b")
                    #expect(blackout > .zero)
                    handedOver.insert(partition)
                case .ended(let end):
                    if case .aborted = end.outcome { continue }
                    guard case .moved = end.outcome else {
                        Issue.record("\(end)")
                        continue
                    }
                    #expect(end.target == "b")
                    #expect(end.cost.sentBytes > 0)
                    moved.insert(end.partition)
                case .moves(let status): #expect(partitions.contains(status.partition))
                case .holds, .done: Issue.record("\(answer)")
                }
            }
            #expect(handedOver == partitions)
            #expect(moved == partitions)
            #expect(try b.sum == Self.rowCount)
            let told = try await self.answers(
                to: .show, of: "b", in: world, as: authority.node("operator"))
            #expect(told.count == partitions.count)
            for answer in told {
                guard case .holds(let status) = answer else {
                    Issue.record("\(answer)")
                    continue
                }
                #expect(status.holding == .served)
                #expect(status.entry?.owner == "b")
            }
        }
        #expect(world.failures.withLock { $0 } == [])
    }

    @Test func `who is no operator by its certificate gets nothing done`() async throws {
        let authority = try TestAuthority()
        let world = World()
        let a = try await world.member("a", createsPartitions: true, security: authority.node("a"))
        _ = try await world.member("b", security: authority.node("b"))
        try await world.run {
            await fill(a)
            for order in [Order.show, .move(MoveOrder(to: "b")), .stop([])] {
                let error = try await #require(throws: MigrationProblem.self) {
                    try await answers(to: order, of: "a", in: world, as: authority.node("b"))
                }
                #expect(error.code == .mismatch)
            }
            #expect(try a.sum == Self.rowCount)
        }
    }

    @Test func `an order that cannot be carried out says why for each partition`() async throws {
        let world = World()
        let a = try await world.member("a", createsPartitions: true)
        let b = try await world.member("b")
        try await world.run {
            await fill(a)
            let partition = a.service.division.partitions[1]
            // To itself; one that another owns; one that there is not.
            let nowhere = PartitionNumber(rawValue: 9_999)
            for (name, order) in [
                ("a", MoveOrder(of: [partition], to: "a")),
                ("b", MoveOrder(of: [partition], to: "a")),
                ("a", MoveOrder(of: [nowhere], to: "b")),
            ] {
                let answers = try await answers(to: .move(order), of: name, in: world)
                #expect(answers.count == 1)
                guard case .ended(let end)? = answers.first, case .givenUp = end.outcome else {
                    Issue.record("\(answers)")
                    continue
                }
                #expect(end.partition == order.partitions[0])
            }
            #expect(try await self.answers(to: .move(MoveOrder(to: "a")), of: "b", in: world) == [])
            #expect(b.accounts.count == 0)
        }
    }

    @Test func `a move to a node that is nowhere is stopped by another operator`() async throws {
        let world = World()
        let a = try await world.member("a", createsPartitions: true)
        try await world.run {
            await fill(a)
            let partition = a.service.division.partitions[2]
            async let told = answers(
                to: .move(MoveOrder(of: [partition], to: "nowhere")), of: "a", in: world)
            while await a.service.moves.isEmpty { await Task.yield() }
            #expect(await a.service.moves.first?.stage == .connecting)
            #expect(try await answers(to: .stop([partition]), of: "a", in: world) == [])
            guard case .ended(let end)? = try await told.last,
                case .givenUp(let problem) = end.outcome
            else {
                Issue.record("\(try await told)")
                return
            }
            #expect(problem.code == .stopped)
            #expect(await a.service.moves == [])
            #expect(try a.sum == Self.rowCount)
        }
    }
}
