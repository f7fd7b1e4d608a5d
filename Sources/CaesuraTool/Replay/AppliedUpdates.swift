import Synchronization

/// How far the thread that applies updates has come: written by it, read by the one that waits for it.
final class AppliedUpdates: Sendable {
    private let position = Atomic(0)
    private let counts = Mutex(ReplayReport.Updates())

    /// How many updates were applied so far.
    var reached: Int { position.load(ordering: .relaxed) }

    /// What they did, once the thread has finished.
    var total: ReplayReport.Updates { counts.withLock { $0 } }

    /// Notes that so many were applied.
    func advance(to count: Int) { position.store(count, ordering: .relaxed) }

    /// Notes what all of them did.
    func finish(_ updates: ReplayReport.Updates) { counts.withLock { $0 = updates } }
}
