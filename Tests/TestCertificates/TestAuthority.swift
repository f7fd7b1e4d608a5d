import Crypto
import Foundation
import NIOSSL
import SwiftASN1
package import X509

package import CaesuraTransport

/// A certificate authority that lives for one test.
package struct TestAuthority {
    private let key = P256.Signing.PrivateKey()
    private let certificate: Certificate

    package init() throws {
        let name = try DistinguishedName { CommonName("authority") }
        certificate = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(),
            publicKey: Certificate.PublicKey(key.publicKey), notValidBefore: Self.days(-400),
            notValidAfter: Self.days(400), issuer: name, subject: name,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
                Critical(KeyUsage(keyCertSign: true))
            }, issuerPrivateKey: Certificate.PrivateKey(key))
    }

    /// A certificate and its key, as PEM.
    package struct Paper {
        package var certificate: String
        package var key: String
    }

    /// Signs a certificate.
    ///
    /// - Parameters:
    ///   - names: What its subjectAltName has; without any it has no such extension.
    ///   - commonName: What its subject has.
    ///   - days: On which days it is valid, counted from now.
    package func sign(
        _ names: [GeneralName], commonName: String = "a node", days: Range<Int> = -1..<1
    ) throws -> Paper {
        let own = P256.Signing.PrivateKey()
        let signed = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(),
            publicKey: Certificate.PublicKey(own.publicKey),
            notValidBefore: Self.days(days.lowerBound), notValidAfter: Self.days(days.upperBound),
            issuer: certificate.subject,
            subject: try DistinguishedName { CommonName(commonName) },
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                if !names.isEmpty { SubjectAlternativeNames(names) }
            }, issuerPrivateKey: Certificate.PrivateKey(key))
        return Paper(
            certificate: try signed.serializeAsPEM().pemString,
            key: try Certificate.PrivateKey(own).serializeAsPEM().pemString)
    }

    /// The authority's own certificate, as PEM.
    package var root: String { get throws { try certificate.serializeAsPEM().pemString } }

    /// An identity of some names that trusts this authority, or another one.
    package func identity(
        _ names: [GeneralName], commonName: String = "a node", days: Range<Int> = -1..<1,
        trusting other: TestAuthority? = nil
    ) throws -> NodeIdentity {
        let paper = try sign(names, commonName: commonName, days: days)
        return try NodeIdentity(
            certificateChain: paper.certificate, key: paper.key, trustRoots: (other ?? self).root)
    }

    /// That of a node.
    package func node(_ name: String) throws -> TransportSecurity {
        .mutualTLS(try identity([.dnsName(name)]))
    }

    private static func days(_ count: Int) -> Date { Date() + Double(count) * 86_400 }
}
