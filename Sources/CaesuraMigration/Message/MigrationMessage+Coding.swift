public import CaesuraFormat

/// The first 24 bytes of a frame: `docs/MIGRATION.md` section 6.
public struct FrameHeader: Hashable, Sendable {
    /// Bytes of the body.
    public var length: Int
    /// What the body is.
    public var kind: UInt8
    /// The move that it belongs to; 0 in a message about none.
    public var move: UInt64
    /// The low half of the body's XXH3-64; 0 of a chunk, which has checksums of its own.
    public var bodyChecksum: UInt32

    /// Bytes of a header.
    public static let byteCount = 24
    /// The largest body of a chunk.
    public static let chunkLimit = 72 << 20
    /// The largest body of a message about schemas.
    public static let schemaLimit = 16 << 20
    /// The largest body of any other.
    public static let controlLimit = 64 << 10

    /// The low half of XXH3-64.
    static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        UInt32(truncatingIfNeeded: unsafe Checksum.of(bytes))
    }

    /// The largest body of a kind.
    static func limit(of kind: UInt8) -> Int {
        switch kind {
        case MigrationMessage.Kind.chunk: chunkLimit
        case MigrationMessage.Kind.schemas: schemaLimit
        default: controlLimit
        }
    }

    /// Reads a header, as far as it can be checked without its body.
    ///
    /// - Precondition: There are ``byteCount`` bytes.
    /// - Throws: `checksumMismatch`; `malformed`; `unsupported` for a kind of a newer protocol; `limitExceeded`.
    public init(reading bytes: UnsafeRawBufferPointer, at offset: Int) throws(FormatError) {
        var reader = unsafe ByteReader(bytes, origin: offset)
        length = Int(try reader.integer(UInt32.self, "the length of a frame"))
        kind = try reader.byte("the kind of a frame")
        for _ in 0..<3 {
            guard try reader.byte("a reserved byte") == 0 else {
                throw FormatError(.malformed, "a reserved byte of a frame is not 0", at: offset + 5)
            }
        }
        move = try reader.integer(UInt64.self, "the move of a frame")
        let checksum = try reader.integer(UInt32.self, "the checksum of a frame")
        bodyChecksum = try reader.integer(UInt32.self, "the checksum of a body")
        // A length that is not what was sent would have the reader wait for bytes that nobody sends.
        let start = unsafe UnsafeRawBufferPointer(rebasing: bytes[..<16])
        guard unsafe Self.checksum(start) == checksum else {
            throw FormatError(
                .checksumMismatch, "a frame's header is not what was sent", at: offset)
        }
        guard MigrationMessage.Kind.all.contains(kind) else {
            throw FormatError(
                .unsupported, "message \(kind) is of a newer protocol", at: offset + 4)
        }
        guard length <= Self.limit(of: kind) else {
            throw FormatError(
                .limitExceeded,
                "a message of kind \(kind) has \(length) bytes, and at most \(Self.limit(of: kind)) are taken",
                at: offset)
        }
        guard (move == 0) == (kind < MigrationMessage.Kind.move) else {
            throw FormatError(
                .malformed, "a message of kind \(kind) about move \(move)", at: offset + 8)
        }
    }
}

extension FrameHeader {
    /// The header of a body.
    ///
    /// - Precondition: The body is within the limit of its kind; `move` is 0 if, and only if, the kind is about none.
    init(_ kind: UInt8, about move: UInt64, of body: [UInt8]) {
        precondition(
            (move == 0) == (kind < MigrationMessage.Kind.move),
            "a message is about a move, or about none")
        precondition(body.count <= Self.limit(of: kind), "a message that nobody takes")
        length = body.count
        self.kind = kind
        self.move = move
        bodyChecksum = Self.bodyChecksum(of: body, kind)
    }

    /// What ``bodyChecksum`` is of a body.
    static func bodyChecksum(of body: [UInt8], _ kind: UInt8) -> UInt32 {
        if kind == MigrationMessage.Kind.chunk { return 0 }
        return unsafe body.span.bytes.withUnsafeBytes { unsafe checksum($0) }
    }

    /// The header as it is sent.
    var bytes: [UInt8] {
        var writer = ByteWriter(capacity: Self.byteCount)
        writer.append(littleEndian: UInt32(length))
        writer.append(kind)
        for _ in 0..<3 { writer.append(0) }
        writer.append(littleEndian: move)
        let checksum = unsafe Self.checksum(writer.bytes)
        writer.append(littleEndian: checksum)
        writer.append(littleEndian: bodyChecksum)
        return writer.array
    }
}

extension MigrationMessage {
    enum Kind {
        static let hello: UInt8 = 1
        static let schemas: UInt8 = 2
        static let refusal: UInt8 = 3
        static let ping: UInt8 = 4
        static let pong: UInt8 = 5
        static let order: UInt8 = 6
        static let answer: UInt8 = 7
        static let move: UInt8 = 16
        static let have: UInt8 = 17
        static let round: UInt8 = 18
        static let chunk: UInt8 = 19
        static let applied: UInt8 = 20
        static let audit: UInt8 = 21
        static let handover: UInt8 = 22
        static let owned: UInt8 = 23
        static let durable: UInt8 = 24
        static let giveUp: UInt8 = 25
        static let aborted: UInt8 = 26
        static let handoverAhead: UInt8 = 27
        static let pull: UInt8 = 28
        static let sliceEnd: UInt8 = 29
        static let all: [UInt8] = Array(1...7) + Array(16...29)
    }

    /// "CAESURAM" as a number.
    static let magic: UInt64 = 0x4D41_5255_5345_4143

    var kind: UInt8 {
        switch self {
        case .hello: Kind.hello
        case .schemas: Kind.schemas
        case .refusal: Kind.refusal
        case .ping: Kind.ping
        case .pong: Kind.pong
        case .order: Kind.order
        case .answer: Kind.answer
        case .move: Kind.move
        case .have: Kind.have
        case .round: Kind.round
        case .chunk: Kind.chunk
        case .applied: Kind.applied
        case .audit: Kind.audit
        case .handover: Kind.handover
        case .owned: Kind.owned
        case .durable: Kind.durable
        case .giveUp: Kind.giveUp
        case .aborted: Kind.aborted
        case .handoverAhead: Kind.handoverAhead
        case .pull: Kind.pull
        case .sliceEnd: Kind.sliceEnd
        }
    }

    /// The message as a frame, in the two parts that go out one behind the other.
    ///
    /// The body of a chunk is the array that it has, not a copy.
    ///
    /// - Parameter move: The move that it belongs to; 0 for a message about none.
    /// - Precondition: The body is within its limit.
    public func frame(about move: UInt64) -> (header: [UInt8], body: [UInt8]) {
        let body = self.body
        return (FrameHeader(kind, about: move, of: body).bytes, body)
    }

    /// Appends the message as a frame: ``frame(about:)``.
    public func encode(about move: UInt64, into writer: inout ByteWriter) {
        let (header, body) = frame(about: move)
        writer.append(contentsOf: header)
        writer.append(contentsOf: body)
    }

    private var body: [UInt8] {
        var writer = ByteWriter()
        switch self {
        case .chunk(let bytes): return bytes
        case .hello(let hello): hello.encode(into: &writer)
        case .schemas(let message): message.encode(into: &writer)
        case .refusal(let problem), .giveUp(let problem): problem.encode(into: &writer)
        case .ping(let number), .pong(let number): writer.append(littleEndian: number)
        case .order(let order): order.encode(into: &writer)
        case .answer(let answer): answer.encode(into: &writer)
        case .move(let request):
            writer.append(littleEndian: request.partition.rawValue)
            writer.append(littleEndian: request.attempt)
            writer.append(request.purpose.rawValue)
            request.entry.encode(into: &writer)
        case .have(.nothing): writer.append(0)
        case .have(.part(let part)):
            writer.append(1)
            writer.append(littleEndian: part.round)
            writer.append(littleEndian: part.epoch)
            writer.append(littleEndian: part.chunks)
            writer.append(littleEndian: part.bytes)
        case .have(.owns(let entry)):
            writer.append(2)
            entry.encode(into: &writer)
        case .round(let round):
            writer.append(littleEndian: round.number)
            writer.append(littleEndian: round.epoch)
            writer.append(littleEndian: round.baseEpoch)
            writer.append(littleEndian: round.baseDigest)
        case .applied(let applied):
            writer.append(littleEndian: applied.round)
            writer.append(littleEndian: applied.chunks)
            writer.append(littleEndian: applied.bytes)
            writer.append(applied.isComplete ? 1 : 0)
        case .audit(let audit):
            writer.append(littleEndian: audit.epoch)
            writer.append(littleEndian: audit.digest)
            writer.append(littleEndian: audit.rows)
        case .handover(let handover):
            writer.append(littleEndian: handover.epoch)
            writer.append(littleEndian: handover.digest)
        case .owned(let entry), .durable(let entry), .aborted(let entry):
            entry.encode(into: &writer)
        case .handoverAhead(let handover):
            writer.append(littleEndian: handover.epoch)
            writer.append(varint: UInt64(handover.missing.count))
            for slice in handover.missing.sorted(by: { $0.first < $1.first }) {
                writer.append(littleEndian: slice.sliceNumber)
            }
        case .pull(let slice): writer.append(littleEndian: slice.sliceNumber)
        case .sliceEnd(let end):
            writer.append(littleEndian: end.slice.sliceNumber)
            writer.append(littleEndian: end.chunks)
        }
        return writer.array
    }

    /// Reads a message whose header was read.
    ///
    /// - Parameters:
    ///   - header: The header.
    ///   - body: All bytes that it says, and no others; a chunk takes the array over.
    ///   - offset: Where the frame begins, for errors.
    /// - Throws: `checksumMismatch`, `malformed`, `truncated`, `unsupported`, `limitExceeded`.
    init(_ header: FrameHeader, body: [UInt8], at offset: Int) throws(FormatError) {
        guard header.bodyChecksum == FrameHeader.bodyChecksum(of: body, header.kind) else {
            throw FormatError(
                .checksumMismatch, "a frame's body is not what was sent", at: offset)
        }
        if header.kind == Kind.chunk {
            self = .chunk(body)
        } else {
            self = unsafe try body.span.bytes.withUnsafeBytes { (bytes) throws(FormatError) in
                var reader = unsafe ByteReader(bytes, origin: offset + FrameHeader.byteCount)
                return try Self(header.kind, reading: &reader)
            }
        }
    }

    private init(_ kind: UInt8, reading reader: inout ByteReader) throws(FormatError) {
        switch kind {
        case Kind.hello: self = .hello(try Hello(reading: &reader))
        case Kind.schemas: self = .schemas(try SchemaMessage(reading: &reader))
        case Kind.refusal: self = .refusal(try MigrationProblem(reading: &reader))
        case Kind.ping: self = .ping(try reader.integer(UInt64.self, "a ping"))
        case Kind.pong: self = .pong(try reader.integer(UInt64.self, "a pong"))
        case Kind.order: self = .order(try Order(reading: &reader))
        case Kind.answer: self = .answer(try Answer(reading: &reader))
        case Kind.move: self = .move(try MoveRequest(reading: &reader))
        case Kind.have: self = .have(try Holding(reading: &reader))
        case Kind.round:
            self = .round(
                Round(
                    number: try reader.integer(UInt32.self, "the number of a round"),
                    epoch: try reader.integer(UInt64.self, "an epoch"),
                    baseEpoch: try reader.integer(UInt64.self, "an epoch"),
                    baseDigest: try reader.integer(UInt64.self, "a digest")))
        case Kind.applied:
            self = .applied(
                Applied(
                    round: try reader.integer(UInt32.self, "the number of a round"),
                    chunks: try reader.integer(UInt64.self, "a number of chunks"),
                    bytes: try reader.integer(UInt64.self, "a number of bytes"),
                    isComplete: try reader.flag("whether a round is complete")))
        case Kind.audit:
            self = .audit(
                Audit(
                    epoch: try reader.integer(UInt64.self, "an epoch"),
                    digest: try reader.integer(UInt64.self, "a digest"),
                    rows: try reader.integer(UInt64.self, "a number of rows")))
        case Kind.handover:
            self = .handover(
                Handover(
                    epoch: try reader.integer(UInt64.self, "an epoch"),
                    digest: try reader.integer(UInt64.self, "a digest")))
        case Kind.owned: self = .owned(try OwnerEntry(reading: &reader))
        case Kind.durable: self = .durable(try OwnerEntry(reading: &reader))
        case Kind.giveUp: self = .giveUp(try MigrationProblem(reading: &reader))
        case Kind.aborted: self = .aborted(try OwnerEntry(reading: &reader))
        case Kind.handoverAhead:
            let epoch = try reader.integer(UInt64.self, "an epoch")
            let slices = try reader.slices()
            self = .handoverAhead(HandoverAhead(epoch: epoch, missing: Set(slices)))
        case Kind.pull: self = .pull(try reader.slice())
        case Kind.sliceEnd:
            self = .sliceEnd(
                SliceEnd(
                    slice: try reader.slice(),
                    chunks: try reader.integer(UInt64.self, "a number of chunks")))
        default: preconditionFailure("a header of a known kind")
        }
        guard reader.remaining == 0 else {
            throw reader.error(.malformed, "bytes behind a message")
        }
    }
}

// MARK: - Parts

extension ByteReader {
    /// A byte that is 0 or 1.
    mutating func flag(_ what: String) throws(FormatError) -> Bool {
        switch try byte(what) {
        case 0: false
        case 1: true
        default: throw error(.malformed, "\(what) is neither 0 nor 1")
        }
    }

    /// The number of a partition of a node.
    mutating func partition() throws(FormatError) -> PartitionNumber {
        let number = try integer(UInt64.self, "a partition")
        guard number < 1 << 17 else {
            throw error(.malformed, "there is no partition \(number)")
        }
        return PartitionNumber(rawValue: number)
    }

    /// A slice: a range that consists of whole partitions of a store.
    mutating func slice() throws(FormatError) -> HashRange {
        let number = try integer(UInt32.self, "a slice")
        let bits = UInt32.bitWidth - 1 - number.leadingZeroBitCount
        guard (0...Limits.partitionBits).contains(bits) else {
            throw error(.malformed, "there is no slice \(number)")
        }
        return HashRange(partition: Int(number) - 1 << bits, bits: bits)
    }

    /// Slices, ascending, none of which overlaps another.
    mutating func slices() throws(FormatError) -> [HashRange] {
        let count = try varint(upTo: HandoverAhead.sliceLimit, "the number of slices")
        var slices: [HashRange] = []
        for _ in 0..<count {
            let slice = try slice()
            if let last = slices.last, slice.first <= last.last {
                throw error(.malformed, "slices that are not in order")
            }
            slices.append(slice)
        }
        return slices
    }

    /// The name of a node: not empty.
    mutating func nodeName() throws(FormatError) -> String {
        let name = try string(upTo: OwnerEntry.ownerLimit, "the name of a node")
        guard !name.isEmpty else { throw error(.malformed, "a node without a name") }
        return name
    }
}

extension HashRange {
    /// Its bits behind a 1, so that the number tells how many there are.
    fileprivate var sliceNumber: UInt32 {
        UInt32(1) << prefixBits | UInt32(prefixBits == 0 ? 0 : first >> (64 - prefixBits))
    }
}

extension Hello {
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.append(littleEndian: MigrationMessage.magic)
        writer.append(littleEndian: versions.lowerBound)
        writer.append(littleEndian: versions.upperBound)
        writer.append(string: node)
        writer.append(littleEndian: hashKey0)
        writer.append(littleEndian: hashKey1)
        writer.append(takesHashKey ? 1 : 0)
        writer.append(moveBits)
        writer.append(partitionBits)
        writer.append(littleEndian: bodyLimit)
        writer.append(littleEndian: window)
    }

    fileprivate init(reading reader: inout ByteReader) throws(FormatError) {
        guard
            try reader.integer(UInt64.self, "the beginning of a hello") == MigrationMessage.magic
        else { throw reader.error(.malformed, "the peer speaks another protocol") }
        let lowest = try reader.integer(UInt16.self, "a version")
        let highest = try reader.integer(UInt16.self, "a version")
        guard lowest <= highest else {
            throw reader.error(.malformed, "versions from \(lowest) to \(highest)")
        }
        self.init(
            node: try reader.nodeName(), hashKey0: try reader.integer(UInt64.self, "a hash key"),
            hashKey1: try reader.integer(UInt64.self, "a hash key"),
            takesHashKey: try reader.flag("whether the hash key may be replaced"),
            moveBits: try reader.byte("a number of bits"),
            partitionBits: try reader.byte("a number of bits"), versions: lowest...highest,
            bodyLimit: try reader.integer(UInt32.self, "a limit"),
            window: try reader.integer(UInt64.self, "a window"))
        guard moveBits <= partitionBits, partitionBits <= 16 else {
            throw reader.error(
                .malformed, "partitions of \(moveBits) bits in tables of \(partitionBits)")
        }
    }
}

extension MoveRequest {
    fileprivate init(reading reader: inout ByteReader) throws(FormatError) {
        let partition = try reader.partition()
        let attempt = try reader.integer(UInt64.self, "an attempt")
        let code = try reader.byte("the purpose of a move")
        guard let purpose = Purpose(rawValue: code) else {
            throw reader.error(.unsupported, "a move of purpose \(code) is of a newer protocol")
        }
        self.init(
            partition: partition, attempt: attempt, purpose: purpose,
            entry: try OwnerEntry(reading: &reader))
    }
}

extension Holding {
    fileprivate init(reading reader: inout ByteReader) throws(FormatError) {
        switch try reader.byte("what is there") {
        case 0: self = .nothing
        case 1:
            self = .part(
                Part(
                    round: try reader.integer(UInt32.self, "the number of a round"),
                    epoch: try reader.integer(UInt64.self, "an epoch"),
                    chunks: try reader.integer(UInt64.self, "a number of chunks"),
                    bytes: try reader.integer(UInt64.self, "a number of bytes")))
        case 2: self = .owns(try OwnerEntry(reading: &reader))
        case let other: throw reader.error(.unsupported, "holding \(other) is of a newer protocol")
        }
    }
}

extension MigrationProblem {
    func encode(into writer: inout ByteWriter) {
        writer.append(code.rawValue)
        // Not in the middle of a character.
        var told = message
        while told.utf8.count > Self.messageLimit {
            told = String(
                told.prefix(max(0, told.count - (told.utf8.count - Self.messageLimit + 3) / 4)))
        }
        writer.append(string: told)
    }

    init(reading reader: inout ByteReader) throws(FormatError) {
        let number = try reader.byte("the code of a problem")
        guard let code = Code(rawValue: number) else {
            throw reader.error(.unsupported, "problem \(number) is of a newer protocol")
        }
        self.init(code, try reader.string(upTo: Self.messageLimit, "a problem"))
    }
}

extension OwnerEntry {
    func encode(into writer: inout ByteWriter) {
        writer.append(littleEndian: number)
        writer.append(littleEndian: fencingEpoch)
        writer.append(littleEndian: tenure)
        writer.append(littleEndian: previousTenure)
        writer.append(string: owner)
    }

    init(reading reader: inout ByteReader) throws(FormatError) {
        let number = try reader.integer(UInt64.self, "the number of an entry")
        let fencingEpoch = try reader.integer(UInt64.self, "a fencing epoch")
        let tenure = try reader.integer(UInt64.self, "a tenure")
        let previousTenure = try reader.integer(UInt64.self, "a tenure")
        let owner = try reader.string(upTo: Self.ownerLimit, "the name of an owner")
        do throws(OwnerRegisterError) {
            try self.init(
                number: number, owner: owner, fencingEpoch: fencingEpoch, tenure: tenure,
                previousTenure: previousTenure)
        } catch {
            throw reader.error(.malformed, error.message)
        }
    }
}
