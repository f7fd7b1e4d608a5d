import CaesuraSimulation
import Foundation

/// Two nodes, clients that count, and one fault.
///
/// Partitions go to b and back until the fault has happened and they have gone both ways since. Each client counts at a row
/// of its own, and numbers what it asks for: the count of an answer must be that number, or a write was lost, or had two
/// effects. Who was killed is started again; who stands still goes on once all time limits of the other are over.
final class Trial {
    typealias Step = ProtocolStep

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// What a process is to do to itself.
    private typealias Hit = (step: Step, fault: Aim.Fault)

    /// A process, and how it is started again.
    private final class Member: @unchecked Sendable {
        let name: String
        /// What it has yet to do to itself; only the main thread looks.
        var hits: [Hit]
        // `lock` guards `current`.
        private let lock = NSLock()
        private var current: Child?

        init(_ name: String, _ hits: [Hit]) {
            self.name = name
            self.hits = hits
        }

        var child: Child {
            get { lock.withLock { current! } }
            set { lock.withLock { current = newValue } }
        }
    }

    /// What clients find out.
    private final class Findings: @unchecked Sendable {
        private let lock = NSLock()
        private var problems: [String] = []
        private var isOver = false
        private var answered = 0

        func note(_ problem: String) { lock.withLock { problems.append(problem) } }
        func end() { lock.withLock { isOver = true } }
        func countAnswer() { lock.withLock { answered += 1 } }
        var hasEnded: Bool { lock.withLock { isOver || !problems.isEmpty } }
        var all: [String] { lock.withLock { problems } }
        var answerCount: Int { lock.withLock { answered } }
    }

    private let step: Step
    private let fault: Aim.Fault
    private let isPostcopy: Bool
    private let directory: URL
    private var log: URL { directory.appending(path: "log") }
    private let findings = Findings()
    private var members: [String: Member] = [:]

    /// Clients, and so rows.
    private static let clientCount = 6
    /// Longer than any time limit of the nodes while writes have stopped, and than the silence of a connection.
    private static let standstill = 2.5
    private static let limit = 90.0

    init(_ step: Step, _ fault: Aim.Fault, isPostcopy: Bool) throws {
        self.isPostcopy = isPostcopy
        self.step = step
        self.fault = fault
        directory = FileManager.default.temporaryDirectory.appending(
            path: "caesura-trial-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        try Data().write(to: log)
        unsafe signal(SIGPIPE, SIG_IGN)
    }

    /// Runs it; its directory stays if something is wrong.
    ///
    /// - Returns: What happened, in a few words.
    func run() throws -> String {
        defer {
            for member in members.values {
                member.child.signal(SIGCONT)
                member.child.signal(SIGKILL)
            }
        }
        let began = Date.now
        do {
            let moves = try play()
            try? FileManager.default.removeItem(at: directory)
            return "\(findings.answerCount) writes answered, \(moves) partitions moved, "
                + String(format: "%.1f s", Date.now.timeIntervalSince(began))
        } catch {
            throw Failure(description: "\(step) \(fault): \(error); see \(directory.path)")
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

    private func member(_ name: String) throws -> Member {
        var hits: [Hit] = []
        if let prelude, prelude.name == name { hits.append(prelude.hit) }
        if name == victim { hits.append((step, fault)) }
        let member = Member(name, hits)
        members[name] = member
        try start(member)
        return member
    }

    private func start(_ member: Member) throws {
        var arguments = [member.name, directory.path]
        if member.name == "a" { arguments.append("--create") }
        if isPostcopy { arguments.append("--postcopy") }
        if let hit = member.hits.first {
            arguments += ["--step", hit.step.rawValue, "--fault", hit.fault.rawValue]
        }
        member.child = try Child(arguments, log: log)
    }

    /// Sees to it that a process that has hit itself goes on.
    private func attend(_ member: Member) throws {
        let child = member.child
        guard child.line("fired", within: 0) != nil else {
            guard child.isRunning else {
                throw Failure(description: "\(member.name) has ended by itself")
            }
            return
        }
        switch member.hits.removeFirst().fault {
        case .stop:
            Thread.sleep(forTimeInterval: Self.standstill)
            child.signal(SIGCONT)
        case .kill:
            guard child.end(within: 10) else {
                throw Failure(description: "\(member.name) was not killed")
            }
            try start(member)
        }
    }

    // MARK: The play

    private func play() throws -> Int {
        let (a, b) = (try member("a"), try member("b"))
        let deadline = Date.now + Self.limit
        var isQuiet: Bool { a.hits.isEmpty && b.hits.isEmpty }
        func check() throws {
            guard Date.now < deadline else {
                throw Failure(
                    description: isQuiet
                        ? "they do not come to rest" : "the step was not reached")
            }
            if let problem = findings.all.first { throw Failure(description: problem) }
            for member in [a, b] { try attend(member) }
        }
        let clients = (0..<Self.clientCount).map { client in
            let done = DispatchSemaphore(value: 0)
            Thread.detachNewThread { [findings] in
                Self.count(client, a, b, findings)
                done.signal()
            }
            return done
        }
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
        findings.end()
        for client in clients where client.wait(timeout: .now() + 30) == .timedOut {
            throw Failure(description: "a client gets no answer")
        }
        if let problem = findings.all.first { throw Failure(description: problem) }
        try checkOwners(a, b, until: deadline)
        for member in [a, b] {
            member.child.close()
            guard member.child.end(within: 30) else {
                throw Failure(description: "\(member.name) does not end")
            }
        }
        return moved
    }

    /// Each partition is served by one of them, and the other has nothing of it.
    private func checkOwners(_ a: Member, _ b: Member, until deadline: Date) throws {
        var (first, second) = ("", "")
        while Date.now < deadline {
            func holdings(_ member: Member) -> [Substring] {
                member.child.say("holdings")
                return member.child.line("holdings", within: 5)?.split(separator: " ") ?? []
            }
            let (here, there) = (holdings(a), holdings(b))
            (first, second) = (here.joined(separator: " "), there.joined(separator: " "))
            let isSettled =
                here.count == 4 && there.count == 4
                && zip(here, there).dropFirst().allSatisfy { one, other in
                    one.hasSuffix("served") && other.hasSuffix("elsewhere")
                        || one.hasSuffix("elsewhere") && other.hasSuffix("served")
                }
            if isSettled { return }
            Thread.sleep(forTimeInterval: 0.05)
        }
        throw Failure(description: "in the end a has \(first), b has \(second)")
    }

    /// Counts at one row, each write until it is answered, at whichever node answers.
    private static func count(_ client: Int, _ a: Member, _ b: Member, _ findings: Findings) {
        var sequence: UInt64 = 1
        var first = true
        while true {
            let member = first ? a : b
            let answer = member.child.ask(
                client: client, sequence: sequence, key: UInt64(client) * 7, within: 1.5)
            switch answer {
            case "done \(client) \(sequence) \(sequence)":
                findings.countAnswer()
                if findings.hasEnded { return }
                sequence += 1
            case let answer? where answer.hasPrefix("done"):
                return findings.note("client \(client) wanted count \(sequence): \(answer)")
            default:
                first.toggle()
                if !findings.all.isEmpty { return }
                Thread.sleep(forTimeInterval: 0.002)
            }
        }
    }
}
