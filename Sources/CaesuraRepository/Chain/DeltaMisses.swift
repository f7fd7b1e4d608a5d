/// Why checkpoints that could have been deltas were full ones.
public struct DeltaMisses: Hashable, Sendable {
    /// The base was given up because it kept too much memory, or is one of another store.
    public internal(set) var baseGone = 0
    /// Regions were declared, or took their Swift types, since the base.
    public internal(set) var regionsChanged = 0
    /// Something changed that a delta of this version cannot say.
    public internal(set) var notExpressible = 0

    enum Cause { case baseGone, regionsChanged, notExpressible }

    mutating func note(_ cause: Cause) {
        switch cause {
        case .baseGone: baseGone += 1
        case .regionsChanged: regionsChanged += 1
        case .notExpressible: notExpressible += 1
        }
    }
}
