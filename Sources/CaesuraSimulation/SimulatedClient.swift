import CaesuraMigration

/// A client of a simulated service: it asks for one thing at a time, again until it is answered.
final class SimulatedClient {
    /// What it asks a node for.
    struct Request {
        var client: Int
        /// Which of the client's requests.
        var number: UInt64
        /// Of a write, by which a node knows it again.
        var sequence: UInt64
        var key: UInt64
        var isWrite: Bool
        /// What the client knows of the owner.
        var fencingEpoch: UInt64?
        /// How often it was asked.
        var attempt: Int
    }

    /// What a node answers.
    enum Answer {
        case done(UInt64)
        /// Another node has the partition; nil if it is not known which.
        case elsewhere(OwnerEntry?)
        case tryAgain
    }

    let index: Int
    /// What it knows of owners.
    var owners: [PartitionNumber: OwnerEntry] = [:]
    var sequence: UInt64 = 0
    /// The number of requests so far.
    var asked: UInt64 = 0
    /// What it waits for; nil between two.
    var request: Request?
    /// What the answer must be above, or at least.
    var bound: UInt64 = 0

    init(index: Int) { self.index = index }
}
