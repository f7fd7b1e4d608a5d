public import Caesura
public import CaesuraFormat
public import CaesuraMigration

/// Into which partitions a node's state is divided: `docs/MIGRATION.md` section 2.
public struct Division: Hashable, Sendable {
    /// b: the rows of tables are in 2 to the power b partitions.
    public let bits: Int

    /// Divides by the first bits of keys' hashes.
    ///
    /// - Parameter bits: At most 16.
    public init(bits: Int) {
        precondition((0...16).contains(bits), "a node has at most 65,536 partitions")
        self.bits = bits
    }

    /// All partitions: that of logs and cells, then those of rows in the order of their hashes.
    public var partitions: [PartitionNumber] {
        [.unkeyed] + (0..<1 << bits).map { PartitionNumber(index: $0, bits: bits) }
    }

    /// The partition of the rows of a key.
    ///
    /// - Parameter hash: That of the key, with the hash key of the store.
    public func partition(ofHash hash: UInt64) -> PartitionNumber {
        PartitionNumber(index: bits == 0 ? 0 : Int(hash >> UInt64(64 - bits)), bits: bits)
    }

    /// What of a store a partition is; nil when there is none of that number.
    public func part(_ partition: PartitionNumber) -> StorePart? {
        if partition == .unkeyed { return .logsAndCells }
        return range(of: partition).map { .rows($0) }
    }

    /// The hashes of the rows of a partition; nil when it is none of rows.
    public func range(of partition: PartitionNumber) -> HashRange? {
        let first = UInt64(1) << UInt64(bits)
        guard (first..<first * 2).contains(partition.rawValue) else { return nil }
        return HashRange(partition: Int(partition.rawValue - first), bits: bits)
    }
}
