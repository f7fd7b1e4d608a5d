public import CaesuraFormat

/// What two programs have settled about the regions of the one that gives its state: `docs/SCHEMAS.md`, "Negotiation".
public struct SchemaAgreement: Hashable, Sendable {
    /// What was settled about a region.
    public struct Region: Hashable, Sendable {
        /// The region's name.
        public let name: String
        /// The version in which its rows travel.
        public let version: UInt32
        /// Whether the source can read what the target has written: whether there is a way back.
        public let isReversible: Bool
        /// What the target stores the rows under.
        public let stored: RegionSchema
        /// Whether that is what the source writes, so that both can compare the content.
        public let isUnchanged: Bool
    }

    /// The regions, in the order of the source's offer.
    public let regions: [Region]

    /// Works out how a target reads what a source writes; both sides come to the same.
    ///
    /// - Throws: Every difference that is in the way.
    /// - Complexity: That of ``ReadingPath``, twice a region.
    public init(source: SchemaOffer, target: SchemaOffer) throws(SchemaConflicts) {
        var regions: [Region] = []
        var conflicts: [SchemaConflict] = []
        // Names are the same when their bytes are.
        let readers = Dictionary(
            target.regions.map { (Array($0.read.name.utf8), $0) },
            uniquingKeysWith: { first, _ in first })
        for offered in source.regions {
            let data = offered.written
            let reader = readers[Array(data.name.utf8)]
            do throws(SchemaConflicts) {
                let stored = try reader?.path(from: data).stored ?? data
                regions.append(
                    Region(
                        name: data.name, version: data.row.version,
                        isReversible: (try? offered.path(from: stored)) != nil, stored: stored,
                        isUnchanged: stored == data))
            } catch {
                conflicts += error.conflicts
            }
        }
        guard conflicts.isEmpty else { throw SchemaConflicts(conflicts: conflicts) }
        self.regions = regions
    }

    /// The names of the regions that the target stores as the source writes them.
    public var unchanged: Set<String> { Set(regions.filter(\.isUnchanged).map(\.name)) }

    /// What both sides compare.
    var digest: UInt64 {
        var writer = ByteWriter()
        writer.append(UInt8(ascii: "N"))
        for region in regions {
            writer.append(string: region.name)
            writer.append(varint: UInt64(region.version))
            writer.append(region.isReversible ? 1 : 0)
            writer.append(littleEndian: region.stored.resolutionFingerprint.rawValue)
        }
        return unsafe Checksum.of(writer.bytes)
    }
}

/// Why no state moves.
@nonexhaustive
public enum SchemaRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// The target cannot read what the source writes.
    case conflicts([SchemaConflict])
    /// Both accept, and not the same: their releases of Caesura resolve schemas in different ways.
    case differentResults

    /// The reasons, a line each.
    public var description: String {
        switch self {
        case .conflicts(let conflicts): conflicts.map(\.description).joined(separator: "\n")
        case .differentResults:
            "both programs accept, and read the schemas differently; bring them to one release of Caesura"
        }
    }
}
