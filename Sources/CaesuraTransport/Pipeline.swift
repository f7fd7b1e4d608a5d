import NIOCore
import NIOPosix
import NIOSSL

/// Which side of a connection this one is.
enum Role {
    /// It dials the node of this name.
    case dialler(of: String)
    case listener
}

extension Channel {
    /// Makes a connection of a channel: TLS if it is to be secured, then frames.
    ///
    /// - Precondition: It is called on the channel's event loop.
    func addHandlers(
        _ role: Role, _ security: TransportSecurity, _ limits: TransportLimits,
        _ loop: ConnectionLoop?, address: String, _ opening: ConnectionHandler.Opening
    ) throws {
        // Small messages follow chunks and answers: none waits for another to fill a packet.
        try syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1)
        try syncOptions?.setOption(
            .recvAllocator,
            value: AdaptiveRecvByteBufferAllocator(
                minimum: 1 << 10, initial: 1 << 16, maximum: Self.readSize))
        var isSecured = false
        if case .mutualTLS(let identity) = security {
            isSecured = true
            var configuration = NIOSSLHandler.Configuration()
            // Of the largest write, which may be of 72 MiB, it would else keep the memory.
            configuration.maximumPreservedOutboundBufferCapacity = 2 * Self.readSize
            let tls: NIOSSLHandler =
                switch role {
                case .dialler:
                    try NIOSSLClientHandler(
                        context: identity.client, serverHostname: nil, configuration: configuration)
                case .listener:
                    NIOSSLServerHandler(context: identity.server, configuration: configuration)
                }
            try pipeline.syncOperations.addHandler(tls)
        }
        try pipeline.syncOperations.addHandler(
            ConnectionHandler(
                self, role, isSecured: isSecured, limits: limits, loop: loop, address: address,
                opening: opening))
    }

    /// Bytes that are read from a socket, or encrypted, at once: they fit into a core's second cache.
    static var readSize: Int { 256 << 10 }
}
