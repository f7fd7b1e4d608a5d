/// How the pages of a delta were looked at.
///
/// A range that could not be compared by the few slots that its page notes is compared row by row, which costs about
/// as much as encoding its rows; each such *miss* has a cause.
public struct DeltaCounts: Hashable, Sendable {
    /// Pages and gaps of the partitions that were written to, but for those of nodes that were passed by: nothing was written
    /// below them, and an earlier delta had counted their rows.
    public internal(set) var pages = 0
    /// Ranges compared by the slots that the page's header notes.
    public internal(set) var comparedBySlots = 0
    /// Misses because a page was split, or several were put together, since the base.
    public internal(set) var splitOrMerged = 0
    /// Misses because the range had no rows at the base, or has none any more.
    public internal(set) var filledOrEmptied = 0
    /// Misses because the page's header notes changes since a later epoch than the base's: the page was written
    /// before and after a cut that lies between the two.
    public internal(set) var laterEpoch = 0
    /// Misses because rows were removed from the page, or brought by a restore: the rows that are noted do not make up
    /// for the number of rows.
    public internal(set) var removedOrRestored = 0

    /// Ranges compared row by row: all misses.
    public var comparedByRows: Int {
        splitOrMerged + filledOrEmptied + laterEpoch + removedOrRestored
    }

    enum Cause {
        case splitOrMerged, filledOrEmptied, laterEpoch, removedOrRestored
    }

    mutating func add(_ cause: Cause) {
        switch cause {
        case .splitOrMerged: splitOrMerged += 1
        case .filledOrEmptied: filledOrEmptied += 1
        case .laterEpoch: laterEpoch += 1
        case .removedOrRestored: removedOrRestored += 1
        }
    }

    mutating func add(_ other: DeltaCounts) {
        pages += other.pages
        comparedBySlots += other.comparedBySlots
        splitOrMerged += other.splitOrMerged
        filledOrEmptied += other.filledOrEmptied
        laterEpoch += other.laterEpoch
        removedOrRestored += other.removedOrRestored
    }
}
