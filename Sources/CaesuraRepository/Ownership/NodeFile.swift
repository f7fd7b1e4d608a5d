import CaesuraFormat
import CaesuraMigration

/// The file of an address book's entry: JSON, sealed by a digest like a manifest.
struct NodeFile: Hashable, Sendable {
    var node: String
    var addresses: NodeAddresses

    /// The directory of all nodes.
    static let root = "nodes"
    private static let format = "caesura-node"
    private static let version: UInt64 = 1
    private static let byteLimit = 4_096

    /// The directory of a node: named by a hash, for names of nodes may be none of files.
    static func directory(of node: String) -> String {
        let hash = String(
            unsafe node.utf8.span.bytes.withUnsafeBytes { unsafe Checksum.of($0) }, radix: 16)
        return root + "/" + String(repeating: "0", count: 16 - hash.count) + hash
    }

    static func path(of number: UInt64, of node: String) -> String {
        directory(of: node) + "/" + OwnerFile.name(of: number)
    }

    init(node: String, addresses: NodeAddresses) {
        self.node = node
        self.addresses = addresses
    }

    var encoded: [UInt8] {
        var json = JSONWriter()
        json.openDocument()
        json.string("format", Self.format)
        json.number("version", Self.version)
        json.string("node", node)
        json.string("address", addresses.node.description)
        if let service = addresses.service { json.string("service", service.description) }
        return SealedJSON.seal(json)
    }

    /// Reads the file of an entry.
    ///
    /// - Throws: `damaged`, `unsupported`, and what the storage says.
    init(
        reading number: UInt64, of node: String, in storage: any Storage
    ) throws(RepositoryError) {
        let path = Self.path(of: number, of: node)
        let bytes = try storage.contents(of: path, upTo: Self.byteLimit)
        let display = storage.display(path)
        try SealedJSON.check(bytes, "address", display)
        var (format, name): (String?, String?)
        var (address, service): (NetworkAddress?, NetworkAddress?)
        var reader = JSONReader(bytes, file: display)
        try reader.object { (json, key) throws(RepositoryError) in
            switch key {
            case "format": format = try json.string(upTo: 64)
            case "version":
                let version = try json.unsigned()
                guard version == Self.version else {
                    throw json.error(
                        "is \(version), and this reader knows \(Self.version)", code: .unsupported)
                }
            case "node": name = try json.string(upTo: OwnerEntry.ownerLimit)
            case "address": address = NetworkAddress(try json.string(upTo: 512))
            case "service": service = NetworkAddress(try json.string(upTo: 512))
            default: try json.skip()
            }
        }
        try reader.end()
        guard format == Self.format, name == node, let address else {
            throw RepositoryError(
                .damaged, "this is not the address of node \(node)", path: display)
        }
        self.init(node: node, addresses: NodeAddresses(node: address, service: service))
    }
}
