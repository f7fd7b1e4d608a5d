public import CaesuraMigration

/// Why a write that was ready to wait was not done: it has had no effect.
public enum GateError: Error, Hashable, Sendable, CustomStringConvertible {
    /// This entry counts, as far as this node knows; nil where it knows none. Answer the sender with it.
    case elsewhere(OwnerEntry?)
    /// The sender knows a later entry than this node, or has made it up: the node reads the register.
    case overtaken
    /// As many writes wait already as may. The sender may try again later.
    case tooMany
    /// Its turn did not come before the deadline. The sender may try again.
    case timedOut
    /// The task was cancelled.
    case cancelled

    /// What happened, in one sentence.
    public var description: String {
        switch self {
        case .elsewhere(let entry?):
            "node \(entry.owner) owns the partition since entry \(entry.number)"
        case .elsewhere(nil): "this node does not own the partition, and does not know who does"
        case .overtaken: "the sender knows a later owner of the partition than this node does"
        case .tooMany: "the partition's writes have stopped, and too many wait for it already"
        case .timedOut: "the partition's writes had stopped until the deadline"
        case .cancelled: "the write was cancelled while it waited"
        }
    }
}
