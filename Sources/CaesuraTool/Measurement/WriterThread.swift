import Foundation
import Synchronization

/// A service's writer: a thread that writes at a steady rate, whatever else goes on, until it is told to end.
final class WriterThread: Sendable {
    /// Writes due up to this moment met a save: the far future while one runs, then when it ended.
    private let savingUntil = Atomic<UInt64>(0)
    private let isEnding = Atomic(false)
    private let result = Mutex<OpenLoop?>(nil)
    private let ended = DispatchSemaphore(value: 0)
    /// When the thread ended, or 0 while it runs.
    private let end = Atomic<UInt64>(0)
    /// When the thread began, on the monotonic clock.
    let start: UInt64

    /// Starts the thread.
    ///
    /// - Parameters:
    ///   - perSecond: Writes due each second, or nil for one after the other.
    ///   - duration: About how long it will run, in nanoseconds, so that nothing is allocated meanwhile.
    ///   - window: The width of the timeline's windows, in nanoseconds.
    ///   - makeWrite: Called on the thread; the closure it returns is one write, and is told when it was due.
    init(
        perSecond: Double?, duration: UInt64, window: UInt64,
        makeWrite: @escaping @Sendable () -> ((_ due: UInt64) -> OpenLoop.Outcome)
    ) {
        start = MonotonicClock.now()
        Thread.detachNewThread { [self] in
            let write = makeWrite()
            var loop = OpenLoop(perSecond: perSecond, duration: duration, window: window)
            loop.run(
                until: .max,
                meetsCheckpoint: { $0 <= savingUntil.load(ordering: .relaxed) },
                operation: { isEnding.load(ordering: .relaxed) ? .over : write($0) })
            result.withLock { $0 = loop }
            end.store(MonotonicClock.now(), ordering: .releasing)
            ended.signal()
        }
    }

    /// Marks the writes that meet `body`, which saves the state.
    func whileSaving<Result>(_ body: () async throws -> Result) async rethrows -> Result {
        savingUntil.store(.max, ordering: .relaxed)
        defer { savingUntil.store(MonotonicClock.now(), ordering: .relaxed) }
        return try await body()
    }

    /// Whether there is no more to write.
    var hasEnded: Bool { end.load(ordering: .acquiring) != 0 }

    /// How long the thread ran, once it has ended, in nanoseconds.
    var duration: UInt64 { max(end.load(ordering: .acquiring), start) - start }

    /// Ends the thread, if it has not ended by itself, and returns what it measured; call once.
    func finish() -> OpenLoop {
        isEnding.store(true, ordering: .relaxed)
        ended.wait()
        // The thread stores its result before it signals.
        return result.withLock { $0 }!
    }
}
