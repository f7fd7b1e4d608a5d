import CaesuraNode
import Foundation

/// Two nodes on hosts of their own, clients that count, and a ``Wire`` between the hosts that loses and delays, and does not
/// always connect.
///
/// Partitions go to b and back all the time. Now and then nothing gets through, in both directions or in one, or an
/// interface is down, for longer than the connections may be silent; each second time for longer than a handover may
/// take, too. In the end all goes both ways once more, with the losses and delays that there always are.
final class HostTrial {
    private typealias Failure = Pair.Failure

    /// What happens to the wire.
    private enum Disturbance: CaseIterable {
        case cut, deafB, deafA, downA, downB
    }

    private let seed: UInt64
    private var random: SplitMix
    private let wire: Wire
    private let pair: Pair
    /// What is still to happen.
    private var disturbances: [Disturbance] = []
    /// What is, until when; or what is not, until when.
    private var present: (disturbance: Disturbance?, end: Date)
    private var isLong = false

    private static let ballast = 400
    /// Longer than the silence of a connection, and longer than a handover.
    private static let durations = (short: 0.8, long: 1.6)
    /// Between two of them; some moves come to their end in it.
    private static let rest = 0.5...1.5
    private static let limit = 90.0

    init(seed: UInt64) throws {
        self.seed = seed
        random = SplitMix(seed: seed)
        try Apart.enter(network: true)
        wire = try Wire(seed: seed)
        pair = try Pair(in: (Wire.on("a"), Wire.on("b")))
        present = (nil, .now + 1)
        for _ in 0..<2 { disturbances += Disturbance.allCases.shuffled(using: &random) }
    }

    /// Runs it; its directory stays if something is wrong.
    ///
    /// - Returns: What happened, in a few words.
    func run() throws -> String {
        let began = Date.now
        defer { pair.kill() }
        do {
            let (moved, orders) = try play()
            try? FileManager.default.removeItem(at: pair.directory)
            let answers = pair.answers.reduce(0, +)
            let packets = wire.lanes.map(\.packetCounts)
            guard packets.allSatisfy({ $0.lost > 0 }) else {
                throw Failure(description: "the wire has lost nothing")
            }
            return "\(answers) writes answered, \(moved) of \(orders * 3) moves done, "
                + "\(packets.map(\.carried)) packets and \(packets.map(\.lost)) lost, "
                + String(format: "%.1f s", Date.now.timeIntervalSince(began))
        } catch {
            throw Failure(description: "seed \(seed): \(error); see \(pair.directory.path)")
        }
    }

    // MARK: The wire

    /// Begins or ends what is due.
    private func proceed() throws {
        guard Date.now >= present.end else { return }
        if let disturbance = present.disturbance {
            try set(disturbance, isOn: false)
            present = (nil, .now + Double.random(in: Self.rest, using: &random))
        } else if let next = disturbances.popLast() {
            try set(next, isOn: true)
            present = (next, .now + (isLong ? Self.durations.long : Self.durations.short))
            isLong.toggle()
        }
    }

    private func set(_ disturbance: Disturbance, isOn: Bool) throws {
        switch disturbance {
        case .cut: for lane in wire.lanes { lane.cut(isOn) }
        case .deafB: wire.lanes[0].cut(isOn)
        case .deafA: wire.lanes[1].cut(isOn)
        case .downA: try Wire.set("a", isUp: !isOn)
        case .downB: try Wire.set("b", isUp: !isOn)
        }
    }

    private var isQuiet: Bool { disturbances.isEmpty && present.disturbance == nil }

    // MARK: The play

    private func play() throws -> (moved: Int, orders: Int) {
        for member in [pair.a, pair.b] { try start(member) }
        let deadline = Date.now + Self.limit
        pair.beginCounting()
        var (moved, orders) = (0, 0)
        /// Those that have given a partition away since all went well.
        var givers: Set<String> = []
        while givers.count < 2 {
            for (source, target) in [(pair.a, "b"), (pair.b, "a")] {
                let wasQuiet = isQuiet
                source.child.say("move \(target)")
                orders += 1
                var end: String?
                while end == nil {
                    guard Date.now < deadline else {
                        throw Failure(description: "the moves to \(target) have no end")
                    }
                    if let problem = pair.problem { throw Failure(description: problem) }
                    end = source.child.line("ended", within: 0.02)
                    try proceed()
                }
                let count = end?.split(separator: " ").last.flatMap { Int($0) } ?? 0
                moved += count
                if wasQuiet, count > 0 { givers.insert(source.name) }
            }
        }
        try pair.endCounting()
        try pair.checkOwners(until: deadline)
        try pair.checkBallast(of: Self.ballast)
        try pair.close()
        return (moved, orders)
    }

    private func start(_ member: Pair.Member) throws {
        var options = ["--host", Wire.addresses[member.name]!]
        if member === pair.a { options += ["--ballast", "\(Self.ballast)"] }
        try pair.start(member, options)
        guard member.child.line("listens", within: 20) != nil else {
            throw Failure(description: "\(member.name) does not begin")
        }
    }
}
