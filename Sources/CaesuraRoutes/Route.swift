/// The router that told us of a route.
public struct Peer: Hashable, Sendable {
    /// The peer's address.
    public var address: IPAddress
    /// The peer's autonomous system.
    public var asNumber: UInt32

    /// Creates a peer.
    public init(address: IPAddress, asNumber: UInt32) {
        self.address = address
        self.asNumber = asNumber
    }
}

/// What identifies a route in a table of all peers' routes.
public struct RouteKey: Hashable, Sendable {
    /// Who told us.
    public var peer: Peer
    /// Where the route leads.
    public var prefix: Prefix
    /// Tells several routes of one peer to one prefix apart (RFC 7911), or nil where the peer sends one.
    public var pathID: UInt32?

    /// Creates a key.
    public init(peer: Peer, prefix: Prefix, pathID: UInt32? = nil) {
        self.peer = peer
        self.prefix = prefix
        self.pathID = pathID
    }
}

/// Where a route was learnt by the system that originates it (RFC 4271 section 5.1.1).
public enum Origin: UInt8, Hashable, Sendable, CaseIterable {
    case igp = 0
    case egp = 1
    case incomplete = 2
}

/// The system that combined several routes into one (RFC 4271 section 5.1.7).
public struct Aggregator: Hashable, Sendable {
    /// Its autonomous system.
    public var asNumber: UInt32
    /// Its IPv4 address or identifier.
    public var address: UInt32

    /// Creates an aggregator.
    public init(asNumber: UInt32, address: UInt32) {
        self.asNumber = asNumber
        self.address = address
    }
}

/// The attributes of one route: the row of a routing table.
public struct Route: Hashable, Sendable {
    /// Where to send packets.
    public var nextHop: IPAddress
    /// The systems on the way.
    public var path: ASPath
    /// Where the route was learnt.
    public var origin: Origin
    /// Preferred over others if higher; 0 where the peer sent none.
    public var localPreference: UInt32
    /// Preferred over others of the same neighbour if lower; 0 where the peer sent none.
    public var multiExitDiscriminator: UInt32
    /// Marks operators agree on (RFC 1997), 16 bits of system and 16 of meaning each.
    public var communities: [UInt32]
    /// Whether an aggregation dropped parts of the path.
    public var isAtomicAggregate: Bool
    /// Who combined several routes into this one.
    public var aggregator: Aggregator?
    /// When the route was dumped or announced: microseconds since 1970-01-01T00:00:00Z.
    public var time: Int64
    /// The record the route was read from.
    public var source: RouteSource

    /// Creates a route.
    public init(
        nextHop: IPAddress, path: ASPath, origin: Origin, localPreference: UInt32 = 0,
        multiExitDiscriminator: UInt32 = 0, communities: [UInt32] = [],
        isAtomicAggregate: Bool = false, aggregator: Aggregator? = nil, time: Int64,
        source: RouteSource
    ) {
        self.nextHop = nextHop
        self.path = path
        self.origin = origin
        self.localPreference = localPreference
        self.multiExitDiscriminator = multiExitDiscriminator
        self.communities = communities
        self.isAtomicAggregate = isAtomicAggregate
        self.aggregator = aggregator
        self.time = time
        self.source = source
    }
}
