/// Where nodes are reached, by their names: `docs/MIGRATION.md` section 3, "Addresses".
///
/// Nothing depends on it being right: a node that answers at an address says who it is, and shows a certificate.
///
/// A node calls it on its own thread, as an ``OwnerRegister``: what takes time must suspend, and not block.
public protocol AddressBook: Sendable {
    /// Where a node is; nil if nobody has said.
    ///
    /// - Throws: `unavailable`, `damaged`, `unsupported`.
    nonisolated(nonsending) func addresses(of node: String) async throws(OwnerRegisterError)
        -> NodeAddresses?

    /// Says where a node is, in place of what was said before.
    ///
    /// - Throws: `unavailable`: it may be said all the same.
    nonisolated(nonsending) func publish(_ addresses: NodeAddresses, of node: String)
        async throws(OwnerRegisterError)
}

/// Where a node is.
public struct NodeAddresses: Hashable, Sendable {
    /// Where other nodes and operators connect.
    public var node: NetworkAddress
    /// Where its service answers clients; nil if that is nobody's business.
    public var service: NetworkAddress?

    /// Says where a node is.
    public init(node: NetworkAddress, service: NetworkAddress? = nil) {
        self.node = node
        self.service = service
    }
}

/// A host and a port.
public struct NetworkAddress: Hashable, Sendable, CustomStringConvertible {
    /// A name or an address; no brackets around an IPv6 address.
    public var host: String
    /// The port.
    public var port: UInt16

    /// The longest host, in bytes: that of a DNS name.
    public static let hostLimit = 255

    /// A host and a port.
    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Reads `host:port` or `[host]:port`; nil if the text is something else.
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"),
            let port = UInt16(text[text.index(after: colon)...])
        else { return nil }
        var host = text[..<colon]
        if host.first == "[", host.last == "]" {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard (1...Self.hostLimit).contains(host.utf8.count) else { return nil }
        self.init(host: String(host), port: port)
    }

    /// The text that ``init(_:)`` reads.
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
