/// Something that goes wrong in a simulated world: `docs/FAULTS.md`.
public struct Fault: Hashable, Sendable, CustomStringConvertible {
    /// What goes wrong.
    public indirect enum Kind: Hashable, Sendable {
        /// A process ends at once, and another one of its name starts after a while.
        case crash(node: Int, downtime: Duration)
        /// Two end at once, and start after different times.
        case crashBoth(Int, Duration, Int, Duration)
        /// A process stands still, and goes on as if nothing had been.
        case pause(node: Int, Duration)
        /// Its clock jumps ahead.
        case clockJump(node: Int, Duration)
        /// All connections between two nodes break, and both are told.
        case disconnect(Int, Int)
        /// What is sent between two nodes is lost from now on, on connections that look open; none can be opened for so long.
        case partition(Int, Int, Duration)
        /// What is sent between two nodes takes so much longer for a while.
        case slowNetwork(Int, Int, delay: Duration, Duration)
        /// A bit of what a node sends next to another is flipped.
        case bitFlip(from: Int, to: Int, bit: UInt32)
        /// A frame of what a node sends next to another comes twice.
        case duplicate(from: Int, to: Int)
        /// The register cannot be reached for a while.
        case registerOutage(Duration)
        /// The answer to the next append is lost, and it is made so much later, or never.
        case unknownAppend(delay: Duration?)
        /// No checkpoint of a node succeeds for a while: its disk is full.
        case diskFull(node: Int, Duration)
        /// An operator stops all moves out of a node.
        case stop(node: Int)
        /// So long after something has come into a step, the fault of a kind in which 0 stands for its source and 1 for its
        /// target.
        case aimed(at: ProtocolStep, after: Duration, Kind)
    }

    /// When; of one that is aimed, from when it lies in wait.
    public let time: Duration
    /// What.
    public let kind: Kind

    /// A fault of a time.
    public init(time: Duration, kind: Kind) {
        self.time = time
        self.kind = kind
    }

    /// When and what.
    public var description: String {
        guard case .aimed(let step, let delay, let kind) = kind else { return "\(time) \(kind)" }
        return
            "from \(time), \(delay) after something is \(step) (0 is its source, 1 its target): \(kind)"
    }
}

extension Fault.Kind {
    /// The same fault of other nodes: those that 0 and 1 stand for.
    func resolved(source: Int, target: Int) -> Self {
        func node(_ number: Int) -> Int { number == 0 ? source : target }
        return switch self {
        case .crash(let a, let downtime): .crash(node: node(a), downtime: downtime)
        case .crashBoth(let a, let first, let b, let second):
            .crashBoth(node(a), first, node(b), second)
        case .pause(let a, let time): .pause(node: node(a), time)
        case .clockJump(let a, let time): .clockJump(node: node(a), time)
        case .disconnect(let a, let b): .disconnect(node(a), node(b))
        case .partition(let a, let b, let time): .partition(node(a), node(b), time)
        case .slowNetwork(let a, let b, let delay, let time):
            .slowNetwork(node(a), node(b), delay: delay, time)
        case .bitFlip(let a, let b, let bit): .bitFlip(from: node(a), to: node(b), bit: bit)
        case .duplicate(let a, let b): .duplicate(from: node(a), to: node(b))
        case .diskFull(let a, let time): .diskFull(node: node(a), time)
        case .stop(let a): .stop(node: node(a))
        case .registerOutage, .unknownAppend, .aimed: self
        }
    }

    /// Whether processes end by it.
    var crashes: Bool {
        switch self {
        case .crash, .crashBoth: true
        case .aimed(_, _, let kind): kind.crashes
        case .pause, .clockJump, .disconnect, .partition, .slowNetwork, .bitFlip, .duplicate,
            .registerOutage, .unknownAppend, .diskFull, .stop:
            false
        }
    }

    /// Whether it takes two nodes, or the second one.
    var needsTarget: Bool {
        switch self {
        case .crash(let node, _), .pause(let node, _), .clockJump(let node, _),
            .diskFull(let node, _), .stop(let node):
            node == 1
        case .crashBoth, .disconnect, .partition, .slowNetwork, .bitFlip, .duplicate: true
        case .registerOutage, .unknownAppend, .aimed: false
        }
    }
}

extension Fault {
    /// The faults of a run.
    ///
    /// - Parameters:
    ///   - count: How many.
    ///   - end: Before when.
    static func schedule(
        count: Int, until end: Duration, nodes: Int, _ random: inout Random
    ) -> [Fault] {
        (0..<count).map { _ in
            Fault(
                time: .microseconds(random.below(Int(end / .microseconds(1)))),
                kind: random.below(2) == 0 ? aimed(&random) : kind(nodes, &random))
        }.sorted { $0.time < $1.time }
    }

    /// How often faults come that are not aimed, beside each other.
    private static let weights: [FaultEffect] = [
        .sourceStops, .sourceStops, .sourceStops, .sourceStops, .bothStop, .sourcePauses,
        .sourcePauses, .sourcePauses, .clockJump, .disconnect, .disconnect, .disconnect, .partition,
        .partition, .delay, .bitFlip, .bitFlip, .duplicate, .registerOutage, .registerOutage,
        .unknownAppend, .unknownAppend, .diskFull, .diskFull, .stop,
    ]

    /// What leads into steps that come about by other faults only: a recovery, a target that waits, an abort.
    private static let leads: [Kind] = [
        .aimed(at: .owning, after: .zero, .crash(node: 1, downtime: .milliseconds(50))),
        .aimed(at: .receiving, after: .microseconds(500), .disconnect(0, 1)),
        .aimed(at: .finishing, after: .zero, .disconnect(0, 1)),
        .aimed(at: .handingOver, after: .zero, .registerOutage(.milliseconds(300))),
    ]

    private static func kind(_ nodes: Int, _ random: inout Random) -> Kind {
        let node = random.below(nodes)
        let other = (node + 1 + random.below(nodes - 1)) % nodes
        return kind(weights[random.below(weights.count)], node, other, &random)
    }

    /// One that waits for a step, so that those that are rare or short are hit as often as the others.
    private static func aimed(_ random: inout Random) -> Kind {
        if random.below(4) == 0 { return leads[random.below(leads.count)] }
        let step = ProtocolStep.allCases[random.below(ProtocolStep.allCases.count)]
        let effects = FaultEffect.allCases.filter { step.canMeet($0) }
        let effect = effects[random.below(effects.count)]
        // At once in half of the cases; a step is a few frames long, and one takes some 0.2 ms.
        let delay = random.below(2) == 0 ? 0 : random.below(1_000)
        // What happens to one node alone happens to the one at which the step is, or to the other.
        let isSwapped =
            step.hasTarget && !effect.needsTarget && effect != .stop && random.below(2) == 0
        let (source, target) = isSwapped ? (1, 0) : (0, 1)
        return .aimed(at: step, after: .microseconds(delay), kind(effect, source, target, &random))
    }

    private static func kind(
        _ effect: FaultEffect, _ source: Int, _ target: Int, _ random: inout Random
    ) -> Kind {
        // Most are short beside the time outs, some are longer than all of them.
        func time() -> Duration {
            .milliseconds(random.below(8) == 0 ? random.below(90_000) : random.below(800))
        }
        func pause() -> Duration {
            random.below(5) == 0
                ? Simulation.longPause + .milliseconds(random.below(30_000))
                : .milliseconds(random.below(2_000))
        }
        let (from, to) = random.below(2) == 0 ? (source, target) : (target, source)
        switch effect {
        case .sourceStops: return .crash(node: source, downtime: time())
        case .targetStops: return .crash(node: target, downtime: time())
        case .bothStop: return .crashBoth(source, time(), target, time())
        case .sourcePauses: return .pause(node: source, pause())
        case .targetPauses: return .pause(node: target, pause())
        case .disconnect: return .disconnect(source, target)
        case .partition: return .partition(source, target, time())
        case .delay:
            return .slowNetwork(
                source, target, delay: .milliseconds(random.below(200)), time())
        case .duplicate: return .duplicate(from: from, to: to)
        case .bitFlip: return .bitFlip(from: from, to: to, bit: UInt32(random.below(1 << 20)))
        case .registerOutage: return .registerOutage(time())
        case .unknownAppend: return .unknownAppend(delay: random.below(3) == 0 ? nil : time())
        case .diskFull: return .diskFull(node: source, time())
        case .clockJump: return .clockJump(node: source, time())
        case .stop: return .stop(node: source)
        }
    }
}
