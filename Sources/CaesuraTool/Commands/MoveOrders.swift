import CaesuraMigration
import CaesuraNodeService
import CaesuraTransport
import Synchronization

/// The moves of a plan, ordered of the nodes that have the partitions, so many at once.
///
/// Each move under way has a connection to its source; one that is free is used again.
final class MoveOrders: Sendable {
    private struct State {
        var schedule: MoveSchedule
        var ended: [RebalancingReport.Move] = []
        var underWay: [PartitionNumber: MoveStatus] = [:]
        var bar = ProgressBar("moving")
    }

    private let state: Mutex<State>
    private let count: Int
    private let nodes: NodeArguments
    private let pause: PauseArguments

    init(
        _ schedule: MoveSchedule, of count: Int, _ nodes: NodeArguments, _ pause: PauseArguments
    ) {
        state = Mutex(State(schedule: schedule))
        self.count = count
        self.nodes = nodes
        self.pause = pause
    }

    /// Gives the orders, shows how it goes, and stops if the person wants that.
    ///
    /// - Returns: The moves, in the order in which they ended or were given up.
    func follow() async -> [RebalancingReport.Move] {
        let watch = Task {
            while !Interruption.isRequested { try await Task.sleep(for: .milliseconds(20)) }
            try await stop()
        }
        defer { watch.cancel() }
        await withTaskGroup { group in
            var free: [String: [NodeOperator]] = [:]
            repeat {
                while let move = state.withLock({ $0.schedule.next() }) {
                    let node = free[move.source]?.popLast()
                    group.addTask { (move, await self.carryOut(move, over: node)) }
                }
                guard let (move, node) = await group.next() else { return }
                state.withLock { $0.schedule.end(move) }
                if let node { free[move.source, default: []].append(node) }
            } while true
        }
        return state.withLock { state in
            state.bar.clear()
            return state.ended
        }
    }

    /// Orders a move, and follows it to its end.
    ///
    /// - Returns: The connection, if it can be used again.
    private func carryOut(
        _ move: RebalancingPlan.Move, over node: NodeOperator?
    ) async -> NodeOperator? {
        do {
            var connection = node
            if connection == nil { connection = try await nodes.connect(to: move.source) }
            guard let connection else { return nil }
            let order = pause.order(of: [move.partition], to: move.target)
            for try await answer in connection.answers(to: .move(order)) { note(answer, of: move) }
            return connection
        } catch {
            fail(move, error)
            return nil
        }
    }

    private func note(_ answer: Answer, of move: RebalancingPlan.Move) {
        state.withLock { state in
            switch answer {
            case .moves(let status): state.underWay[move.partition] = status
            case .ended(let end):
                state.underWay[move.partition] = nil
                state.ended.append(.init(move, end))
            case .holds, .handedOver, .done: break
            }
            let (ended, underWay) = (state.ended.count, state.underWay.values)
            state.bar.update(
                Double(ended) / Double(count),
                "\(ended) of \(count) ended"
                    + (MoveStatus.furthest(underWay).map { "; \($0.detail)" } ?? ""))
        }
    }

    /// Notes that a source cannot be asked: what it was to move otherwise is not tried.
    private func fail(_ move: RebalancingPlan.Move, _ error: any Error) {
        let problem =
            switch error {
            case let error as ToolError: error.message
            case let error as TransportError: error.message
            case let error as MigrationProblem: error.message
            case let error as OwnerRegisterError: error.message
            default: failureText(error)
            }
        state.withLock { state in
            let isUnknown = state.underWay.removeValue(forKey: move.partition) != nil
            state.ended.append(.init(move, isUnknown ? .unknown : .notBegun, problem))
            for other in state.schedule.abandon(from: move.source) {
                state.ended.append(.init(other, .notBegun, problem))
            }
        }
    }

    /// Begins no more moves, and stops those that are under way.
    private func stop() async throws {
        while true {
            let ongoing = state.withLock { state in
                for move in state.schedule.abandon() {
                    state.ended.append(.init(move, .notBegun, "interrupted"))
                }
                return state.schedule.ongoing
            }
            // Over connections of their own: the others are waiting for the end.
            for source in Set(ongoing.map(\.source)) {
                let named = ongoing.filter { $0.source == source }.map(\.partition)
                guard let node = try? await nodes.connect(to: source) else { continue }
                do {
                    for try await _ in node.answers(to: .stop(named)) {}
                } catch {
                    continue
                }
            }
            // An order may have been on its way.
            try await Task.sleep(for: .milliseconds(100))
        }
    }
}
