/// When the next checkpoint is a full one although it could be a delta.
///
/// A longer chain costs time when it is restored, and room until it is removed; a full checkpoint costs time
/// and room now. Measured with `caesura-bench chain` (a million session rows of 40.5 bytes, two cores): the full
/// checkpoint is restored in 85 ms; each delta after it adds 25 us, and each change in it 0.3 us and about 1.7 bytes. So deltas
/// of a quarter of the full checkpoint's bytes are some six million changes, and two seconds more to restore; and what
/// is written in all is at most five times what changed.
public struct ChainPolicy: Hashable, Sendable {
    /// The most deltas after a full checkpoint.
    ///
    /// 10,000 of them, were they empty, would take a quarter of a second to restore.
    public var longest = 10_000
    /// The most bytes of deltas, as a multiple of those of the full checkpoint before them.
    public var deltaBytes = 0.25
    /// The longest time from a full checkpoint to a delta after it.
    public var age = Duration.seconds(3600)

    /// Creates the default policy.
    public init() {}
}
