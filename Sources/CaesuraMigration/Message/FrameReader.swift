public import CaesuraFormat

/// Takes frames apart as their bytes arrive, in pieces of any size: `docs/MIGRATION.md` section 6.
///
///     reader.push(piece)
///     while let (move, message) = try reader.next() { … }
///
/// It holds one frame and the last piece, and grows only by bytes that really came: a header that claims more than its
/// kind may have is refused when it is there.
public struct FrameReader: ~Copyable {
    /// Bytes that came; those before `consumed` are done with.
    private var buffer = ByteWriter()
    private var consumed = 0
    /// The offset in the connection's bytes of the buffer's first one.
    private var origin = 0
    /// The error that ended the reading; it is thrown again by each call.
    private var failure: FormatError?

    /// Creates a reader at the beginning of a connection.
    public init() {}

    /// Bytes that came and are no whole frame.
    public var pendingByteCount: Int { buffer.count - consumed }

    /// Takes bytes that came; they are copied.
    public mutating func push(_ bytes: UnsafeRawBufferPointer) {
        if consumed > 0 {
            buffer.removeFirst(consumed)
            origin += consumed
            consumed = 0
        }
        unsafe buffer.append(bytes)
    }

    /// The next message, and the move that it is about (0 for none); nil when more bytes are needed.
    ///
    /// - Throws: The first thing that is wrong, with its offset in the connection. The reader stays failed.
    public mutating func next() throws(FormatError) -> (move: UInt64, message: MigrationMessage)? {
        if let failure { throw failure }
        do throws(FormatError) {
            return try readFrame()
        } catch {
            failure = error
            throw error
        }
    }

    private mutating func readFrame() throws(FormatError) -> (UInt64, MigrationMessage)? {
        let bytes = unsafe UnsafeRawBufferPointer(rebasing: buffer.bytes[consumed...])
        let offset = origin + consumed
        guard bytes.count >= FrameHeader.byteCount else { return nil }
        let header = try unsafe FrameHeader(reading: bytes, at: offset)
        let length = FrameHeader.byteCount + header.length
        guard bytes.count >= length else { return nil }
        let message = try unsafe MigrationMessage(
            header, reading: UnsafeRawBufferPointer(rebasing: bytes[..<length]), at: offset)
        consumed += length
        return (header.move, message)
    }
}
