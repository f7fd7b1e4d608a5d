import Testing

@testable import CaesuraTransport

/// Who may send, and who waits.
@Suite(.timeLimit(.minutes(60)))
struct OutboxTests {
    static func outbox() -> Outbox {
        var limits = TransportLimits()
        limits.sendHighWatermark = 100
        limits.sendLowWatermark = 40
        return Outbox(limits)
    }

    @Test func `senders wait from the high watermark on, to the low one, in their order`()
        async throws
    {
        let outbox = Self.outbox()
        try await outbox.admit(99)
        try await outbox.admit(50)
        #expect(outbox.outstanding == 149)
        let (order, admitted) = AsyncStream.makeStream(of: Int.self)
        for number in 0..<3 {
            Task {
                try await outbox.admit(60)
                admitted.yield(number)
            }
            while outbox.waiting <= number { await Task.yield() }
        }
        var numbers = order.makeAsyncIterator()
        outbox.wrote(99)
        #expect(outbox.outstanding == 50)
        outbox.wrote(10)
        // At 40 the first goes, and fills it up to the high watermark.
        #expect(outbox.outstanding == 100)
        #expect(await numbers.next() == 0)
        #expect(outbox.waiting == 2)
        outbox.wrote(100)
        #expect(outbox.outstanding == 120)
        #expect(await Set([numbers.next(), numbers.next()]) == [1, 2])
    }

    @Test func `who is cancelled has sent nothing, and lets others pass`() async throws {
        let outbox = Self.outbox()
        try await outbox.admit(100)
        let first = Task { try await outbox.admit(1_000) }
        while outbox.waiting < 1 { await Task.yield() }
        let second = Task { try await outbox.admit(7) }
        while outbox.waiting < 2 { await Task.yield() }
        first.cancel()
        await #expect(throws: TransportError(.cancelled, "")) { try await first.value }
        outbox.wrote(100)
        try await second.value
        #expect(outbox.outstanding == 7)
    }

    @Test func `the end wakes all who wait, and the first reason counts`() async throws {
        let outbox = Self.outbox()
        try await outbox.admit(100)
        let waiting = Task { try await outbox.admit(1) }
        while outbox.waiting < 1 { await Task.yield() }
        outbox.end(TransportError(.timedOut, ""))
        outbox.end(TransportError(.closed, ""))
        await #expect(throws: TransportError(.timedOut, "")) { try await waiting.value }
        await #expect(throws: TransportError(.timedOut, "")) { try await outbox.admit(1) }
        outbox.wrote(100)
        #expect(outbox.outstanding == 0)
    }
}
