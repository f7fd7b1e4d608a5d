#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A value too large for a page, in immutable segments.
///
///     header   birth epoch, retiring epoch, next in the list of the retired, byte count
///     table    address of each segment
///     segment  262,144 bytes, the last one less
///
/// The page holds only a record with its address, so copying the page does not touch the bytes. A value
/// is never changed: a write makes a new one and retires the old, which is freed when no cut sees it.
@safe
@frozen @usableFromInline
struct LargeValue: @unchecked Sendable {
    // @unchecked: the bytes are written once, before the value is reachable from a page.

    @usableFromInline let base: UnsafeMutableRawPointer

    /// The first bytes of a large value.
    @usableFromInline
    struct Header {
        var retirable: Retirable
        @usableFromInline var byteCount: Int
    }

    /// Bytes of a segment.
    ///
    /// The pieces that a stream sends of a value, so that a restore takes them over without a copy.
    static let segmentBytes = 262_144

    @inlinable init(base: UnsafeMutableRawPointer) {
        unsafe self.base = unsafe base
    }

    @usableFromInline var header: UnsafeMutablePointer<Header> {
        unsafe base.assumingMemoryBound(to: Header.self)
    }

    /// The size of the value.
    @usableFromInline var byteCount: Int { unsafe header.pointee.byteCount }

    private static func segmentCount(_ byteCount: Int) -> Int {
        (byteCount + segmentBytes - 1) / segmentBytes
    }

    private var table: UnsafeMutablePointer<UnsafeMutableRawPointer> {
        unsafe (base + MemoryLayout<Header>.stride).assumingMemoryBound(
            to: UnsafeMutableRawPointer.self)
    }

    /// Memory that the value takes up.
    var footprint: Int {
        byteCount + MemoryLayout<Header>.stride + Self.segmentCount(byteCount) * 8
    }

    /// Allocates a value whose bytes are not yet written.
    static func make(byteCount: Int) -> LargeValue {
        let segments = segmentCount(byteCount)
        let value = unsafe LargeValue(
            base: .allocate(byteCount: MemoryLayout<Header>.stride + segments * 8, alignment: 16))
        unsafe value.header.initialize(
            to: Header(retirable: Retirable(kind: .largeValue), byteCount: byteCount))
        for index in 0..<segments {
            let size = min(segmentBytes, byteCount - index * segmentBytes)
            unsafe (value.table + index).initialize(to: .allocate(byteCount: size, alignment: 16))
        }
        return value
    }

    /// Makes a value of segments that are already written: all of ``segmentBytes``, but for the last.
    static func make(adopting segments: [UnsafeMutableRawPointer], byteCount: Int) -> LargeValue {
        unsafe precondition(segments.count == segmentCount(byteCount), "segments that are not full")
        let value = unsafe LargeValue(
            base: .allocate(
                byteCount: MemoryLayout<Header>.stride + segments.count * 8, alignment: 16))
        unsafe value.header.initialize(
            to: Header(retirable: Retirable(kind: .largeValue), byteCount: byteCount))
        unsafe value.table.initialize(from: segments, count: segments.count)
        return value
    }

    /// Copies bytes into a new value.
    ///
    /// All values of more than 1 KiB that a program sets come through here, before memory is asked for.
    @usableFromInline static func make(copying bytes: UnsafeRawBufferPointer) -> LargeValue {
        guard bytes.count <= Store.valueByteLimit else {
            // Not a precondition: a release build would not print its sentence.
            fatalError(
                "caesura: a value has \(bytes.count) bytes, more than Store.valueByteLimit; a checkpoint "
                    + "with it could not be restored; split it over several rows")
        }
        let value = make(byteCount: bytes.count)
        unsafe value.write(bytes, at: 0)
        return value
    }

    /// Writes bytes of a value that nobody else sees yet.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        precondition(offset >= 0 && offset + bytes.count <= byteCount, "write past a large value")
        var done = 0
        while done < bytes.count {
            let position = offset + done
            let within = position % Self.segmentBytes
            let size = min(Self.segmentBytes - within, bytes.count - done)
            unsafe (table[position / Self.segmentBytes] + within).copyMemory(
                from: bytes.baseAddress! + done, byteCount: size)
            done += size
        }
    }

    /// Copies bytes out of the value.
    func read(_ range: Range<Int>, into target: UnsafeMutableRawPointer) {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= byteCount, "read past a large value")
        var position = range.lowerBound
        while position < range.upperBound {
            let within = position % Self.segmentBytes
            let size = min(Self.segmentBytes - within, range.upperBound - position)
            unsafe (target + (position - range.lowerBound)).copyMemory(
                from: table[position / Self.segmentBytes] + within, byteCount: size)
            position += size
        }
    }

    /// Whether another value has the same bytes in a range that lies in both.
    ///
    /// Segments that are the same memory are not read.
    func hasSameBytes(_ range: Range<Int>, as other: LargeValue) -> Bool {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= min(byteCount, other.byteCount),
            "compares past a large value")
        var position = range.lowerBound
        while position < range.upperBound {
            let segment = position / Self.segmentBytes
            let within = position % Self.segmentBytes
            let size = min(Self.segmentBytes - within, range.upperBound - position)
            // SAFETY: `size` bytes behind `within` lie in the segments of both.
            if unsafe table[segment] != other.table[segment],
                unsafe memcmp(table[segment] + within, other.table[segment] + within, size) != 0
            {
                return false
            }
            position += size
        }
        return true
    }

    /// Calls `body` with the bytes in one piece; more than one segment is copied together first.
    @usableFromInline func withContiguousBytes<Result>(
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        if byteCount <= Self.segmentBytes {
            return try unsafe body(UnsafeRawBufferPointer(start: table[0], count: byteCount))
        }
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 16)
        defer { unsafe copy.deallocate() }
        unsafe read(0..<byteCount, into: copy.baseAddress!)
        return try unsafe body(UnsafeRawBufferPointer(copy))
    }

    /// Frees the memory.
    ///
    /// - Complexity: O(segments), some of which go back to the system: not under a partition's lock.
    func deallocate() {
        for index in 0..<Self.segmentCount(byteCount) { unsafe table[index].deallocate() }
        unsafe base.deallocate()
    }
}

/// Large values that are in no page any more, the last one first: a chain through ``Retirable/next``.
@safe
@frozen @usableFromInline
struct LargeValueList {
    @usableFromInline var first: UnsafeMutableRawPointer?

    @inlinable init() { unsafe first = nil }

    @inlinable var isEmpty: Bool { unsafe first == nil }

    @usableFromInline mutating func push(_ value: LargeValue) {
        unsafe value.header.pointee.retirable.next = unsafe first
        unsafe first = unsafe value.base
    }

    mutating func pop() -> LargeValue? {
        guard let base = unsafe first else { return nil }
        let value = unsafe LargeValue(base: base)
        unsafe first = unsafe value.header.pointee.retirable.next
        return value
    }

    /// Takes a value out of the list, which has it.
    ///
    /// - Complexity: O(values pushed after it).
    mutating func remove(_ value: LargeValue) {
        var others = LargeValueList()
        while let next = pop() {
            if unsafe next.base == value.base {
                while let other = others.pop() { push(other) }
                return
            }
            others.push(next)
        }
        preconditionFailure("a large value is not among those that were replaced")
    }

    mutating func deallocateAll() {
        while let value = pop() { value.deallocate() }
    }
}
