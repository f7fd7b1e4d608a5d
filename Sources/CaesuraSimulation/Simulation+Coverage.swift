import CaesuraMigration
import CaesuraNode

/// What faults hit, and faults that wait for what they are to hit.
extension Simulation {
    /// All that is in a step somewhere.
    private var presences: [Presence] { processes.compactMap(\.self).flatMap(\.presences) }

    // MARK: Counting

    /// Counts what a fault hits that begins now.
    func countHits(of kind: Fault.Kind) {
        count(presences) { effect(of: kind, on: $0) }
    }

    /// Counts what is hit by something that befalls a frame: its move, or its connection's handshake.
    ///
    /// - Parameter move: The number in the frame.
    func countHits(
        of effect: FaultEffect, onFrameAbout move: UInt64, over connection: SimulatedConnection
    ) {
        let (source, target) = (connection[true].node, connection[false].node)
        count(presences) { presence in
            guard presence.source == source, presence.target == target else { return nil }
            // A move that waits for its connection is hit with the handshake.
            let isHit =
                presence.move == move || move == 0 && presence.step == .connecting
            return isHit ? effect : nil
        }
    }

    /// Counts what is hit by the append of a process whose outcome is not known.
    func countHits(ofUnknownAppendTo partition: PartitionNumber, by process: SimulatedProcess) {
        count(process.presences) {
            $0.partition == partition && $0.step.appends ? .unknownAppend : nil
        }
    }

    /// Counts what is hit by an append that comes to be late.
    func countHits(ofLateAppendTo partition: PartitionNumber) {
        count(presences) { $0.partition == partition ? .unknownAppend : nil }
    }

    /// Counts each step once.
    private func count(_ presences: [Presence], _ effect: (Presence) -> FaultEffect?) {
        var hits: Set<Hit> = []
        for presence in presences {
            guard let effect = effect(presence),
                hits.insert(Hit(step: presence.step, effect: effect)).inserted
            else { continue }
            outcome.coverage[presence.step, effect] += 1
        }
    }

    private struct Hit: Hashable {
        var step: ProtocolStep
        var effect: FaultEffect
    }

    private func effect(of kind: Fault.Kind, on presence: Presence) -> FaultEffect? {
        switch kind {
        case .crash(let node, _):
            guard processes[node] != nil else { return nil }
            return presence.source == node
                ? .sourceStops : presence.target == node ? .targetStops : nil
        case .crashBoth(let a, _, let b, _):
            guard processes[a] != nil, processes[b] != nil else { return nil }
            return presence.isBetween(a, b) ? .bothStop : nil
        case .pause(let node, let time):
            guard processes[node] != nil, time >= Self.longPause else { return nil }
            return presence.source == node
                ? .sourcePauses : presence.target == node ? .targetPauses : nil
        case .clockJump(let node, _): return presence.node == node ? .clockJump : nil
        case .disconnect(let a, let b):
            return presence.isBetween(a, b) && isConnected(a, b) ? .disconnect : nil
        case .partition(let a, let b, _): return presence.isBetween(a, b) ? .partition : nil
        case .slowNetwork(let a, let b, _, _): return presence.isBetween(a, b) ? .delay : nil
        case .registerOutage: return .registerOutage
        case .diskFull(let node, _): return presence.node == node ? .diskFull : nil
        case .stop(let node): return presence.source == node ? .stop : nil
        // Counted when the frame or the append has come that they wait for, or the step.
        case .bitFlip, .duplicate, .unknownAppend, .aimed: return nil
        }
    }

    /// The faults that are lasting and concern something.
    private func lastingEffects(on presence: Presence) -> [FaultEffect] {
        var effects: [FaultEffect] = []
        if register.outage > agenda.now { effects.append(.registerOutage) }
        if disks[presence.node].fullUntil > agenda.now { effects.append(.diskFull) }
        if let target = presence.target {
            let pair = pair(presence.source, target)
            if partitions[pair] ?? .zero > agenda.now { effects.append(.partition) }
            if delays[pair]?.until ?? .zero > agenda.now { effects.append(.delay) }
        }
        return effects
    }

    // MARK: Steps that begin

    /// Looks at what has come into a step in a process: faults that last hit it, and others have waited for it.
    func notice(_ process: SimulatedProcess) {
        guard process.isAlive else { return }
        let places = process.presences.map(\.place)
        guard places != process.lastPlaces else { return }
        let begun = places.filter { !process.lastPlaces.contains($0) }
        process.lastPlaces = places
        if isCalm { return }
        for effect in FaultEffect.allCases {
            count(begun) { lastingEffects(on: $0).contains(effect) ? effect : nil }
        }
        for place in begun { release(at: place) }
    }

    /// Lets the faults happen that wait for a step.
    private func release(at place: Presence) {
        for fault in armed where fault.step == place.step {
            guard !fault.kind.needsTarget || place.target != nil else { continue }
            armed.removeAll { $0.number == fault.number }
            let kind = fault.kind.resolved(
                source: place.source, target: place.target ?? place.source)
            schedule(after: fault.delay) { [self] in
                if !isCalm { inject(kind) }
            }
        }
    }

    /// A fault that waits for a step.
    struct ArmedFault {
        var number: UInt64
        var step: ProtocolStep
        var delay: Duration
        var kind: Fault.Kind
    }
}
