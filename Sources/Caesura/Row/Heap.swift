import CaesuraFormat

/// Where the bytes of a string, a byte array or an array lie: in the heap of the row's page.
///
///     length 0             empty; offset is not used
///     length 1...1024      `length` bytes at byte `offset` of the page
///     length 0xFFFF        a ``LargeValueRecord`` at byte `offset` of the page: the bytes lie outside
///
/// Pages are at most 64 KiB, so 16 bits reach everything. All-zero bytes are the empty value.
@frozen
public struct HeapReference: BitwiseCopyable, Sendable {
    /// Bytes from the start of the page.
    @usableFromInline var offset: UInt16
    /// Bytes of the value, or ``outOfLine``.
    @usableFromInline var length: UInt16

    @inlinable init(offset: UInt16, length: UInt16) {
        self.offset = offset
        self.length = length
    }

    /// The empty value.
    @inlinable public init() {
        self.init(offset: 0, length: 0)
    }

    /// The length that says that the bytes lie outside the page.
    @usableFromInline static let outOfLine: UInt16 = 0xFFFF

    @inlinable var isOutOfLine: Bool { length == Self.outOfLine }

    /// Bytes of the page's heap that this reference takes up.
    @inlinable var heapByteCount: Int {
        isOutOfLine ? MemoryLayout<LargeValueRecord>.size : Int(length)
    }

    /// Whether a value of `byteCount` bytes can lie where the present one does, when values of more than
    /// `limit` bytes go outside the page.
    ///
    /// What a shorter one leaves unused is garbage until the page is rebuilt.
    @inlinable func hasRoom(for byteCount: Int, upTo limit: Int) -> Bool {
        isOutOfLine ? byteCount > limit : byteCount <= Int(length)
    }
}

/// What a page's heap holds for a value that lies outside the page.
@frozen @usableFromInline
struct LargeValueRecord: BitwiseCopyable {
    @usableFromInline var address: UInt64
    @usableFromInline var byteCount: UInt64

    @inlinable init(address: UInt64, byteCount: UInt64) {
        self.address = address
        self.byteCount = byteCount
    }
}

/// The heap of a page, to read.
@safe
@frozen
public struct HeapView {
    @usableFromInline let page: UnsafeRawPointer

    @inlinable init(page: UnsafeRawPointer) {
        unsafe self.page = unsafe page
    }

    /// The large value a reference that is out of line stands for.
    @inlinable func largeValue(_ reference: HeapReference) -> LargeValue {
        // SAFETY: a reference that is out of line was placed with its record (HeapWriter.place), and
        // whoever holds the view keeps the page and its values alive.
        let record = unsafe page.loadUnaligned(
            fromByteOffset: Int(reference.offset), as: LargeValueRecord.self)
        return unsafe LargeValue(base: UnsafeMutableRawPointer(bitPattern: UInt(record.address))!)
    }

    /// The number of bytes of a value.
    @inlinable func byteCount(of reference: HeapReference) -> Int {
        reference.isOutOfLine ? largeValue(reference).byteCount : Int(reference.length)
    }

    /// Calls `body` with the bytes of a value; a value outside the page is copied into one piece first.
    @inlinable func withBytes<Result>(
        of reference: HeapReference, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        if reference.isOutOfLine {
            return try unsafe largeValue(reference).withContiguousBytes(body)
        }
        return try unsafe body(
            UnsafeRawBufferPointer(
                start: page + Int(reference.offset), count: Int(reference.length)))
    }
}

/// The heap of a page, to write, under its partition's lock.
@safe
@frozen
public struct HeapWriter {
    @usableFromInline var page: UnsafeMutableRawPointer
    /// Values of more bytes than this go outside the page.
    @usableFromInline var limit: Int
    /// Values that were copied before the lock was taken, or nil.
    @usableFromInline let staged: UnsafeMutablePointer<StagedValues>?
    /// Whose page it is, or nil for a page that no partition owns.
    @usableFromInline let partition: UnsafeMutablePointer<Partition>?

    @inlinable init(
        page: UnsafeMutableRawPointer, limit: Int, staged: UnsafeMutablePointer<StagedValues>?,
        partition: UnsafeMutablePointer<Partition>?
    ) {
        unsafe self.page = unsafe page
        self.limit = limit
        unsafe self.staged = unsafe staged
        unsafe self.partition = unsafe partition
    }

    /// The same heap, to read.
    @inlinable public var view: HeapView { unsafe HeapView(page: UnsafeRawPointer(page)) }

    /// Bytes that are left.
    @inlinable var room: Int { unsafe Page(base: page).heapRoom }

    /// Bytes of the heap that a value of `byteCount` bytes takes.
    @inlinable static func heapByteCount(of byteCount: Int, upTo limit: Int) -> Int {
        byteCount <= limit ? byteCount : MemoryLayout<LargeValueRecord>.size
    }

    /// Puts bytes into space that has been reserved.
    @inlinable mutating func place(_ bytes: UnsafeRawBufferPointer) -> HeapReference {
        if bytes.count == 0 { return HeapReference() }
        if bytes.count > limit { return unsafe placeOutOfLine(bytes) }
        let header = unsafe page.assumingMemoryBound(to: PageHeader.self)
        let offset = unsafe Int(header.pointee.heapTop)
        unsafe assert(
            offset + bytes.count <= Int(header.pointee.blockSize), "heap space was not reserved")
        // SAFETY: the caller reserved the bytes, so they end within the block.
        unsafe (page + offset).copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
        unsafe header.pointee.heapTop = UInt32(truncatingIfNeeded: offset &+ bytes.count)
        return HeapReference(
            offset: UInt16(truncatingIfNeeded: offset),
            length: UInt16(truncatingIfNeeded: bytes.count))
    }

    @usableFromInline mutating func placeOutOfLine(
        _ bytes: UnsafeRawBufferPointer
    ) -> HeapReference {
        unsafe place(makeLargeValue(bytes))
    }

    /// A value outside the page of these bytes.
    private func makeLargeValue(_ bytes: UnsafeRawBufferPointer) -> LargeValue {
        // Values of more than Page.valueLimit bytes were staged; smaller ones come here only where a page
        // has no room for them.
        unsafe bytes.count > Page.valueLimit
            ? staged?.pointee.take(bytes) ?? LargeValue.make(copying: bytes)
            : LargeValue.make(copying: bytes)
    }

    /// Puts a value that is already outside into the page.
    @usableFromInline mutating func place(_ value: LargeValue) -> HeapReference {
        let header = unsafe page.assumingMemoryBound(to: PageHeader.self)
        let offset = unsafe Int(header.pointee.heapTop)
        let size = MemoryLayout<LargeValueRecord>.size
        unsafe precondition(
            offset + size <= Int(header.pointee.blockSize), "heap space was not reserved")
        store(value, at: offset)
        unsafe header.pointee.heapTop += UInt32(size)
        unsafe header.pointee.hasOutOfLine = true
        return HeapReference(offset: UInt16(offset), length: HeapReference.outOfLine)
    }

    /// Writes the record of a value that nothing refers to yet.
    private func store(_ value: LargeValue, at offset: Int) {
        unsafe value.header.pointee.retirable.birth = unsafe partition?.pointee.writeEpoch ?? 0
        // SAFETY: the caller knows that a record's bytes at `offset` are within the heap.
        unsafe page.storeBytes(
            of: LargeValueRecord(
                address: UInt64(UInt(bitPattern: value.base)), byteCount: UInt64(value.byteCount)),
            toByteOffset: offset, as: LargeValueRecord.self)
    }

    /// Overwrites a value with one that has room in its place, or else gives it up and puts the new one into
    /// space that has been reserved.
    @inlinable mutating func replace(
        _ reference: inout HeapReference, with bytes: UnsafeRawBufferPointer
    ) {
        guard reference.hasRoom(for: bytes.count, upTo: limit) else {
            discard(reference)
            reference = unsafe place(bytes)
            return
        }
        if reference.isOutOfLine { return unsafe replaceOutOfLine(reference, with: bytes) }
        // SAFETY: the reference has at least so many bytes of the heap, no other reference has any of them
        // (Page), and no cut sees a page that is written.
        if let first = bytes.baseAddress {
            unsafe (page + Int(reference.offset)).copyMemory(from: first, byteCount: bytes.count)
        }
        reference.length = UInt16(truncatingIfNeeded: bytes.count)
    }

    /// Overwrites a value with one that is already outside, or puts that into space that has been reserved.
    mutating func replace(_ reference: inout HeapReference, with value: LargeValue) {
        discard(reference)
        if reference.isOutOfLine {
            store(value, at: Int(reference.offset))
        } else {
            reference = place(value)
        }
    }

    @usableFromInline mutating func replaceOutOfLine(
        _ reference: HeapReference, with bytes: UnsafeRawBufferPointer
    ) {
        discardOutOfLine(reference)
        unsafe store(makeLargeValue(bytes), at: Int(reference.offset))
    }

    /// Gives up a value that is about to be removed.
    @inlinable func discard(_ reference: HeapReference) {
        if reference.isOutOfLine { discardOutOfLine(reference) }
    }

    @usableFromInline func discardOutOfLine(_ reference: HeapReference) {
        let value = view.largeValue(reference)
        if let partition = unsafe partition {
            unsafe partition.pointee.replacedValues.push(value)
        } else {
            value.deallocate()
        }
    }
}
