import Foundation

/// Two processes of nodes, a and b, and clients that count at both.
///
/// Each client counts at a row of its own, and numbers what it asks for: the count of an answer must be that number, or a
/// write was lost, or had two effects. It asks again, now here and now there, until it is answered.
final class Pair {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// A node, whose process may be another one after a while.
    final class Member: @unchecked Sendable {
        let name: String
        /// Words before the command, for what it is to run in.
        let surroundings: [String]
        // `lock` guards `current`.
        private let lock = NSLock()
        private var current: Child?

        init(_ name: String, in surroundings: [String]) {
            self.name = name
            self.surroundings = surroundings
        }

        var child: Child {
            get { lock.withLock { current! } }
            set { lock.withLock { current = newValue } }
        }

        /// Sends its process a signal, if it has been started.
        func signal(_ number: Int32) { lock.withLock { current }?.signal(number) }
    }

    /// What clients find out.
    private final class Findings: @unchecked Sendable {
        private let lock = NSLock()
        private var problems: [String] = []
        private var isOver = false
        private var answered = Array(repeating: 0, count: Pair.clientCount)

        func note(_ problem: String) { lock.withLock { problems.append(problem) } }
        func end() { lock.withLock { isOver = true } }
        func countAnswer(of client: Int) { lock.withLock { answered[client] += 1 } }
        var hasEnded: Bool { lock.withLock { isOver || !problems.isEmpty } }
        var problem: String? { lock.withLock { problems.first } }
        var answers: [Int] { lock.withLock { answered } }
    }

    let directory: URL
    let a: Member
    let b: Member
    private var log: URL { directory.appending(path: "log") }
    private let findings = Findings()
    private var clients: [DispatchSemaphore] = []

    /// Clients, and so rows that are counted at.
    static let clientCount = 6

    /// Makes the directory of both, and starts neither.
    init(
        in surroundings: (a: [String], b: [String]) = ([], [])
    ) throws {
        a = Member("a", in: surroundings.a)
        b = Member("b", in: surroundings.b)
        directory = FileManager.default.temporaryDirectory.appending(
            path: "caesura-trial-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        try Data().write(to: log)
        signal(SIGPIPE, SIG_IGN)
    }

    // MARK: Processes

    /// Starts a process of a node; `options` are those of `TestNode node`.
    func start(_ member: Member, _ options: [String] = []) throws {
        var arguments = [member.name, directory.path]
        if member === a { arguments.append("--create") }
        member.child = try Child(arguments + options, in: member.surroundings, log: log)
    }

    /// Kills what there is of them.
    func kill() {
        for member in [a, b] {
            member.signal(SIGCONT)
            member.signal(SIGKILL)
        }
    }

    /// Ends both as an operator would.
    func close() throws {
        for member in [a, b] {
            member.child.close()
            guard member.child.end(within: 30) else {
                throw Failure(description: "\(member.name) does not end")
            }
        }
    }

    // MARK: Clients

    /// What is wrong with an answer, if anything was.
    var problem: String? { findings.problem }

    /// How many requests of each client were answered.
    var answers: [Int] { findings.answers }

    func beginCounting() {
        clients = (0..<Self.clientCount).map { client in
            let done = DispatchSemaphore(value: 0)
            Thread.detachNewThread { [findings, a, b] in
                Self.count(client, a, b, findings)
                done.signal()
            }
            return done
        }
    }

    /// Lets each client have the answer that it waits for, and no more.
    func endCounting() throws {
        findings.end()
        for client in clients where client.wait(timeout: .now() + 30) == .timedOut {
            throw Failure(description: "a client gets no answer")
        }
        if let problem { throw Failure(description: problem) }
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
                findings.countAnswer(of: client)
                if findings.hasEnded { return }
                sequence += 1
            case let answer? where answer.hasPrefix("done"):
                return findings.note("client \(client) wanted count \(sequence): \(answer)")
            default:
                first.toggle()
                if findings.problem != nil { return }
                Thread.sleep(forTimeInterval: 0.002)
            }
        }
    }

    // MARK: What they have

    /// What the partitions are to a node, each as "number=holding".
    func holdings(_ member: Member) -> [String] {
        member.child.say("holdings")
        let line = member.child.line("holdings", within: 5) ?? ""
        return line.split(separator: " ").dropFirst().map(String.init)
    }

    /// Returns once each partition is served by one of them, and the other has nothing of it.
    func checkOwners(until deadline: Date) throws {
        var (here, there): ([String], [String]) = ([], [])
        while Date.now < deadline {
            (here, there) = (holdings(a), holdings(b))
            let isSettled =
                here.count == 3 && there.count == 3
                && zip(here, there).allSatisfy { one, other in
                    one.hasSuffix("served") && other.hasSuffix("elsewhere")
                        || one.hasSuffix("elsewhere") && other.hasSuffix("served")
                }
            if isSettled { return }
            Thread.sleep(forTimeInterval: 0.05)
        }
        throw Failure(description: "in the end a has \(here), b has \(there)")
    }

    /// Checks that each row of ballast is there once, as it was written.
    func checkBallast(of count: Int) throws {
        let counts = [a, b].map { member -> Int in
            member.child.say("ballast \(count)")
            let line = member.child.line("ballast", within: 10)
            return line.flatMap { Int($0.dropFirst("ballast ".count)) } ?? 0
        }
        guard counts.reduce(0, +) == count else {
            throw Failure(description: "of \(count) rows a and b have \(counts)")
        }
    }
}
