import CaesuraMigration
import Testing

@testable import CaesuraTransport

/// An actor on the loop of its connections.
@Suite(.timeLimit(.minutes(60)))
struct ConnectionLoopTests {
    /// Works without end, and answers what comes.
    actor Worker {
        private nonisolated let loop: ConnectionLoop
        private var isDone = false
        private(set) var pieces = 0

        nonisolated var unownedExecutor: UnownedSerialExecutor {
            // SAFETY: the actor holds the loop as long as it is there.
            unsafe loop.executor
        }

        init(on loop: ConnectionLoop) { self.loop = loop }

        func work() {
            if isDone { return }
            pieces += 1
            loop.afterInput { self.assumeIsolated { $0.work() } }
        }

        func answer(_ connection: NodeConnection, _ count: Int) async throws {
            for _ in 0..<count {
                let next = try #require(try await connection.messages.next())
                try connection.post(next.message, about: next.move)
            }
            isDone = true
        }
    }

    @Test(arguments: [false, true])
    func `who works without end keeps no message away`(dials: Bool) async throws {
        let loop = ConnectionLoop()
        let listener = try await TestListener(on: dials ? nil : loop)
        let dialled = try await listener.dial(on: dials ? loop : nil)
        let accepted = try await listener.accept()
        let (its, others) = dials ? (dialled, accepted) : (accepted, dialled)
        let worker = Worker(on: loop)
        await worker.work()
        let answering = Task { try await worker.answer(its, 20) }
        for number in 1...20 as ClosedRange<UInt64> {
            try await others.send(.have(.nothing), about: number)
            #expect(try await others.messages.next()?.move == number)
        }
        try await answering.value
        #expect(await worker.pieces > 0)
    }

    @Test func `a loop that is let go ends beside what it has`() async throws {
        let listener = try await TestListener()
        var loop: ConnectionLoop? = ConnectionLoop()
        let dialled = try await listener.dial(on: loop)
        let accepted = try await listener.accept()
        loop = nil
        // Its connections end with it.
        do {
            while try await dialled.messages.next() != nil {}
        } catch {
            #expect(error.code == .closed)
        }
        do {
            while try await accepted.messages.next() != nil {}
        } catch {
            #expect(error.code == .closed)
        }
    }
}
