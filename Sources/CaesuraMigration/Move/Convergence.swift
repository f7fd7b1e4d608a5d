/// Predicts how long the writes of a partition would stop if they stopped now, from what the rounds of its move took:
/// `docs/MIGRATION.md` section 4, "When writes stop".
///
/// Pre-copy as in Clark et al., "Live Migration of Virtual Machines", NSDI 2005, but that the rate at which the other side
/// *applies* is what counts, and not that of the network.
public struct Convergence: Hashable, Sendable {
    /// What a round has shown.
    public struct Round: Hashable, Sendable {
        /// Bytes of its chunks.
        public var bytes: UInt64
        /// From its cut until all of it was applied.
        public var duration: Duration
        /// From the cut that it builds on to its own; zero in a snapshot.
        public var interval: Duration

        /// Describes a round.
        public init(bytes: UInt64, duration: Duration, interval: Duration) {
            self.bytes = bytes
            self.duration = duration
            self.interval = interval
        }
    }

    /// What to do after a round.
    public enum Verdict: Hashable, Sendable {
        /// Writes can stop: the blackout fits the budget.
        case fits
        /// Another round makes it shorter.
        case improves
        /// Three rounds have not made it a tenth shorter.
        case stuck
        /// What it takes besides the last delta is longer than the budget: neither rounds nor slower writers help.
        case tooFar
    }

    /// What the blackout may take.
    public let budget: Duration
    /// What it takes besides the last delta: stopping, a round trip, the register.
    public var overhead: Duration
    /// Bytes of deltas a second that writers cause, in the last round; nil before the first delta.
    public private(set) var dirtyBytesPerSecond: Double?
    /// Bytes a second that a round is applied with: the slower of the mean of the deltas and the last one.
    public private(set) var appliedBytesPerSecond: Double?
    /// The predictions after each delta.
    private var predictions: [Duration] = []
    private var deltaBytes: UInt64 = 0
    private var deltaDuration = Duration.zero

    /// Rounds that have to make the blackout a tenth shorter.
    static let patience = 3

    /// Begins without knowledge.
    public init(budget: Duration, overhead: Duration) {
        self.budget = budget
        self.overhead = overhead
    }

    /// Notes a round that was applied.
    public mutating func note(_ round: Round) {
        let seconds = max(round.duration, .nanoseconds(1)) / .seconds(1)
        let rate = Double(round.bytes) / seconds
        guard round.interval > .zero else {
            // A snapshot: of how long a delta takes it says little, but more than nothing.
            appliedBytesPerSecond = rate
            return
        }
        deltaBytes += round.bytes
        deltaDuration += round.duration
        let mean = Double(deltaBytes) / (max(deltaDuration, .nanoseconds(1)) / .seconds(1))
        appliedBytesPerSecond = min(mean, rate)
        dirtyBytesPerSecond = Double(round.bytes) / (round.interval / .seconds(1))
        // What was written since its cut, while it was under way: at most so much, for what is written twice goes once.
        let pending = Double(round.bytes) * (round.duration / round.interval)
        predictions.append(
            overhead + (rate > 0 ? .seconds(pending / min(mean, rate)) : .zero))
    }

    /// How long the blackout would be if writes stopped now; nil before the first delta.
    public var prediction: Duration? { predictions.last }

    /// What to do next.
    public var verdict: Verdict {
        guard let prediction else { return .improves }
        if prediction <= budget { return .fits }
        guard predictions.count > Self.patience else { return .improves }
        if overhead > budget { return .tooFar }
        let earlier = predictions[predictions.count - 1 - Self.patience]
        return prediction <= earlier * 0.9 ? .improves : .stuck
    }

    /// Forgets the predictions: writers have been slowed, and what follows is another race.
    public mutating func beginAnew() { predictions = [] }
}
