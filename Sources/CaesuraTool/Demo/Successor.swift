import Foundation

/// The process to which the demo's sessions move, as the demo sees it.
final class Successor: Sendable {
    private let process: Process
    private let visits: VisitWriter
    private let receipts: Int32

    /// Starts it.
    ///
    /// - Parameter owners: The directory of the owner register.
    init(owners: String) throws(ToolError) {
        // That it has died shall be an error here, and not the end of this process too.
        signal(SIGPIPE, SIG_IGN)
        let (input, output) = (Pipe(), Pipe())
        process = Process()
        process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = [DemoSuccessor.command, owners]
        process.standardInput = input
        process.standardOutput = output
        do {
            try process.run()
        } catch {
            throw ToolError("cannot start a second process: \(failureText(error))")
        }
        visits = VisitWriter(dup(input.fileHandleForWriting.fileDescriptor))
        receipts = dup(output.fileHandleForReading.fileDescriptor)
        // It sees the end of its input when nobody has the other end of the pipe any more.
        try? input.fileHandleForWriting.close()
    }

    deinit {
        visits.close()
        process.terminate()
    }

    /// Whether it has not ended.
    var isRunning: Bool { process.isRunning }

    /// Sends a visit there.
    func forward(_ visit: ForwardedVisit) { visits.send([visit]) }

    /// Calls `body` on a thread with the visits that are done there, as they come back.
    func readReceipts(_ body: @escaping @Sendable ([ForwardedVisit]) -> Void) {
        let receipts = receipts
        Thread.detachNewThread {
            var reader = VisitReader(receipts)
            while let visits = reader.next() { body(visits) }
            close(receipts)
        }
    }

    /// Tells it to end, and waits for that.
    func finish() async throws(ToolError) {
        visits.close()
        while process.isRunning { try? await Task.sleep(for: .milliseconds(5)) }
        guard process.terminationStatus == 0 else {
            throw ToolError("the second process has ended with \(process.terminationStatus)")
        }
    }
}
