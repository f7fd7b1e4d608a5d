import ArgumentParser
import CaesuraNode
import CaesuraSimulation
import Foundation
import Synchronization

/// What this process does to itself when it comes to a step of the protocol.
final class Aim: Sendable {
    enum Fault: String, ExpressibleByArgument {
        /// As `kill -9`.
        case kill
        /// As `kill -STOP`: it stands still until somebody lets it go on.
        case stop

        var signal: Int32 { self == .kill ? SIGKILL : SIGSTOP }
    }

    private let step: ProtocolStep
    private let fault: Fault
    private let hasFired = Atomic(false)

    init(_ step: ProtocolStep, _ fault: Fault) {
        self.step = step
        self.fault = fault
    }

    /// A step by its name.
    static func step(_ name: String) throws -> ProtocolStep {
        guard let step = ProtocolStep(rawValue: name) else {
            throw ValidationError("no step is called \(name)")
        }
        return step
    }

    /// Looks at a node that has handled an event.
    func look(at node: Node) {
        if node.steps.contains(step) { fire() }
    }

    /// A write is done, and its answer waits for a checkpoint.
    func answerWaits() {
        if step == .unanswered { fire() }
    }

    private func fire() {
        guard !hasFired.exchange(true, ordering: .sequentiallyConsistent) else { return }
        Lines.write("fired")
        kill(getpid(), fault.signal)
    }
}

/// Standard input and output, a line at a time.
enum Lines {
    /// The lines of standard input, which a thread of its own waits for.
    static func read() -> AsyncStream<String> {
        let (lines, continuation) = AsyncStream.makeStream(of: String.self)
        Thread.detachNewThread {
            while let line = readLine() { continuation.yield(line) }
            continuation.finish()
        }
        return lines
    }

    /// Writes a line, from any thread.
    static func write(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        // Less than a pipe takes at once.
        _ = unsafe bytes.withUnsafeBytes { unsafe Foundation.write(1, $0.baseAddress, $0.count) }
    }
}
