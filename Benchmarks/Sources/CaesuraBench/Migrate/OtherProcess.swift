import CaesuraMigration
import CaesuraNodeService
import CaesuraTransport
import Foundation
import Synchronization

/// The process of node b, as the process of node a sees it.
///
/// It does what is written to its input, a word a line, and answers with a line.
final class OtherProcess {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var rest = Data()
    /// Where its node listens.
    private(set) var address = ""

    /// Starts it.
    init(_ setting: NodeSetting, rings: String, advertised: String? = nil) throws {
        process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments =
            ["migrate", "--other", "--rings", rings] + setting.arguments
            + (advertised.map { ["--advertised", $0] } ?? [])
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        address = try line()
    }

    deinit {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    /// Has it do something.
    ///
    /// - Returns: What it says when it is done.
    @discardableResult func ask(_ command: Command) throws -> [Int] {
        try input.fileHandleForWriting.write(contentsOf: Data((command.rawValue + "\n").utf8))
        return try line().split(separator: " ").map { word in
            guard let number = Int(word) else { throw Failure("node b: \(word)") }
            return number
        }
    }

    private func line() throws -> String {
        while true {
            if let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                defer { rest = Data(rest[(end + 1)...]) }
                return String(decoding: rest[..<end], as: UTF8.self)
            }
            let more = output.fileHandleForReading.availableData
            if more.isEmpty { throw Failure("the process of node b has ended") }
            rest += more
        }
    }

    /// What it can do.
    enum Command: String {
        /// Take writes that come over the ring.
        case load
        /// Take no more; answers how many it has done since.
        case unload
        /// Answers processor time, resident bytes and their peak.
        case use
        /// Answers the sum of all visits.
        case visits
    }

    func use() throws -> ResourceUse {
        let numbers = try ask(.use)
        guard numbers.count == 3 else { throw Failure("node b does not say what it uses") }
        return ResourceUse(processor: numbers[0], resident: numbers[1], peak: numbers[2])
    }
}

extension OtherProcess {
    /// What the other process runs.
    static func serve(_ options: Options) async throws {
        let setting = try NodeSetting(options)
        let node = try await SessionNode(
            NodeSetting.names.other, setting,
            advertised: (try? options.string("advertised")).flatMap { NetworkAddress($0) }
        ) { event in
            if case .listens(let address) = event { say("\(address)") }
            complain(about: event)
        }
        let loop = CommandLoop(node, try RequestRings(in: try options.string("rings")))
        try await withThrowingTaskGroup { group in
            group.addTask { try await node.service.run() }
            try await node.isSettled()
            await loop.run()
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    fileprivate static func say(_ text: String) {
        FileHandle.standardOutput.write(Data((text + "\n").utf8))
    }

    /// Says what should not have happened to a node.
    static func complain(about event: NodeService.Event) {
        switch event {
        // One process ends before the other, and a relay may cut.
        case .connectionFailed(let error) where error.code != .closed: complain("\(error)")
        case .registerFailed(let error): complain("\(error)")
        default: break
        }
    }

    static func complain(_ text: String) {
        FileHandle.standardError.write(Data(("caesura-bench: \(text)\n").utf8))
    }
}

/// Does what the process of node a asks for, until its input ends.
private final class CommandLoop: Sendable {
    private let node: SessionNode
    private let rings: RequestRings
    private let watch = ResourceWatch()

    init(_ node: SessionNode, _ rings: RequestRings) {
        self.node = node
        self.rings = rings
    }

    func run() async {
        await withCheckedContinuation { continuation in
            // Reading blocks a thread.
            let thread = Thread { [self] in
                read()
                continuation.resume()
            }
            thread.start()
        }
    }

    private func read() {
        var load: (ForwardedLoad, Worker<Int>)?
        while let line = readLine() {
            switch OtherProcess.Command(rawValue: line) {
            case .load:
                let forwarded = ForwardedLoad(node, rings)
                let watch = watch
                load = (forwarded, Worker(core: nil) { watch.load { forwarded.run() } })
                OtherProcess.say("")
            case .unload:
                load?.0.finish()
                OtherProcess.say("\(load?.1.wait() ?? 0)")
                load = nil
            case .use:
                let use = watch.take()
                OtherProcess.say("\(use.processor) \(use.resident) \(use.peak)")
            case .visits:
                do {
                    OtherProcess.say("\(try node.visits())")
                } catch {
                    OtherProcess.complain("\(error)")
                    return
                }
            case nil: OtherProcess.complain("what is '\(line)'?")
            }
        }
    }
}
