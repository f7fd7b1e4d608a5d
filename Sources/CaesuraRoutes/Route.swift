public import Caesura

/// The router that told us of a route.
@Schema("peer")
public struct Peer: TableKey {
    /// The peer's address.
    @Field(1) public var address: IPAddress
    /// The peer's autonomous system.
    @Field(2) public var asNumber: UInt32

    /// Creates a peer.
    public init(address: IPAddress, asNumber: UInt32) {
        self.address = address
        self.asNumber = asNumber
    }
}

/// What identifies a route in a table of all peers' routes.
@Schema("key")
public struct RouteKey: TableKey {
    /// Who told us.
    @Field(1) public var peer: Peer
    /// Where the route leads.
    @Field(2) public var prefix: Prefix
    /// Tells several routes of one peer to one prefix apart (RFC 7911), or nil where the peer sends one.
    @Field(3) public var pathID: UInt32?

    /// Creates a key.
    public init(peer: Peer, prefix: Prefix, pathID: UInt32? = nil) {
        self.peer = peer
        self.prefix = prefix
        self.pathID = pathID
    }
}

/// Where a route was learnt by the system that originates it (RFC 4271 section 5.1.1).
public enum Origin: UInt8, SchemaEnum {
    case igp = 0
    case egp = 1
    case incomplete = 2
}

/// The system that combined several routes into one (RFC 4271 section 5.1.7).
@Schema("aggregator")
public struct Aggregator: Hashable, Sendable {
    /// Its autonomous system.
    @Field(1) public var asNumber: UInt32
    /// Its IPv4 address or identifier.
    @Field(2) public var address: UInt32

    /// Creates an aggregator.
    public init(asNumber: UInt32, address: UInt32) {
        self.asNumber = asNumber
        self.address = address
    }
}

/// The attributes of one route: the row of a routing table.
@Schema("route")
public struct Route: Hashable, Sendable {
    /// Where to send packets.
    @Field(1) public var nextHop: IPAddress
    /// The systems on the way.
    @Field(2) public var path: ASPath
    /// Where the route was learnt.
    @Field(3) public var origin: Origin
    /// Preferred over others if higher; 0 where the peer sent none.
    @Field(4) public var localPreference: UInt32
    /// Preferred over others of the same neighbour if lower; 0 where the peer sent none.
    @Field(5) public var multiExitDiscriminator: UInt32
    /// Marks operators agree on (RFC 1997), 16 bits of system and 16 of meaning each.
    @Field(6) public var communities: [UInt32]
    /// Whether an aggregation dropped parts of the path.
    @Field(7) public var isAtomicAggregate: Bool
    /// Who combined several routes into this one.
    @Field(8) public var aggregator: Aggregator?
    /// When the route was dumped or announced.
    @Field(9) public var time: Timestamp
    /// The record the route was read from.
    @Field(10) public var source: RouteSource

    /// Creates a route.
    public init(
        nextHop: IPAddress, path: ASPath, origin: Origin, localPreference: UInt32 = 0,
        multiExitDiscriminator: UInt32 = 0, communities: [UInt32] = [],
        isAtomicAggregate: Bool = false, aggregator: Aggregator? = nil, time: Timestamp,
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
