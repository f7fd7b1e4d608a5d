import CSQLite
import Dispatch
import Foundation
import Synchronization

/// The same rows in SQLite: WAL, `synchronous = FULL`, a transaction an update.
///
/// The callers are threads that share one connection behind a mutex. SQLite lets one writer in at a time; with
/// a connection each, most of the time would go into its busy handler.
enum SQLitePeer {
    static func measure(rows: Int, callers: Int, seconds: Int, directory: String) throws {
        let scratch = try ScratchDirectory(in: directory)
        let database = try Database(scratch.path + "/sessions.sqlite")
        try database.fill(rows: rows)
        let shared = Mutex(database)
        let end = now() + UInt64(seconds) * 1_000_000_000
        let start = now()
        let all = Mutex<[UInt64]>([])
        let group = DispatchGroup()
        for caller in 0..<callers {
            group.enter()
            let thread = Thread {
                var random = RandomRows(rows: rows)
                for _ in 0..<caller { _ = random.next() }
                var latencies: [UInt64] = []
                while now() < end {
                    let start = now()
                    let row = random.next()
                    shared.withLock { $0.addVisit(Session.id(row)) }
                    latencies.append(now() - start)
                }
                all.withLock { $0 += latencies }
                group.leave()
            }
            thread.start()
        }
        group.wait()
        let latencies = all.withLock { $0 }
        let time = Double(now() - start) / 1e9
        let scale = "\(callers) caller\(callers == 1 ? "" : "s")"
        let subject = "SQLite, WAL, FULL"
        Result("durable: updates", subject, scale, "/s", Double(latencies.count) / time).print()
        reportPercentiles("durable: time of an update", subject, scale, latencies)
    }

    private final class Database: @unchecked Sendable {
        // @unchecked: used by one thread at a time.
        private let connection: OpaquePointer
        private let update: OpaquePointer

        init(_ path: String) throws {
            var connection: OpaquePointer?
            guard unsafe sqlite3_open(path, &connection) == SQLITE_OK,
                let connection = unsafe connection
            else { throw Failure("SQLite cannot open \(path)") }
            unsafe self.connection = unsafe connection
            for statement in [
                "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL",
                """
                CREATE TABLE sessions (id INTEGER PRIMARY KEY, user INTEGER, created INTEGER,
                    lastSeen INTEGER, visits INTEGER, ip INTEGER, flags INTEGER, cart REAL, token TEXT,
                    country TEXT)
                """,
            ] {
                guard unsafe sqlite3_exec(connection, statement, nil, nil, nil) == SQLITE_OK else {
                    throw Failure("SQLite refuses: \(statement)")
                }
            }
            unsafe update = try unsafe Self.prepare(
                connection, "UPDATE sessions SET visits = visits + 1 WHERE id = ?")
        }

        deinit {
            unsafe sqlite3_finalize(update)
            unsafe sqlite3_close(connection)
        }

        private static func prepare(
            _ connection: OpaquePointer, _ text: String
        ) throws -> OpaquePointer {
            var statement: OpaquePointer?
            guard unsafe sqlite3_prepare_v2(connection, text, -1, &statement, nil) == SQLITE_OK,
                let statement = unsafe statement
            else { throw Failure("SQLite refuses: \(text)") }
            return unsafe statement
        }

        func fill(rows: Int) throws {
            let insert = try unsafe Self.prepare(
                connection, "INSERT INTO sessions VALUES (?,?,?,?,?,?,?,?,?,?)")
            defer { unsafe sqlite3_finalize(insert) }
            unsafe sqlite3_exec(connection, "BEGIN", nil, nil, nil)
            for index in 0..<rows {
                let row = Session(index)
                let integers = [
                    Int64(bitPattern: Session.id(index)), Int64(row.user), row.created,
                    row.lastSeen, Int64(row.visits), Int64(row.ip), Int64(row.flags),
                ]
                for (place, value) in integers.enumerated() {
                    unsafe sqlite3_bind_int64(insert, Int32(place + 1), value)
                }
                unsafe sqlite3_bind_double(insert, 8, row.cart)
                // SQLITE_TRANSIENT: SQLite copies the text.
                let transient = unsafe unsafeBitCast(-1, to: sqlite3_destructor_type.self)
                unsafe sqlite3_bind_text(insert, 9, row.token, -1, transient)
                unsafe sqlite3_bind_text(insert, 10, row.country, -1, transient)
                guard unsafe sqlite3_step(insert) == SQLITE_DONE else {
                    throw Failure("SQLite does not insert")
                }
                unsafe sqlite3_reset(insert)
            }
            unsafe sqlite3_exec(connection, "COMMIT", nil, nil, nil)
            unsafe sqlite3_exec(connection, "PRAGMA wal_checkpoint(TRUNCATE)", nil, nil, nil)
        }

        func addVisit(_ id: UInt64) {
            unsafe sqlite3_bind_int64(update, 1, Int64(bitPattern: id))
            let result = unsafe sqlite3_step(update)
            precondition(result == SQLITE_DONE, "SQLite updates a row")
            unsafe sqlite3_reset(update)
        }
    }
}
