import Foundation
import Synchronization

/// A thread that only reads the clock, beside threads that work: it meets what the machine does to all of them.
final class GapThread: Sendable {
    private let isStopping = Atomic(false)
    private let result = Mutex(NoiseFloor())
    private let ended = DispatchSemaphore(value: 0)

    /// Starts the thread.
    init() {
        Thread.detachNewThread { [self] in
            var floor = NoiseFloor()
            var now = MonotonicClock.now()
            while !isStopping.load(ordering: .relaxed) {
                let earlier = now
                now = MonotonicClock.now()
                floor.record(from: earlier, to: now)
            }
            result.withLock { $0 = floor }
            ended.signal()
        }
    }

    /// Ends the thread and returns what it saw; call once.
    func finish() -> NoiseFloor {
        isStopping.store(true, ordering: .relaxed)
        ended.wait()
        return result.withLock { $0 }
    }
}
