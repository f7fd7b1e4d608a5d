import Caesura
import CaesuraMigration
import CaesuraNode
import CaesuraNodeService
import CaesuraRepository
import Foundation

/// Where sessions are: all here, or each at the node that has its partition.
struct SessionPlace: Sendable {
    /// Nil if there is one node.
    let node: NodeService?
    let replies: ReplyTable
    let checkpoints: ContinuousCheckpoints

    /// How long a request waits for a partition that is being handed over.
    private static let patience = Duration.seconds(5)

    /// Does something with a session, if it is here; a partition that is being handed over is waited for.
    ///
    /// - Parameter rows: All rows that `body` touches.
    /// - Throws: A `GateError` if it is not, or is waited for too long: nothing was done then.
    func perform<Value>(
        _ id: UUID, touching rows: [RowReference], _ body: () -> Value
    ) async throws -> Value {
        guard let node else { return body() }
        return try await node.write(to: id, touching: rows, until: .now + Self.patience) { _ in
            body()
        }
    }

    /// The same, and returns once it is on disk.
    ///
    /// - Throws: Also if the partition goes elsewhere before that is known; it may have been done then.
    func performDurably<Value>(
        _ id: UUID, touching rows: [RowReference], _ body: () -> Value
    ) async throws -> Value {
        guard let node else {
            let value = body()
            try await checkpoints.durable()
            return value
        }
        let deadline = ContinuousClock.now + Self.patience
        let (epoch, value) = try await node.write(to: id, touching: rows, until: deadline) {
            ($0, body())
        }
        try await node.durable(id, writtenUnder: epoch, until: deadline)
        return value
    }

    /// Reads a session, if it is here; that goes on while its partition is handed over.
    ///
    /// - Throws: A `GateError` if it is not.
    func read<Value>(
        _ id: UUID, touching rows: [RowReference], _ body: () -> Value
    ) async throws -> Value {
        guard let node else { return body() }
        return try await node.read(
            of: id, touching: rows, until: .now + Self.patience, body)
    }

    /// What is left of a request once it was carried out, by which one that comes again is known.
    struct Number {
        var client: UInt64
        var sequence: UInt64
    }

    /// Changes a session once, however often a request comes.
    ///
    /// - Returns: What `body` returned the first time; nil for a request that is older than the last of its client.
    func performOnce(
        _ number: Number, _ id: UUID, touching row: RowReference,
        _ body: (borrowing Transaction) -> UInt8
    ) async throws -> UInt8? {
        let range = range(of: id)
        let place = replies.place(of: number.client, in: range)
        let rows = [row, replies.row(of: number.client, place: place)]
        return try await perform(id, touching: rows) {
            let outcome = replies.perform(
                client: number.client, sequence: number.sequence, place: place, at: .now,
                in: range, touching: [row]
            ) { transaction in [body(transaction)] }
            switch outcome {
            case .done(let reply), .repeated(let reply): return reply.first
            case .tooOld, .tooLong: return nil
            }
        }
    }

    private func range(of id: UUID) -> HashRange {
        guard let node, let range = node.division.range(of: node.partition(of: id)) else {
            return .all
        }
        return range
    }
}
