import Synchronization

/// The visits that did not end where they began: they waited for a handover, or were forwarded.
final class LateVisits: Sendable {
    /// What was found of them.
    struct Findings {
        /// Those that were due while sessions moved.
        var during = LatencyHistogram()
        /// Those that were due afterwards.
        var after = LatencyHistogram()
        var timeline: LatencyTimeline
        /// How many went to the other process.
        var forwarded = 0
    }

    private struct State {
        var findings: Findings
        var answered = 0
        var movesEnded = UInt64.max
    }

    /// The width of the timeline's windows, in nanoseconds.
    let window: UInt64
    private let state: Mutex<State>

    init(window: UInt64) {
        self.window = window
        state = Mutex(
            State(
                findings: Findings(
                    timeline: LatencyTimeline(start: 0, window: window, duration: 0))))
    }

    /// The timeline begins at a moment; call before anything is late.
    func begin(at start: UInt64) {
        state.withLock {
            $0.findings.timeline = LatencyTimeline(
                start: start, window: window, duration: 10_000_000_000)
        }
    }

    /// Sessions do not move any more: visits that are due later come after that.
    func movesEnd() {
        let now = MonotonicClock.now()
        state.withLock { $0.movesEnded = now }
    }

    /// A visit goes to the other process.
    func forward() { state.withLock { $0.findings.forwarded += 1 } }

    /// A visit that had waited for a handover is done here.
    func end(_ due: UInt64) { record([due], answered: 0) }

    /// Visits are done at the other process.
    func answered(_ visits: [ForwardedVisit]) {
        record(visits.map(\.due), answered: visits.count)
    }

    private func record(_ due: [UInt64], answered: Int) {
        let now = MonotonicClock.now()
        state.withLock { state in
            state.answered += answered
            for due in due {
                let latency = now - due
                if due > state.movesEnded {
                    state.findings.after.record(latency)
                } else {
                    state.findings.during.record(latency)
                }
                state.findings.timeline.record(due: due, latency: latency)
            }
        }
    }

    /// Visits that went to the other process and are not done.
    var pendingCount: Int { state.withLock { $0.findings.forwarded - $0.answered } }

    /// What was found.
    var findings: Findings { state.withLock { $0.findings } }
}
