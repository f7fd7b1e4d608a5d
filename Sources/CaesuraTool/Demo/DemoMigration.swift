import Caesura
import CaesuraMigration
import CaesuraNode
import CaesuraNodeService
import Foundation
import Synchronization

/// Moves the demo's sessions to another process while they are visited.
///
/// The writer goes on with its schedule all the time. A visit to a session that has moved is forwarded through a pipe, and is
/// done when its receipt is back; one that comes while its partition is handed over waits for that.
final class DemoMigration: Sendable {
    private let node: DemoNode
    private let late: LateVisits
    private let successor: Successor

    /// What each blackout may take, at first.
    private static let budget = Duration.milliseconds(5)
    /// How long both nodes may take to know what they have.
    private static let patience = Duration.seconds(30)

    /// Starts the other process.
    ///
    /// - Parameter owners: A directory for the owner register.
    init(
        _ store: Store, _ sessions: Table<UInt64, Session>, owners: String, window: UInt64
    ) async throws {
        node = try await DemoNode("demo", of: store, sessions, in: owners, creates: true)
        late = LateVisits(window: window)
        successor = try Successor(owners: owners)
    }

    /// Visits sessions, moves them after a while, and goes on for as long.
    ///
    /// - Parameters:
    ///   - rate: Visits due each second.
    ///   - margin: How long to visit before and after, in nanoseconds.
    func run(sessionCount: Int, rate: Int, margin: UInt64) async throws -> DemoReport.Migration {
        let running = Task { try await node.service.run() }
        defer { running.cancel() }
        try await awaitNodes()
        successor.readReceipts { [late] in late.answered($0) }
        let writer = WriterThread(
            perSecond: Double(rate), duration: 4 * margin, window: late.window
        ) { [self] in
            var visits = Visits(sessionCount: sessionCount)
            return { due in
                let (id, time) = visits.next()
                return self.visit(id, at: time, due: due)
            }
        }
        var hasEnded = false
        defer { if !hasEnded { _ = writer.finish() } }
        late.begin(at: writer.start)
        try await MonotonicClock.wait(until: writer.start + margin)
        let start = MonotonicClock.now()
        let ends = try await writer.whileSaving {
            defer { late.movesEnd() }
            return try await moveAll()
        }
        let duration = MonotonicClock.now() - start
        try await MonotonicClock.wait(until: MonotonicClock.now() + margin)
        let loop = writer.finish()
        hasEnded = true
        try await awaitReceipts()
        let visits = late.findings
        try await successor.finish()
        var during = loop.duringCheckpoint
        during.add(visits.during)
        return DemoReport.Migration(
            partitions: ends.count, byteCount: ends.reduce(0) { $0 + Int($1.cost.sentBytes) },
            duration: duration, blackouts: ends.map { $0.cost.blackout.nanoseconds },
            forwarded: visits.forwarded, before: loop.calm.percentiles,
            during: during.percentiles, after: visits.after.percentiles,
            timeline: loop.timeline.merged(with: visits.timeline).longest,
            timelineWindow: late.window,
            moving: DemoReport.Span(
                start: start - writer.start, end: start - writer.start + duration))
    }

    private func moveAll() async throws -> [MoveEnd] {
        try await withThrowingTaskGroup { [node] group in
            for partition in node.service.division.partitions {
                group.addTask { try await Self.move(partition, of: node) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
    }

    /// Moves a partition, with a larger budget each time that one is too small for this machine and its disk.
    private static func move(
        _ partition: PartitionNumber, of node: DemoNode
    ) async throws -> MoveEnd {
        var budget = Self.budget
        while true {
            try Interruption.check()
            let end = try await node.service.move(
                partition, to: DemoSuccessor.name, budget: budget,
                policy: .slow(limit: .milliseconds(1)))
            switch end.outcome {
            case .moved: return end
            case .givenUp(let problem) where problem.code == .doesNotConverge: budget *= 4
            // A handover that was taken back for its length may go another time.
            case .aborted(_, let problem) where problem.code == .timedOut: continue
            case .givenUp(let problem), .aborted(_, let problem): throw problem
            case .overtaken(let entry):
                throw ToolError("partition \(partition.short) is node \(entry.owner)'s")
            }
        }
    }

    // MARK: Visits

    private func visit(_ id: UInt64, at time: Int64, due: UInt64) -> OpenLoop.Outcome {
        begin(ForwardedVisit(id: id, time: time, due: due)) ? .measured : .elsewhere
    }

    /// Whether a visit is done; otherwise ``late`` is told when it is.
    private func begin(_ visit: ForwardedVisit) -> Bool {
        let outcome = node.visit(visit.id, at: visit.time) { [self] in
            if begin(visit) { late.end(visit.due) }
        }
        switch outcome {
        case .done: return true
        case .waits: return false
        case .elsewhere:
            late.forward()
            successor.forward(visit)
            return false
        }
    }

    // MARK: Waiting

    /// Returns when this node serves all partitions and the other one can be reached.
    private func awaitNodes() async throws {
        let deadline = ContinuousClock.now + Self.patience
        while try await !areReady {
            try Interruption.check()
            guard ContinuousClock.now < deadline, successor.isRunning else {
                throw ToolError("the second process does not come up")
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    private var areReady: Bool {
        get async throws {
            guard await node.service.partitions.allSatisfy({ $0.holding == .served }) else {
                return false
            }
            return try await node.isKnown(DemoSuccessor.name)
        }
    }

    /// Returns when all that was forwarded is done.
    private func awaitReceipts() async throws {
        let deadline = ContinuousClock.now + Self.patience
        while late.pendingCount > 0 {
            try Interruption.check()
            guard ContinuousClock.now < deadline, successor.isRunning else {
                throw ToolError(
                    "\(late.pendingCount) visits that were forwarded have not been answered")
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }
}
