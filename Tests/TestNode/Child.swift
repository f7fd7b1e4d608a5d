import Foundation

/// A process of a node, talked to by lines; threads wait for it, and no task does.
final class Child: @unchecked Sendable {
    // `condition` guards all that changes.
    private let condition = NSCondition()
    private let process = Process()
    private let input = Pipe()
    private var answers: [Request: String] = [:]
    private var notes: Set<String> = []
    private var hasEnded = false

    private struct Request: Hashable {
        var client: Substring
        var sequence: Substring
    }

    /// This program.
    static var program: String {
        URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().path
    }

    /// Starts a node; `arguments` are those of `TestNode node`, and `surroundings` a command that becomes one.
    init(_ arguments: [String], in surroundings: [String] = [], log: URL) throws {
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = surroundings + [Self.program, "node"] + arguments
        process.standardInput = input
        let output = Pipe()
        process.standardOutput = output
        // Several write to it: each line goes behind the last.
        process.standardError = FileHandle(
            fileDescriptor: unsafe open(log.path, O_WRONLY | O_APPEND | O_CLOEXEC),
            closeOnDealloc: true)
        try process.run()
        let lines = output.fileHandleForReading
        Thread.detachNewThread { [self] in
            var rest = Data()
            while case let data = lines.availableData, !data.isEmpty {
                rest += data
                while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                    take(String(decoding: rest[..<end], as: UTF8.self))
                    rest = Data(rest[rest.index(after: end)...])
                }
            }
            process.waitUntilExit()
            condition.withLock { hasEnded = true }
            condition.broadcast()
        }
    }

    private func take(_ line: String) {
        let words = line.split(separator: " ")
        condition.withLock {
            switch words.first {
            case "done", "again":
                answers[Request(client: words[1], sequence: words[2])] = line
            case "holdings": notes.insert(line)
            default: notes.insert(line)
            }
        }
        condition.broadcast()
    }

    /// Says a line; one that nobody hears is no error.
    func say(_ line: String) {
        try? input.fileHandleForWriting.write(contentsOf: Data((line + "\n").utf8))
    }

    /// Asks for a write; nil if no answer comes in time.
    func ask(client: Int, sequence: UInt64, key: UInt64, within seconds: Double) -> String? {
        let request = Request(client: "\(client)", sequence: "\(sequence)")
        say("write \(client) \(sequence) \(key)")
        return wait(seconds) { answers.removeValue(forKey: request) }
    }

    /// Waits for a line that begins so, and takes it; nil if it does not come in time, or the process has ended.
    func line(_ prefix: String, within seconds: Double) -> String? {
        wait(seconds) {
            guard let line = notes.first(where: { $0.hasPrefix(prefix) }) else { return nil }
            notes.remove(line)
            return line
        }
    }

    /// Waits for the end of the process.
    func end(within seconds: Double) -> Bool {
        let deadline = Date.now + seconds
        return condition.withLock {
            while !hasEnded, condition.wait(until: deadline) {}
            return hasEnded
        }
    }

    private func wait(_ seconds: Double, _ take: () -> String?) -> String? {
        let deadline = Date.now + seconds
        return condition.withLock {
            while true {
                if let line = take() { return line }
                if hasEnded || !condition.wait(until: deadline) { return take() }
            }
        }
    }

    /// Whether it has not ended yet.
    var isRunning: Bool { condition.withLock { !hasEnded } }

    func signal(_ number: Int32) { kill(process.processIdentifier, number) }

    /// Closes its input, which ends it.
    func close() { try? input.fileHandleForWriting.close() }
}
