// Reading headers that nobody vouches for: `docs/FORMAT.md`, "Chunks". The order of the checks is length,
// magic, version, checksum, fields, limits; nothing is allocated here.

extension ChunkHeader {
    /// The length of the header that begins `bytes`; nil when there are too few bytes to tell.
    ///
    /// - Throws: `malformed` or `unsupported` when no chunk of this version begins there.
    static func length(
        at bytes: UnsafeRawBufferPointer, origin: Int
    ) throws(FormatError) -> Int? {
        for (index, byte) in magic.enumerated() where index < bytes.count {
            guard unsafe bytes[index] == byte else {
                throw FormatError(.malformed, "no chunk begins here", at: origin)
            }
        }
        guard bytes.count >= introLength else { return nil }
        let version = unsafe bytes[4]
        guard version == Self.version else {
            throw FormatError(
                .unsupported, "the chunk has format version \(version), not \(Self.version)",
                at: origin + 4)
        }
        let length = unsafe Int(bytes[5])
        guard length >= minimumLength else {
            throw FormatError(.malformed, "a header of \(length) bytes", at: origin + 5)
        }
        return length
    }

    /// Reads and checks a header; `bytes` may go on behind it.
    ///
    /// - Throws: `truncated` when `bytes` is shorter than the header; `checksumMismatch`, `malformed`,
    ///   `unsupported` or `limitExceeded` with the offset of the wrong value.
    public init(
        reading bytes: UnsafeRawBufferPointer, origin: Int = 0, limits: Limits = Limits()
    ) throws(FormatError) {
        guard let length = try unsafe Self.length(at: bytes, origin: origin), bytes.count >= length
        else {
            throw FormatError(
                .truncated, "the input ends inside a chunk's header", at: origin + bytes.count)
        }
        let covered = unsafe UnsafeRawBufferPointer(rebasing: bytes[..<(length - 8)])
        let checksum = unsafe UInt64(
            littleEndian: bytes.loadUnaligned(fromByteOffset: length - 8, as: UInt64.self))
        guard unsafe Checksum.of(covered) == checksum else {
            throw FormatError(
                .checksumMismatch, "a chunk's header differs from what was written", at: origin)
        }
        var reader = unsafe ByteReader(covered, origin: origin)
        _ = try unsafe reader.take(Self.introLength, "a chunk's header")
        let role = try reader.byte("a chunk's role")
        guard let role = ChunkRole(rawValue: role) else {
            throw FormatError(.unsupported, "a chunk has role \(role)", at: origin + 6)
        }
        self.role = role
        guard try reader.byte("a chunk's flags") == 0 else {
            throw FormatError(.unsupported, "a chunk has flags of a newer format", at: origin + 7)
        }
        guard let codec = ChunkCodec(rawValue: try reader.byte("a chunk's codec")) else {
            throw FormatError(.unsupported, "a chunk has a codec of a newer format", at: origin + 8)
        }
        fingerprint = Fingerprint(rawValue: try reader.integer(UInt64.self, "a fingerprint"))
        bodyChecksum = try reader.integer(UInt64.self, "a checksum")
        let isFrame = role == .metadata || role == .end || role == .commit
        storedLength = try reader.varint(upTo: limits.storedBytes, "a chunk's stored length")
        decodedLength = try reader.varint(
            upTo: isFrame ? limits.metadataBytes : limits.decodedBytes, "a chunk's decoded length")
        region = try reader.varint(upTo: limits.regions, "a chunk's region")
        partition = try reader.varint(
            upTo: 1 << Limits.partitionBits - 1, "a chunk's partition")
        let prefixBits = try reader.varint(upTo: 64, "a chunk's prefix bits", beyond: .malformed)
        let number = try reader.varint("a chunk's prefix")
        sequence = try reader.varint("a chunk's sequence")
        baseEpoch = try reader.varint("a chunk's base epoch")
        targetEpoch = try reader.varint("a chunk's target epoch")
        rowCount = try reader.varint(upTo: Limits.rowsPerChunk, "a chunk's row count")
        keyID = try reader.varint("a chunk's key id")
        guard let range = HashRange(prefixBits: prefixBits, number: number) else {
            throw FormatError(.malformed, "a prefix longer than its prefix bits", at: origin)
        }
        self.range = range
        self.codec = codec
        headerLength = length
        identity = checksum
        guard reader.remaining == 0 else {
            throw reader.error(.malformed, "bytes behind the last field of a chunk's header")
        }
        if let problem {
            throw FormatError(problem.code, problem.message, at: origin)
        }
    }

    /// A rule over several fields that the header breaks.
    private var problem: (code: FormatError.Code, message: String)? {
        if keyID != 0 { return (.unsupported, "the chunk is encrypted") }
        switch codec {
        case .none where storedLength != decodedLength:
            return (.malformed, "a plain body with two lengths")
        case .zstd where storedLength >= decodedLength:
            return (.malformed, "a compressed body that is not shorter")
        default: break
        }
        if baseEpoch > targetEpoch { return (.malformed, "a base epoch after the target epoch") }
        switch role {
        case .metadata, .end, .commit:
            let isEmpty =
                fingerprint.rawValue == 0 && region == 0 && partition == 0 && range == .all
                && sequence == 0 && rowCount == 0
            return isEmpty ? nil : (.malformed, "a \(role) chunk that claims rows")
        case .core:
            if rowCount == 0 { return (.malformed, "a core chunk without rows") }
            return baseEpoch == 0 ? nil : (.malformed, "a core chunk with a base epoch")
        case .log:
            if rowCount == 0 { return (.malformed, "a log chunk without rows") }
            if partition != 0 || range.prefixBits != 64 {
                return (.malformed, "a log chunk without a position")
            }
            let stretch = Limits.positionsPerStretch
            if range.first >= Limits.logPositions
                || range.first % stretch + UInt64(rowCount) > stretch
            {
                return (.malformed, "a log chunk with rows of two stretches")
            }
            // It has epochs in a delta only, and then both.
            return targetEpoch == 0 || baseEpoch > 0 && baseEpoch < targetEpoch
                ? nil : (.malformed, "a log chunk with one epoch")
        case .segment:
            if rowCount != 0 { return (.malformed, "a segment chunk with rows") }
            // With a base epoch it belongs to a delta chunk.
            if baseEpoch > 0, partition != 0 {
                return (.malformed, "a segment chunk of a delta with a partition")
            }
            return baseEpoch == 0 || baseEpoch < targetEpoch
                ? nil : (.malformed, "a segment chunk whose base is not before its target")
        case .delta:
            if rowCount == 0 { return (.malformed, "a delta chunk without changes") }
            if partition != 0 { return (.malformed, "a delta chunk of a partition") }
            return baseEpoch > 0 && baseEpoch < targetEpoch
                ? nil : (.malformed, "a delta chunk whose base is not before its target")
        case .cell:
            if rowCount != 1 { return (.malformed, "a cell chunk with \(rowCount) rows") }
            if partition != 0 || range != .all { return (.malformed, "a cell chunk of a range") }
            return baseEpoch == 0 ? nil : (.malformed, "a cell chunk with a base epoch")
        }
    }
}

/// A chunk whose header and stored body match their checksums.
///
/// It points into memory that the caller keeps alive and unchanged while the chunk is used. There is no
/// other way to get one than to verify bytes, so a decoder need not ask.
@safe
public struct VerifiedChunk {
    /// The header.
    public let header: ChunkHeader
    /// Header and stored body.
    public let bytes: UnsafeRawBufferPointer
    /// Where the chunk begins in the input the caller knows.
    public let offset: Int

    /// Checks the chunk at the start of `bytes`, which may go on behind it; decodes nothing.
    ///
    /// - Throws: `truncated`, `checksumMismatch`, `malformed`, `unsupported` or `limitExceeded`.
    /// - Complexity: O(stored length), at the speed of XXH3; no allocation.
    public init(
        verifying bytes: UnsafeRawBufferPointer, origin: Int = 0, limits: Limits = Limits()
    ) throws(FormatError) {
        header = try unsafe ChunkHeader(reading: bytes, origin: origin, limits: limits)
        guard bytes.count >= header.chunkLength else {
            throw FormatError(
                .truncated, "the input ends inside a chunk's body", at: origin + bytes.count)
        }
        unsafe self.bytes = unsafe UnsafeRawBufferPointer(rebasing: bytes[..<header.chunkLength])
        offset = origin
        guard unsafe Checksum.of(storedBody) == header.bodyChecksum else {
            throw FormatError(
                .checksumMismatch, "a chunk's body differs from what was written",
                at: origin + header.headerLength)
        }
    }

    /// The body as stored, perhaps compressed.
    public var storedBody: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(rebasing: bytes[header.headerLength...])
    }
}
