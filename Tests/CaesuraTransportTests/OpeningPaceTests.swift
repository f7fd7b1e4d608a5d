import NIOCore
import TestCertificates
import Testing

@testable import CaesuraTransport

/// How fast connections to a listener open.
@Suite(.timeLimit(.minutes(60)))
struct OpeningPaceTests {
    @Test func `so many begin at once, and then so many a second`() {
        let pace = OpeningPace(perSecond: 10)
        let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
        for _ in 0..<OpeningPace.burst { #expect(pace.delay(at: start) == nil) }
        for number in 1...30 as ClosedRange<Int64> {
            #expect(pace.delay(at: start) == .milliseconds(100 * number))
        }
        // When all of them have begun, one waits; after a while as many begin at once as before, and no more.
        #expect(pace.delay(at: start + .seconds(3)) == .milliseconds(100))
        let later = start + .hours(1)
        for _ in 0..<OpeningPace.burst { #expect(pace.delay(at: later) == nil) }
        #expect(pace.delay(at: later) == .milliseconds(100))
    }

    @Test(arguments: [false, true])
    func `those that come too fast open, later`(isSecured: Bool) async throws {
        let authority = try TestAuthority()
        var limits = TransportLimits.patient
        limits.openingsPerSecond = 20
        let listener = try await TestListener(
            isSecured ? authority.node("node-b") : .insecure, limits: limits)
        let security = isSecured ? try authority.node("node-a") : .insecure
        let count = Int(OpeningPace.burst) + 6
        let began = ContinuousClock.now
        var connections: [NodeConnection] = []
        for _ in 0..<count {
            let (dialled, accepted) = try await listener.pair("node-b", security)
            connections += [dialled, accepted]
        }
        #expect(ContinuousClock.now - began >= .milliseconds(6 * 50 - 10))
        for connection in connections { connection.abort() }
    }
}
