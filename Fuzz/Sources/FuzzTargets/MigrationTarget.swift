import CaesuraFormat
import CaesuraMigration

extension FuzzTarget {
    /// The input is what peers send: a byte of choices (``Choices``), three of the sizes of the pieces that the rest arrives
    /// in, less 1, and frames.
    ///
    /// They are read in pieces and in one, and come back as they went. A node gets them, too: ``FuzzedNode``.
    static let migration = unsafe FuzzTarget(
        name: "migration",
        seeds: {
            let choices = Choices([.fitsChecksums, .fitsDigests])
            var seeds = [input(choices, messages.map { (1, $0) })]
            seeds += RecordedMove.all.map { move in
                input(move.hasLost ? choices.union(.hasLost) : choices, move.messages)
            }
            return seeds
        },
        run: { input in
            guard input.count > 4 else { return }
            let choices = unsafe Choices(rawValue: input[0])
            let sizes = unsafe input[1..<4].map { Int($0) + 1 }
            var bytes = unsafe [UInt8](input[4...])
            if choices.contains(.fitsChecksums) {
                var forgery = FrameForgery(fitsDigests: choices.contains(.fitsDigests))
                forgery.fit(&bytes)
            }
            let reading = Reading(of: bytes, inPieces: sizes)
            law(
                reading == Reading(of: bytes, inPieces: [max(1, bytes.count)]),
                "what is read does not depend on the pieces that it comes in")
            for (move, message) in zip(reading.moves, reading.messages) {
                let (header, body) = message.frame(about: move)
                let again = Reading(of: header + body, inPieces: [header.count + body.count])
                law(
                    again.messages == [message] && again.moves == [move] && again.failure == nil,
                    "a message comes back as it went")
            }
            guard !reading.messages.isEmpty else { return }
            let node = FuzzedNode(hasLost: choices.contains(.hasLost))
            node.isLazy = choices.contains(.isLazy)
            for (move, message) in zip(reading.moves, reading.messages) {
                node.take(move, message)
            }
            node.end()
        })

    /// What is done with an input.
    struct Choices: OptionSet {
        let rawValue: UInt8
        static let fitsChecksums = Self(rawValue: 1)
        static let fitsDigests = Self(rawValue: 2)
        /// Nothing happens at the node between messages but what pings say.
        static let isLazy = Self(rawValue: 4)
        /// The node owns a partition that it has lost the rows of.
        static let hasLost = Self(rawValue: 8)
    }

    private static func input(
        _ choices: Choices, _ messages: [(move: UInt64, message: MigrationMessage)]
    ) -> [UInt8] {
        messages.reduce([choices.rawValue, 6, 200, 23]) { bytes, element in
            var isAboutMove = true
            switch element.message {
            case .hello, .schemas, .refusal, .ping, .pong, .order, .answer: isAboutMove = false
            default: break
            }
            let (header, body) = element.message.frame(about: isAboutMove ? element.move : 0)
            return bytes + header + body
        }
    }

    /// One of each kind, but for chunks.
    private static let messages: [MigrationMessage] = {
        guard let entry = try? OwnerEntry(creating: "a") else { return [] }
        let partition = PartitionNumber(index: 1, bits: 1)
        let problem = MigrationProblem(.busy, "not now")
        let end = MoveEnd(partition, to: "b", .aborted(entry, problem), MoveCost(rounds: 3))
        return [
            .hello(
                Hello(
                    node: "a", hashKey0: 1, hashKey1: 2, takesHashKey: true, moveBits: 1,
                    partitionBits: 4, window: 1 << 20)),
            .schemas(.acceptance(digest: 7)), .refusal(problem), .ping(1), .pong(2),
            .order(.show), .order(.stop([partition])),
            .order(.move(MoveOrder(to: "b", policy: .slow(limit: .milliseconds(1))))),
            .answer(.done(problem)), .answer(.holds(PartitionStatus(partition, .served, entry))),
            .answer(.moves(MoveStatus(partition, to: "b"))),
            .answer(.handedOver(partition, entry, blackout: .milliseconds(1))),
            .answer(.ended(end)),
            .move(
                MoveRequest(partition: partition, attempt: 5, purpose: .recovery, entry: entry)),
            .have(.nothing), .have(.owns(entry)),
            .have(.part(Holding.Part(round: 1, epoch: 3, chunks: 2, bytes: 99))),
            .round(Round(number: 1, epoch: 3, baseEpoch: 0, baseDigest: 0)),
            .applied(Applied(round: 1, chunks: 2, bytes: 99, isComplete: true)),
            .audit(Audit(epoch: 3, digest: 8, rows: 9)), .handover(Handover(epoch: 3, digest: 8)),
            .owned(entry), .durable(entry), .giveUp(problem), .aborted(entry),
            .handoverAhead(HandoverAhead(epoch: 3, missing: [HashRange(partition: 1, bits: 2)])),
            .pull(.all), .sliceEnd(SliceEnd(slice: .all, chunks: 2)),
        ]
    }()
}

/// What was read of a connection.
private struct Reading: Equatable {
    var moves: [UInt64] = []
    var messages: [MigrationMessage] = []
    var failure: String?

    /// Reads bytes that come in pieces of these sizes, in turn.
    init(of bytes: [UInt8], inPieces sizes: [Int]) {
        var reader = FrameReader()
        var position = 0
        var turn = 0
        do throws(FormatError) {
            while position < bytes.count {
                let end = min(bytes.count, position + sizes[turn % sizes.count])
                let piece = Array(bytes[position..<end])
                try unsafe piece.span.bytes.withUnsafeBytes { (piece) throws(FormatError) in
                    var piece = unsafe piece
                    while let (move, message) = try unsafe reader.next(from: &piece) {
                        moves.append(move)
                        messages.append(message)
                    }
                    law(unsafe piece.isEmpty, "a reader that needs more has taken all")
                }
                position = end
                turn += 1
                law(reader.pendingByteCount <= position, "what is kept has come")
            }
        } catch {
            failure = "\(error)"
        }
    }
}
