internal import CaesuraFormat

/// What is wrong with a checkpoint, and what is still good.
public struct VerifyReport: Hashable, Sendable {
    /// The checkpoint.
    public var epoch: UInt64
    /// The epoch that it builds on; nil for a full one.
    public var base: UInt64?
    /// What is wrong, with file, offset and chunk; empty if nothing is.
    public var problems: [RepositoryError] = []
    /// What is left of each region, in the manifest's order; empty if the manifest is damaged.
    public var regions: [RegionHealth] = []
    /// Bytes of packs that were read.
    public var bytesRead = 0

    /// Whether every byte is as it was written.
    public var isGood: Bool { problems.isEmpty }

    /// What is left of a region.
    public struct RegionHealth: Hashable, Sendable {
        /// The region's name.
        public var name: String
        /// Its rows, by the manifest.
        public var rows = 0
        /// The rows of partitions without damage.
        public var goodRows = 0
        /// Its partitions that have rows.
        public var partitionCount = 0
        /// Those of them in which a chunk is damaged, ascending.
        public var damagedPartitions: [Int] = []
    }

    /// A report of no problem yet.
    init(epoch: UInt64) { self.epoch = epoch }

    /// The report on a checkpoint of which these chunks are damaged.
    init(_ manifest: Manifest, damaged: Set<Int>, problems: [RepositoryError]) {
        epoch = manifest.epoch
        self.problems = problems
        regions = manifest.regions.map { RegionHealth(name: $0.name, rows: $0.rows) }
        for part in manifest.parts {
            let chunks = manifest.chunks[part.chunks]
            if part.chunks.contains(where: damaged.contains) {
                regions[part.region].damagedPartitions.append(part.partition)
            } else {
                regions[part.region].goodRows += chunks.reduce(0) { $0 + $1.facts.rows }
            }
            regions[part.region].partitionCount += 1
        }
    }
}

extension Manifest {
    /// The chunks of one partition, which stand together.
    struct Part {
        var region: Int
        var partition: Int
        var chunks: Range<Int>
    }

    /// The partitions that have chunks, in order.
    var parts: [Part] {
        var parts: [Part] = []
        for (index, chunk) in chunks.enumerated() {
            guard let region = chunk.facts.region else { continue }
            if let last = parts.last, last.region == region,
                last.partition == chunk.facts.partition
            {
                parts[parts.count - 1].chunks = last.chunks.lowerBound..<index + 1
            } else {
                parts.append(
                    Part(
                        region: region, partition: chunk.facts.partition, chunks: index..<index + 1)
                )
            }
        }
        return parts
    }
}
