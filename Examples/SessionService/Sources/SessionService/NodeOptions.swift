import ArgumentParser
import CaesuraMigration
import CaesuraNode
import CaesuraNodeService
import CaesuraTransport

/// What makes the service one of several nodes that hand sessions to each other.
struct NodeOptions: ParsableArguments {
    @Option(
        help:
            "The directory of the owner register, which all nodes share; without it there is one node."
    )
    var owners: String?
    @Option(help: "The node's name, which its certificate has.")
    var name: String?
    @Option(help: "Where other nodes and operators connect; port 0 takes a free one.")
    var nodeListen = Address(host: "127.0.0.1", port: 0)
    @Flag(help: "Create partitions that nobody has yet; on one node of all.")
    var create = false
    @Option(name: .customLong("successor"), help: "Who gets the sessions when this process ends.")
    var successors: [String] = []
    @Option(help: "PEM file: the node's certificate, and those between it and the root.")
    var certificate: String?
    @Option(help: "PEM file: the certificate's key.")
    var key: String?
    @Option(help: "PEM file: the authorities whose signatures are believed.")
    var trust: String?
    @Flag(help: "No certificates: whoever reaches the node's port is believed. For one machine.")
    var insecure = false

    mutating func validate() throws {
        guard owners != nil else { return }
        guard name != nil else { throw ValidationError("a node has a name: give --name") }
        guard insecure || [certificate, key, trust].allSatisfy({ $0 != nil }) else {
            throw ValidationError("give --certificate, --key and --trust, or --insecure")
        }
    }

    /// Nodes of this service have 16 partitions, and one for logs and cells.
    private static let moveBits = 4

    /// How the node is set up; clients reach its service at an address.
    func configuration(service: NetworkAddress) throws -> NodeService.Configuration {
        var security = TransportSecurity.insecure
        if let certificate, let key, let trust {
            security = .mutualTLS(
                try NodeIdentity(
                    certificateChainFile: certificate, keyFile: key, trustRootsFile: trust))
        }
        var configuration = NodeService.Configuration(
            Node.Configuration(
                name: name ?? "", moveBits: Self.moveBits, createsPartitions: create),
            listen: NetworkAddress(host: nodeListen.host, port: UInt16(clamping: nodeListen.port)),
            security: security)
        configuration.service = service
        configuration.successors = successors
        return configuration
    }
}
