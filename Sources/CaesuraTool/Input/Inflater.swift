import CZlib

/// zlib's state for unpacking gzip, one member after the other; zlib checks each member's checksum.
@safe
struct Inflater: ~Copyable {
    private let stream: UnsafeMutablePointer<z_stream>

    /// What became of the bytes that were passed.
    struct Outcome {
        var consumed: Int
        var produced: Int
        /// Whether the member has ended; what was not consumed lies behind it.
        var isEnd: Bool
    }

    /// The bytes are not gzip, or damaged.
    struct Failure: Error { var reason: String }

    init() {
        // On the heap: zlib keeps a pointer back to it.
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        // 16: expect gzip's frame, not zlib's.
        let code = unsafe inflateInit2_(
            stream, 16 + MAX_WBITS, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        precondition(code == Z_OK, "zlib has another version than its header, or no memory")
    }

    deinit {
        unsafe inflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Unpacks what it can of `input` into `output`.
    mutating func inflate(
        _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) throws(Failure) -> Outcome {
        let (available, room) = (UInt32(clamping: input.count), UInt32(clamping: output.count))
        // SAFETY: both buffers outlive the call; zlib reads and writes no more than these counts, and only reads
        // the input.
        unsafe stream.pointee.next_in = UnsafeMutablePointer(
            mutating: input.assumingMemoryBound(to: UInt8.self).baseAddress)
        unsafe stream.pointee.avail_in = available
        unsafe stream.pointee.next_out = output.assumingMemoryBound(to: UInt8.self).baseAddress
        unsafe stream.pointee.avail_out = room
        let code = unsafe CZlib.inflate(stream, Z_NO_FLUSH)
        // Z_BUF_ERROR: nothing could be done without more input, which is no failure.
        guard code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR else {
            throw Failure(
                reason: unsafe stream.pointee.msg.map { unsafe String(cString: $0) } ?? "damaged")
        }
        return unsafe Outcome(
            consumed: Int(available - stream.pointee.avail_in),
            produced: Int(room - stream.pointee.avail_out), isEnd: code == Z_STREAM_END)
    }

    /// Prepares for the next member.
    mutating func reset() { _ = unsafe inflateReset(stream) }
}
