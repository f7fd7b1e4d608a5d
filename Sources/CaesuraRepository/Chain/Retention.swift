/// Which checkpoints are kept when others are removed.
///
///     retention.newest = 10                       the ten newest
///     retention.hourly = .seconds(48 * 3_600)     and the last of each hour, for two days
///     retention.daily = .seconds(30 * 86_400)     and the last of each day, for a month
///
/// Hours and days are those of UTC, by the clocks of the writers. Spans reach back from the newest checkpoint, not from now:
/// a service that was off for a month, or a clock that is wrong today, removes nothing more.
public struct Retention: Hashable, Sendable {
    /// How many of the newest are kept; at least one is.
    public var newest: Int
    /// For how long the last of each hour is kept.
    public var hourly: Duration
    /// For how long the last of each day is kept.
    public var daily: Duration

    /// Creates a rule.
    public init(newest: Int = 1, hourly: Duration = .zero, daily: Duration = .zero) {
        self.newest = newest
        self.hourly = hourly
        self.daily = daily
    }

    /// Chooses among checkpoints, oldest first.
    ///
    /// - Returns: The epochs of those to keep.
    func selection(of checkpoints: [(epoch: UInt64, created: WallClock)]) -> Set<UInt64> {
        var kept = Set(checkpoints.suffix(max(1, newest)).map(\.epoch))
        guard let end = checkpoints.last?.created.microseconds else { return kept }
        for (span, unit) in [(hourly, 3_600_000_000), (daily, 86_400_000_000)]
            as [(Duration, Int64)]
        {
            let reach = Int64(clamping: span.components.seconds).multipliedReportingOverflow(
                by: 1_000_000)
            guard span > .zero else { continue }
            var last: [Int64: (moment: Int64, epoch: UInt64)] = [:]
            for checkpoint in checkpoints {
                let moment = checkpoint.created.microseconds
                let (age, isTooOld) = end.subtractingReportingOverflow(moment)
                // A moment after the newest's, however far, is in reach.
                guard
                    reach.overflow || (isTooOld ? moment > end : age <= reach.partialValue)
                else { continue }
                let (quotient, remainder) = moment.quotientAndRemainder(dividingBy: unit)
                let period = remainder < 0 ? quotient - 1 : quotient
                if last[period].map({ $0.moment <= moment }) ?? true {
                    last[period] = (moment, checkpoint.epoch)
                }
            }
            kept.formUnion(last.values.map(\.epoch))
        }
        return kept
    }
}

/// What is removed, or would be.
public struct Pruning: Hashable, Sendable {
    /// The epochs of the checkpoints that stay, oldest first.
    public var kept: [UInt64]
    /// The epochs of those that go, oldest first.
    public var removed: [UInt64]
    /// The files that go.
    ///
    /// A chain file stays as long as a checkpoint in it does, or one that builds on it.
    public var files: [String]
    /// Bytes of these files; those of a log's packs that other checkpoints share are not free yet.
    public var byteCount: Int
}
