internal import CaesuraFormat

/// One checkpoint of a repository: what it is, how large, and how long it took.
public struct Checkpoint: Hashable, Sendable {
    /// The epoch of the cut that it holds.
    public var epoch: UInt64
    /// The epoch that it builds on; nil for a full one.
    public var base: UInt64?
    /// When it was begun, by the writer's clock.
    public var created: WallClock
    /// The regions, sorted by name.
    public var regions: [Region]
    /// Rows that were inserted, updated or removed since the base; nil for a full one.
    public var changes: Int?
    /// Bytes that it takes in files, manifests apart.
    public var storedBytes: Int
    /// How long it took.
    public var timings: Manifest.Timings

    /// One region.
    public struct Region: Hashable, Sendable {
        /// Its name.
        public var name: String
        /// Its rows at the checkpoint.
        public var rows: Int
    }

    /// Whether it can be restored by itself.
    public var isFull: Bool { base == nil }

    /// Rows of all regions.
    public var rows: Int { regions.reduce(0) { $0 + $1.rows } }

    /// A full checkpoint.
    init(_ manifest: Manifest) {
        epoch = manifest.epoch
        created = manifest.created
        regions = manifest.regions.map { Region(name: $0.name, rows: $0.rows) }
        storedBytes = manifest.storedBytes
        timings = manifest.timings
    }

    /// A delta.
    ///
    /// - Parameter regions: The names of the chain's regions; empty if they are not known.
    init(_ entry: ChainEntry, regions names: [String]) {
        epoch = entry.epoch
        base = entry.baseEpoch
        created = WallClock(microseconds: entry.commit.created)
        regions = entry.commit.rows.enumerated().map { index, rows in
            Region(
                name: index < names.count ? names[index] : "",
                rows: Int(clamping: rows))
        }
        changes = entry.changes
        storedBytes = entry.length
        timings = Manifest.Timings()
        timings.pause = entry.commit.pause
        timings.encode = entry.commit.encode
        timings.total = entry.commit.total
    }
}
