import CaesuraFormat
import Testing

@testable import CaesuraMigration

/// Messages and frames: `docs/MIGRATION.md` section 6.
struct MigrationMessageTests {
    /// The bodies as the page says them, written by hand; the checksums are XXH3 of what the page says.
    static let golden: [(message: MigrationMessage, move: UInt64, body: String)] = {
        guard
            let entry = try? OwnerEntry(
                number: 3, owner: "b", fencingEpoch: 5, tenure: 2, previousTenure: 1)
        else { return [] }
        let entryBytes =
            "0300000000000000 0500000000000000 0200000000000000 0100000000000000 01 62"
        let low = HashRange(partition: 1, bits: 2)
        let high = HashRange(partition: 4, bits: 3)
        return [
            (
                .hello(
                    Hello(
                        node: "node-a", hashKey0: 1, hashKey1: 2, takesHashKey: true, moveBits: 4,
                        partitionBits: 6, bodyLimit: 0x0480_0000, window: 0x100_0000)), 0,
                """
                43414553 5552414D 0100 0100 06 6E6F64652D61 0100000000000000 0200000000000000
                01 04 06 00008004 0000000100000000
                """
            ),
            (.schemas(.acceptance(digest: 0x1122_3344_5566_7788)), 0, "02 8877665544332211"),
            (.refusal(MigrationProblem(.mismatch, "no")), 0, "03 02 6E6F"),
            (.ping(258), 0, "0201000000000000"),
            (.pong(258), 0, "0201000000000000"),
            (.order(.show), 0, "01"),
            (
                .order(
                    .move(
                        MoveOrder(
                            of: [.unkeyed, PartitionNumber(index: 2, bits: 4)], to: "b",
                            budget: .milliseconds(1), policy: .slow(limit: .microseconds(2))))), 0,
                "02 02 0000000000000000 1200000000000000 01 62 40420F0000000000 02 D007000000000000"
            ),
            (
                .order(.move(MoveOrder(to: "b", budget: .nanoseconds(3)))), 0,
                "02 00 01 62 0300000000000000 01"
            ),
            (
                .order(.move(MoveOrder(to: "b", budget: .nanoseconds(3), policy: .postcopy))), 0,
                "02 00 01 62 0300000000000000 03"
            ),
            (.order(.stop([.unkeyed])), 0, "03 01 0000000000000000"),
            (.answer(.done(nil)), 0, "00"),
            (.answer(.done(MigrationProblem(.busy, "no"))), 0, "01 04 02 6E6F"),
            (
                .answer(.holds(PartitionStatus(.unkeyed, .lettingGo, entry))), 0,
                "02 0000000000000000 03 01" + entryBytes
            ),
            (
                .answer(.holds(PartitionStatus(.unkeyed, .elsewhere, nil))), 0,
                "02 0000000000000000 04 00"
            ),
            (
                .answer(.moves(MoveStatus(.unkeyed, to: "b"))), 0,
                """
                03 0000000000000000 01 62 00 00000000 0000000000000000 0000000000000000
                FFFFFFFFFFFFFFFF FFFFFFFFFFFFFFFF FFFFFFFFFFFFFFFF
                """
            ),
            (
                .answer(.handedOver(.unkeyed, entry, blackout: .nanoseconds(5))), 0,
                "04 0000000000000000" + entryBytes + "0500000000000000"
            ),
        ]
            + ends(entry, entryBytes) + [
                (
                    .move(
                        MoveRequest(
                            partition: PartitionNumber(index: 2, bits: 4), attempt: 9,
                            purpose: .handover, entry: entry)), 7,
                    "1200000000000000 0900000000000000 01 " + entryBytes
                ),
                (.have(.nothing), 7, "00"),
                (
                    .have(.part(Holding.Part(round: 2, epoch: 40, chunks: 300, bytes: 77))), 7,
                    "01 02000000 2800000000000000 2C01000000000000 4D00000000000000"
                ),
                (.have(.owns(entry)), 7, "02 " + entryBytes),
                (
                    .round(Round(number: 2, epoch: 41, baseEpoch: 40, baseDigest: 0xABCD)), 7,
                    "02000000 2900000000000000 2800000000000000 CDAB000000000000"
                ),
                (.chunk([1, 2, 3]), 7, "010203"),
                (
                    .applied(Applied(round: 2, chunks: 4, bytes: 1_000, isComplete: true)), 7,
                    "02000000 0400000000000000 E803000000000000 01"
                ),
                (
                    .audit(Audit(epoch: 40, digest: 0xABCD, rows: 12)), 7,
                    "2800000000000000 CDAB000000000000 0C00000000000000"
                ),
                (
                    .handover(Handover(epoch: 44, digest: 0xABCD)), 7,
                    "2C00000000000000 CDAB000000000000"
                ),
                (.owned(entry), 7, entryBytes),
                (.durable(entry), 7, entryBytes),
                (.giveUp(MigrationProblem(.noRoom, "full")), 7, "07 04 66756C6C"),
                (.aborted(entry), 7, entryBytes),
                (
                    .handoverAhead(HandoverAhead(epoch: 3, missing: [low, high])), 7,
                    "0300000000000000 02 05000000 0C000000"
                ),
                (
                    .handoverAhead(HandoverAhead(epoch: 3, missing: [.all])), 7,
                    "0300000000000000 01 01000000"
                ),
                (.pull(high), 7, "0C000000"),
                (.sliceEnd(SliceEnd(slice: low, chunks: 9)), 7, "05000000 0900000000000000"),
            ]
    }()

    /// Moves that have ended in each way.
    private static func ends(
        _ entry: OwnerEntry, _ entryBytes: String
    ) -> [(message: MigrationMessage, move: UInt64, body: String)] {
        let problem = MigrationProblem(.noRoom, "full")
        let outcomes: [(SourceMove.Outcome, String)] = [
            (.moved(entry), "01" + entryBytes), (.givenUp(problem), "02 07 04 66756C6C"),
            (.aborted(entry, problem), "03" + entryBytes + "07 04 66756C6C"),
            (.overtaken(entry), "04" + entryBytes),
        ]
        let cost = MoveCost(
            rounds: 2, sentBytes: 3, duration: .nanoseconds(4), blackout: .nanoseconds(5))
        return outcomes.map { outcome, body in
            (
                .answer(.ended(MoveEnd(.unkeyed, to: "b", outcome, cost))), 0,
                "05 0000000000000000 01 62" + body
                    + "02000000 0300000000000000 0400000000000000 0500000000000000"
            )
        }
    }

    static let kinds: [UInt8] = [
        1, 2, 3, 4, 5, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 16, 17, 17, 17, 18, 19, 20, 21,
        22,
        23, 24, 25, 26, 27, 27, 28, 29,
    ]

    static func bytes(_ hexadecimal: String) -> [UInt8] {
        let digits = hexadecimal.filter { $0.isHexDigit }
        return stride(from: 0, to: digits.count, by: 2).compactMap { index in
            let start = digits.index(digits.startIndex, offsetBy: index)
            return UInt8(digits[start..<digits.index(start, offsetBy: 2)], radix: 16)
        }
    }

    static func frame(_ kind: UInt8, _ move: UInt64, _ body: [UInt8]) -> [UInt8] {
        var start: [UInt8] = []
        start += unsafe withUnsafeBytes(of: UInt32(body.count).littleEndian) { unsafe Array($0) }
        start += [kind, 0, 0, 0]
        start += unsafe withUnsafeBytes(of: move.littleEndian) { unsafe Array($0) }
        return start + checksum(start) + (kind == 19 ? [0, 0, 0, 0] : checksum(body)) + body
    }

    static func checksum(_ bytes: [UInt8]) -> [UInt8] {
        let sum = unsafe bytes.withUnsafeBytes { unsafe Checksum.of($0) }
        return unsafe withUnsafeBytes(of: sum.littleEndian) { unsafe Array($0.prefix(4)) }
    }

    static func encoded(_ message: MigrationMessage, _ move: UInt64) -> [UInt8] {
        var writer = ByteWriter()
        message.encode(about: move, into: &writer)
        return unsafe Array(writer.bytes)
    }

    /// Reads all frames of some bytes, given in pieces.
    static func read(
        _ pieces: [[UInt8]]
    ) throws(FormatError) -> [(move: UInt64, message: MigrationMessage)] {
        var reader = FrameReader()
        var found: [(UInt64, MigrationMessage)] = []
        for piece in pieces { try read(piece, &reader) { found.append($0) } }
        return found
    }

    static func read(
        _ piece: [UInt8], _ reader: inout FrameReader,
        _ found: ((move: UInt64, message: MigrationMessage)) -> Void
    ) throws(FormatError) {
        unsafe try piece.span.bytes.withUnsafeBytes { (bytes) throws(FormatError) in
            var rest = unsafe bytes
            while let next = unsafe try reader.next(from: &rest) { found(next) }
        }
    }

    @Test func `each message has the bytes that the page says`() throws {
        #expect(Self.golden.count == 37)
        for ((message, move, body), kind) in zip(Self.golden, Self.kinds) {
            let frame = Self.frame(kind, move, Self.bytes(body))
            #expect(Self.encoded(message, move) == frame, "\(message)")
            let read = try Self.read([frame])
            #expect(read.count == 1 && read[0].move == move && read[0].message == message)
        }
    }

    @Test func `every truncation waits, and every flipped bit is an error`() throws {
        for (message, move, _) in Self.golden {
            let frame = Self.encoded(message, move)
            for length in 0..<frame.count {
                #expect(try Self.read([Array(frame[..<length])]).isEmpty)
            }
            for bit in 0..<frame.count * 8 {
                var damaged = frame
                damaged[bit / 8] ^= 1 << UInt8(bit % 8)
                // A chunk has checksums of its own in its body.
                if case .chunk = message, bit >= FrameHeader.byteCount * 8 { continue }
                #expect(throws: FormatError.self, "\(message) with bit \(bit) flipped") {
                    try Self.read([damaged])
                }
            }
        }
    }

    @Test func `a body that ends too early or too late is an error`() {
        for ((message, move, body), kind) in zip(Self.golden, Self.kinds) where kind != 19 {
            let body = Self.bytes(body)
            for length in 0..<body.count {
                #expect(throws: FormatError.self, "\(message)") {
                    try Self.read([Self.frame(kind, move, Array(body[..<length]))])
                }
            }
            #expect(throws: FormatError.self, "\(message)") {
                try Self.read([Self.frame(kind, move, body + [0])])
            }
        }
    }

    @Test func `pieces of any size give the same messages`() throws {
        let frames = Self.golden.map { Self.encoded($0.message, $0.move) }
        let all = frames.flatMap { $0 }
        for size in Array(1...40) + [all.count] {
            let pieces = stride(from: 0, to: all.count, by: size).map {
                Array(all[$0..<min($0 + size, all.count)])
            }
            let read = try Self.read(pieces)
            #expect(read.map(\.message) == Self.golden.map(\.message))
            #expect(read.map(\.move) == Self.golden.map(\.move))
        }
    }

    @Test(
        arguments: [
            (19, 72 << 20, 1), (2, 16 << 20, 0), (1, 64 << 10, 0), (20, 64 << 10, 1),
        ] as [(UInt8, Int, UInt64)])
    func `what is longer than its kind may be is refused by its header`(
        kind: UInt8, limit: Int, move: UInt64
    ) throws {
        func header(_ length: Int) -> [UInt8] {
            var header = Self.frame(kind, move, [])
            for index in 0..<4 { header[index] = UInt8(length >> (8 * index) & 255) }
            header.replaceSubrange(16..<20, with: Self.checksum(Array(header[..<16])))
            return header
        }
        var reader = FrameReader()
        try Self.read(header(limit), &reader) { _ in Issue.record("a message") }
        #expect(reader.pendingByteCount == 24)
        let error = #expect(throws: FormatError.self) { try Self.read([header(limit + 1)]) }
        #expect(error?.code == .limitExceeded)
    }

    @Test func `memory for a frame grows with the bytes that came`() throws {
        var header = MigrationMessage.chunk([]).frame(about: 1).header
        var reader = FrameReader()
        let length = UInt32(FrameHeader.chunkLimit)
        for index in 0..<4 { header[index] = UInt8(length >> (8 * index) & 255) }
        header.replaceSubrange(16..<20, with: Self.checksum(Array(header[..<16])))
        try Self.read(header, &reader) { _ in Issue.record("a message") }
        #expect(reader.reservedByteCount == 0)
        let piece = [UInt8](repeating: 7, count: 100_000)
        for count in 1...30 {
            try Self.read(piece, &reader) { _ in Issue.record("a message") }
            // An allocation may have some bytes more than what was asked for.
            let bound = max(FrameReader.firstReserve, 2 * count * piece.count) + 4_096
            #expect(reader.reservedByteCount <= bound)
        }
    }

    @Test func `a reader takes no larger body than it was told`() throws {
        let frame = Self.encoded(.chunk([1, 2, 3, 4]), 1)
        var reader = FrameReader()
        reader.bodyLimit = 3
        let error = #expect(throws: FormatError.self) {
            try Self.read(frame, &reader) { _ in Issue.record("a message") }
        }
        #expect(error?.code == .limitExceeded)
        // It stays failed.
        reader.bodyLimit = 4
        #expect(throws: FormatError.self) { try Self.read(frame, &reader) { _ in } }
    }

    @Test func `what is of no protocol or a newer one is refused`() {
        func code(_ frame: [UInt8]) -> FormatError.Code? {
            do throws(FormatError) {
                _ = try Self.read([frame])
                return nil
            } catch {
                return error.code
            }
        }
        #expect(code(Self.frame(8, 0, [])) == .unsupported)
        #expect(code(Self.frame(30, 1, [])) == .unsupported)
        #expect(code(Self.frame(4, 1, Array(repeating: 0, count: 8))) == .malformed)
        #expect(code(Self.frame(17, 0, [0])) == .malformed)
        #expect(code(Self.frame(17, 1, [3])) == .unsupported)
        #expect(code(Self.frame(25, 1, [11, 0])) == .unsupported)
        #expect(code(Self.frame(1, 0, Array("GET / HTTP/1.1\r\n".utf8))) == .malformed)
        let tooMany = Self.bytes("0000020000000000 0100000000000000 01")
        #expect(code(Self.frame(16, 1, tooMany)) == .malformed)
        for slice in ["00000000", "00000200", "FFFFFFFF"] {
            #expect(code(Self.frame(28, 1, Self.bytes(slice))) == .malformed)
        }
        // Slices that are not ascending, overlap, or are too many.
        for slices in ["02 05000000 04000000", "02 05000000 05000000", "02 02000000 04000000"] {
            let body = Self.bytes("0300000000000000" + slices)
            #expect(code(Self.frame(27, 1, body)) == .malformed)
        }
        #expect(code(Self.frame(27, 1, Self.bytes("0300000000000000 8120"))) == .limitExceeded)
        // The progress of a move, with a blackout of 2^63 ns.
        let tooLong = Self.bytes(
            "03 0000000000000000 01 62 00 00000000 0000000000000000 0000000000000000"
                + "FFFFFFFFFFFFFFFF FFFFFFFFFFFFFFFF 0000000000000080")
        #expect(code(Self.frame(7, 0, tooLong)) == .malformed)
    }

    @Test func `a problem that is too long is cut between characters`() throws {
        let problem = MigrationProblem(.damaged, String(repeating: "é€", count: 3_000))
        let read = try Self.read([Self.encoded(.giveUp(problem), 1)])
        guard case .giveUp(let told) = read[0].message else {
            Issue.record("another message")
            return
        }
        #expect(problem.message.hasPrefix(told.message))
        #expect((4_000...4_096).contains(told.message.utf8.count))
    }
}
