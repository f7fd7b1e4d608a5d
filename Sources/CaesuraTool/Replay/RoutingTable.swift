import Caesura
import CaesuraRoutes

/// The routes of all peers, kept up to date by what they announce and withdraw.
struct RoutingTable: Sendable {
    /// The name of the region.
    static let name = "routes"

    /// The store that the table is part of.
    let store: Store
    let routes: Table<RouteKey, Route>

    /// Creates an empty table in a store of its own.
    init(_ configuration: Store.Configuration = Store.Configuration()) throws(StoreError) {
        store = Store(configuration)
        routes = try store.table(Self.name, key: RouteKey.self, row: Route.self)
    }

    /// How many routes there are.
    var count: Int { routes.count }

    /// What a line did to the table.
    enum Effect {
        case announced
        case withdrawn
        /// A withdrawal of a route that was not there.
        case absent
        /// A session changed its state; the table is as it was.
        case stateChanged
        /// A session ended, and so many routes went with it.
        case sessionEnded(routes: Int)
    }

    /// Does what a line says.
    func apply(_ line: RouteLine) -> Effect {
        switch line {
        case .route(let key, let route):
            routes.set(route, for: key)
            return .announced
        case .withdrawal(let withdrawal):
            return routes.remove(withdrawal.key) ? .withdrawn : .absent
        case .stateChange(let change):
            return change.endsSession
                ? .sessionEnded(routes: removeRoutes(of: change.peer)) : .stateChanged
        }
    }

    /// Removes all routes of a peer and returns how many there were.
    ///
    /// - Complexity: O(routes of all peers).
    func removeRoutes(of peer: Peer) -> Int {
        let cut = store.cut()
        defer { cut.close() }
        var keys: [RouteKey] = []
        do {
            try cut.forEach(in: routes) { key, _ in if key.peer == peer { keys.append(key) } }
        } catch {
            preconditionFailure("a store without a limit cancels no cut: \(error)")
        }
        for key in keys { routes.remove(key) }
        return keys.count
    }
}
