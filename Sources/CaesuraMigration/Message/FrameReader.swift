public import CaesuraFormat

/// Takes frames apart as their bytes arrive, in pieces of any size: `docs/MIGRATION.md` section 6.
///
///     while let (move, message) = try reader.next(from: &piece) { … }
///
/// It holds what has come of one frame, and copies each byte once: to where it stays. Memory grows with the bytes that
/// really came, whatever a header claims: at most to twice as many, or to ``firstReserve``.
public struct FrameReader: ~Copyable {
    /// The largest body that is taken, besides the limit of its kind: what this side's hello said.
    public var bodyLimit = FrameHeader.chunkLimit
    /// What has come of the header of the frame, and the header once that is all of it.
    private var start = ByteWriter(capacity: FrameHeader.byteCount)
    private var header: FrameHeader?
    /// What has come of its body.
    private var body: [UInt8] = []
    /// The offset in the connection's bytes of the frame's first one.
    private var offset = 0
    /// The error that ended the reading; it is thrown again by each call.
    private var failure: FormatError?

    /// Memory that a body may get before its bytes came: chunks of the usual sizes are then never moved.
    static let firstReserve = 1 << 20

    /// Creates a reader at the beginning of a connection.
    public init() {}

    /// Bytes that came and are no whole frame.
    public var pendingByteCount: Int { start.count + body.count }

    /// Bytes of memory for the body of the frame that is coming.
    var reservedByteCount: Int { body.capacity }

    /// Takes bytes from the front until a message is whole; nil when it has taken all, and needs more.
    ///
    /// - Returns: The message, and the move that it is about (0 for none).
    /// - Throws: The first thing that is wrong, with its offset in the connection. The reader stays failed.
    public mutating func next(
        from bytes: inout UnsafeRawBufferPointer
    ) throws(FormatError) -> (move: UInt64, message: MigrationMessage)? {
        if let failure { throw failure }
        do throws(FormatError) {
            return unsafe try readFrame(from: &bytes)
        } catch {
            failure = error
            throw error
        }
    }

    private mutating func readFrame(
        from bytes: inout UnsafeRawBufferPointer
    ) throws(FormatError) -> (UInt64, MigrationMessage)? {
        if header == nil {
            unsafe start.append(Self.take(FrameHeader.byteCount - start.count, from: &bytes))
            guard start.count == FrameHeader.byteCount else { return nil }
            header = try parseStart()
        }
        guard let header else { return nil }
        let piece = unsafe Self.take(header.length - body.count, from: &bytes)
        let count = body.count + piece.count
        if count > body.capacity {
            body.reserveCapacity(min(header.length, max(count, 2 * body.count, Self.firstReserve)))
        }
        unsafe body.append(contentsOf: piece)
        guard count == header.length else { return nil }
        let message = try MigrationMessage(header, body: body, at: offset)
        offset += FrameHeader.byteCount + count
        self.header = nil
        start.truncate(to: 0)
        // A chunk has taken the array over.
        body = []
        return (header.move, message)
    }

    private func parseStart() throws(FormatError) -> FrameHeader {
        let header = try unsafe FrameHeader(reading: start.bytes, at: offset)
        guard header.length <= bodyLimit else {
            throw FormatError(
                .limitExceeded,
                "a message has \(header.length) bytes, and at most \(bodyLimit) are taken here",
                at: offset)
        }
        return header
    }

    /// Takes at most `count` bytes from the front.
    private static func take(
        _ count: Int, from bytes: inout UnsafeRawBufferPointer
    ) -> UnsafeRawBufferPointer {
        let taken = unsafe UnsafeRawBufferPointer(rebasing: bytes.prefix(count))
        unsafe bytes = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(count))
        return unsafe taken
    }
}
