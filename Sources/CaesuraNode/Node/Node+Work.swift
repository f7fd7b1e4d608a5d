import Caesura
import CaesuraMigration

/// What takes a while, a piece at a time.
extension Node {
    /// Whether ``work(at:)`` has something to do now.
    public func hasWork(at now: Duration) -> Bool { nextWork(at: now) != nil }

    /// Whether ``work(at:)`` would encode what writes wait for.
    public var hasUrgentWork: Bool {
        guard let first = stage.first, let move = outgoing[first]?.move else { return false }
        return move.hasChunks && move.machine.state == .finishing
    }

    /// What is to be worked at.
    private enum Work {
        case outgoing(UInt64)
        case incoming(PartitionNumber)
        case memory
    }

    /// Encodes a chunk, or looks at one for a digest, or gives memory back.
    ///
    /// - Complexity: O(rows of a chunk).
    /// - Returns: What is to be done, in order.
    public func work(at now: Duration) -> [Action] {
        var actions: [Action] = []
        switch nextWork(at: now) {
        case .outgoing(let number):
            lastWorked = number
            if let move = outgoing[number] {
                carryOut(move.move.work(at: now), number, now, &actions)
            }
        case .incoming(let partition):
            if let move = incoming[partition] {
                carryOut(move.move.work(), partition, now, &actions)
            }
        case .memory: giveMemoryBack()
        case nil: break
        }
        proceedOnStage(now, &actions)
        if let delay = pace.delay(at: now), outgoing.values.contains(where: { $0.move.hasChunks }) {
            actions.append(.wait(.pace, delay))
        }
        return actions
    }

    /// Gives a piece of the memory back that nobody needs any more.
    private func giveMemoryBack() {
        // What has been left before more is.
        if store.hasReclaimable {
            store.reclaimSome()
        } else if removals.first?.advance() == false {
            removals.removeFirst()
        }
    }

    /// The move on the stage first, whose writers may wait; then one that converges, whose deltas would else wait behind the rows
    /// of others; then memory, which others may need; then the moves out of here in turn, and those into here.
    ///
    /// Memory also when a move that converges waits for its target.
    private func nextWork(at now: Duration) -> Work? {
        if let first = stage.first {
            if let move = outgoing[first], move.move.hasWork { return .outgoing(first) }
            return nil
        }
        let isPaced = pace.delay(at: now) != nil
        let converging = outgoing.keys.filter { outgoing[$0]?.move.machine.isConverging ?? false }
        let memory: Work? = removals.isEmpty && !store.hasReclaimable ? nil : .memory
        if converging.isEmpty, let memory { return memory }
        let ready = (converging.min().map { [$0] } ?? Array(outgoing.keys)).filter { number in
            guard let move = outgoing[number]?.move, move.hasWork else { return false }
            return !move.hasChunks || !isPaced && !isWindowFull(outgoing[number]?.link)
        }
        if let number = ready.filter({ $0 > lastWorked }).min() ?? ready.min() {
            return .outgoing(number)
        }
        let partitions = incoming.keys.filter { incoming[$0]?.move.hasWork ?? false }
        return partitions.min().map { .incoming($0) } ?? memory
    }

    /// Whether as many bytes are on their way over a connection as its peer takes.
    private func isWindowFull(_ link: Link?) -> Bool {
        guard let link, let window = sessions[link]?.agreement?.peer.window else { return false }
        let bytes = outgoing.values.reduce(0) { sum, move in
            move.link == link ? sum + move.move.machine.unacknowledgedBytes : sum
        }
        return bytes >= window
    }
}
