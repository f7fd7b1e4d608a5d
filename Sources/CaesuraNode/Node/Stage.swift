import CaesuraMigration

/// Which move may stop its writes: one at a time, while no other one sends, so that nothing is in its way.
///
///     copying ─ ask ─► asking ─ first, nothing in flight ─► on stage ─► handed over, aborted, or given up
///                         ▲            └─ it took too long: another round, while it has the stage ─┐
///                         └────────────────────────────────────────────────────────────────────────┘
struct Stage {
    /// Moves that are fit to stop their writes, with the time since when; the first one has the stage.
    private var queue: [(number: UInt64, since: Duration)] = []
    /// Whether the first one has stopped its writes.
    private var isEntered = false
    /// Whether the first one sends another round, and the number of that; nil if not.
    private var extraRound: UInt32?

    /// How long a move may wait for the stage before what was written meanwhile has to go in another round.
    static let patience = Duration.milliseconds(1)

    /// The move that has the stage: others do not send.
    var first: UInt64? { queue.first?.number }

    /// Asks for the stage; who has it already keeps it.
    mutating func ask(_ number: UInt64, at now: Duration) {
        if let place = queue.firstIndex(where: { $0.number == number }) {
            queue[place].since = now
        } else {
            queue.append((number, now))
        }
        if number == first { extraRound = nil }
    }

    /// Whether a move has asked, and has not stopped its writes.
    func isAsking(_ number: UInt64) -> Bool {
        queue.contains { $0.number == number } && !(number == first && isEntered)
    }

    /// The move that may stop its writes now, and how long it has waited for that.
    func ready(
        at now: Duration, inFlight: (_ besides: UInt64) -> UInt64
    ) -> (number: UInt64, waited: Duration)? {
        guard let first = queue.first, !isEntered, extraRound == nil, inFlight(first.number) == 0
        else { return nil }
        return (first.number, now - first.since)
    }

    /// The first move stops its writes.
    mutating func enter() { isEntered = true }

    /// The first move sends another round.
    mutating func postpone() { extraRound = 0 }

    /// Takes those off who are done, or do not come to their end in the round that they were given.
    mutating func update(_ machine: (UInt64) -> SourceMove?) {
        while let first {
            guard let machine = machine(first) else {
                leave(first)
                continue
            }
            switch machine.state {
            case .sealing, .finishing, .handingOver: return
            case .copying:
                guard let extraRound else { return leave(first) }
                if extraRound == 0 { self.extraRound = machine.round }
                if extraRound == 0 || extraRound == machine.round { return }
                leave(first)
            case .connecting, .asking, .aborting, .lettingGo, .ended: leave(first)
            }
        }
    }

    /// Takes a move off.
    mutating func leave(_ number: UInt64) {
        if number == first {
            isEntered = false
            extraRound = nil
        }
        queue.removeAll { $0.number == number }
    }
}
