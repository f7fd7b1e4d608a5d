import CaesuraMigration
package import CaesuraNode

extension Node {
    /// The steps in which something is here now, but for those of requests that only its user knows of.
    package var steps: Set<ProtocolStep> {
        var steps: Set<ProtocolStep> = []
        for (_, _, move) in movesOut {
            if let step = ProtocolStep(move.state) { steps.insert(step) }
        }
        for (_, _, move) in movesIn {
            if let step = ProtocolStep(move) { steps.insert(step) }
        }
        if !requestsToMove.isEmpty { steps.insert(.asked) }
        for (_, isNegotiating) in handshakes {
            steps.insert(isNegotiating ? .negotiating : .greeting)
        }
        for (_, standing) in unsettled { steps.insert(ProtocolStep(standing)) }
        if gates.values.contains(where: { $0.waitingCount > 0 }) { steps.insert(.queued) }
        return steps
    }
}
