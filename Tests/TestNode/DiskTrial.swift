import ArgumentParser
import Foundation

/// Two nodes and clients that count; a partition moves to the one whose disk is full.
///
/// Until there is room again, the source keeps the rows, no write to the partition is acknowledged, and those to others are.
/// Whoever is killed meanwhile is started again, at first without room too.
final class DiskTrial {
    private typealias Failure = Pair.Failure

    /// Who is killed while the disk is full.
    enum Victim: String, CaseIterable, ExpressibleByArgument {
        case nobody, source, target, both
    }

    private let victim: Victim
    private let pair: Pair
    private let disk: FullDisk

    /// Rows of which a delta cannot fit into the last page of a file that was there before.
    private static let ballast = 400
    private static let limit = 60.0
    /// Which moves; the clients' rows lie in it and in the other one of tables.
    private static let partition = "2"

    init(_ victim: Victim) throws {
        self.victim = victim
        try Apart.enter()
        pair = try Pair()
        disk = try FullDisk(at: pair.directory.appending(path: "disk"))
        let repository = disk.directory.appending(path: "b")
        try FileManager.default.createDirectory(
            at: repository, withIntermediateDirectories: false)
        try FileManager.default.createSymbolicLink(
            at: pair.directory.appending(path: "b"), withDestinationURL: repository)
    }

    /// Runs it; its directory stays if something is wrong, but for what was on the disk.
    ///
    /// - Returns: What happened, in a few words.
    func run() throws -> String {
        let began = Date.now
        for member in [pair.a, pair.b] { try start(member) }
        defer { pair.kill() }
        do {
            let refusals = try play()
            let answers = pair.answers.reduce(0, +)
            try disk.unmount()
            try? FileManager.default.removeItem(at: pair.directory)
            return "\(answers) writes answered, \(refusals) times no checkpoint, "
                + String(format: "%.1f s", Date.now.timeIntervalSince(began))
        } catch {
            throw Failure(description: "\(victim): \(error); see \(pair.directory.path)")
        }
    }

    private func start(_ member: Pair.Member) throws {
        try pair.start(member, member === pair.a ? ["--ballast", "\(Self.ballast)"] : [])
        guard member.child.line("listens", within: 20) != nil else {
            throw Failure(description: "\(member.name) does not begin")
        }
    }

    // MARK: The play

    private func play() throws -> Int {
        let (a, b) = (pair.a, pair.b)
        pair.beginCounting()
        try wait("everybody is answered") { self.pair.answers.allSatisfy { $0 > 20 } }
        try disk.fill()
        a.child.say("move b \(Self.partition)")
        try wait("the partition is handed over") { try self.isLettingGo() }
        var refusals = 0
        func waitForRefusals() throws {
            for _ in 0..<3 {
                try wait("b cannot make it durable") {
                    b.child.line("notDurable", within: 0.05) != nil
                }
                refusals += 1
            }
        }
        let before = pair.answers
        try waitForRefusals()
        try checkService(since: before)
        try kill()
        if victim != .nobody {
            try wait("the rows are kept") { try self.isLettingGo() }
            if victim != .source { try waitForRefusals() }
        }
        guard try isLettingGo() else {
            throw Failure(description: "a has let the rows go that b has on no disk")
        }
        try disk.makeRoom()
        try wait("b has them on disk, and a has let go") {
            self.pair.holdings(a).contains("\(Self.partition)=elsewhere")
                && self.pair.holdings(b).contains("\(Self.partition)=served")
        }
        // Who was started again has forgotten that it was to move something.
        if [.nobody, .target].contains(victim), a.child.line("ended 1", within: 10) == nil {
            throw Failure(description: "the move has no end")
        }
        let after = pair.answers
        try wait("everybody is answered again") {
            zip(self.pair.answers, after).allSatisfy { $0 > $1 + 20 }
        }
        try goBack()
        try pair.endCounting()
        try pair.checkOwners(until: .now + Self.limit)
        try pair.checkBallast(of: Self.ballast)
        try pair.close()
        return refusals
    }

    /// Waits for something that is looked at again and again.
    private func wait(_ sentence: String, _ isSo: () throws -> Bool) throws {
        let deadline = Date.now + Self.limit
        while try !isSo() {
            if let problem = pair.problem { throw Failure(description: problem) }
            guard Date.now < deadline else {
                throw Failure(
                    description: "it does not come to this: \(sentence); a has "
                        + "\(pair.holdings(pair.a)), b has \(pair.holdings(pair.b))")
            }
            Thread.sleep(forTimeInterval: 0.01)
        }
    }

    /// Whether b has the partition, in memory or not yet again, and a has the rows.
    private func isLettingGo() throws -> Bool {
        pair.holdings(pair.a).contains("\(Self.partition)=lettingGo")
    }

    /// Checks that those clients were answered whose rows are not in the partition, and no others.
    private func checkService(since before: [Int]) throws {
        let counts = zip(pair.answers, before).map { $0 - $1 }
        // What was on its way when the others were looked at.
        let waiting = counts.filter { $0 <= 1 }
        guard (1..<counts.count).contains(waiting.count), counts.allSatisfy({ $0 <= 1 || $0 > 20 })
        else { throw Failure(description: "with a full disk they were answered \(counts)") }
    }

    private func kill() throws {
        let victims: [Pair.Member] =
            switch victim {
            case .nobody: []
            case .source: [pair.a]
            case .target: [pair.b]
            case .both: [pair.a, pair.b]
            }
        for member in victims { member.signal(SIGKILL) }
        for member in victims {
            guard member.child.end(within: 10) else {
                throw Failure(description: "\(member.name) was not killed")
            }
            try start(member)
        }
    }

    /// All goes to a, and some to b once more.
    private func goBack() throws {
        for (source, order) in [(pair.b, "move a"), (pair.a, "move b 3")] {
            source.child.say(order)
            guard let end = source.child.line("ended", within: Self.limit), end != "ended 0" else {
                throw Failure(description: "nothing came of: \(order)")
            }
        }
    }
}
