/// A growing buffer that bytes are appended to.
///
/// All integers are little-endian.
///
/// Kept and reused by a worker, so that it allocates only while it warms up. Behind `capacity` there are
/// ``ColumnBuffer/padding`` spare bytes, so that kernels may store whole words at the end.
@safe
public struct ByteWriter: ~Copyable {
    /// The memory; `count` bytes of it are written.
    public private(set) var base: UnsafeMutableRawPointer
    /// Bytes written.
    public private(set) var count = 0
    /// Bytes there is room for.
    public private(set) var capacity: Int

    /// Creates an empty writer.
    public init(capacity: Int = 256) {
        self.capacity = capacity
        unsafe base = .allocate(byteCount: capacity + ColumnBuffer.padding, alignment: 64)
    }

    deinit { unsafe base.deallocate() }

    /// The bytes written, valid until the next append.
    public var bytes: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: base, count: count)
    }

    /// A copy of the bytes written.
    public var array: [UInt8] { unsafe [UInt8](bytes) }

    /// Makes room for `additional` bytes and returns where they go; they count once ``advance(by:)`` is
    /// called.
    public mutating func reserve(_ additional: Int) -> UnsafeMutableRawPointer {
        if count + additional > capacity {
            let grown = max(count + additional, capacity * 2)
            let new = UnsafeMutableRawPointer.allocate(
                byteCount: grown + ColumnBuffer.padding, alignment: 64)
            // SAFETY: `count` bytes of `base` are written and `grown >= count`.
            unsafe new.copyMemory(from: base, byteCount: count)
            unsafe base.deallocate()
            unsafe base = new
            capacity = grown
        }
        return unsafe base + count
    }

    /// Counts bytes that the caller has written to where ``reserve(_:)`` said.
    public mutating func advance(by written: Int) {
        precondition(count + written <= capacity, "wrote past what was reserved")
        count += written
    }

    /// Forgets the bytes from `newCount` on and keeps the memory.
    public mutating func truncate(to newCount: Int) {
        precondition(newCount <= count)
        count = newCount
    }

    /// Forgets the first bytes and moves the rest to the front.
    public mutating func removeFirst(_ removed: Int) {
        precondition(removed >= 0 && removed <= count, "removes what was not written")
        count -= removed
        // SAFETY: both ends lie within the bytes written; the areas may overlap.
        unsafe base.copyMemory(from: base + removed, byteCount: count)
    }

    /// Replaces a byte that was written.
    public mutating func overwrite(at offset: Int, with byte: UInt8) {
        precondition(offset >= 0 && offset < count, "overwrites what was not written")
        unsafe base.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
    }

    /// Replaces bytes that were written.
    public mutating func overwrite(at offset: Int, with source: UnsafeRawBufferPointer) {
        let length = source.count
        precondition(offset >= 0 && offset + length <= count, "overwrites what was not written")
        guard let start = source.baseAddress else { return }
        unsafe (base + offset).copyMemory(from: start, byteCount: length)
    }

    /// Appends one byte.
    public mutating func append(_ byte: UInt8) {
        unsafe reserve(1).storeBytes(of: byte, as: UInt8.self)
        count += 1
    }

    /// Appends an integer of fixed width, little-endian.
    public mutating func append<Integer: FixedWidthInteger & BitwiseCopyable>(
        littleEndian value: Integer
    ) {
        unsafe reserve(MemoryLayout<Integer>.size).storeBytes(
            of: value.littleEndian, as: Integer.self)
        count += MemoryLayout<Integer>.size
    }

    /// Appends a LEB128 variable-length integer: 7 bits a byte, lowest first, at most 10 bytes.
    public mutating func append(varint value: UInt64) {
        let start = unsafe reserve(10)
        var value = value
        var length = 0
        while value >= 0x80 {
            unsafe start.storeBytes(
                of: UInt8(truncatingIfNeeded: value) | 0x80, toByteOffset: length, as: UInt8.self)
            value >>= 7
            length += 1
        }
        unsafe start.storeBytes(of: UInt8(value), toByteOffset: length, as: UInt8.self)
        count += length + 1
    }

    /// Appends raw bytes.
    public mutating func append(_ source: UnsafeRawBufferPointer) {
        guard let start = source.baseAddress else { return }
        unsafe reserve(source.count).copyMemory(from: start, byteCount: source.count)
        count += source.count
    }

    /// Appends raw bytes.
    public mutating func append(contentsOf source: [UInt8]) {
        unsafe source.withUnsafeBytes { unsafe append($0) }
    }

    /// Appends a string's length in bytes as a varint, then its UTF-8.
    public mutating func append(string: String) {
        let utf8 = Array(string.utf8)
        append(varint: UInt64(utf8.count))
        append(contentsOf: utf8)
    }
}
