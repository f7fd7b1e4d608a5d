import CaesuraMigration
import CaesuraNode
import Testing

/// Writes that wait as tasks.
struct PartitionGateWaitingTests {
    static let far = ContinuousClock.now + .seconds(3_600)

    /// A gate that is sealed under epoch 1.
    static func sealedGate(waitingLimit: Int = 10) throws -> PartitionGate {
        let gate = PartitionGate(waitingLimit: waitingLimit)
        gate.serve(try OwnerEntry(creating: "a"))
        gate.seal {}
        return gate
    }

    /// Begins a write; gives the fencing epoch under which it was done.
    static func write(
        _ gate: PartitionGate, checking known: UInt64? = nil,
        until deadline: ContinuousClock.Instant = far
    ) -> Task<Result<UInt64, GateError>, Never> {
        Task {
            do throws(GateError) {
                return .success(
                    try await gate.perform(checking: known, until: deadline) { epoch in epoch })
            } catch {
                return .failure(error)
            }
        }
    }

    /// Lets others run until so many writes wait.
    static func untilWaiting(_ count: Int, _ gate: PartitionGate) async {
        while gate.waitingCount != count { await Task.yield() }
    }

    @Test func `a write waits and is done under the entry that comes to be served`() async throws {
        let gate = try Self.sealedGate()
        let writes = (0..<5).map { _ in Self.write(gate, checking: 1) }
        await Self.untilWaiting(5, gate)
        gate.serve(try OwnerEntry(.abort, of: OwnerEntry(creating: "a"), to: "a"))
        for write in writes { #expect(await write.value == .success(3)) }
        // Whoever comes now is told.
        let late = await Self.write(gate, checking: 1).value
        #expect(
            late
                == .failure(
                    .elsewhere(try OwnerEntry(.abort, of: OwnerEntry(creating: "a"), to: "a"))))
        #expect(await Self.write(gate, checking: 3).value == .success(3))
        #expect(await Self.write(gate, checking: 4).value == .failure(.overtaken))
    }

    @Test func `a write that waits is told who has got the partition`() async throws {
        let gate = try Self.sealedGate()
        let write = Self.write(gate)
        await Self.untilWaiting(1, gate)
        let entry = try OwnerEntry(.commit, of: OwnerEntry(creating: "a"), to: "b")
        gate.close(entry)
        #expect(await write.value == .failure(.elsewhere(entry)))
        #expect(await Self.write(gate).value == .failure(.elsewhere(entry)))
    }

    @Test func `a write waits until its deadline and not longer`() async throws {
        let gate = try Self.sealedGate()
        #expect(await Self.write(gate, until: .now).value == .failure(.timedOut))
        #expect(await Self.write(gate, until: .now + .milliseconds(2)).value == .failure(.timedOut))
        #expect(gate.waitingCount == 0)
        // A deadline is nothing to who need not wait.
        gate.serve(try OwnerEntry(.abort, of: OwnerEntry(creating: "a"), to: "a"))
        #expect(await Self.write(gate, until: .now - .seconds(1)).value == .success(3))
    }

    @Test func `a write that is cancelled leaves the queue`() async throws {
        let gate = try Self.sealedGate()
        let (first, second) = (Self.write(gate), Self.write(gate))
        await Self.untilWaiting(2, gate)
        first.cancel()
        #expect(await first.value == .failure(.cancelled))
        #expect(gate.waitingCount == 1)
        gate.close(nil)
        #expect(await second.value == .failure(.elsewhere(nil)))
    }

    @Test func `a write is told at once when too many wait`() async throws {
        let gate = try Self.sealedGate(waitingLimit: 1)
        let write = Self.write(gate)
        await Self.untilWaiting(1, gate)
        #expect(await Self.write(gate).value == .failure(.tooMany))
        #expect(gate.waitingCount == 1)
        write.cancel()
        #expect(await write.value == .failure(.cancelled))
    }

    @Test func `a slow gate lets each write wait before it begins`() async throws {
        let gate = PartitionGate()
        gate.serve(try OwnerEntry(creating: "a"))
        gate.delay = .milliseconds(3)
        let start = ContinuousClock.now
        #expect(await Self.write(gate).value == .success(1))
        #expect(ContinuousClock.now - start >= .milliseconds(3))
        gate.delay = .seconds(3_600)
        let early = await Self.write(gate, until: .now + .milliseconds(2)).value
        #expect(early == .failure(.timedOut))
        let write = Self.write(gate)
        write.cancel()
        #expect(await write.value == .failure(.cancelled))
    }
}
