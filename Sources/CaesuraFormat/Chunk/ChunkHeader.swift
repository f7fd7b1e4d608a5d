/// What a chunk holds.
public enum ChunkRole: UInt8, Hashable, Sendable {
    /// Region schemas, hash key and options: the first chunk of a stream.
    case metadata = 1
    /// The columns of the rows of a hash range.
    case core = 2
    /// What changed in a hash range between two cuts.
    case delta = 3
    /// The columns of consecutive rows of a log.
    case log = 4
    /// The columns of the one row of a cell.
    case cell = 5
    /// A piece of one large value.
    case segment = 6
    /// Totals and digest: the last chunk of a stream.
    case end = 7
    /// What a repository sets behind a delta that it keeps.
    case commit = 8
}

/// How a chunk's body is stored.
public enum ChunkCodec: UInt8, Hashable, Sendable {
    case none = 0
    case zstd = 1
}

/// The header of a chunk: what it holds, of which region and range, how long it is, and two checksums.
///
///      0        4   5   6   7   8   9             17            25                 H-8        H
///      ├────────┼───┼───┼───┼───┼───┼─────────────┼─────────────┼──────────────────┼──────────┤
///      │ magic  │ v │ H │ r │ f │ c │ fingerprint │ body chksum │ 11 varints       │ header   │
///      │        │   │   │   │   │   │             │             │                  │ checksum │
///      └────────┴───┴───┴───┴───┴───┴─────────────┴─────────────┴──────────────────┴──────────┘
///
/// See `docs/FORMAT.md`, "Chunks". A header costs 44 bytes and up; 55 is common.
public struct ChunkHeader: Hashable, Sendable {
    /// What the chunk holds.
    public var role: ChunkRole
    /// The region's wire fingerprint; zero in metadata and end chunks.
    public var fingerprint = Fingerprint(rawValue: 0)
    /// The region's index in the stream's metadata.
    public var region = 0
    /// The partition that the range lies in.
    public var partition = 0
    /// The hashes the chunk covers; of a log the position of its first row, ``HashRange/position(_:)``.
    public var range = HashRange.all
    /// The chunk's number among those of its region and partition, of a log's stretch, from 0.
    public var sequence: UInt64 = 0
    /// The epoch that a delta builds on; 0 otherwise.
    public var baseEpoch: UInt64 = 0
    /// The epoch of the cut; 0 in a log's chunks, which are the same in all cuts.
    public var targetEpoch: UInt64
    /// The number of rows in the body.
    public var rowCount = 0
    /// The key that the body is encrypted with; 0 for none, the only value of this version.
    public var keyID: UInt64 = 0

    /// How the body is stored.
    public internal(set) var codec = ChunkCodec.none
    /// Bytes of the header.
    public internal(set) var headerLength = 0
    /// Bytes of the body as stored.
    public internal(set) var storedLength = 0
    /// Bytes of the body after decompression.
    public internal(set) var decodedLength = 0
    /// XXH3-64 of the stored body.
    public internal(set) var bodyChecksum: UInt64 = 0
    /// XXH3-64 of the header before it; as the header contains the body's checksum, it identifies the
    /// chunk.
    public internal(set) var identity: UInt64 = 0

    /// Creates the header of a chunk to be encoded.
    public init(role: ChunkRole, targetEpoch: UInt64) {
        self.role = role
        self.targetEpoch = targetEpoch
    }

    /// Creates the header of a core or segment chunk to be encoded.
    ///
    /// - Parameters:
    ///   - role: `.core` or `.segment`.
    ///   - region: The region's index in the stream's metadata.
    ///   - fingerprint: The region's wire fingerprint.
    ///   - partition: The partition that `range` lies in.
    ///   - range: The hashes of the rows.
    ///   - sequence: The chunk's number among those of its region and partition.
    ///   - targetEpoch: The epoch of the cut.
    public init(
        role: ChunkRole, region: Int, fingerprint: Fingerprint, partition: Int, range: HashRange,
        sequence: UInt64, targetEpoch: UInt64
    ) {
        self.role = role
        self.region = region
        self.fingerprint = fingerprint
        self.partition = partition
        self.range = range
        self.sequence = sequence
        self.targetEpoch = targetEpoch
    }

    /// Creates the header of a chunk of a log to be encoded.
    ///
    /// - Parameters:
    ///   - role: `.log` or `.segment`.
    ///   - region: The region's index in the stream's metadata.
    ///   - fingerprint: The region's wire fingerprint.
    ///   - position: The position of the first row of the chunk of rows.
    ///   - sequence: The chunk's number among those of its stretch.
    public init(
        role: ChunkRole, region: Int, fingerprint: Fingerprint, position: UInt64, sequence: UInt64
    ) {
        self.init(
            role: role, region: region, fingerprint: fingerprint, partition: 0,
            range: .position(position), sequence: sequence, targetEpoch: 0)
    }

    /// Bytes of the whole chunk.
    public var chunkLength: Int { headerLength + storedLength }

    /// The first bytes of a chunk: not UTF-8, and with a line feed, so that a transfer as text shows.
    static let magic: [UInt8] = [0xCA, 0xE5, 0x52, 0x0A]
    /// The first bytes of a chunk, for who looks for one.
    public static var magicBytes: [UInt8] { magic }
    /// The format's version.
    static let version: UInt8 = 1
    /// Bytes up to and with the header's length.
    static let introLength = 6
    /// The offset of the first varint.
    static let fixedLength = 25
    /// Fixed part, eleven varints of one byte, checksum.
    static let minimumLength = fixedLength + 11 + 8
    /// Fixed part, the longest varints that this version writes (four of 10 bytes for epochs, sequence and
    /// prefix; at most 5 for each other), checksum; a multiple of 8.
    static let room = 112
}

extension ChunkHeader {
    /// Appends the header, and notes its length and checksum in it.
    mutating func encode(into writer: inout ByteWriter) {
        let start = writer.count
        writer.append(contentsOf: Self.magic)
        writer.append(Self.version)
        writer.append(0)  // the header's length, known at the end
        writer.append(role.rawValue)
        writer.append(0)  // flags
        writer.append(codec.rawValue)
        writer.append(littleEndian: fingerprint.rawValue)
        writer.append(littleEndian: bodyChecksum)
        writer.append(varint: UInt64(storedLength))
        writer.append(varint: UInt64(decodedLength))
        writer.append(varint: UInt64(region))
        writer.append(varint: UInt64(partition))
        writer.append(varint: UInt64(range.prefixBits))
        writer.append(varint: range.number)
        writer.append(varint: sequence)
        writer.append(varint: baseEpoch)
        writer.append(varint: targetEpoch)
        writer.append(varint: UInt64(rowCount))
        writer.append(varint: keyID)
        headerLength = writer.count - start + 8
        precondition(headerLength <= Self.room, "a header longer than its fields can be")
        writer.overwrite(at: start + 5, with: UInt8(headerLength))
        identity = unsafe Checksum.of(UnsafeRawBufferPointer(rebasing: writer.bytes[start...]))
        writer.append(littleEndian: identity)
    }
}
