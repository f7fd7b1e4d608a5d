internal import CaesuraFormat

/// One delta in a chain file: the checkpoint of its target epoch.
struct ChainEntry: Hashable, Sendable {
    /// The file that holds it, as a path in the storage.
    var file: String
    /// Bytes of the file before it.
    var offset: Int
    /// Its bytes, the commit chunk included.
    var length: Int
    /// What its end chunk says.
    var end: StreamEnd
    /// Changes in all its chunks.
    var changes: Int
    /// The epoch that it leads to.
    var epoch: UInt64
    /// The epoch that it builds on.
    var baseEpoch: UInt64
    /// What the commit chunk says.
    var commit: DeltaCommit

    /// Its chunks but for the end and commit chunks.
    var chunkCount: Int { Int(clamping: end.chunkCount) }
}

/// A chain file, as far as its entries are good.
struct ChainFile: Sendable {
    /// Its path in the storage.
    var path: String
    /// The epoch that its first entry builds on, by its name.
    var baseEpoch: UInt64
    var entries: [ChainEntry] = []
    /// What follows the last good entry.
    var tail: Tail?

    /// Bytes that are no good entry: `docs/REPOSITORY.md` section 5, "The tail".
    struct Tail: Hashable, Sendable {
        var offset: Int
        var length: Int
        /// What is wrong with its first entry.
        var problem: FormatError
        /// The largest epoch that a chunk behind its first entry leads to; nil if there is no such chunk.
        ///
        /// The first entry, at least, was one that somebody was told of then.
        var lostEpoch: UInt64?
    }

    /// The epoch that it leads to.
    var lastEpoch: UInt64 { entries.last?.epoch ?? baseEpoch }
}
