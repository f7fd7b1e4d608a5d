import Caesura
import CaesuraMigration
import CaesuraNode
import CaesuraNodeService
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

    @Test func `rows go to a program of the next version and back, and lose nothing`() async throws {
        let world = World()
        let a = try await world.member("a", createsPartitions: true)
        let store = Store()
        let accounts = try store.table("accounts", key: UInt64.self, row: NextAccount.self)
        let b = try await NodeService(
            NodeService.Configuration(
                Node.Configuration(name: "b", moveBits: 2),
                listen: NetworkAddress(host: "127.0.0.1", port: 0), security: .insecure),
            of: store, register: world.register, addresses: world.addresses)
        async let _: Void = b.run()
        try await world.run {
            await a.servesAll()
            for key in 0..<Self.rowCount {
                a.accounts[key] = Account(count: key, note: "note \(key)")
            }
            try await Self.moveAll(from: a.service, to: "b")
            #expect(a.accounts.count == 0)
            #expect(accounts.count == Int(Self.rowCount))
            for key in 0..<Self.rowCount {
                // What the old program did not have is what the new one says.
                let row = accounts[key]
                #expect(row == NextAccount(count: key, note: "note \(key)", limit: 7))
                accounts.update(key) { $0.limit = Int32(key) + 100 }
            }
            try await Self.moveAll(from: b, to: "a")
            #expect(accounts.count == 0)
            for key in 0..<Self.rowCount {
                #expect(a.accounts[key] == Account(count: key, note: "note \(key)"))
                a.accounts.update(key) { $0.count += 1 }
            }
            // What the old program does not know it has kept with its rows.
            try await Self.moveAll(from: a.service, to: "b")
            for key in 0..<Self.rowCount {
                #expect(
                    accounts[key]
                        == NextAccount(count: key + 1, note: "note \(key)", limit: Int32(key) + 100)
                )
            }
        }
        #expect(world.failures.withLock { $0 } == [])
    }

    private static func moveAll(from node: NodeService, to name: String) async throws {
        for partition in node.division.partitions {
            // One that was just taken is given on once a checkpoint has it.
            while true {
                let end = try? await node.move(partition, to: name, budget: .seconds(60))
                if case .moved = end?.outcome { break }
                await Task.yield()
            }
        }
    }
}
