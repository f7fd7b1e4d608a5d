public import Caesura
import CaesuraFormat
public import CaesuraMigration

/// A partition on its way out of a store: carries out what ``SourceMove`` says about rows.
///
///     var actions = move.begin()
///     // carry them out; then, whenever something happens, and when there is time:
///     actions = move.handle(.received(message), at: now)
///     while move.hasWork { actions = move.work(at: now) }
///
/// It takes cuts, encodes rounds, keeps the chunks that are not acknowledged, and works out the content digest. All other
/// actions are given back: they are about the connection, the register, the gate and the timer. One thread at a time uses
/// it, and no call takes longer than the encoding of one chunk, but the one that begins: it
/// prepares memory for what writers will copy. Memory: the plan's window, and what the cuts keep.
public final class OutgoingMove {
    /// The machine.
    public private(set) var machine: SourceMove
    /// Bytes of chunks that were given back to be sent, in all rounds.
    public private(set) var sentBytes: UInt64 = 0
    private let part: StorePart
    private let store: Store
    /// The regions whose rows the target stores under the schema that this store writes: their content is compared.
    public var audited: Set<String>
    /// How many top bits the hashes of a slice share, where slices go one by one: no more than in a partition of either store.
    public var sliceBits: Int
    private var round: OutgoingRound?
    /// The round before that, until something of the present one is applied, and to the end if that is the last: to close the cut
    /// that it built on takes time, and writes may wait.
    private var previous: OutgoingRound?
    /// The last round, if it goes slice by slice; ``round`` is the one before it then.
    private var last: OutgoingSlices?
    private var isEncoding = false
    /// Whether the target has yet to say what it has, over a connection that is new: chunks are kept for it meanwhile.
    private var isAsking = false
    private var auditing: Auditing?
    /// The rows that were taken out, whose memory is still to be given back.
    package private(set) var removal: PartRemoval?
    /// Chunks of the present round that were sent and not acknowledged.
    private var kept: [[UInt8]] = []
    /// The number of chunks of the round before these.
    private var acknowledged: UInt64 = 0
    /// The slices of which all was encoded, in their order.
    private var ended: [SliceEnd] = []

    /// The content digest of the first cut, once its round has ended.
    private enum Auditing {
        /// It came with the round.
        case known(Audit)
        case working(ContentDigest, epoch: UInt64)
    }

    /// Prepares a move.
    ///
    /// - Parameters:
    ///   - plan: What was settled.
    ///   - part: The rows of the plan's partition.
    ///   - store: Where they are.
    ///   - audited: The regions whose rows the target stores under the schema that this store writes.
    public init(
        _ plan: SourceMove.Plan, of part: StorePart, in store: Store,
        auditing audited: Set<String> = []
    ) {
        machine = SourceMove(plan)
        self.part = part
        self.store = store
        self.audited = audited
        sliceBits = store.partitionBits
    }

    /// Goes on where another process of this node ended: it has the rows of a partition that the plan's target owns.
    public init(
        lettingGo plan: SourceMove.Plan, of part: StorePart, in store: Store
    ) {
        machine = SourceMove(plan, lettingGo: plan.entry)
        self.part = part
        self.store = store
        audited = []
        sliceBits = store.partitionBits
    }

    /// What is done first.
    public func begin() -> [SourceMove.Action] { machine.firstActions }

    /// Takes an event.
    ///
    /// - Returns: What is to be done that is not about rows.
    public func handle(_ event: SourceMove.Event, at now: Duration) -> [SourceMove.Action] {
        if case .received(.have) = event { isAsking = false }
        var actions: [SourceMove.Action] = []
        carryOut(machine.handle(event, at: now), now, &actions)
        return actions
    }

    /// Whether ``work(at:)`` has something to do.
    public var hasWork: Bool { isEncoding || auditing != nil }

    /// Whether that is encoding a chunk, which is sent then.
    public var hasChunks: Bool { isEncoding }

    /// Encodes a chunk to be sent, or else looks at one for the digest.
    ///
    /// - Complexity: O(rows of a chunk).
    /// - Returns: What is to be done that is not about rows.
    public func work(at now: Duration) -> [SourceMove.Action] {
        do {
            if isEncoding { return try encode(now) }
            if let auditing { return try advance(auditing, now) }
            return []
        } catch {
            isEncoding = false
            auditing = nil
            return handle(
                .stop(MigrationProblem(.noRoom, "the rows cannot be read any more: \(error)")),
                at: now)
        }
    }

    private func encode(_ now: Duration) throws -> [SourceMove.Action] {
        isEncoding = false
        var actions: [SourceMove.Action] = []
        guard let (chunk, digest) = try nextChunk(&actions) else { return [] }
        kept.append(chunk)
        if !isAsking {
            sentBytes += UInt64(chunk.count)
            actions.append(.send(.chunk(chunk)))
        }
        return actions
            + handle(.encoded(byteCount: chunk.count, digest: digest), at: now)
    }

    /// The next chunk of the round, and the round's digest with its end; the ends of slices before it are to be sent.
    private func nextChunk(
        _ actions: inout [SourceMove.Action]
    ) throws -> (chunk: [UInt8], digest: UInt64?)? {
        guard let last else {
            guard let round, let chunk = try round.next() else { return nil }
            return (chunk, round.hasEnded ? round.totals.digest : nil)
        }
        while let item = try last.next() {
            switch item {
            case .chunk(let chunk): return (chunk, last.hasEnded ? last.totals.digest : nil)
            case .sliceEnd(let slice):
                let end = SliceEnd(slice: slice, chunks: acknowledged + UInt64(kept.count))
                ended.append(end)
                if !isAsking { actions.append(.send(.sliceEnd(end))) }
            }
        }
        return nil
    }

    private func advance(
        _ auditing: Auditing, _ now: Duration
    ) throws -> [SourceMove.Action] {
        let audit: Audit
        switch auditing {
        case .known(let known): audit = known
        case .working(let digest, let epoch):
            if try digest.advance() { return [] }
            audit = Audit(epoch: epoch, digest: digest.value, rows: digest.rowCount)
        }
        self.auditing = nil
        return handle(.audited(audit), at: now)
    }

    private func beginAudit(of round: OutgoingRound) throws -> Auditing {
        guard let content = round.contentDigest(of: audited) else {
            return .working(
                try ContentDigest(of: part, at: round.cut, in: audited), epoch: round.epoch)
        }
        return .known(
            Audit(epoch: round.epoch, digest: content.value, rows: content.rowCount))
    }

    private func carryOut(
        _ actions: [SourceMove.Action], _ now: Duration, _ others: inout [SourceMove.Action]
    ) {
        for action in actions {
            switch action {
            case .beginRound(let kind): begin(kind, now, &others)
            case .demand(let slice): last?.demand(slice)
            case .encode: isEncoding = true
            case .acknowledge(let chunks):
                if case .copying = machine.state { previous = nil }
                kept.removeFirst(min(kept.count, Int(chunks - acknowledged)))
                acknowledged = chunks
            case .resend:
                sentBytes += UInt64(kept.reduce(0) { $0 + $1.count })
                resend(&others)
            case .audit:
                guard let round else { preconditionFailure("a round has ended") }
                do {
                    auditing = try beginAudit(of: round)
                } catch {
                    stop(error, now, &others)
                }
            case .remove: removal = store.detach(part)
            case .end:
                round = nil
                previous = nil
                last = nil
                auditing = nil
                isEncoding = false
                kept = []
                others.append(action)
            case .send(.move):
                isAsking = true
                others.append(action)
            case .connect, .send, .seal, .slow, .append, .serve, .forward, .wait:
                others.append(action)
            }
        }
    }

    /// Sends what is kept once more, with the ends of slices in their places.
    private func resend(_ others: inout [SourceMove.Action]) {
        var ends = ended[...]
        var count = acknowledged
        func endSlices(_ others: inout [SourceMove.Action]) {
            while let end = ends.first, end.chunks <= count {
                // Those before what is kept have arrived, or were behind the last chunk that has.
                if end.chunks == count { others.append(.send(.sliceEnd(end))) }
                ends.removeFirst()
            }
        }
        endSlices(&others)
        for chunk in kept {
            others.append(.send(.chunk(chunk)))
            count += 1
            endSlices(&others)
        }
    }

    private func begin(
        _ kind: SourceMove.RoundKind, _ now: Duration, _ others: inout [SourceMove.Action]
    ) {
        kept = []
        ended = []
        acknowledged = 0
        isEncoding = false
        last = nil
        do {
            let event: SourceMove.Event
            switch kind {
            case .slices:
                guard let round else { preconditionFailure("slices are of a delta") }
                let next = try OutgoingSlices(after: round, bits: sliceBits)
                last = next
                event = .roundBegan(
                    epoch: next.epoch, baseEpoch: next.baseEpoch, baseDigest: next.baseDigest,
                    missing: next.slices)
            case .snapshot, .delta:
                let next = try nextRound(kind)
                previous = kind == .delta ? round : nil
                round = next
                event = .roundBegan(
                    epoch: next.epoch, baseEpoch: next.baseEpoch, baseDigest: next.baseDigest)
            }
            carryOut(machine.handle(event, at: now), now, &others)
        } catch {
            stop(error, now, &others)
        }
    }

    private func nextRound(_ kind: SourceMove.RoundKind) throws -> OutgoingRound {
        if kind == .delta, let round { return try OutgoingRound(after: round) }
        auditing = nil
        // The first cut is open longest, and writers copy pages for as long.
        store.prepareForCut(of: part)
        return try OutgoingRound(of: part, in: store, auditing: audited)
    }

    private func stop(_ error: any Error, _ now: Duration, _ others: inout [SourceMove.Action]) {
        let problem = MigrationProblem(.stopped, "a round cannot begin: \(error)")
        carryOut(machine.handle(.stop(problem), at: now), now, &others)
    }
}
