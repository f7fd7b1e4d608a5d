public import CaesuraFormat

/// How a checkpoint is written.
public struct CheckpointOptions: Sendable {
    /// Whether chunks are compressed after their columns are coded.
    public var compression = Compression.none
    /// Threads that encode.
    ///
    /// Half of the processors unless told: the other half is the service's.
    public var encoders: Int
    /// Encoded bytes that may wait for the disk; encoders wait beyond it.
    public var waitingBytes = 16 << 20
    /// Whether the cut is held open when it is saved, so that the next checkpoint can be a delta.
    ///
    /// While it is, writers copy each page once before they change it, and what they replace stays in memory: at
    /// most as much as the pages themselves, less the shorter the time to the next checkpoint. Worth it for
    /// checkpoints that follow each other within seconds.
    public var holdsBase = false
    /// When the next checkpoint is full although it could be a delta.
    public var policy = ChainPolicy()
    /// Whether deltas also carry the way back, for about the size of the old values.
    public var isReversible = false
    /// Whether a full checkpoint takes over the packs of the one before that hold nothing but sealed rows of logs.
    ///
    /// What is damaged in such a pack is damaged in each checkpoint that has it. Set this to false for one full
    /// checkpoint when ``Repository/verify(at:progress:)`` has found that: it writes everything anew.
    public var takesOverPacks = true

    /// Creates the default options.
    public init() { encoders = max(1, OwnThread.processorCount / 2) }
}
