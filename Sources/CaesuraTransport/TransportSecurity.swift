/// How two nodes know each other, and whether others can read along.
public enum TransportSecurity: Sendable {
    /// TLS 1.3; each side shows a certificate, and checks that of the other.
    case mutualTLS(NodeIdentity)
    /// Neither: whoever reaches the port is believed whatever it says it is. For one machine's loopback, for tests and
    /// measurements.
    case insecure
}
