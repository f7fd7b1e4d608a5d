public import Caesura

/// One line of what `bgpdump -m` prints.
///
///     TABLE_DUMP2|time|B|peer|AS|prefix|path|origin|next hop|preference|MED|communities|AG or NAG|aggregator|
///     BGP4MP|time|A|… as above …
///     BGP4MP|time|W|peer|AS|prefix
///     BGP4MP|time|STATE|peer|AS|old|new
///
/// Reading and printing are exact inverses: a line is either read so that printing gives the same bytes,
/// or refused with a ``RouteLineError``. So numbers have no leading zeros and addresses their one spelling.
public enum RouteLine: Hashable, Sendable {
    /// A route of a table (`B`) or one announced to it (`A`).
    case route(RouteKey, Route)
    /// A route that a peer took back.
    case withdrawal(Withdrawal)
    /// A peer's session went from one state to another.
    case stateChange(StateChange)

    /// A route that a peer took back.
    public struct Withdrawal: Hashable, Sendable {
        /// Which route.
        public var key: RouteKey
        /// When.
        public var time: Timestamp
        /// The record the line was made from.
        public var source: RouteSource

        /// Creates a withdrawal.
        public init(key: RouteKey, time: Timestamp, source: RouteSource) {
            self.key = key
            self.time = time
            self.source = source
        }
    }

    /// A change in the state of a peer's session (RFC 4271 section 8.2.2).
    public struct StateChange: Hashable, Sendable {
        /// Whose session.
        public var peer: Peer
        /// The state before: 1 idle, 2 connect, 3 active, 4 open sent, 5 open confirm, 6 established.
        public var old: UInt16
        /// The state after.
        public var new: UInt16
        /// When.
        public var time: Timestamp
        /// The record the line was made from.
        public var source: RouteSource

        /// Whether the session ended, and the peer's routes with it.
        public var endsSession: Bool { old == 6 && new != 6 }
    }

    /// When.
    public var time: Timestamp {
        switch self {
        case .route(_, let route): route.time
        case .withdrawal(let withdrawal): withdrawal.time
        case .stateChange(let change): change.time
        }
    }
}
