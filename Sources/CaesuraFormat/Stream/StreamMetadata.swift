/// What a reader must know before the first row: the content of a stream's metadata chunk.
public struct StreamMetadata: Hashable, Sendable {
    /// The epoch of the cut.
    public var epoch: UInt64
    /// The epoch that the stream builds on; 0 for a snapshot.
    public var baseEpoch: UInt64
    /// The key of the store's key hash.
    public var hashKey: HashKey
    /// A table has 2 to the power of this many partitions.
    public var partitionBits: Int
    /// The regions, ascending by the UTF-8 of their names; a chunk names its region by the index here.
    public let regions: [RegionSchema]
    /// What the writer did with bodies, for people; each chunk says it itself.
    public var compression: Compression

    /// Describes a stream.
    ///
    /// - Parameters:
    ///   - epoch: The epoch of the cut.
    ///   - baseEpoch: The epoch that the stream builds on; 0 for a snapshot.
    ///   - hashKey: The key of the store's key hash.
    ///   - partitionBits: 0...16; a table has 2 to the power of it partitions.
    ///   - regions: The regions in any order; they are sorted by name.
    ///   - compression: What the writer does with bodies.
    /// - Throws: `malformed` or `limitExceeded` when a region breaks the rules, two have one name, a
    ///   number is out of range, or there are more regions or bytes of schemas than readers take by default.
    public init(
        epoch: UInt64, baseEpoch: UInt64 = 0, hashKey: HashKey, partitionBits: Int,
        regions: [RegionSchema], compression: Compression = .none
    ) throws(FormatError) {
        guard (0...Limits.partitionBits).contains(partitionBits) else {
            throw FormatError(.malformed, "\(partitionBits) partition bits", at: 0)
        }
        guard baseEpoch <= epoch else {
            throw FormatError(.malformed, "a base epoch after the epoch", at: 0)
        }
        let limits = Limits()
        guard regions.count <= limits.regions else {
            throw FormatError(
                .limitExceeded,
                "there are \(regions.count) regions, and a stream has at most \(limits.regions)",
                at: 0)
        }
        let sorted = regions.sorted { Self.isBefore($0, $1) }
        for (index, region) in sorted.enumerated() {
            try region.validate()
            guard index == 0 || Self.isBefore(sorted[index - 1], region) else {
                throw FormatError(.malformed, "two regions of one name", at: 0)
            }
        }
        self.epoch = epoch
        self.baseEpoch = baseEpoch
        self.hashKey = hashKey
        self.partitionBits = partitionBits
        self.regions = sorted
        self.compression = compression
        var body = ByteWriter()
        encode(into: &body)
        guard body.count <= limits.metadataBytes - Self.optionBytes else {
            throw FormatError(
                .limitExceeded,
                "the schemas of all regions take \(body.count) bytes, more than "
                    + "\(limits.metadataBytes - Self.optionBytes); use fewer or smaller schemas",
                at: 0)
        }
    }

    /// The index of a region; nil when there is none of that name.
    public func region(named name: String) -> Int? {
        regions.firstIndex { $0.name.utf8.elementsEqual(name.utf8) }
    }

    // Swift orders strings by what they look like, the format by their bytes.
    private static func isBefore(_ a: RegionSchema, _ b: RegionSchema) -> Bool {
        a.name.utf8.lexicographicallyPrecedes(b.name.utf8)
    }
}

extension StreamMetadata {
    /// The option that says the zstd level; even, so a reader that does not know it may go on.
    private static let levelOption: UInt64 = 2
    /// What the option may still add when ``compression`` is set: number, length and ten bytes of level.
    private static let optionBytes = 12

    /// Appends the body of the metadata chunk: `docs/FORMAT.md`, "Metadata body".
    func encode(into writer: inout ByteWriter) {
        writer.append(littleEndian: hashKey.k0)
        writer.append(littleEndian: hashKey.k1)
        writer.append(UInt8(partitionBits))
        switch compression {
        case .none: writer.append(varint: 0)
        case .zstd(let level):
            var content = ByteWriter()
            let level = Int64(level)
            content.append(varint: UInt64(bitPattern: level << 1 ^ level >> 63))
            writer.append(varint: 1)
            writer.append(varint: Self.levelOption)
            writer.append(varint: UInt64(content.count))
            unsafe writer.append(content.bytes)
        }
        writer.append(varint: UInt64(regions.count))
        var coding = ByteWriter()
        for region in regions {
            coding.truncate(to: 0)
            region.encode(into: &coding)
            writer.append(varint: UInt64(coding.count))
            unsafe writer.append(coding.bytes)
        }
    }

    /// Reads the body of a metadata chunk.
    init(
        reading reader: inout ByteReader, epoch: UInt64, baseEpoch: UInt64, limits: Limits
    ) throws(FormatError) {
        self.epoch = epoch
        self.baseEpoch = baseEpoch
        let k0 = try reader.integer(UInt64.self, "the hash key")
        hashKey = HashKey(k0: k0, k1: try reader.integer(UInt64.self, "the hash key"))
        partitionBits = Int(try reader.byte("the partition bits"))
        guard partitionBits <= Limits.partitionBits else {
            throw reader.error(.malformed, "\(partitionBits) partition bits")
        }
        compression = try Self.options(&reader)
        let count = try reader.varint(upTo: limits.regions, "the number of regions")
        var regions: [RegionSchema] = []
        for _ in 0..<count {
            let length = try reader.varint(
                upTo: reader.remaining, "the length of a region's schema", beyond: .truncated)
            let origin = reader.origin + reader.position
            var slice = try unsafe ByteReader(
                reader.take(length, "a region's schema"), origin: origin)
            let region = try RegionSchema(reading: &slice)
            guard slice.remaining == 0 else {
                throw slice.error(.malformed, "bytes behind a region's schema")
            }
            if let last = regions.last, !Self.isBefore(last, region) {
                throw FormatError(.malformed, "regions are not in the order of names", at: origin)
            }
            regions.append(region)
        }
        self.regions = regions
    }

    private static func options(_ reader: inout ByteReader) throws(FormatError) -> Compression {
        var compression = Compression.none
        var last: UInt64?
        for _ in 0..<(try reader.varint(upTo: Limits.streamOptions, "the number of options")) {
            let number = try reader.varint("an option's number")
            if let last, number <= last {
                throw reader.error(.malformed, "options are not in the order of numbers")
            }
            last = number
            guard number % 2 == 0 else {
                throw reader.error(.unsupported, "option \(number) is of a newer format")
            }
            let length = try reader.varint(
                upTo: reader.remaining, "an option's length", beyond: .truncated)
            let origin = reader.origin + reader.position
            var content = try unsafe ByteReader(reader.take(length, "an option"), origin: origin)
            guard number == levelOption else { continue }
            let level = try content.varint("the zstd level")
            compression = .zstd(level: Int(Int64(level >> 1) ^ -Int64(level & 1)))
            guard content.remaining == 0 else {
                throw content.error(.malformed, "bytes behind the zstd level")
            }
        }
        return compression
    }
}
