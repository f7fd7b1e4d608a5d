/// What a fault is for the step that it hits: a column of the matrix in `docs/FAULTS.md`.
public enum FaultEffect: String, Hashable, Sendable, CaseIterable {
    case sourceStops
    case targetStops
    case bothStop
    /// For longer than every time limit.
    case sourcePauses
    case targetPauses
    /// A connection breaks, and both are told.
    case disconnect
    /// What is sent is lost, and nobody is told.
    case partition
    case delay
    case duplicate
    case bitFlip
    case registerOutage
    case unknownAppend
    case diskFull
    case clockJump
    /// An operator stops the move.
    case stop

    /// Whether it is about two nodes.
    var needsTarget: Bool {
        switch self {
        case .targetStops, .bothStop, .targetPauses, .disconnect, .partition, .delay, .duplicate,
            .bitFlip:
            true
        case .sourceStops, .sourcePauses, .registerOutage, .unknownAppend, .diskFull, .clockJump,
            .stop:
            false
        }
    }
}
