public import CaesuraFormat

/// A message about schemas: `docs/SCHEMAS.md`, "Negotiation".
@nonexhaustive
public enum SchemaMessage: Hashable, Sendable {
    /// What a side writes and reads.
    case offer(SchemaOffer)
    /// The state can move as the digest says.
    case acceptance(digest: UInt64)
    /// It cannot, and why not.
    case refusal([SchemaConflict])

    /// The most differences that a refusal tells: more tell nobody more.
    public static let conflictLimit = 256
    /// The longest text of a difference, in bytes.
    public static let conflictTextLimit = 4_096
    /// The most migrations of a region.
    public static let migrationLimit = 256

    var name: String {
        switch self {
        case .offer: "an offer"
        case .acceptance: "an acceptance"
        case .refusal: "a refusal"
        }
    }

    private enum Tag {
        static let offer: UInt8 = 1
        static let acceptance: UInt8 = 2
        static let refusal: UInt8 = 3
    }

    /// Appends the message's coding.
    ///
    /// - Precondition: An offer's schemas are valid, and its migrations ascend; a refusal has a reason.
    public func encode(into writer: inout ByteWriter) {
        switch self {
        case .offer(let offer):
            writer.append(Tag.offer)
            writer.append(varint: UInt64(offer.regions.count))
            for region in offer.regions { region.encode(into: &writer) }
        case .acceptance(let digest):
            writer.append(Tag.acceptance)
            writer.append(littleEndian: digest)
        case .refusal(let conflicts):
            precondition(!conflicts.isEmpty, "a refusal has a reason")
            let told = conflicts.prefix(Self.conflictLimit)
            writer.append(Tag.refusal)
            writer.append(varint: UInt64(told.count))
            for conflict in told { conflict.encode(into: &writer) }
        }
    }

    /// Reads a message.
    ///
    /// - Throws: `truncated`, `malformed`, `unsupported` or `limitExceeded`, with the offset.
    public init(reading reader: inout ByteReader, limits: Limits = Limits()) throws(FormatError) {
        let tag = try reader.byte("a message about schemas")
        switch tag {
        case Tag.offer: self = .offer(try SchemaOffer(reading: &reader, limits))
        case Tag.acceptance:
            self = .acceptance(
                digest: try reader.integer(UInt64.self, "the digest of what was settled"))
        case Tag.refusal:
            let count = try reader.varint(upTo: Self.conflictLimit, "the number of differences")
            guard count > 0 else { throw reader.error(.malformed, "a refusal has no reason") }
            var conflicts: [SchemaConflict] = []
            for _ in 0..<count { conflicts.append(try SchemaConflict(reading: &reader)) }
            self = .refusal(conflicts)
        default:
            throw reader.error(.unsupported, "message \(tag) about schemas is of a newer protocol")
        }
    }
}

// MARK: - Offers

extension SchemaOffer {
    fileprivate init(reading reader: inout ByteReader, _ limits: Limits) throws(FormatError) {
        let count = try reader.varint(upTo: limits.regions, "the number of regions")
        var regions: [Region] = []
        var names: Set<[UInt8]> = []
        for _ in 0..<count {
            let region = try Region(reading: &reader)
            guard names.insert(Array(region.written.name.utf8)).inserted else {
                throw reader.error(.malformed, "region \(region.written.name) is there twice")
            }
            regions.append(region)
        }
        self.init(regions)
    }
}

extension SchemaOffer.Region {
    private enum Parts {
        static let read: UInt8 = 1
        static let migrations: UInt8 = 2
    }

    fileprivate func encode(into writer: inout ByteWriter) {
        let isSame = read.isSame(as: written)
        written.encode(into: &writer)
        writer.append(
            (isSame ? 0 : Parts.read) | (migrations.isEmpty ? 0 : Parts.migrations))
        if !isSame { read.encode(into: &writer) }
        if migrations.isEmpty { return }
        precondition(
            migrations.count <= SchemaMessage.migrationLimit, "nobody has so many migrations")
        writer.append(varint: UInt64(migrations.count))
        for step in migrations {
            for row in [step.from, step.to] {
                var region = read
                region.row = row
                region.encode(into: &writer)
            }
        }
    }

    fileprivate init(reading reader: inout ByteReader) throws(FormatError) {
        let written = try RegionSchema(reading: &reader)
        let parts = try reader.byte("what follows a region")
        guard parts & ~(Parts.read | Parts.migrations) == 0 else {
            throw reader.error(.unsupported, "an offer has parts \(parts), of a newer protocol")
        }
        var read = written
        if parts & Parts.read != 0 {
            read = try RegionSchema(reading: &reader)
            guard read.name.utf8.elementsEqual(written.name.utf8), read.kind == written.kind,
                !read.isSame(as: written)
            else {
                throw reader.error(
                    .malformed, "what is read of region \(written.name) is not another schema of it"
                )
            }
        }
        var steps: [SchemaStep] = []
        if parts & Parts.migrations != 0 {
            let count = try reader.varint(
                upTo: SchemaMessage.migrationLimit, "the number of migrations")
            guard count > 0 else {
                throw reader.error(.malformed, "migrations that are none")
            }
            for _ in 0..<count { steps.append(try Self.step(of: read, from: &reader)) }
        }
        self.init(written, reading: read, migrations: steps)
    }

    private static func step(
        of read: RegionSchema, from reader: inout ByteReader
    ) throws(FormatError) -> SchemaStep {
        func row() throws(FormatError) -> Schema {
            var region = try RegionSchema(reading: &reader)
            let row = region.row
            region.row = read.row
            guard region == read else {
                throw reader.error(.malformed, "a migration of another region than \(read.name)")
            }
            return row
        }
        let step = SchemaStep(from: try row(), to: try row())
        guard step.from.version < step.to.version else {
            throw reader.error(.malformed, "a migration of \(read.name) leads to no later version")
        }
        return step
    }
}

extension RegionSchema {
    /// Whether two schemas are coded the same: Swift's strings are equal when they look the same.
    fileprivate func isSame(as other: RegionSchema) -> Bool {
        self == other && coding == other.coding
    }

    private var coding: [UInt8] {
        var writer = ByteWriter()
        encode(into: &writer)
        return writer.array
    }
}

// MARK: - Differences

extension SchemaConflict {
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.append(rule.number)
        writer.append(string: region)
        writer.append(varint: UInt64(number ?? 0))
        writer.append(varint: UInt64(dataVersion))
        writer.append(varint: UInt64(programVersion))
        for text in [path, data, program, hint] { writer.append(string: Self.cut(text)) }
    }

    /// As much of a text as a reader takes.
    private static func cut(_ text: String) -> String {
        guard text.utf8.count > SchemaMessage.conflictTextLimit else { return text }
        var end = text.utf8.index(text.startIndex, offsetBy: SchemaMessage.conflictTextLimit)
        while String.Index(end, within: text.unicodeScalars) == nil {
            text.utf8.formIndex(before: &end)
        }
        return String(text[..<end])
    }

    fileprivate init(reading reader: inout ByteReader) throws(FormatError) {
        let rule = try reader.byte("a rule")
        guard let rule = Rule(number: rule) else {
            throw reader.error(.unsupported, "rule \(rule) is of a newer protocol")
        }
        func text(_ what: String) throws(FormatError) -> String {
            try reader.string(upTo: SchemaMessage.conflictTextLimit, what)
        }
        func version() throws(FormatError) -> UInt32 {
            UInt32(try reader.varint(upTo: Int(UInt32.max), "a version", beyond: .malformed))
        }
        let region = try reader.string(upTo: Limits.nameBytes, "a region's name")
        let number = try reader.varint(
            upTo: Int(UInt16.max), "a field's number", beyond: .malformed)
        let (dataVersion, programVersion) = (try version(), try version())
        let path = try text("a path")
        self.init(
            rule: rule, region: region, path: path, number: number == 0 ? nil : UInt16(number),
            data: try text("what the data has"), program: try text("what the program has"),
            dataVersion: dataVersion, programVersion: programVersion, hint: try text("a hint"))
    }
}

extension SchemaConflict.Rule {
    private static let all: [Self] = [
        .missingDefault, .droppedField, .otherName, .otherType, .unknownCases, .otherKey,
        .otherKind,
    ]

    /// The number in a rule's name.
    fileprivate var number: UInt8 {
        guard let index = Self.all.firstIndex(of: self) else {
            preconditionFailure("every rule has a number")
        }
        return UInt8(index + 1)
    }

    fileprivate init?(number: UInt8) {
        guard Self.all.indices.contains(Int(number) - 1) else { return nil }
        self = Self.all[Int(number) - 1]
    }
}
