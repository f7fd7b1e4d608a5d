/// Which checkpoints have been removed, for good: `docs/REPOSITORY.md` section 9.
///
/// It is advanced, durably, before a file is removed, and looked at by a writer after its checkpoint has
/// appeared. So a checkpoint that has been removed does not come back through a writer that had stopped
/// somewhere between taking its epoch and committing it.
struct Boundary: Hashable, Sendable {
    /// Boundaries are numbered from 1; the largest number counts.
    var number: UInt64
    /// Up to this epoch only those in ``kept`` are there.
    var epoch: UInt64
    /// Ranges of epochs, ascending.
    var kept: [ClosedRange<UInt64>]

    private static let format = "caesura-boundary"
    private static let version: UInt64 = 1
    private static let byteLimit = 64 << 20
    private static let rangeLimit = 1 << 20

    /// Whether a checkpoint of that epoch has been removed, or would be one that has been.
    func isRemoved(_ epoch: UInt64) -> Bool {
        guard epoch <= self.epoch else { return false }
        var low = 0
        var high = kept.count
        while low < high {
            let middle = (low + high) / 2
            if kept[middle].upperBound < epoch { low = middle + 1 } else { high = middle }
        }
        return low == kept.count || !kept[low].contains(epoch)
    }

    /// The one that counts, or nil if nothing was ever removed.
    static func read(from storage: any Storage) throws(RepositoryError) -> Boundary? {
        // One may be replaced between the list and the look.
        for _ in 0..<8 {
            let names: [String]
            do throws(RepositoryError) {
                names = try storage.list(Layout.boundaries)
            } catch  where error.code == .notFound {
                return nil
            }
            guard let number = names.compactMap(Layout.number(ofBoundary:)).max() else {
                return nil
            }
            let path = Layout.boundary(number)
            do throws(RepositoryError) {
                let bytes = try storage.contents(of: path, upTo: byteLimit)
                return try Boundary(parsing: bytes, number: number, path: storage.display(path))
            } catch {
                if error.code == .notFound { continue }
                var error = error
                if error.code == .damaged {
                    error.hint =
                        "move the file away: removed checkpoints whose files are still there are listed again then"
                }
                throw error
            }
        }
        throw RepositoryError(
            .storage, "the boundary changes faster than it can be read",
            path: storage.display(Layout.boundaries))
    }

    /// The number of the boundary that is to follow another.
    ///
    /// - Throws: `damaged` if there is none: no writer has counted that far.
    static func number(
        after last: Boundary?, in storage: any Storage
    ) throws(RepositoryError) -> UInt64 {
        guard let last else { return 1 }
        let (number, isTooLarge) = last.number.addingReportingOverflow(1)
        guard !isTooLarge else {
            throw RepositoryError(
                .damaged, "the boundary has the largest number there is",
                path: storage.display(Layout.boundary(last.number)),
                hint: "remove the file, if no writer of this repository has made it")
        }
        return number
    }

    /// Makes this the one that counts.
    ///
    /// - Throws: `exists` if another has been made meanwhile.
    func publish(in storage: any Storage) throws(RepositoryError) {
        try storage.publish(encoded, as: Layout.boundary(number), in: Layout.boundaries)
        for name in try storage.list(Layout.boundaries) {
            let isOlder = Layout.number(ofBoundary: name).map { $0 < number } ?? false
            guard isOlder || Layout.isTemporaryBoundary(name) else { continue }
            try storage.remove(Layout.boundaries + "/" + name)
        }
    }

    private var encoded: [UInt8] {
        var json = JSONWriter()
        json.openDocument()
        json.string("format", Self.format)
        json.number("version", Self.version)
        json.number("epoch", epoch)
        json.array("kept") { json in
            for range in kept {
                json.object(compact: true) { json in
                    json.number("from", range.lowerBound)
                    json.number("to", range.upperBound)
                }
            }
        }
        return SealedJSON.seal(json)
    }

    private init(
        parsing bytes: [UInt8], number: UInt64, path: String
    ) throws(RepositoryError) {
        try SealedJSON.check(bytes, "boundary", path)
        var format: String?
        var epoch: UInt64?
        var kept: [ClosedRange<UInt64>] = []
        var reader = JSONReader(bytes, file: path)
        try reader.object { (json, name) throws(RepositoryError) in
            switch name {
            case "format": format = try json.string(upTo: 64)
            case "version":
                let version = try json.unsigned()
                guard version == Self.version else {
                    throw json.error(
                        "is \(version), and this reader knows \(Self.version)", code: .unsupported)
                }
            case "epoch": epoch = try json.unsigned()
            case "kept":
                try json.array(upTo: Self.rangeLimit) { (json, _) throws(RepositoryError) in
                    let range = try Self.range(&json)
                    if let last = kept.last, last.upperBound >= range.lowerBound {
                        throw json.error("is not behind the one before it")
                    }
                    kept.append(range)
                }
            default: try json.skip()
            }
        }
        try reader.end()
        guard format == Self.format, let epoch else {
            throw RepositoryError(.damaged, "this is no boundary", path: path)
        }
        self.number = number
        self.epoch = epoch
        self.kept = kept
    }

    private static func range(
        _ json: inout JSONReader
    ) throws(RepositoryError) -> ClosedRange<UInt64> {
        var from: UInt64?
        var to: UInt64?
        try json.object { (json, name) throws(RepositoryError) in
            switch name {
            case "from": from = try json.unsigned()
            case "to": to = try json.unsigned()
            default: try json.skip()
            }
        }
        guard let from, let to, from <= to else { throw json.error("is no range of epochs") }
        return from...to
    }

    /// A boundary of a number.
    init(number: UInt64, epoch: UInt64, kept: [ClosedRange<UInt64>]) {
        self.number = number
        self.epoch = epoch
        self.kept = kept
    }
}
