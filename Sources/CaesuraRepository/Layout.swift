/// The names of a repository's files, as `docs/REPOSITORY.md` section 2 lays them down.
enum Layout {
    /// What makes a directory a repository.
    static let marker = "caesura.json"
    /// The writer's lock.
    static let lock = "lock"
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
        guard name.hasSuffix(".pack"), let epoch = leadingEpoch(name) else { return nil }
        let digits = name.dropFirst(epochDigits + 1).dropLast(".pack".count)
        guard let index = Int(digits), index >= 0, packName(epoch, index) == name else {
            return nil
        }
        return epoch
    }

    /// Whether a name in the repository's own directory is that of a marker that was never completed.
    static func isTemporaryMarker(_ name: String) -> Bool { name == marker + temporarySuffix }

    /// Whether a name in the directory of manifests is that of one that was never completed.
    static func isTemporaryManifest(_ name: String) -> Bool {
        name.hasSuffix(temporarySuffix)
            && epoch(ofManifest: String(name.dropLast(temporarySuffix.count))) != nil
    }

    private static func leadingEpoch(_ name: String) -> UInt64? {
        let digits = name.utf8.prefix(epochDigits)
        guard digits.count == epochDigits, digits.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return UInt64(String(decoding: digits, as: UTF8.self))
    }
}
