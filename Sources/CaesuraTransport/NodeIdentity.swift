import NIOSSL

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The certificate of a node, its key, and whose certificates it takes.
///
/// A node has one certificate for both roles: if it names extended key usages, these must be `serverAuth` and
/// `clientAuth`. Its subjectAltName has, as a DNS name, the name of the node, letter for letter; wildcards and common
/// names are no names of nodes. The trust roots are the only ones: those of the system are not looked at.
public struct NodeIdentity: Sendable {
    let client: NIOSSLContext
    let server: NIOSSLContext

    /// An identity from PEM in memory.
    ///
    /// - Parameters:
    ///   - certificateChain: The node's certificate, and behind it those between it and the root.
    ///   - key: Its key, not encrypted.
    ///   - trustRoots: The certificates of the authorities whose signatures are believed.
    /// - Throws: `misconfigured` when one of them is not what it should be, or the key is another's.
    public init(
        certificateChain: String, key: String, trustRoots: String
    ) throws(TransportError) {
        let chain = try Self.certificates("the certificate chain") {
            try NIOSSLCertificate.fromPEMBytes(Array(certificateChain.utf8))
        }
        let roots = try Self.certificates("the trust roots") {
            try NIOSSLCertificate.fromPEMBytes(Array(trustRoots.utf8))
        }
        try self.init(chain, roots) { try NIOSSLPrivateKey(bytes: Array(key.utf8), format: .pem) }
    }

    /// An identity from PEM files, which are read now.
    ///
    /// - Throws: `misconfigured` when one of them cannot be read or is not what it should be, or the key is another's.
    public init(
        certificateChainFile: String, keyFile: String, trustRootsFile: String
    ) throws(TransportError) {
        let chain = try Self.certificates("the certificate chain in \(certificateChainFile)") {
            try NIOSSLCertificate.fromPEMFile(certificateChainFile)
        }
        let roots = try Self.certificates("the trust roots in \(trustRootsFile)") {
            try NIOSSLCertificate.fromPEMFile(trustRootsFile)
        }
        try self.init(chain, roots) { try NIOSSLPrivateKey(file: keyFile, format: .pem) }
    }

    private init(
        _ chain: [NIOSSLCertificate], _ roots: [NIOSSLCertificate],
        key: () throws -> NIOSSLPrivateKey
    ) throws(TransportError) {
        do {
            let sources = chain.map(NIOSSLCertificateSource.certificate)
            let key = try NIOSSLPrivateKeySource.privateKey(key())
            var client = TLSConfiguration.makeClientConfiguration()
            client.certificateChain = sources
            client.privateKey = key
            var server = TLSConfiguration.makeServerConfiguration(
                certificateChain: sources, privateKey: key)
            Self.set(&client, roots)
            Self.set(&server, roots)
            self.client = try NIOSSLContext(configuration: client)
            self.server = try NIOSSLContext(configuration: server)
        } catch {
            throw TransportError(
                .misconfigured, "the key is not that of the certificate, or no PEM: \(error)")
        }
    }

    private static func set(_ configuration: inout TLSConfiguration, _ roots: [NIOSSLCertificate]) {
        configuration.minimumTLSVersion = .tlsv13
        configuration.trustRoots = .certificates(roots)
        // The peer must have a certificate that these roots signed. Names are looked at by `names(of:)`: the usual check
        // would also take a certificate for the peer's IP address, a wildcard or a common name.
        configuration.certificateVerification = .noHostnameVerification
    }

    private static func certificates(
        _ what: String, _ read: () throws -> [NIOSSLCertificate]
    ) throws(TransportError) -> [NIOSSLCertificate] {
        let found: [NIOSSLCertificate]
        do {
            found = try read()
        } catch {
            throw TransportError(.misconfigured, "\(what) cannot be read: \(error)")
        }
        guard !found.isEmpty else { throw TransportError(.misconfigured, "\(what) has none") }
        return found
    }

    /// The time by which certificates are valid.
    static var now: time_t { time(nil) }

    /// The names of the node that a verified certificate is of.
    ///
    /// - Throws: `unauthenticated` when it has none, or is not valid at the time. TLS has looked at that, but not if it
    ///   resumes a session that began when the certificate still was.
    static func names(
        of certificate: NIOSSLCertificate?, at time: time_t
    ) throws(TransportError) -> [String] {
        guard let certificate else {
            throw TransportError(.unauthenticated, "the peer has no certificate")
        }
        guard (certificate.notValidBefore...certificate.notValidAfter).contains(time) else {
            throw TransportError(.unauthenticated, "the peer's certificate is not valid now")
        }
        let names = certificate._subjectAlternativeNames().filter { $0.nameType == .dnsName }
            .compactMap { String(validating: $0.contents, as: UTF8.self) }
            .filter { !$0.contains("*") }
        guard !names.isEmpty else {
            throw TransportError(
                .unauthenticated, "the peer's certificate has no DNS name in its subjectAltName")
        }
        return names
    }
}
