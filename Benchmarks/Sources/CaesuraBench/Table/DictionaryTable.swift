import HashTreeCollections
import Synchronization

/// What most services have today: a dictionary behind one lock.
final class DictionaryTable: SessionTable {
    static let subject = "Dictionary + Mutex"
    private let rows = Mutex<[UInt64: Session]>([:])

    init() {}
    func insert(_ id: UInt64, _ row: Session) { rows.withLock { $0[id] = row } }
    func get(_ id: UInt64) -> Session? { rows.withLock { $0[id] } }
    func readVisits(_ id: UInt64) -> UInt32? { rows.withLock { $0[id]?.visits } }
    func addVisit(_ id: UInt64) { rows.withLock { $0[id]?.visits &+= 1 } }
    func replaceToken(_ id: UInt64, _ token: String) { rows.withLock { $0[id]?.token = token } }
    var count: Int { rows.withLock { $0.count } }

    /// The read that copies no row: through the index.
    func readVisitsByIndex(_ id: UInt64) -> UInt32? {
        rows.withLock { rows in rows.index(forKey: id).map { rows.values[$0].visits } }
    }

    /// The update that moves no row: through the index.
    func addVisitByIndex(_ id: UInt64) {
        rows.withLock { rows in
            if let index = rows.index(forKey: id) { rows.values[index].visits &+= 1 }
        }
    }
}

/// A persistent map behind one lock: snapshots cost nothing, updates a path.
final class TreeTable: SessionTable {
    static let subject = "TreeDictionary + Mutex"
    private let rows = Mutex<TreeDictionary<UInt64, Session>>([:])

    init() {}
    func insert(_ id: UInt64, _ row: Session) { rows.withLock { $0[id] = row } }
    func get(_ id: UInt64) -> Session? { rows.withLock { $0[id] } }
    func readVisits(_ id: UInt64) -> UInt32? { rows.withLock { $0[id]?.visits } }
    func addVisit(_ id: UInt64) { rows.withLock { $0[id]?.visits &+= 1 } }
    func replaceToken(_ id: UInt64, _ token: String) { rows.withLock { $0[id]?.token = token } }
    var count: Int { rows.withLock { $0.count } }
}
