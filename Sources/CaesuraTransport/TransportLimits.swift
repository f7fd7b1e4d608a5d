/// How long, how much and how many: the bounds of connections.
///
/// What the protocol lays down is in `docs/MIGRATION.md` section 7.
public struct TransportLimits: Sendable {
    /// From the first packet until both sides know each other and the first frame of the peer has come.
    public var openingTime: Duration = .seconds(10)
    /// Between pings; the limits below are looked at as often.
    public var pingInterval: Duration = .seconds(5)
    /// How long nothing at all may come.
    public var silence: Duration = .seconds(30)
    /// From the first byte of a frame to its last: 72 MiB need 1.2 MB a second.
    public var frameTime: Duration = .seconds(60)
    /// For what is still to be sent, and for the peer to end its side, when a connection is closed.
    public var closingTime: Duration = .seconds(10)

    /// Bytes of frames that are sent and not yet in the socket's buffer, from which on senders wait.
    ///
    /// The frame that reaches it is taken whole.
    public var sendHighWatermark = 4 << 20
    /// Bytes of them at which those who wait go on.
    public var sendLowWatermark = 1 << 20

    /// Connections that begin to open at a listener in a second, once 16 have at once; others wait their turn.
    ///
    /// So strangers who shake hands again and again leave the listener's loop time for others.
    public var openingsPerSecond = 50

    /// Connections that a listener has at once; whoever comes then is refused.
    ///
    /// As many more may be opening, or closing, at once; others are closed without a word.
    public var connectionCount = 64

    /// The bounds that the protocol lays down, and usual ones for the rest.
    public init() {}
}
