import Testing

@testable import CaesuraNode

/// The limit of bytes a second.
struct PaceTests {
    /// Sends chunks as soon as it may; bytes sent until a time.
    private func send(_ chunk: Int, for time: Duration, _ pace: inout Pace) -> Int {
        var (now, sent) = (Duration.zero, 0)
        while true {
            now += pace.delay(at: now) ?? .zero
            guard now < time else { return sent }
            pace.note(chunk, at: now)
            sent += chunk
            now += .microseconds(1)
        }
    }

    @Test(arguments: [100, 65_536, 1 << 20])
    func `over a time no more goes than the limit, a burst and a chunk, and no less`(
        _ chunk: Int
    ) {
        let limit = 30_000_000
        for seconds in [1, 10] {
            var pace = Pace(bytesPerSecond: UInt64(limit))
            let sent = send(chunk, for: .seconds(seconds), &pace)
            #expect(sent <= limit * seconds + limit / 10 + chunk)
            #expect(sent >= limit * seconds)
        }
    }

    @Test func `who has been still may not send more than a burst at once`() {
        var pace = Pace(bytesPerSecond: 1_000)
        pace.note(1_000, at: .zero)
        #expect(pace.delay(at: .zero) == .milliseconds(900))
        #expect(pace.delay(at: .milliseconds(900)) == nil)
        // An hour later.
        pace.note(101, at: .seconds(3_600))
        #expect(pace.delay(at: .seconds(3_600)) == .milliseconds(1))
    }

    @Test func `without a limit nobody waits`() {
        var pace = Pace(bytesPerSecond: nil)
        pace.note(.max, at: .zero)
        #expect(pace.delay(at: .zero) == nil)
    }

    @Test func `a limit of nothing is one byte a second`() {
        var pace = Pace(bytesPerSecond: 0)
        pace.note(1, at: .zero)
        #expect(pace.delay(at: .zero) == .milliseconds(900))
    }
}
