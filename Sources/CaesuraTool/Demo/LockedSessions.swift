import Foundation
import Synchronization

/// The sessions as most services keep them: a dictionary behind a lock, saved as JSON under that lock.
final class LockedSessions: Sendable {
    private let rows: Mutex<[UInt64: Session]>

    /// Creates `count` sessions.
    init(count: Int) {
        var rows: [UInt64: Session] = [:]
        rows.reserveCapacity(count)
        for index in 0..<count { rows[Session.id(index)] = Session(index: index) }
        self.rows = Mutex(rows)
    }

    /// Notes a visit.
    func visit(_ id: UInt64, at time: Int64) {
        rows.withLock { rows in
            guard let index = rows.index(forKey: id) else { return }
            rows.values[index].visits &+= 1
            rows.values[index].lastSeen = time
        }
    }

    /// Stops all writers, encodes all rows, lets them go, and writes the file.
    ///
    /// - Returns: How long writers were kept out, in nanoseconds, and the bytes written.
    func save(to path: String) throws -> (pause: UInt64, byteCount: Int) {
        let start = MonotonicClock.now()
        let data = try rows.withLock { try JSONEncoder().encode($0) }
        let pause = MonotonicClock.now() - start
        try data.write(to: URL(filePath: path))
        return (pause, data.count)
    }
}
