internal import CaesuraFormat

/// Verifies deltas one after the other: their own bytes, and that they build on what is there.
struct DeltaVerification {
    private let storage: any Storage
    private let catalog: Catalog
    private var manifests: ManifestCache
    private var reader: DeltaReader

    init(_ storage: any Storage, _ catalog: Catalog) {
        self.storage = storage
        self.catalog = catalog
        manifests = ManifestCache(storage)
        reader = DeltaReader(storage)
    }

    /// Verifies an entry, and not those before it.
    mutating func verify(_ entry: ChainEntry) throws(RepositoryError) -> VerifyReport {
        let before = reader.bytesRead
        var report = VerifyReport(epoch: entry.epoch)
        report.base = entry.baseEpoch
        let regions = manifests.regions(of: entry, catalog)
        report.regions = Checkpoint(entry, regions: regions).regions.map {
            VerifyReport.RegionHealth(name: $0.name, rows: $0.rows)
        }
        do throws(RepositoryError) {
            try catalog.checkBase(of: entry, in: storage)
            let base =
                catalog.entry(entry.baseEpoch)?.commit.state
                ?? manifests.manifest(of: entry.baseEpoch)?.identity
            try reader.verify(entry, base: base)
            for index in report.regions.indices {
                report.regions[index].goodRows = report.regions[index].rows
            }
        } catch  where error.code == .damaged {
            report.problems = [error]
        }
        report.bytesRead = reader.bytesRead - before
        return report
    }
}

/// The manifests that chains build on, each read once.
struct ManifestCache {
    private let storage: any Storage
    private var known: [UInt64: Manifest?] = [:]
    /// For each epoch of a delta, the full checkpoint that its chain begins with.
    private var beginnings: [UInt64: UInt64] = [:]

    init(_ storage: any Storage) { self.storage = storage }

    /// The manifest of an epoch; nil if there is none that is good.
    mutating func manifest(of epoch: UInt64) -> Manifest? {
        if let manifest = known[epoch] { return manifest }
        let manifest = try? CheckpointReader(storage: storage, epoch: epoch).manifest
        known[epoch] = manifest
        return manifest
    }

    /// The names of a delta's regions; empty if nothing says them.
    mutating func regions(of entry: ChainEntry, _ catalog: Catalog) -> [String] {
        beginning(of: entry, catalog)?.regions.map(\.name) ?? []
    }

    /// The full checkpoint that a delta's chain begins with; nil if there is none that is good.
    mutating func beginning(of entry: ChainEntry, _ catalog: Catalog) -> Manifest? {
        var passed: [UInt64] = []
        var at = entry.epoch
        while !catalog.isFull(at), let next = catalog.entry(at) {
            if let beginning = beginnings[at] {
                at = beginning
                break
            }
            passed.append(at)
            at = next.baseEpoch
        }
        for epoch in passed { beginnings[epoch] = at }
        return manifest(of: at)
    }
}
