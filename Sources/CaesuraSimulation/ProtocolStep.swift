/// Where a move, a connection, a node or a request is when something goes wrong: a row of the matrix in `docs/FAULTS.md`.
///
/// They are the states of `docs/MIGRATION.md` section 4 that last: one that a node enters and leaves while it handles one
/// event (a target's *adopting*) is seen by nobody, and nothing can go wrong in it but the process itself.
public enum ProtocolStep: String, Hashable, Sendable, CaseIterable {
    // The source of a move.
    case connecting
    case asking
    case copying
    case sealing
    case finishing
    case handingOver
    case aborting
    case lettingGo
    // Its target.
    /// It was asked, and reads the register.
    case asked
    case receiving
    case waiting
    case appending
    /// It owns the partition, and some of its rows are still to come.
    case pulling
    case owning
    /// It owns the partition, and gets its rows back.
    case recovering
    // A connection; its source is who has dialled.
    case greeting
    case negotiating
    // A node that starts, and finds out what it has.
    /// It reads the register.
    case reading
    /// It appends its return, or the first entry.
    case returning
    /// It owns a partition whose rows it does not have.
    case missing
    // Requests.
    /// A write waits at a gate that is sealed; the source is the node that has the gate.
    case queued
    /// A write is done, and its answer waits for a checkpoint.
    case unanswered

    /// Whether another node takes part, or may: otherwise the one there is counts as the source.
    var hasTarget: Bool {
        switch self {
        case .reading, .returning, .missing, .unanswered: false
        case .connecting, .asking, .copying, .sealing, .finishing, .handingOver, .aborting,
            .lettingGo, .asked, .receiving, .waiting, .appending, .pulling, .owning, .recovering,
            .greeting, .negotiating, .queued:
            true
        }
    }

    /// Whether a fault of an effect can hit it at all.
    ///
    /// Where no other node takes part, nothing is on its way to one; a connection is no partition's, and neither is a
    /// checkpoint, so no append is of them.
    public func canMeet(_ effect: FaultEffect) -> Bool {
        if effect.needsTarget { return hasTarget }
        guard effect == .unknownAppend else { return true }
        switch self {
        case .greeting, .negotiating, .unanswered: return false
        default: return true
        }
    }

    /// Whether an entry of the register is on its way.
    var appends: Bool {
        switch self {
        case .aborting, .appending, .returning: true
        default: false
        }
    }
}
