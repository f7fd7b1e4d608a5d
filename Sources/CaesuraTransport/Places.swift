import NIOCore
import Synchronization

/// Counts the connections of a listener, so that there are never more than it may have.
final class Places: Sendable {
    private let limit: Int
    private let counts = Mutex((all: 0, open: 0))

    init(_ limit: Int) { self.limit = limit }

    /// Takes a place for a connection that opens, until it is closed.
    ///
    /// There are as many more of them as for open ones, so that those who never open keep nobody out.
    func enter(_ channel: any Channel) -> Bool {
        let isTaken = counts.withLock { counts in
            guard counts.all < 2 * limit else { return false }
            counts.all += 1
            return true
        }
        if isTaken {
            channel.closeFuture.whenComplete { _ in self.counts.withLock { $0.all -= 1 } }
        }
        return isTaken
    }

    /// Takes a place for one that is open, until it is closed.
    func open(_ channel: any Channel) -> Bool {
        let isTaken = counts.withLock { counts in
            guard counts.open < limit else { return false }
            counts.open += 1
            return true
        }
        if isTaken {
            channel.closeFuture.whenComplete { _ in self.counts.withLock { $0.open -= 1 } }
        }
        return isTaken
    }
}
