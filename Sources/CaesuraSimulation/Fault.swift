/// Something that goes wrong in a simulated world: `docs/FAULTS.md`.
public struct Fault: Hashable, Sendable, CustomStringConvertible {
    /// What goes wrong.
    public enum Kind: Hashable, Sendable {
        /// A process ends at once, and another one of its name starts after a while.
        case crash(node: Int, downtime: Duration)
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
    }

    /// When.
    public let time: Duration
    /// What.
    public let kind: Kind

    /// When and what.
    public var description: String { "\(time) \(kind)" }
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
                kind: kind(nodes, &random))
        }.sorted { $0.time < $1.time }
    }

    private static func kind(_ nodes: Int, _ random: inout Random) -> Kind {
        let node = random.below(nodes)
        let other = (node + 1 + random.below(nodes - 1)) % nodes
        // Most are short beside the time outs, some are longer than all of them.
        let time = Duration.milliseconds(
            random.below(4) == 0 ? random.below(90_000) : random.below(800))
        return switch random.below(24) {
        case 0..<4: .crash(node: node, downtime: time)
        case 4..<7: .pause(node: node, time)
        case 7: .clockJump(node: node, time)
        case 8..<11: .disconnect(node, other)
        case 11..<13: .partition(node, other, time)
        case 13: .slowNetwork(node, other, delay: .milliseconds(random.below(200)), time)
        case 14..<16: .bitFlip(from: node, to: other, bit: UInt32(random.below(1 << 20)))
        case 16: .duplicate(from: node, to: other)
        case 17..<19: .registerOutage(time)
        case 19..<21: .unknownAppend(delay: random.below(3) == 0 ? nil : time)
        default: .diskFull(node: node, time)
        }
    }
}
