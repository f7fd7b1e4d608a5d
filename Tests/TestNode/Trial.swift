import CaesuraSimulation
import Foundation

/// Two nodes, clients that count, and one fault.
///
/// Partitions go to b and back until the fault has happened and they have gone both ways since. Who was killed is started
/// again; who stands still goes on once all time limits of the other are over.
final class Trial {
    typealias Step = ProtocolStep
    private typealias Failure = Pair.Failure
    private typealias Member = Pair.Member

    /// What a process is to do to itself.
    private typealias Hit = (step: Step, fault: Aim.Fault)

    private let step: Step
    private let fault: Aim.Fault
    private let isPostcopy: Bool
    private let pair: Pair
    /// When a process was started that was killed.
    private var restart = Date.distantFuture
    /// What the nodes have yet to do to themselves.
    private var hits: [String: [Hit]] = [:]

    /// Rows besides those of the clients, of 1,000 bytes: a round has several chunks.
    private static let ballast = 2_000
    /// Longer than any time limit of the nodes: 1 s for a handover, for who waits for its source, and for a connection to open,
    /// 0.5 s of silence.
    private static let standstill = 2.5
    private static let limit = 90.0

    /// - Parameter isPostcopy: Whether partitions are handed over before all of their rows have gone.
    init(_ step: Step, _ fault: Aim.Fault, isPostcopy: Bool) throws {
        self.isPostcopy = isPostcopy
        self.step = step
        self.fault = fault
        pair = try Pair()
    }

    /// Runs it; its directory stays if something is wrong.
    ///
    /// - Returns: What happened, in a few words.
    func run() throws -> String {
        let began = Date.now
        for member in [pair.a, pair.b] {
            hits[member.name] = hits(of: member.name)
            try start(member)
        }
        defer { pair.kill() }
        do {
            let moves = try play()
            try? FileManager.default.removeItem(at: pair.directory)
            return "\(pair.answers.reduce(0, +)) writes answered, \(moves) partitions moved, "
                + String(format: "%.1f s", Date.now.timeIntervalSince(began))
        } catch {
            throw Failure(description: "\(step) \(fault): \(error); see \(pair.directory.path)")
        }
    }

    // MARK: The fault

    /// Who is hit.
    private var victim: String {
        switch step {
        case .asked, .receiving, .waiting, .appending, .pulling, .owning, .recovering, .missing: "b"
        default: "a"
        }
    }

    /// What has to go wrong before, for the step to be reached.
    private var prelude: (name: String, hit: Hit)? {
        switch step {
        case .aborting: ("b", (.appending, .stop))
        case .waiting: ("a", (.copying, .kill))
        case .missing, .recovering: ("b", (.owning, .kill))
        default: nil
        }
    }

    private func hits(of name: String) -> [Hit] {
        var hits: [Hit] = []
        if let prelude, prelude.name == name { hits.append(prelude.hit) }
        if name == victim { hits.append((step, fault)) }
        return hits
    }

    private func start(_ member: Member) throws {
        var options: [String] = []
        if let hit = hits[member.name]?.first {
            options += ["--step", hit.step.rawValue, "--fault", hit.fault.rawValue]
        }
        if member === pair.a { options += ["--ballast", "\(Self.ballast)"] }
        if isPostcopy { options.append("--postcopy") }
        try pair.start(member, options)
    }

    /// Sees to it that a process that has hit itself goes on.
    private func attend(_ member: Member) throws {
        let child = member.child
        guard child.line("fired", within: 0) != nil else {
            guard child.isRunning else {
                throw Failure(description: "\(member.name) has ended by itself")
            }
            return try attendInVain(member)
        }
        switch hits[member.name, default: []].removeFirst().fault {
        case .stop:
            Thread.sleep(forTimeInterval: Self.standstill)
            child.signal(SIGCONT)
        case .kill:
            guard child.end(within: 10) else {
                throw Failure(description: "\(member.name) was not killed")
            }
            try start(member)
            restart = .now
        }
    }

    /// Sees to it that a process which was killed too late to come into the step, for a checkpoint was earlier, is killed once
    /// more.
    private func attendInVain(_ member: Member) throws {
        guard let prelude, prelude.name == member.name, hits[member.name]?.first?.step == step,
            Date.now > restart + 5
        else { return }
        member.child.signal(SIGKILL)
        guard member.child.end(within: 10) else {
            throw Failure(description: "\(member.name) was not killed")
        }
        hits[member.name] = hits(of: member.name)
        try start(member)
    }

    // MARK: The play

    private func play() throws -> Int {
        let (a, b) = (pair.a, pair.b)
        let deadline = Date.now + Self.limit
        var isQuiet: Bool { hits.values.allSatisfy(\.isEmpty) }
        func check() throws {
            guard Date.now < deadline else {
                throw Failure(
                    description: isQuiet
                        ? "they do not come to rest" : "the step was not reached")
            }
            if let problem = pair.problem { throw Failure(description: problem) }
            for member in [a, b] { try attend(member) }
        }
        pair.beginCounting()
        var moved = 0
        /// Those that have given a partition away since all went well.
        var givers: Set<String> = []
        while givers.count < 2 {
            for (source, target) in [(a, "b"), (b, "a")] {
                try check()
                let (child, wasQuiet) = (source.child, isQuiet)
                child.say("move \(target)")
                var end: String?
                // Who was started again has forgotten.
                while end == nil, source.child === child {
                    end = child.line("ended", within: 0.05)
                    try check()
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
        return moved
    }
}
