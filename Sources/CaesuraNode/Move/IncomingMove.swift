public import Caesura
import CaesuraFormat
public import CaesuraMigration

/// A partition on its way into a store: carries out what ``TargetMove`` says about rows.
///
/// It applies rounds, works out the content digest, makes the rows the store's, and drops them. All other actions are given
/// back: they are about the connection, the register, the gate and the timer. One thread at a time uses it, and no
/// call takes longer than applying one chunk.
public final class IncomingMove {
    /// The machine.
    public private(set) var machine: TargetMove
    private let part: StorePart
    private let store: Store
    private let audited: Set<String>
    private var incoming: IncomingPart?
    private var isAdopted = false
    private var audit: (digest: ContentDigest, epoch: UInt64)?

    /// Prepares to take what a source has asked for.
    ///
    /// - Parameters:
    ///   - request: What the source has sent.
    ///   - node: The name of this node.
    ///   - part: The rows of the request's partition.
    ///   - store: Where they are to be.
    ///   - audited: The regions whose rows this store keeps under the schema that the source writes.
    ///   - patience: How long what has come is kept for another connection.
    public init(
        _ request: MoveRequest, node: String, of part: StorePart, into store: Store,
        auditing audited: Set<String>, patience: Duration = TargetMove.patience
    ) {
        machine = TargetMove(request, node: node, patience: patience)
        self.part = part
        self.store = store
        self.audited = audited
    }

    /// What is done first.
    public func begin() -> [TargetMove.Action] { machine.firstActions }

    /// Takes an event.
    ///
    /// - Returns: What is to be done that is not about rows.
    public func handle(_ event: TargetMove.Event) -> [TargetMove.Action] {
        var actions: [TargetMove.Action] = []
        var chunk: [UInt8] = []
        if case .received(.chunk(let bytes)) = event { chunk = bytes }
        carryOut(machine.handle(event), chunk, &actions)
        return actions
    }

    /// Whether ``work()`` has something to do.
    public var hasWork: Bool { audit != nil }

    /// Looks at a chunk of rows for the digest.
    ///
    /// - Complexity: O(rows of a chunk).
    /// - Returns: What is to be done that is not about rows.
    public func work() -> [TargetMove.Action] {
        guard let audit else { return [] }
        do {
            if try audit.digest.advance() { return [] }
            self.audit = nil
            return handle(
                .audited(
                    Audit(
                        epoch: audit.epoch, digest: audit.digest.value,
                        rows: audit.digest.rowCount)))
        } catch {
            self.audit = nil
            return handle(
                .stop(MigrationProblem(.noRoom, "the rows cannot be read any more: \(error)")))
        }
    }

    private func carryOut(
        _ actions: [TargetMove.Action], _ chunk: [UInt8], _ others: inout [TargetMove.Action]
    ) {
        for action in actions {
            do {
                switch action {
                case .beginRound(let round): try begin(round)
                case .apply: try apply(chunk, &others)
                case .audit: try beginAudit()
                case .adopt: try adopt(&others)
                case .adoptExcept(let slices): try adopt(except: slices, &others)
                case .adoptSlice(let slice): try incoming?.adopt(slice)
                case .drop:
                    if isAdopted { store.remove(part) }
                    forget()
                case .end:
                    forget()
                    others.append(action)
                case .send, .prepare, .append, .serve, .serveExcept, .open, .complete, .reconnect,
                    .wait:
                    others.append(action)
                }
            } catch {
                let problem = MigrationProblem(Self.code(of: error), "\(error)")
                return carryOut(machine.handle(.stop(problem)), [], &others)
            }
        }
    }

    private static func code(of error: any Error) -> MigrationProblem.Code {
        switch error {
        case let error as StoreError:
            switch error.code {
            case .notEmpty: .busy
            case .schemaMismatch, .unsupportedSchema, .regionConflict: .mismatch
            default: .damaged
            }
        // What a later version writes is whole, and comes the same way again.
        case let error as FormatError where error.code == .unsupported: .unsupported
        default: .damaged
        }
    }

    private func begin(_ round: Round) throws {
        let incoming = try self.incoming ?? IncomingPart(part, into: store)
        self.incoming = incoming
        try incoming.beginRound(at: round.epoch, from: round.baseEpoch, round.baseDigest)
    }

    private func apply(_ chunk: [UInt8], _ others: inout [TargetMove.Action]) throws {
        guard let incoming else { preconditionFailure("a round has begun") }
        let hasEnded = try unsafe chunk.withUnsafeBytes { try unsafe incoming.apply($0) }
        carryOut(
            machine.handle(
                .applied(
                    byteCount: chunk.count, digest: hasEnded ? incoming.state?.digest : nil)),
            [], &others)
    }

    private func beginAudit() throws {
        guard let incoming, let epoch = incoming.state?.epoch else {
            preconditionFailure("a round has ended")
        }
        // Found out now, it stops no writes.
        try incoming.checkShapes()
        audit = (
            try ContentDigest(of: part, at: incoming.staging.cut(), in: audited), epoch
        )
    }

    private func adopt(_ others: inout [TargetMove.Action]) throws {
        audit = nil
        guard let incoming else { preconditionFailure("a round has ended") }
        try incoming.adopt()
        isAdopted = true
        carryOut(machine.handle(.adopted), [], &others)
    }

    private func adopt(
        except slices: Set<HashRange>, _ others: inout [TargetMove.Action]
    ) throws {
        audit = nil
        guard let incoming else { preconditionFailure("a round has begun") }
        // What lies there already, so that nothing is adopted, is not to be dropped.
        defer { isAdopted = incoming.isAdoptedBySlices }
        try incoming.adopt(except: slices)
        carryOut(machine.handle(.adopted), [], &others)
    }

    private func forget() {
        audit = nil
        incoming = nil
    }
}
