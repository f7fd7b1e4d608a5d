import CaesuraMigration

/// The file of an owner register's entry: JSON, sealed by a digest like a manifest.
struct OwnerFile: Hashable, Sendable {
    var entry: OwnerEntry
    /// Tells the file of one attempt from that of another.
    var attempt: UInt64

    /// The directory of all partitions.
    static let root = "owners"
    private static let format = "caesura-owner"
    private static let version: UInt64 = 1
    private static let byteLimit = 4_096

    static func directory(of partition: PartitionNumber) -> String { "\(root)/\(partition)" }

    static func path(of number: UInt64, of partition: PartitionNumber) -> String {
        directory(of: partition) + "/" + name(of: number)
    }

    /// The name of the file of an entry.
    static func name(of number: UInt64) -> String {
        Layout.padded(number, Layout.epochDigits) + ".json"
    }

    /// The name of a file that is not yet an entry's.
    static func temporaryName(of attempt: UInt64) -> String {
        String(attempt, radix: 16) + Layout.temporarySuffix
    }

    /// Where the file lies as long as it is not yet an entry's.
    func temporaryPath(of partition: PartitionNumber) -> String {
        Self.directory(of: partition) + "/" + Self.temporaryName(of: attempt)
    }

    /// The number of the entry whose file has a name; nil if it is not the name of one.
    static func number(ofName name: String) -> UInt64? {
        let digits = name.utf8.prefix(Layout.epochDigits)
        guard digits.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = UInt64(String(decoding: digits, as: UTF8.self)),
            name == Self.name(of: number)
        else { return nil }
        return number
    }

    init(entry: OwnerEntry, attempt: UInt64) {
        self.entry = entry
        self.attempt = attempt
    }

    var encoded: [UInt8] {
        var json = JSONWriter()
        json.openDocument()
        json.string("format", Self.format)
        json.number("version", Self.version)
        json.number("number", entry.number)
        json.string("owner", entry.owner)
        json.number("fencingEpoch", entry.fencingEpoch)
        json.number("tenure", entry.tenure)
        json.number("previousTenure", entry.previousTenure)
        json.number("attempt", attempt)
        return SealedJSON.seal(json)
    }

    /// Reads the file of an entry.
    ///
    /// - Throws: `damaged`, `unsupported`, and what the storage says.
    init(
        reading number: UInt64, of partition: PartitionNumber, in storage: any Storage
    ) throws(RepositoryError) {
        let path = Self.path(of: number, of: partition)
        let bytes = try storage.contents(of: path, upTo: Self.byteLimit)
        let display = storage.display(path)
        try SealedJSON.check(bytes, "owner entry", display)
        var (format, owner): (String?, String?)
        var (stated, fencingEpoch, attempt): (UInt64?, UInt64?, UInt64?)
        var (tenure, previousTenure): (UInt64?, UInt64?)
        var reader = JSONReader(bytes, file: display)
        try reader.object { (json, name) throws(RepositoryError) in
            switch name {
            case "format": format = try json.string(upTo: 64)
            case "version":
                let version = try json.unsigned()
                guard version == Self.version else {
                    throw json.error(
                        "is \(version), and this reader knows \(Self.version)", code: .unsupported)
                }
            case "number": stated = try json.unsigned()
            case "owner": owner = try json.string(upTo: OwnerEntry.ownerLimit)
            case "fencingEpoch": fencingEpoch = try json.unsigned()
            case "tenure": tenure = try json.unsigned()
            case "previousTenure": previousTenure = try json.unsigned()
            case "attempt": attempt = try json.unsigned()
            default: try json.skip()
            }
        }
        try reader.end()
        guard format == Self.format, stated == number, let owner, let fencingEpoch, let tenure,
            let previousTenure, let attempt
        else {
            throw RepositoryError(
                .damaged, "this is not entry \(number) of an owner register", path: display)
        }
        do throws(OwnerRegisterError) {
            entry = try OwnerEntry(
                number: number, owner: owner, fencingEpoch: fencingEpoch, tenure: tenure,
                previousTenure: previousTenure)
        } catch {
            throw RepositoryError(.damaged, error.message, path: display)
        }
        self.attempt = attempt
    }
}
