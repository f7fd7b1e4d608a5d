import Caesura
import CaesuraMigration
import CaesuraNode
import CaesuraNodeService
import Logging
import ServiceLifecycle
import Synchronization
import Testing

/// What becomes of a node's partitions when its process ends.
@Suite(.timeLimit(.minutes(60)))
struct DrainTests {
    private static let rowCount: UInt64 = 1_000
    /// For machines on which hundreds of other tests run at once.
    private static let patience = Duration.seconds(3_000)

    private func group(_ member: Member) -> ServiceGroup {
        ServiceGroup(
            services: [member.service],
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
    }

    @Test func `a node that shuts down gives its partitions to its successors in turn`()
        async throws
    {
        let world = World()
        let a = try await world.member("a", createsPartitions: true) {
            $0.successors = ["b", "c"]
            $0.drainBudget = .seconds(1)
            $0.drainLimit = Self.patience
        }
        let b = try await world.member("b")
        let c = try await world.member("c")
        let (first, second, third) = (group(a), group(b), group(c))
        async let runs: Void = first.run()
        async let seconds: Void = second.run()
        async let thirds: Void = third.run()
        for member in [a, b, c] { await member.isSettled() }
        await a.servesAll()
        for key in 0..<Self.rowCount { a.accounts[key] = Account(count: 1, note: "") }
        await first.triggerGracefulShutdown()
        try? await runs
        #expect(a.accounts.count == 0)
        #expect(b.accounts.count > 0)
        #expect(c.accounts.count > 0)
        #expect(try b.sum + c.sum == Self.rowCount)
        let served = await (b.service.partitions + c.service.partitions)
            .filter { $0.holding == .served }
        #expect(Set(served.map(\.partition)) == Set(a.service.division.partitions))
        await second.triggerGracefulShutdown()
        await third.triggerGracefulShutdown()
        try? await seconds
        try? await thirds
        // They have no successors, and keep what they have.
        #expect(try b.sum + c.sum == Self.rowCount)
    }

    @Test func `a node whose successor does not come keeps its partitions`() async throws {
        let world = World()
        let a = try await world.member("a", createsPartitions: true) {
            $0.successors = ["nowhere"]
            $0.drainLimit = .milliseconds(300)
        }
        let first = group(a)
        async let runs: Void = first.run()
        await a.isSettled()
        await a.servesAll()
        for key in 0..<Self.rowCount { a.accounts[key] = Account(count: 1, note: "") }
        await first.triggerGracefulShutdown()
        try? await runs
        #expect(try a.sum == Self.rowCount)
    }

    @Test func `a successor that does not answer holds nothing up but what it was asked for first`()
        async throws
    {
        let world = World()
        let a = try await world.member("a", createsPartitions: true) {
            $0.node.outgoingLimit = 1
            $0.successors = ["nowhere", "b"]
            $0.drainBudget = .seconds(1)
            $0.drainLimit = Self.patience
        }
        try await expectDrained(a, into: world.member("b"))
        let ends = world.ends.withLock { $0.filter { $0.target == "nowhere" } }
        #expect(!ends.isEmpty)
        // Nobody has waited until their time was over.
        for end in ends {
            guard case .givenUp(let problem) = end.outcome, problem.code == .stopped else {
                Issue.record("\(end)")
                continue
            }
        }
    }

    @Test func `a budget that is too small for any handover keeps no partition back`() async throws
    {
        let world = World()
        let a = try await world.member("a", createsPartitions: true) {
            $0.successors = ["b"]
            $0.drainBudget = .microseconds(1)
            $0.drainLimit = Self.patience
        }
        try await expectDrained(a, into: world.member("b"))
    }

    /// Fills a node, lets it shut down, and expects all at its successor.
    private func expectDrained(_ a: Member, into b: Member) async throws {
        let (first, second) = (group(a), group(b))
        async let runs: Void = first.run()
        async let others: Void = second.run()
        for member in [a, b] { await member.isSettled() }
        await a.servesAll()
        for key in 0..<Self.rowCount { a.accounts[key] = Account(count: 1, note: "") }
        await first.triggerGracefulShutdown()
        try? await runs
        #expect(a.accounts.count == 0)
        #expect(try b.sum == Self.rowCount)
        await second.triggerGracefulShutdown()
        try? await others
    }
}
