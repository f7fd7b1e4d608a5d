import ArgumentParser
import Caesura
import CaesuraNodeService
import Foundation

/// `caesura demo-successor`.
///
/// The process to which the sessions of `caesura demo` move. Visits that the demo forwards come on
/// standard input, and go back on standard output once they are noted.
struct DemoSuccessor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: command,
        abstract: "The process to which the sessions of the demo move; it starts it itself.",
        shouldDisplay: false)

    /// What the command is called.
    static let command = "demo-successor"
    /// The node's name.
    static let name = "successor"

    @Argument(help: "The directory of the owner register.")
    var owners: String

    func run() async throws {
        let store = Store()
        let sessions = try store.table("sessions", key: UInt64.self, row: Session.self)
        let node = try await DemoNode(
            Self.name, of: store, sessions, in: owners, creates: false)
        let running = Task { try await node.service.run() }
        // The demo has ended when its end of the pipe has.
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                Self.serve(node)
                continuation.resume()
            }
        }
        running.cancel()
        _ = await running.result
    }

    private static func serve(_ node: DemoNode) {
        let receipts = VisitWriter(STDOUT_FILENO)
        var visits = VisitReader(STDIN_FILENO)
        while let batch = visits.next() {
            receipts.send(batch.filter { note($0, at: node, receipts) })
        }
    }

    /// Whether a visit is noted; the receipt of one that has to wait follows.
    private static func note(
        _ visit: ForwardedVisit, at node: DemoNode, _ receipts: VisitWriter
    ) -> Bool {
        let outcome = node.visit(visit.id, at: visit.time) {
            if note(visit, at: node, receipts) { receipts.send([visit]) }
        }
        return outcome == .done
    }
}
