public import Caesura

extension PartitionGate {
    /// Does a write, and waits for that as long as its deadline lets it.
    ///
    ///     let balance = try await gate.perform(checking: request.fencingEpoch, until: deadline) { epoch in
    ///         accounts.update(id) { $0.balance += amount; return $0.balance }
    ///     }
    ///
    /// It waits for ``delay``, and while the gate is sealed. The deadline is looked at only if there is something to wait
    /// for, and so is the task's cancellation.
    ///
    /// - Parameters:
    ///   - known: The fencing epoch that the sender knows; nil to do without. It is compared when the write first
    ///     comes to the gate, and not again: a write that has waited was sent to this node when it was right.
    ///   - rows: As in ``perform(checking:touching:_:)``.
    ///   - deadline: When it stops waiting.
    ///   - body: What to do. It is given the fencing epoch under which it runs, and must not wait for the gate. One that can
    ///     fail returns a `Result`.
    /// - Complexity: As ``perform(checking:touching:_:)``; who waits has a task more.
    /// - Throws: Whenever `body` has not run.
    public nonisolated(nonsending) func perform<Value>(
        checking known: UInt64? = nil, touching rows: [RowReference]? = nil,
        until deadline: ContinuousClock.Instant, _ body: (UInt64) -> Value
    ) async throws(GateError) -> Value {
        try await slowDown(until: deadline)
        var known = known
        while true {
            switch perform(checking: known, touching: rows, body) {
            case .done(let value): return value
            case .elsewhere(let entry): throw .elsewhere(entry)
            case .overtaken: throw .overtaken
            case .wait: try await waitForTurn(touching: rows, until: deadline)
            }
            known = nil
        }
    }

    /// Waits as long as the policy *slow* says.
    private nonisolated(nonsending) func slowDown(
        until deadline: ContinuousClock.Instant
    ) async throws(GateError) {
        let delay = self.delay
        guard delay > .zero else { return }
        let end = ContinuousClock.now + delay
        do {
            try await Task.sleep(until: min(end, deadline), clock: .continuous)
        } catch {
            throw .cancelled
        }
        if end > deadline { throw .timedOut }
    }

    /// Waits until the gate is served, and the rows are there.
    private nonisolated(nonsending) func waitForTurn(
        touching rows: [RowReference]?, until deadline: ContinuousClock.Instant
    ) async throws(GateError) {
        let turn = Turn()
        let ticket = wait(touching: rows) { resumption in
            switch resumption {
            case .serves: turn.end(.success(()))
            case .elsewhere(let entry): turn.end(.failure(.elsewhere(entry)))
            case .tooMany: turn.end(.failure(.tooMany))
            }
        }
        let ending = await withTaskGroup { group in
            group.addTask {
                do {
                    try await Task.sleep(until: deadline, clock: .continuous)
                    turn.end(.failure(.timedOut))
                } catch {
                    turn.end(.failure(.cancelled))
                }
            }
            defer { group.cancelAll() }
            return await turn.ending
        }
        if let ticket { cancel(ticket) }
        try ending.get()
    }
}

/// How the waiting of one write ends, by what comes first.
private final class Turn: Sendable {
    typealias Ending = Result<Void, GateError>

    private enum State {
        case open
        case awaited(CheckedContinuation<Ending, Never>)
        case ended(Ending)
    }

    private let state = Guarded(State.open)

    /// Notes an ending, unless there was one.
    func end(_ ending: Ending) {
        let continuation = state.withLock { state -> CheckedContinuation<Ending, Never>? in
            switch state {
            case .open:
                state = .ended(ending)
                return nil
            case .awaited(let continuation):
                state = .ended(ending)
                return continuation
            case .ended: return nil
            }
        }
        continuation?.resume(returning: ending)
    }

    /// The ending, once there is one.
    ///
    /// One task asks, once.
    nonisolated(nonsending) var ending: Ending {
        get async {
            await withCheckedContinuation { continuation in
                let ending = state.withLock { state -> Ending? in
                    if case .ended(let ending) = state { return ending }
                    state = .awaited(continuation)
                    return nil
                }
                if let ending { continuation.resume(returning: ending) }
            }
        }
    }
}
