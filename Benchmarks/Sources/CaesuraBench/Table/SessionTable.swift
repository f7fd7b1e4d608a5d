/// A table of sessions that can be compared with others.
///
/// Every use is generic and specialised in this module, so no witness call is timed.
protocol SessionTable: AnyObject, Sendable {
    static var subject: String { get }
    init() throws
    func insert(_ id: UInt64, _ row: Session)
    func get(_ id: UInt64) -> Session?
    func readVisits(_ id: UInt64) -> UInt32?
    func addVisit(_ id: UInt64)
    func replaceToken(_ id: UInt64, _ token: String)
    var count: Int { get }
}

extension SessionTable {
    /// Inserts rows `0..<rows` and returns the nanoseconds of it without making the rows.
    func fill(rows: Int) -> Double {
        let batch = 1024
        var elapsed: Double = 0
        var ids: [UInt64] = []
        var sessions: [Session] = []
        ids.reserveCapacity(batch)
        sessions.reserveCapacity(batch)
        var start = 0
        while start < rows {
            let end = min(start + batch, rows)
            for i in start..<end {
                ids.append(Session.id(i))
                sessions.append(Session(i))
            }
            elapsed += nanoseconds {
                for place in ids.indices { insert(ids[place], sessions[place]) }
            }
            ids.removeAll(keepingCapacity: true)
            sessions.removeAll(keepingCapacity: true)
            start = end
        }
        return elapsed
    }
}
