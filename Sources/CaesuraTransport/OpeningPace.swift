import NIOCore
import Synchronization

/// When connections to a listener may begin to open: so many a second, and some at once.
///
/// Handshakes are done on the loop of the connections, which may be a node's thread: strangers who come again and again would delay
/// handovers.
final class OpeningPace: Sendable {
    private let interval: TimeAmount
    /// When all that have come will have begun.
    private let due = Mutex(NIODeadline.uptimeNanoseconds(0))

    /// How many begin at once if none has come for a while.
    static let burst: Int64 = 16

    init(perSecond count: Int) { interval = .nanoseconds(1_000_000_000 / Int64(max(1, count))) }

    /// How long one that has come now has to wait; nil if it need not.
    func delay(at now: NIODeadline) -> TimeAmount? {
        let ahead = due.withLock { due in
            due = max(due, now) + interval
            return due - now
        }
        let delay = ahead.nanoseconds - Self.burst * interval.nanoseconds
        return delay > 0 ? .nanoseconds(delay) : nil
    }
}
