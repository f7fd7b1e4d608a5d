public import CaesuraFormat

/// A field value whose bytes lie in the page's heap.
public protocol BytesFieldValue: FieldValue where Stored == HeapReference {
    /// Calls `body` with the value's bytes where they lie.
    static func withBytes<Result, Failure: Error>(
        of value: Self, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result
}

extension BytesFieldValue {
    /// The bytes are in the page's heap or outside the page.
    @inlinable public static var isInline: Bool { false }

    /// Copies the bytes into the heap, or out of line when there are more than its limit.
    @inlinable public static func place(_ value: Self, in heap: inout HeapWriter) -> HeapReference {
        unsafe withBytes(of: value) { unsafe heap.place($0) }
    }

    /// None when the bytes fit where the present ones lie.
    @inlinable public static func heapByteCount(
        of value: Self, replacing stored: HeapReference, upTo limit: Int
    ) -> Int {
        let byteCount = heapByteCount(of: value, upTo: .max)
        return stored.hasRoom(for: byteCount, upTo: limit)
            ? 0 : HeapWriter.heapByteCount(of: byteCount, upTo: limit)
    }

    /// Overwrites the present bytes when the new ones are no more, or else places these.
    @inlinable public static func replace(
        _ stored: inout HeapReference, with value: Self, in heap: inout HeapWriter
    ) {
        unsafe withBytes(of: value) { unsafe heap.replace(&stored, with: $0) }
    }

    /// Frees the bytes that lie out of line, once no cut sees them.
    @inlinable public static func discard(
        _ stored: HeapReference, from heap: inout HeapWriter
    ) { heap.discard(stored) }

    /// Copies the bytes when there are more than `limit`.
    @inlinable public static func stage(
        _ value: Self, upTo limit: Int, in staged: inout StagedValues
    ) {
        if heapByteCount(of: value, upTo: .max) > limit {
            unsafe withBytes(of: value) { unsafe staged.append(copying: $0) }
        }
    }

    /// Calls `body` with the bytes of a stored value, without building the value.
    ///
    /// Bytes of a value of more than 256 KiB are copied together first.
    @inlinable public static func withBytes<Result>(
        of stored: HeapReference, in heap: HeapView, _ body: (RawSpan) throws -> Result
    ) rethrows -> Result {
        try unsafe heap.withBytes(of: stored) { try unsafe body($0.bytes) }
    }
}

extension String: BytesFieldValue, TableKey {
    /// A reference into the heap.
    public typealias Stored = HeapReference

    /// A string.
    public static var fieldType: FieldType { .string }

    /// Adds one leaf.
    public static func describe(at offset: Int, in layout: inout RowLayout.Builder) {
        layout.add(.bytes(utf8: true), at: offset)
    }

    /// Copies the UTF-8 when it has more than `limit` bytes, unless it would have to be made first: then
    /// it lies elsewhere each time.
    @inlinable public static func stage(
        _ value: String, upTo limit: Int, in staged: inout StagedValues
    ) {
        guard value.isContiguousUTF8, value.utf8.count > limit else { return }
        unsafe withBytes(of: value) { unsafe staged.append(copying: $0) }
    }

    /// The bytes of its UTF-8.
    @inlinable public static func heapByteCount(of value: String, upTo limit: Int) -> Int {
        HeapWriter.heapByteCount(of: value.utf8.count, upTo: limit)
    }

    /// Calls `body` with the UTF-8.
    @inlinable public static func withBytes<Result, Failure: Error>(
        of value: String, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // A copy that is changed would be retained and released.
        if value.isContiguousUTF8 {
            return try unsafe value.utf8Span.span.bytes.withUnsafeBytes(body)
        }
        var value = value
        value.makeContiguousUTF8()
        return try unsafe value.utf8Span.span.bytes.withUnsafeBytes(body)
    }

    /// Builds the string.
    @inlinable public static func load(_ stored: HeapReference, from heap: HeapView) -> String {
        // Only UTF-8 is placed: by `place`, or by a decoder that has validated it.
        unsafe heap.withBytes(of: stored) { unsafe String(decoding: $0, as: UTF8.self) }
    }

    /// The hash of the UTF-8.
    @inlinable public func hash(with hashKey: HashKey) -> UInt64 {
        unsafe Self.withBytes(of: self) { unsafe hashKey.hash(bytes: $0) }
    }

    /// Feeds the number of bytes and the UTF-8.
    @inlinable public func absorb(into hasher: inout KeyHasher) {
        unsafe Self.withBytes(of: self) { bytes in
            // A key of more than 4 GiB is in no table, whatever its hash.
            hasher.absorb(littleEndian: UInt32(truncatingIfNeeded: bytes.count))
            unsafe hasher.absorb(bytes)
        }
    }

    /// Whether the UTF-8 is the same.
    @inlinable public static func matches(
        _ stored: HeapReference, _ key: String, in heap: HeapView
    ) -> Bool {
        if !stored.isOutOfLine, Int(stored.length) != key.utf8.count { return false }
        return unsafe heap.withBytes(of: stored) { stored in
            unsafe Self.withBytes(of: key) { unsafe stored.elementsEqual($0) }
        }
    }

    /// The string.
    public static func value(of value: String) -> Value { .string(value) }
}

extension Array: FieldValue where Element: ArrayElement {
    /// A reference into the heap.
    public typealias Stored = HeapReference

    /// Bytes for `[UInt8]`, otherwise an array of the scalar.
    public static var fieldType: FieldType {
        Element.self == UInt8.self ? .bytes : .array(Element.scalarType)
    }

    /// Adds one leaf.
    public static func describe(at offset: Int, in layout: inout RowLayout.Builder) {
        layout.add(
            Element.self == UInt8.self ? .bytes(utf8: false) : .array(Element.scalarType),
            at: offset)
    }

    /// The bytes of the elements.
    @inlinable public static func heapByteCount(of value: [Element], upTo limit: Int) -> Int {
        HeapWriter.heapByteCount(of: value.count * MemoryLayout<Element>.stride, upTo: limit)
    }

    /// Builds the array.
    @inlinable public static func load(_ stored: HeapReference, from heap: HeapView) -> [Element] {
        unsafe heap.withBytes(of: stored) { bytes in
            unsafe [Element](
                unsafeUninitializedCapacity: bytes.count / MemoryLayout<Element>.stride
            ) {
                buffer, count in
                count = bytes.count / MemoryLayout<Element>.stride
                unsafe UnsafeMutableRawBufferPointer(buffer).copyMemory(from: bytes)
            }
        }
    }

    /// The elements, or the bytes.
    public static func value(of value: [Element]) -> Value {
        // An empty array of any element can be cast to `[UInt8]`.
        if Element.self == UInt8.self, let bytes = value as? [UInt8] { return .bytes(bytes) }
        return .array(value.map { Element.value(of: $0) })
    }
}

extension Array: BytesFieldValue where Element: ArrayElement {
    /// Calls `body` with the bytes of the elements.
    @inlinable public static func withBytes<Result, Failure: Error>(
        of value: [Element], _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try unsafe value.span.withUnsafeBufferPointer { (elements) throws(Failure) in
            try unsafe body(UnsafeRawBufferPointer(elements))
        }
    }
}

extension Array: TableKey where Element: ArrayElement & Hashable {
    /// The hash of the bytes.
    @inlinable public func hash(with hashKey: HashKey) -> UInt64 {
        unsafe Self.withBytes(of: self) { unsafe hashKey.hash(bytes: $0) }
    }

    /// Feeds the number of bytes and the bytes.
    @inlinable public func absorb(into hasher: inout KeyHasher) {
        unsafe Self.withBytes(of: self) { bytes in
            // A key of more than 4 GiB is in no table, whatever its hash.
            hasher.absorb(littleEndian: UInt32(truncatingIfNeeded: bytes.count))
            unsafe hasher.absorb(bytes)
        }
    }

    /// Whether the bytes are the same.
    @inlinable public static func matches(
        _ stored: HeapReference, _ key: [Element], in heap: HeapView
    ) -> Bool {
        unsafe heap.withBytes(of: stored) { stored in
            unsafe Self.withBytes(of: key) { unsafe stored.elementsEqual($0) }
        }
    }
}
