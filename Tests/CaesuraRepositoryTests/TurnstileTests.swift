import Synchronization
import Testing

@testable import CaesuraRepository

/// Places of which there are few.
struct TurnstileTests {
    /// What tasks have seen.
    private final class Seen: Sendable {
        let inside = Mutex((now: 0, most: 0, all: 0))
        let order = Mutex<[String]>([])
    }

    @Test func `no more are inside than there are places, and all come in`() async {
        let turnstile = Turnstile(places: 3)
        let seen = Seen()
        await withTaskGroup { group in
            for index in 0..<200 {
                group.addTask {
                    await turnstile.enter(isUrgent: index % 7 == 0)
                    seen.inside.withLock {
                        $0.now += 1
                        $0.most = max($0.most, $0.now)
                        $0.all += 1
                    }
                    await Task.yield()
                    seen.inside.withLock { $0.now -= 1 }
                    turnstile.leave()
                }
            }
        }
        seen.inside.withLock {
            #expect($0.all == 200 && $0.now == 0)
            #expect($0.most <= 3)
        }
        // The places are free again.
        for _ in 0..<3 { await turnstile.enter(isUrgent: false) }
    }

    @Test func `who is urgent comes first, and else who came first`() async {
        let turnstile = Turnstile(places: 1)
        await turnstile.enter(isUrgent: false)
        let seen = Seen()
        await withTaskGroup { group in
            let names = [("a", false), ("b", false), ("c", true), ("d", true)]
            for (index, (name, isUrgent)) in names.enumerated() {
                group.addTask {
                    await turnstile.enter(isUrgent: isUrgent)
                    seen.order.withLock { $0.append(name) }
                    turnstile.leave()
                }
                while turnstile.waitingCount <= index { await Task.yield() }
            }
            turnstile.leave()
        }
        #expect(seen.order.withLock { $0 } == ["c", "d", "a", "b"])
    }
}
