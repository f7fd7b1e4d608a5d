import Caesura
import Foundation

/// The open sessions of a store.
package struct Sessions: Sendable {
    private let table: Table<UUID, Session>

    /// Declares the table.
    package init(in store: Store) throws(StoreError) {
        table = try store.table("sessions", key: UUID.self, row: Session.self)
    }

    package static var version: UInt32 { Session.schema.version }

    package var count: Int { table.count }

    /// Opens a session, in place of one that has the same number.
    package func open(_ id: UUID, _ opening: Opening) {
        table[id] = Session(
            user: opening.user, token: opening.token, seen: .now, plan: opening.plan ?? .free,
            country: opening.country ?? "", cart: opening.cart ?? [])
    }

    package enum Outcome: UInt8, Sendable { case counted, wrongToken, noSession }

    /// Counts a visit, if it comes with the session's token.
    package func visit(_ id: UUID, token: String, _ visit: Visit) -> Outcome {
        table.update(id) { Self.count(visit, token: token, &$0) } ?? .noSession
    }

    /// The row of a session, to change it in a transaction.
    package func row(_ id: UUID) -> RowReference { table.row(id) }

    /// Counts a visit in a transaction over the session's row, if it comes with the session's token.
    package func visit(
        _ id: UUID, token: String, _ visit: Visit, in transaction: borrowing Transaction
    ) -> Outcome {
        transaction.update(table, id) { Self.count(visit, token: token, &$0) } ?? .noSession
    }

    private static func count(
        _ visit: Visit, token: String, _ session: inout Session.Editor
    ) -> Outcome {
        guard session.token == token else { return .wrongToken }
        session.seen = .now
        session.visits += 1
        if let plan = visit.plan { session.plan = plan }
        if let cart = visit.cart { session.cart = cart }
        if let country = visit.country { session.country = country }
        return .counted
    }

    /// What a client may see; no token is read for it.
    package func read(_ id: UUID) -> SessionView? {
        table.read(id) { session in
            SessionView(
                user: session.user, seen: session.seen.date, visits: session.visits,
                plan: session.plan, cart: session.cart, country: session.country)
        }
    }

    /// Closes a session; whether there was one.
    package func close(_ id: UUID) -> Bool { table.remove(id) }
}

extension Timestamp {
    var date: Date { Date(timeIntervalSince1970: Double(microseconds) / 1_000_000) }
}
