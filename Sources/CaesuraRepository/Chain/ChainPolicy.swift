/// When the next checkpoint is a full one although it could be a delta.
///
/// A longer chain costs time when it is restored, and room until it is removed; a full checkpoint costs time
/// and room now.
public struct ChainPolicy: Hashable, Sendable {
    /// The most deltas after a full checkpoint.
    public var longest = 10_000
    /// The most bytes of deltas, as a multiple of those of the full checkpoint before them.
    public var deltaBytes = 1.0
    /// The longest time from a full checkpoint to a delta after it.
    public var age = Duration.seconds(3600)

    /// Creates the default policy.
    public init() {}
}
