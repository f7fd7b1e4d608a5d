import NIOCore
import Synchronization

/// A queue from an event loop to one task, which says when it is empty so that the loop reads on only then.
final class Handoff<Element: Sendable>: Sendable {
    /// What comes next.
    enum Outcome: Sendable {
        case element(Element)
        /// Nothing any more; with the reason if there is one.
        case end(TransportError?)
        /// The task that waits was cancelled; the queue goes on.
        case cancelled
    }

    private struct State {
        var elements = CircularBuffer<Element>()
        var waiter: CheckedContinuation<Outcome, Never>?
        var isPaused = false
        var end: Outcome?
    }

    private let state = Mutex(State())
    /// Called when the last element was taken and the queue had been found not to be empty.
    private let resume: @Sendable () -> Void

    init(resume: @escaping @Sendable () -> Void = {}) { self.resume = resume }

    /// Adds an element; none is taken behind the end.
    func deliver(_ element: Element) {
        let waiter: CheckedContinuation<Outcome, Never>? = state.withLock { state in
            guard state.end == nil else { return nil }
            if let waiter = state.waiter.take() { return waiter }
            state.elements.append(element)
            return nil
        }
        waiter?.resume(returning: .element(element))
    }

    /// Ends the queue behind what is in it; the first end counts.
    func finish(_ error: TransportError?) {
        let waiter: CheckedContinuation<Outcome, Never>? = state.withLock { state in
            guard state.end == nil else { return nil }
            state.end = .end(error)
            return state.waiter.take()
        }
        waiter?.resume(returning: .end(error))
    }

    /// Whether there is something that nobody took.
    var hasElements: Bool { state.withLock { !$0.elements.isEmpty } }

    /// Whether there is something that nobody took; if so, `resume` is called once all is taken.
    func pauseUnlessEmpty() -> Bool {
        state.withLock { state in
            state.isPaused = !state.elements.isEmpty
            return state.isPaused
        }
    }

    /// The next element, as soon as there is one.
    ///
    /// It stays on the caller's executor: a node's thread would else be left, and come back to, for each message.
    ///
    /// - Precondition: No other task waits.
    func next(isolation actor: isolated (any Actor)? = #isolation) async -> Outcome {
        await withTaskCancellationHandler {
            // A closure is isolated to what it captures.
            _ = actor
            return await withCheckedContinuation { wait($0) }
        } onCancel: {
            let waiter = state.withLock { $0.waiter.take() }
            waiter?.resume(returning: .cancelled)
        }
    }

    private func wait(_ continuation: CheckedContinuation<Outcome, Never>) {
        var isEmptied = false
        let outcome: Outcome? = state.withLock { state in
            if let element = state.elements.popFirst() {
                isEmptied = state.isPaused && state.elements.isEmpty
                if isEmptied { state.isPaused = false }
                return .element(element)
            }
            if let end = state.end { return end }
            // Whoever cancels after this finds the waiter.
            if Task.isCancelled { return .cancelled }
            precondition(state.waiter == nil, "two tasks wait for one queue")
            state.waiter = continuation
            return nil
        }
        if isEmptied { resume() }
        if let outcome { continuation.resume(returning: outcome) }
    }
}
