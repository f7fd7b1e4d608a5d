import Foundation
import Synchronization

/// The sessions as most services keep them: a dictionary behind a lock, saved as JSON.
final class LockedSessions: Sendable {
    private struct State {
        var rows: [UInt64: Session] = [:]
        /// Whether a save holds a copy that no write has come upon yet.
        var isShared = false
        /// How long the write that came upon the copy had the lock, in nanoseconds.
        var copying: UInt64 = 0
    }

    private let state: Mutex<State>

    /// Creates `count` sessions.
    init(count: Int) {
        var state = State()
        state.rows.reserveCapacity(count)
        for index in 0..<count { state.rows[Session.id(index)] = Session(index: index) }
        self.state = Mutex(state)
    }

    /// Notes a visit.
    func visit(_ id: UInt64, at time: Int64) {
        state.withLock { state in
            guard let index = state.rows.index(forKey: id) else { return }
            let start = state.isShared ? MonotonicClock.now() : 0
            // A dictionary that somebody else holds too copies all its rows here.
            state.rows.values[index].visits &+= 1
            state.rows.values[index].lastSeen = time
            if state.isShared {
                state.copying = MonotonicClock.now() - start
                state.isShared = false
            }
        }
    }

    /// Stops all writers, encodes all rows, lets them go, and writes the file.
    ///
    /// - Returns: How long writers were kept out, in nanoseconds, and the bytes written.
    func saveUnderLock(to file: ScratchFile) throws -> (pause: UInt64, byteCount: Int) {
        let start = MonotonicClock.now()
        let data = try state.withLock { try JSONEncoder().encode($0.rows) }
        let pause = MonotonicClock.now() - start
        try file.write(data)
        return (pause, data.count)
    }

    /// Copies the dictionary under the lock and encodes the copy outside it.
    ///
    /// The copy is one reference. What it costs comes with the next write, which finds the rows shared and
    /// copies them all before it changes one, with the lock held.
    ///
    /// - Returns: How long writers were kept out by both, in nanoseconds, and the bytes written.
    func saveCopy(to file: ScratchFile) throws -> (pause: UInt64, byteCount: Int) {
        let start = MonotonicClock.now()
        let copy = state.withLock { state in
            state.isShared = true
            state.copying = 0
            return state.rows
        }
        let pause = MonotonicClock.now() - start
        let data = try JSONEncoder().encode(copy)
        try file.write(data)
        let copying = state.withLock { state in
            state.isShared = false
            return state.copying
        }
        return (pause + copying, data.count)
    }
}
