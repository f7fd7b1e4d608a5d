import Synchronization

/// Lets so many in at once; others wait for their turn, those that are urgent first.
final class Turnstile: Sendable {
    private struct State {
        var places: Int
        var urgent: ArraySlice<CheckedContinuation<Void, Never>> = []
        var others: ArraySlice<CheckedContinuation<Void, Never>> = []

        mutating func takePlace() -> Bool {
            guard places > 0 else { return false }
            places -= 1
            return true
        }
    }

    private let state: Mutex<State>

    /// - Parameter places: How many are inside at most.
    init(places: Int) { state = Mutex(State(places: places)) }

    /// Returns when there is a place, which is the caller's until ``leave()``.
    nonisolated(nonsending) func enter(isUrgent: Bool) async {
        if state.withLock({ $0.takePlace() }) { return }
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                if state.takePlace() { return true }
                if isUrgent {
                    state.urgent.append(continuation)
                } else {
                    state.others.append(continuation)
                }
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    /// How many wait; for tests.
    var waitingCount: Int { state.withLock { $0.urgent.count + $0.others.count } }

    /// Gives the place to who is next.
    func leave() {
        let next = state.withLock { state in
            let next = state.urgent.popFirst() ?? state.others.popFirst()
            if next == nil { state.places += 1 }
            return next
        }
        next?.resume()
    }
}
