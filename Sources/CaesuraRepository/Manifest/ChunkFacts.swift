public import CaesuraFormat

/// What a chunk's own header says of it, as the manifest repeats it.
public struct ChunkFacts: Hashable, Sendable {
    /// What the chunk is for.
    public var role: ChunkRole
    /// The region, counted from 0 in the manifest's order; metadata and end chunks have none.
    public var region: Int?
    /// The partition; 0 where the region has none.
    public var partition = 0
    /// The hashes it may hold.
    public var range = HashRange.all
    /// Rows in it.
    public var rows = 0
    /// Bytes in the pack, header and body.
    public var length: Int
    /// The checksum of its header, which covers that of its body.
    public var identity: UInt64

    /// Creates the facts of a chunk without rows of a region.
    public init(role: ChunkRole, length: Int, identity: UInt64) {
        self.role = role
        self.length = length
        self.identity = identity
    }

    /// Takes the facts from a chunk's header.
    public init(_ header: ChunkHeader) {
        self.init(role: header.role, length: header.chunkLength, identity: header.identity)
        guard header.role != .metadata, header.role != .end else { return }
        region = header.region
        partition = header.partition
        range = header.range
        rows = header.rowCount
    }
}

extension ChunkRole {
    /// The word that manifests use for it; deltas are not of this version.
    var word: String { "\(self)" }

    /// The role that a manifest's word stands for.
    init?(word: String) {
        let known: [ChunkRole] = [.metadata, .core, .segment, .log, .cell, .end]
        guard let role = known.first(where: { $0.word == word }) else { return nil }
        self = role
    }
}
