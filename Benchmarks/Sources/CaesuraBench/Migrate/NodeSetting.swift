import CaesuraTransport

/// How the two nodes of a measurement are set up.
struct NodeSetting: Sendable {
    /// Sessions, in all partitions together.
    let rows: Int
    /// The directory of the owner register and the address book.
    let owners: String
    /// The folder of the nodes' certificates; nil for no TLS.
    let papers: String?
    /// Rows are in 2 to the power of this partitions of a store.
    let partitionBits: Int
    /// MB of chunks that a node may send a second; 0 for no bound.
    let bandwidth: Int

    /// The rows are in 2 to the power of this partitions.
    static let bits = 4
    static let partitions = 1 << bits
    /// The names of the nodes: a has the rows first, and the load.
    static let names = (own: "a", other: "b")

    init(
        rows: Int, owners: String, papers: String?, partitionBits: Int = 6,
        bandwidth: Int = 0
    ) {
        self.rows = rows
        self.owners = owners
        self.papers = papers
        self.partitionBits = partitionBits
        self.bandwidth = bandwidth
    }

    /// As the other process is told.
    init(_ options: Options) throws {
        self.init(
            rows: try options.int("rows"), owners: try options.string("owners"),
            papers: try? options.string("papers"),
            partitionBits: try options.int("partition-bits"),
            bandwidth: try options.int("bandwidth"))
    }

    /// What the other process is told.
    var arguments: [String] {
        [
            "--rows", "\(rows)", "--owners", owners, "--partition-bits", "\(partitionBits)",
            "--bandwidth", "\(bandwidth)",
        ] + (papers.map { ["--papers", $0] } ?? [])
    }

    var security: TransportSecurity {
        get throws { try papers.map { .mutualTLS(try Papers.identity(in: $0)) } ?? .insecure }
    }

    /// How much it is: by the bytes of the rows' state.
    var scale: String {
        let bytes = rows * Session.stateBytes
        return bytes >= 1_000_000_000 - Session.stateBytes
            ? "\((bytes + 500_000_000) / 1_000_000_000) GB"
            : "\((bytes + 500_000) / 1_000_000) MB"
    }
}
