import NIOCore
import Synchronization

/// Counts the bytes that are sent and not yet written, and lets those who send wait, in their order.
///
/// It also knows how long the way to the peer and back is.
final class Outbox: Sendable {
    private typealias Waiter = (
        id: Int, bytes: Int, continuation: CheckedContinuation<TransportError?, Never>
    )

    private struct State {
        var outstanding = 0
        var waiters = CircularBuffer<Waiter>()
        var nextID = 0
        var end: TransportError?
        var roundTrip: Duration?
    }

    private let state = Mutex(State())
    private let high: Int
    private let low: Int

    init(_ limits: TransportLimits) {
        high = limits.sendHighWatermark
        low = min(limits.sendLowWatermark, high)
    }

    /// Bytes that are sent and not yet written.
    var outstanding: Int { state.withLock { $0.outstanding } }

    /// Those who wait.
    var waiting: Int { state.withLock { $0.waiters.count } }

    /// How long the last ping that came back was on its way.
    var roundTrip: Duration? {
        get { state.withLock { $0.roundTrip } }
        set { state.withLock { $0.roundTrip = newValue } }
    }

    /// Waits until there is room for a frame, and counts it.
    ///
    /// It stays on the caller's executor, as ``Handoff/next(isolation:)`` does.
    ///
    /// - Throws: `cancelled`, or why the connection ended; then nothing is counted.
    func admit(
        _ bytes: Int, isolation actor: isolated (any Actor)? = #isolation
    ) async throws(TransportError) {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        let error = await withTaskCancellationHandler {
            _ = actor
            return await withCheckedContinuation { wait((id, bytes, $0)) }
        } onCancel: {
            let waiter: Waiter? = state.withLock { state in
                state.waiters.firstIndex { $0.id == id }.map { state.waiters.remove(at: $0) }
            }
            waiter?.continuation.resume(returning: Self.cancelled)
        }
        if let error { throw error }
    }

    /// Counts a frame, whether there is room for it or not.
    ///
    /// - Throws: Why the connection ended; then nothing is counted.
    func add(_ bytes: Int) throws(TransportError) {
        let end = state.withLock { state in
            if state.end == nil { state.outstanding += bytes }
            return state.end
        }
        if let end { throw end }
    }

    private static let cancelled = TransportError(
        .cancelled, "the task was cancelled while it waited to send")

    private func wait(_ waiter: Waiter) {
        enum Outcome { case go, wait, fail(TransportError) }
        let outcome: Outcome = state.withLock { state in
            if let end = state.end { return .fail(end) }
            if state.waiters.isEmpty, state.outstanding < high {
                state.outstanding += waiter.bytes
                return .go
            }
            // Whoever cancels after this finds the waiter.
            if Task.isCancelled { return .fail(Self.cancelled) }
            state.waiters.append(waiter)
            return .wait
        }
        switch outcome {
        case .go: waiter.continuation.resume(returning: nil)
        case .wait: break
        case .fail(let error): waiter.continuation.resume(returning: error)
        }
    }

    /// Counts bytes off that were written, or never will be.
    func wrote(_ bytes: Int) {
        let admitted: [Waiter] = state.withLock { state in
            state.outstanding -= bytes
            precondition(state.outstanding >= 0, "wrote what was not sent")
            var admitted: [Waiter] = []
            guard state.outstanding <= low else { return [] }
            while state.outstanding < high, let waiter = state.waiters.popFirst() {
                state.outstanding += waiter.bytes
                admitted.append(waiter)
            }
            return admitted
        }
        for waiter in admitted { waiter.continuation.resume(returning: nil) }
    }

    /// Lets nobody send any more; the first error counts.
    func end(_ error: TransportError) {
        let waiters: CircularBuffer<Waiter> = state.withLock { state in
            guard state.end == nil else { return [] }
            state.end = error
            defer { state.waiters.removeAll() }
            return state.waiters
        }
        for waiter in waiters { waiter.continuation.resume(returning: error) }
    }
}
