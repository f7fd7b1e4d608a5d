/// What a repository has, and what is wrong with it at first sight.
public struct CheckpointLog: Hashable, Sendable {
    /// The checkpoints, oldest first.
    public var checkpoints: [Checkpoint] = []
    /// Checkpoints that have been removed and whose files are still there, because some of ``checkpoints`` are
    /// restored through them; oldest first.
    public var underlying: [Checkpoint] = []
    /// What stands behind the last whole delta of a chain file, in the order of the files' names.
    public var unfinished: [Unfinished] = []
    /// Checkpoints whose manifests cannot be read, and deltas that are lost.
    public var problems: [RepositoryError] = []

    /// A delta that is being written, or that a writer was writing when it stopped: nobody was told that it was
    /// there, so a reader skips it.
    ///
    /// A bad byte in the last delta of a file looks the same: `docs/REPOSITORY.md` section 5, "The tail".
    public struct Unfinished: Hashable, Sendable {
        /// The chain file.
        public var path: String
        /// Bytes of the file before it.
        public var offset: Int
        /// Its bytes.
        public var byteCount: Int
        /// The epoch that it would have built on.
        public var epoch: UInt64
    }

    /// How each checkpoint is restored; those that build on one that is not there, or whose manifest cannot be
    /// read, are missing.
    ///
    /// - Complexity: O(checkpoints).
    public func restorePaths() -> [UInt64: RestorePath] {
        var paths: [UInt64: RestorePath] = [:]
        paths.reserveCapacity(checkpoints.count + underlying.count)
        // A delta leads to a later epoch than it builds on, so its base comes first.
        for checkpoint in (underlying + checkpoints).sorted(by: { $0.epoch < $1.epoch }) {
            guard let base = checkpoint.base else {
                paths[checkpoint.epoch] = RestorePath(
                    full: checkpoint.epoch, rows: checkpoint.rows)
                continue
            }
            guard var path = paths[base] else { continue }
            path.deltas += 1
            path.changes += checkpoint.changes ?? 0
            paths[checkpoint.epoch] = path
        }
        return paths
    }
}

/// The way to a checkpoint: a full one, and the deltas after it.
public struct RestorePath: Hashable, Sendable {
    /// The epoch of the full checkpoint.
    public var full: UInt64
    /// Its rows.
    public var rows: Int
    /// The deltas that are applied to it.
    public var deltas = 0
    /// Changes in all of these.
    public var changes = 0

    /// About how long restoring takes, for rows of some ten fields and about 80 bytes, on two cores.
    ///
    /// The parts are those of `caesura-bench chain` on two cores of an AMD EPYC: a million session rows in 85 ms,
    /// verifying included, and with 1,000 deltas of 10 and of 1,000 changes in 25 and 310 ms more.
    public var estimate: Duration {
        Self.row * rows + Self.estimate(deltas: deltas, changes: changes)
    }

    /// The part of deltas in it.
    static func estimate(deltas: Int, changes: Int) -> Duration {
        delta * deltas + change * changes
    }

    private static let row = Duration.nanoseconds(85)
    private static let delta = Duration.microseconds(25)
    private static let change = Duration.nanoseconds(300)
}
