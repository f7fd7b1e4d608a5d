/// What a repository sets behind a delta that it keeps: the delta is there once this is.
///
/// `docs/REPOSITORY.md` section 5. The epochs are in the chunk's header.
public struct DeltaCommit: Hashable, Sendable {
    /// The identity of the state that the delta leads to: ``StreamEnd/digest``.
    public var state: UInt64
    /// Bytes of the delta's chunks, the end chunk included.
    public var byteCount: UInt64
    /// When it was begun, in microseconds from 1970-01-01 UTC.
    public var created: Int64
    /// Nanoseconds from the flip of the epoch until the last write of the epoch before had ended.
    public var pause: UInt64
    /// Nanoseconds spent encoding.
    public var encode: UInt64
    /// Nanoseconds from the beginning until the delta was encoded.
    public var total: UInt64
    /// The rows of each region at the target.
    public var rows: [UInt64]

    /// Creates a commit.
    public init(
        state: UInt64, byteCount: UInt64, created: Int64, pause: UInt64, encode: UInt64,
        total: UInt64, rows: [UInt64]
    ) {
        self.state = state
        self.byteCount = byteCount
        self.created = created
        self.pause = pause
        self.encode = encode
        self.total = total
        self.rows = rows
    }

    /// Appends the body.
    func encode(into writer: inout ByteWriter) {
        writer.append(littleEndian: state)
        writer.append(varint: byteCount)
        writer.append(varint: UInt64(bitPattern: created << 1 ^ created >> 63))
        writer.append(varint: pause)
        writer.append(varint: encode)
        writer.append(varint: total)
        writer.append(varint: UInt64(rows.count))
        for count in rows { writer.append(varint: count) }
    }

    /// Reads a body; what follows it is of a newer version, and skipped.
    init(reading reader: inout ByteReader, limits: Limits) throws(FormatError) {
        state = try reader.integer(UInt64.self, "a state's identity")
        byteCount = try reader.varint("a delta's length")
        let zigzag = try reader.varint("a time")
        created = Int64(bitPattern: zigzag >> 1) ^ -Int64(bitPattern: zigzag & 1)
        pause = try reader.varint("a pause")
        encode = try reader.varint("a time of encoding")
        total = try reader.varint("a time")
        let count = try reader.varint(upTo: limits.regions, "the number of regions")
        rows = []
        for _ in 0..<count { rows.append(try reader.varint("a region's row count")) }
    }
}
