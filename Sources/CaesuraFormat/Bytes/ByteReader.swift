/// Reads bytes that nobody vouches for: every read checks its length and throws with its place.
///
/// It does not own the memory: the caller keeps `bytes` alive while the reader is used.
@safe
public struct ByteReader {
    /// What is read.
    public let bytes: UnsafeRawBufferPointer
    /// The next byte to read.
    public private(set) var position = 0
    /// What `bytes` starts at in the input the caller knows, added to the offsets of errors.
    public let origin: Int

    /// Creates a reader.
    public init(_ bytes: UnsafeRawBufferPointer, origin: Int = 0) {
        unsafe self.bytes = unsafe bytes
        self.origin = origin
    }

    /// Bytes not yet read.
    public var remaining: Int { unsafe bytes.count - position }

    /// An error at the next byte.
    public func error(_ code: FormatError.Code, _ message: String) -> FormatError {
        FormatError(code, message, at: origin + position)
    }

    /// The byte that is read next; nil at the end.
    public var nextByte: UInt8? { remaining > 0 ? unsafe bytes[position] : nil }

    /// Reads one byte.
    public mutating func byte(_ what: @autoclosure () -> String) throws(FormatError) -> UInt8 {
        guard remaining >= 1 else { throw error(.truncated, "the input ends before \(what())") }
        defer { position += 1 }
        return unsafe bytes[position]
    }

    /// Reads a little-endian integer of fixed width.
    public mutating func integer<Integer: FixedWidthInteger & BitwiseCopyable>(
        _ type: Integer.Type, _ what: @autoclosure () -> String
    ) throws(FormatError) -> Integer {
        let size = MemoryLayout<Integer>.size
        guard remaining >= size else {
            throw error(.truncated, "the input ends inside \(what())")
        }
        defer { position += size }
        return unsafe Integer(
            littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: Integer.self))
    }

    /// Reads a LEB128 integer in its shortest form; a longer form or more than 64 bits is malformed.
    public mutating func varint(_ what: @autoclosure () -> String) throws(FormatError) -> UInt64 {
        let start = position
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let byte = try byte(what())
            let bits = UInt64(byte & 0x7F)
            let fits = shift < 63 || (shift == 63 && bits <= 1)
            let shortest = byte != 0 || shift == 0
            guard fits, shortest else {
                position = start
                throw error(.malformed, "\(what()) is not a variable-length integer of 64 bits")
            }
            value |= bits << shift
            if byte < 0x80 { return value }
            shift += 7
        }
    }

    /// Reads a varint that must not exceed `limit`, so that it is safe to use as a count or a size.
    ///
    /// - Throws: `code` for a larger one.
    public mutating func varint(
        upTo limit: Int, _ what: @autoclosure () -> String,
        beyond code: FormatError.Code = .limitExceeded
    ) throws(FormatError) -> Int {
        let start = position
        let value = try varint(what())
        guard value <= UInt64(limit) else {
            position = start
            throw error(code, "\(what()) is \(value), more than \(limit)")
        }
        return Int(value)
    }

    /// Takes the next `count` bytes as a slice of the same memory.
    public mutating func take(
        _ count: Int, _ what: @autoclosure () -> String
    ) throws(FormatError) -> UnsafeRawBufferPointer {
        guard count >= 0, count <= remaining else {
            throw error(.truncated, "\(what()) needs \(count) bytes and \(remaining) are left")
        }
        defer { position += count }
        return unsafe UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
    }

    /// Reads a string: a varint length of at most `limit` bytes, then UTF-8.
    public mutating func string(
        upTo limit: Int, _ what: @autoclosure () -> String
    ) throws(FormatError) -> String {
        let length = try varint(upTo: limit, what())
        let start = position
        let slice = try unsafe take(length, what())
        guard let string = unsafe String(validating: slice, as: UTF8.self) else {
            position = start
            throw error(.malformed, "\(what()) is not UTF-8")
        }
        return string
    }
}
