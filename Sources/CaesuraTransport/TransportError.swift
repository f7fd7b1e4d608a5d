/// Why a connection was not made, or ended.
///
/// Two errors are equal when their codes are.
public struct TransportError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What a caller may act on.
    @nonexhaustive
    public enum Code: Sendable {
        /// Nobody answers there, or no such host is known: try again later.
        case unreachable
        /// The peer took longer than the limits allow: try again later.
        case timedOut
        /// Its certificate, or this node's, is not one that the other side takes: an operator must look.
        case unauthenticated
        /// The peer says that it does not want the connection, and why.
        case refused
        /// The peer sent bytes that are no messages: it is broken, hostile, or of a newer version.
        case malformed
        /// The connection is gone, or was closed: make another.
        case closed
        /// The task that waited was cancelled.
        case cancelled
        /// This node's own certificates, names or addresses cannot be used: an operator must look.
        case misconfigured
    }

    /// What a caller may act on.
    public var code: Code
    /// What happened, with the peer's address.
    public var message: String
    /// Where in what the peer sent, in bytes from the beginning of the connection; only of `malformed`.
    public var offset: Int?

    /// Creates an error.
    public init(_ code: Code, _ message: String, at offset: Int? = nil) {
        self.code = code
        self.message = message
        self.offset = offset
    }

    /// The message.
    public var description: String { message }

    /// Compares the codes.
    public static func == (a: Self, b: Self) -> Bool { a.code == b.code }

    /// Hashes the code.
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
}
