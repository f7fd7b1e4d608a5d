/// The names of a repository's files, as `docs/REPOSITORY.md` section 2 lays them down.
enum Layout {
    /// What makes a directory a repository.
    static let marker = "caesura.json"
    /// The writer's lock.
    static let lock = "lock"
    /// The lock of whoever makes old checkpoints full or removes some.
    static let maintenance = "maintenance"
    /// The directory of boundaries.
    static let boundaries = "boundaries"
    /// The directory of packs.
    static let packs = "packs"
    /// The directory of manifests.
    static let manifests = "manifests"
    /// What the name of a file ends in until it is complete.
    static let temporarySuffix = ".tmp"
    /// A pack's number has this many digits, so at most 10,000 packs make a checkpoint.
    static let packDigits = 4
    /// The largest UInt64 has this many digits.
    static let epochDigits = 20

    /// The number in decimal, padded with zeros so that names sort like numbers.
    static func padded(_ number: UInt64, _ digits: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }

    /// The name of a pack, without its directory.
    static func packName(_ epoch: UInt64, _ index: Int) -> String {
        padded(epoch, epochDigits) + "-" + padded(UInt64(index), packDigits) + ".pack"
    }

    /// The path of a pack.
    static func pack(_ epoch: UInt64, _ index: Int) -> String {
        packs + "/" + packName(epoch, index)
    }

    /// The path of a chain file.
    static func chain(_ baseEpoch: UInt64, _ index: Int) -> String {
        packs + "/" + padded(baseEpoch, epochDigits) + "-" + padded(UInt64(index), packDigits)
            + ".chain"
    }

    /// The path of a boundary.
    static func boundary(_ number: UInt64) -> String {
        boundaries + "/" + padded(number, epochDigits) + ".json"
    }

    /// The path of a manifest.
    static func manifest(_ epoch: UInt64) -> String {
        manifests + "/" + padded(epoch, epochDigits) + ".json"
    }

    /// The epoch that the name of a manifest stands for, or nil if it is not the name of one.
    static func epoch(ofManifest name: String) -> UInt64? {
        guard name.hasSuffix(".json"), let epoch = leadingEpoch(name),
            manifests + "/" + name == manifest(epoch)
        else { return nil }
        return epoch
    }

    /// The epoch that the name of a pack stands for, or nil if it is not the name of one.
    static func epoch(ofPack name: String) -> UInt64? {
        guard let (epoch, index) = parts(of: name, ".pack"), packName(epoch, index) == name else {
            return nil
        }
        return epoch
    }

    /// What the name of a chain file stands for, or nil if it is not the name of one.
    static func parts(ofChain name: String) -> (baseEpoch: UInt64, index: Int)? {
        guard let (epoch, index) = parts(of: name, ".chain"),
            chain(epoch, index) == packs + "/" + name
        else { return nil }
        return (epoch, index)
    }

    private static func parts(
        of name: String, _ suffix: String
    ) -> (epoch: UInt64, index: Int)? {
        guard name.hasSuffix(suffix), let epoch = leadingEpoch(name) else { return nil }
        let digits = name.dropFirst(epochDigits + 1).dropLast(suffix.count)
        // One more must be a number, too.
        guard let index = Int(digits), (0..<Int.max).contains(index) else { return nil }
        return (epoch, index)
    }

    /// The number that the name of a boundary stands for, or nil if it is not the name of one.
    static func number(ofBoundary name: String) -> UInt64? {
        guard name.hasSuffix(".json"), let number = leadingEpoch(name),
            boundaries + "/" + name == boundary(number)
        else { return nil }
        return number
    }

    /// Whether a name in the repository's own directory is that of a marker that was never completed.
    static func isTemporaryMarker(_ name: String) -> Bool { name == marker + temporarySuffix }

    /// The epoch of a manifest that was never completed, by its name, or nil if it is not the name of one.
    static func epoch(ofTemporaryManifest name: String) -> UInt64? {
        guard name.hasSuffix(temporarySuffix) else { return nil }
        return epoch(ofManifest: String(name.dropLast(temporarySuffix.count)))
    }

    /// Whether a name in the directory of boundaries is that of one that was never completed.
    static func isTemporaryBoundary(_ name: String) -> Bool {
        name.hasSuffix(temporarySuffix)
            && number(ofBoundary: String(name.dropLast(temporarySuffix.count))) != nil
    }

    private static func leadingEpoch(_ name: String) -> UInt64? {
        let digits = name.utf8.prefix(epochDigits)
        guard digits.count == epochDigits, digits.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return UInt64(String(decoding: digits, as: UTF8.self))
    }
}
