import Caesura
import CaesuraMigration
import CaesuraNode
import CaesuraNodeService
import CaesuraTransport
import Synchronization
import Testing

/// An account as the next program has it: it has a limit.
@Schema("account", version: 2)
struct NextAccount: Equatable {
    @Field(1) var count: UInt64
    @Field(2) var note: String
    @Field(3, since: 2) var limit: Int32 = 7
}

/// Partitions that move between programs of two versions, as in a rolling upgrade.
@Suite(.timeLimit(.minutes(60)))
struct VersionMoveTests {
    private static let rowCount: UInt64 = 500

    private struct Next {
        let service: NodeService
        let accounts: Table<UInt64, NextAccount>

        init(in world: World, partitionBits: Int) async throws {
            var shape = Store.Configuration()
            shape.partitionBits = partitionBits
            let store = Store(shape)
            accounts = try store.table("accounts", key: UInt64.self, row: NextAccount.self)
            service = try await NodeService(
                NodeService.Configuration(
                    Node.Configuration(name: "b", moveBits: 2),
                    listen: NetworkAddress(host: "127.0.0.1", port: 0), security: .insecure),
                of: store, register: world.register, addresses: world.addresses)
        }
    }

    /// The stores of the others have 4 partition bits.
    @Test(arguments: [4, 6])
    func
        `rows go to a program of the next version, and are not given back to one that has no place for them`(
            partitionBits: Int
        ) async throws
    {
        let world = World()
        let a = try await world.member("a", createsPartitions: true)
        let b = try await Next(in: world, partitionBits: partitionBits)
        async let _: Void = b.service.run()
        try await world.run {
            await a.servesAll()
            for key in 0..<Self.rowCount {
                a.accounts[key] = Account(count: key, note: "note \(key)")
            }
            for partition in a.service.division.partitions {
                var end = try await a.service.move(partition, to: "b", budget: .seconds(60))
                while case .aborted = end.outcome {
                    end = try await a.service.move(partition, to: "b", budget: .seconds(60))
                }
                guard case .moved = end.outcome else {
                    Issue.record("\(end)")
                    continue
                }
            }
            #expect(a.accounts.count == 0)
            #expect(b.accounts.count == Int(Self.rowCount))
            // What the earlier program did not have is what the later one says.
            for key in 0..<Self.rowCount {
                #expect(
                    b.accounts[key] == NextAccount(count: key, note: "note \(key)", limit: 7))
            }
            let back = try await b.service.move(
                b.service.division.partitions[1], to: "a", budget: .seconds(60))
            guard case .givenUp(let problem) = back.outcome else {
                Issue.record("\(back)")
                return
            }
            #expect(problem.code == .mismatch)
            #expect(problem.message.contains("move to a node of a version that knows them"))
            // No write has waited for that.
            #expect(back.cost.blackout == .zero)
            #expect(b.accounts.count == Int(Self.rowCount))
            #expect(await b.service.partitions.allSatisfy { $0.holding == .served })
        }
        #expect(world.failures.withLock { $0 } == [])
    }
}
