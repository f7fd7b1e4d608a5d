import CaesuraMigration
import Foundation
import NIOCore
import NIOSSL
import SwiftASN1
import TestCertificates
import Testing
import X509

@testable import CaesuraTransport

/// Who may speak to whom: nobody else gets as far as a message.
@Suite(.timeLimit(.minutes(60)))
struct AuthenticationTests {
    let authority: TestAuthority
    let stranger: TestAuthority

    init() throws {
        authority = try TestAuthority()
        stranger = try TestAuthority()
    }

    /// What both sides say when one dials the other, which must come to nothing.
    func failures(
        dialling node: String = "node-b", as dialler: TransportSecurity,
        listening listenerSecurity: TransportSecurity
    ) async throws -> (dialler: TransportError.Code?, listener: TransportError.Code?) {
        let listener = try await TestListener(listenerSecurity)
        let error = await #expect(throws: TransportError.self) {
            let connection = try await listener.dial(node, dialler)
            try await connection.send(.hello(NodeConnectionTests.hello))
        }
        let failure = await listener.failure()
        // Nobody gets a connection.
        await listener.listener.close()
        #expect(await listener.listener.connections.next() == nil)
        return (error?.code, failure?.code)
    }

    @Test func `a dialler whose authority the listener does not know is refused`() async throws {
        let identity = try stranger.identity([.dnsName("node-a")], trusting: authority)
        let found = try await failures(
            as: .mutualTLS(identity), listening: authority.node("node-b"))
        #expect(found == (.unauthenticated, .unauthenticated))
    }

    @Test func `a listener whose authority the dialler does not know is refused`() async throws {
        let identity = try stranger.identity([.dnsName("node-b")], trusting: authority)
        let found = try await failures(
            as: authority.node("node-a"), listening: .mutualTLS(identity))
        #expect(found == (.unauthenticated, .unauthenticated))
    }

    @Test(arguments: [-3 ..< -1, 1..<3])
    func `a certificate that is not valid now is refused on either side`(
        days: Range<Int>
    ) async throws {
        let dialler = try authority.identity([.dnsName("node-a")], days: days)
        let first = try await failures(as: .mutualTLS(dialler), listening: authority.node("node-b"))
        #expect(first == (.unauthenticated, .unauthenticated))
        let listener = try authority.identity([.dnsName("node-b")], days: days)
        let second = try await failures(
            as: authority.node("node-a"), listening: .mutualTLS(listener))
        #expect(second == (.unauthenticated, .unauthenticated))
    }

    @Test func `a listener of another name is refused`() async throws {
        let found = try await failures(
            dialling: "node-b", as: authority.node("node-a"), listening: authority.node("node-c"))
        #expect(found == (.unauthenticated, .refused))
    }

    @Test func `an address, a wildcard or a common name is no name of a node`() async throws {
        let loopback = ASN1OctetString(contentBytes: [127, 0, 0, 1])
        for names in [
            [GeneralName.ipAddress(loopback), .dnsName("node-c")], [.ipAddress(loopback)],
            [.dnsName("*.nodes")], [.uniformResourceIdentifier("b.nodes")], [],
        ] {
            let listener = try authority.identity(names, commonName: "b.nodes")
            let found = try await failures(
                dialling: "b.nodes", as: authority.node("node-a"), listening: .mutualTLS(listener))
            #expect(found == (.unauthenticated, .refused), "\(names)")
        }
    }

    @Test func `a dialler without a name is refused`() async throws {
        let dialler = try authority.identity([], commonName: "node-a")
        let found = try await failures(as: .mutualTLS(dialler), listening: authority.node("node-b"))
        #expect(found == (.refused, .unauthenticated))
    }

    @Test func `a certificate may have several names, and the listener sees them all`()
        async throws
    {
        let identity = try authority.identity([.dnsName("node-a"), .dnsName("node_A.old")])
        let listener = try await TestListener(.mutualTLS(identity))
        let (dialled, accepted) = try await listener.pair("node_A.old", .mutualTLS(identity))
        #expect(dialled.peerNames == ["node-a", "node_A.old"])
        #expect(accepted.peerNames == ["node-a", "node_A.old"])
    }

    @Test(arguments: [TLSVersion.tlsv13, .tlsv12])
    func `a dialler without a certificate, or without TLS 1.3, is refused`(
        version: TLSVersion
    ) async throws {
        let listener = try await TestListener(authority.node("node-b"))
        var configuration = TLSConfiguration.makeClientConfiguration()
        let root = try NIOSSLCertificate.fromPEMBytes(Array(authority.root.utf8))
        configuration.trustRoots = .certificates(root)
        configuration.certificateVerification = .noHostnameVerification
        configuration.maximumTLSVersion = version
        if version == .tlsv12 {
            let paper = try authority.sign([.dnsName("node-a")])
            configuration.certificateChain = try NIOSSLCertificate.fromPEMBytes(
                Array(paper.certificate.utf8)
            ).map { .certificate($0) }
            configuration.privateKey = .privateKey(
                try NIOSSLPrivateKey(bytes: Array(paper.key.utf8), format: .pem))
        }
        let context = try NIOSSLContext(configuration: configuration)
        await #expect(throws: (any Error).self) {
            try await listener.raw(context) { inbound, outbound, _ in
                try await outbound.write(frame(.ping(0)))
                _ = try await bytes(of: inbound)
            }
        }
        #expect(await listener.failure()?.code == .unauthenticated)
    }

    @Test func `one side with TLS and one without do not meet`() async throws {
        let first = try await failures(as: .insecure, listening: authority.node("node-b"))
        #expect(first == (.closed, .unauthenticated))
        let second = try await failures(as: authority.node("node-a"), listening: .insecure)
        #expect(second == (.unauthenticated, .malformed))
    }

    @Test func `a certificate that has run out is no name's, whatever TLS resumes`() throws {
        let paper = try authority.sign([.dnsName("node-a")])
        let certificate = try NIOSSLCertificate.fromPEMBytes(Array(paper.certificate.utf8)).first
        let now = NodeIdentity.now
        #expect(try NodeIdentity.names(of: certificate, at: now) == ["node-a"])
        for time in [now - 200_000, now + 200_000] {
            #expect(throws: TransportError(.unauthenticated, "")) {
                try NodeIdentity.names(of: certificate, at: time)
            }
        }
        #expect(throws: TransportError(.unauthenticated, "")) {
            try NodeIdentity.names(of: nil, at: now)
        }
    }

    @Test func `files that are none of PEM, or do not go together, are no identity`() throws {
        let paper = try authority.sign([.dnsName("node-a")])
        let other = try authority.sign([.dnsName("node-a")])
        let root = try authority.root
        for (chain, key, roots) in [
            (paper.certificate, other.key, root), ("", paper.key, root),
            (paper.certificate, "", root),
            (paper.certificate, paper.key, ""), ("no PEM", paper.key, root),
        ] {
            #expect(throws: TransportError(.misconfigured, "")) {
                try NodeIdentity(certificateChain: chain, key: key, trustRoots: roots)
            }
        }
    }

    @Test func `an identity is read from files`() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "caesura-identity-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let paper = try authority.sign([.dnsName("node-b")])
        let texts = ["chain": paper.certificate, "key": paper.key, "roots": try authority.root]
        for (name, text) in texts {
            try Data(text.utf8).write(to: folder.appendingPathComponent(name))
        }
        func path(_ name: String) -> String { folder.appendingPathComponent(name).path }
        let identity = try NodeIdentity(
            certificateChainFile: path("chain"), keyFile: path("key"), trustRootsFile: path("roots")
        )
        let listener = try await TestListener(.mutualTLS(identity))
        let (_, accepted) = try await listener.pair("node-b", authority.node("node-a"))
        #expect(accepted.peerNames == ["node-a"])
        let error = #expect(throws: TransportError.self) {
            try NodeIdentity(
                certificateChainFile: path("missing"), keyFile: path("key"),
                trustRootsFile: path("roots"))
        }
        #expect(error?.code == .misconfigured)
        #expect(error?.message.contains(path("missing")) == true)
    }
}
