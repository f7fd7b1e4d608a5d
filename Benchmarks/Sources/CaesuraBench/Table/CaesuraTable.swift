import Caesura

/// The same through Caesura's public API, from this module.
final class CaesuraTable: SessionTable {
    static let subject = Target.subject
    let store: Store
    let sessions: Table<UInt64, Session>

    init() throws {
        store = Store()
        sessions = try store.table("sessions", key: UInt64.self, row: Session.self)
    }

    func insert(_ id: UInt64, _ row: Session) { sessions[id] = row }
    func get(_ id: UInt64) -> Session? { sessions[id] }
    func readVisits(_ id: UInt64) -> UInt32? { sessions.read(id) { $0.visits } }
    func addVisit(_ id: UInt64) { sessions.update(id) { $0.visits &+= 1 } }
    func replaceToken(_ id: UInt64, _ token: String) { sessions.update(id) { $0.token = token } }
    var count: Int { sessions.count }
}
