import NIOCore
import NIOPosix
import NIOSSL

extension NodeConnection {
    /// Connects to a node, and returns when both sides have taken the other's certificate.
    ///
    /// - Parameters:
    ///   - node: The name of the node, which its certificate must have; not looked at if the connection is insecure.
    ///   - host: Where it is: a name or an address.
    ///   - port: Where its listener is.
    ///   - security: Who this node is, and whom it believes.
    ///   - limits: ``TransportLimits/openingTime`` is for the socket, and once more for all after it.
    ///   - loop: Where the connection is; nil for one of those that all share.
    /// - Throws: `unreachable`, `timedOut`, `unauthenticated`, `refused`, `closed`, `malformed`, `cancelled`.
    public static func dial(
        _ node: String, at host: String, port: Int, security: TransportSecurity,
        limits: TransportLimits = TransportLimits(), on loop: ConnectionLoop? = nil
    ) async throws(TransportError) -> NodeConnection {
        let opened = Handoff<NodeConnection>()
        let address = "\(node) at \(host):\(port)"
        let bootstrap = ClientBootstrap(group: loop?.group ?? MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(TimeAmount(limits.openingTime))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let opening = ConnectionHandler.Opening {
                        switch $0 {
                        case .success(let connection): opened.deliver(connection)
                        case .failure(let error): opened.finish(error)
                        }
                    }
                    try channel.addHandlers(
                        .dialler(of: node), security, limits, loop, address: address, opening)
                }
            }
        // To look a name up takes a thread of Dispatch, which may be busy; an address is no name.
        let connected =
            if let literal = try? SocketAddress(ipAddress: host, port: port) {
                bootstrap.connect(to: literal)
            } else {
                bootstrap.connect(host: host, port: port)
            }
        connected.whenFailure { error in
            let (code, message) = explanation(of: error, isOpening: true)
            opened.finish(TransportError(code, "\(address) \(message)"))
        }
        switch await opened.next() {
        case .element(let connection): return connection
        case .end(let error?): throw error
        case .end(nil), .cancelled:
            throw TransportError(.cancelled, "the task was cancelled while it dialled \(address)")
        }
    }
}
