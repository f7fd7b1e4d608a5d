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
            unsafe loop.asUnownedSerialExecutor()
        }

        init(on loop: ConnectionLoop) { self.loop = loop }

        func work() {
            if isDone { return }
            pieces += 1
            loop.afterInput { self.assumeIsolated { $0.work() } }
        }

        func answer(_ connection: NodeConnection, _ count: Int) async throws {
            defer { isDone = true }
            for _ in 0..<count {
                let next = try #require(try await connection.messages.next())
                try connection.post(contentsOf: [next])
            }
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

    @Test(arguments: [false, true])
    func `a loop goes on as long as it has connections`(dials: Bool) async throws {
        var loop: ConnectionLoop? = ConnectionLoop()
        weak let there = loop
        try await {
            let listener = try await TestListener(on: dials ? nil : loop)
            let dialled = try await listener.dial(on: dials ? loop : nil)
            let accepted = try await listener.accept()
            loop = nil
            try await dialled.send(.have(.nothing), about: 1)
            #expect(try await accepted.messages.next()?.move == 1)
            try await accepted.send(.have(.nothing), about: 2)
            #expect(try await dialled.messages.next()?.move == 2)
            #expect(there != nil)
            await dialled.close()
            await accepted.close()
            await listener.listener.close()
        }()
        while there != nil { await Task.yield() }
    }
}
