public import CaesuraFormat

/// The stored form of an optional: a byte that says whether there is a value, and the value.
@frozen
public struct StoredOptional<Wrapped: BitwiseCopyable & Sendable>: BitwiseCopyable, Sendable {
    /// The value; what it holds when there is none means nothing, but its references are empty.
    @usableFromInline var wrapped: Wrapped
    /// 1 when there is a value, 0 when not.
    @usableFromInline var isPresent: UInt8

    @inlinable init(wrapped: Wrapped, isPresent: UInt8) {
        self.wrapped = wrapped
        self.isPresent = isPresent
    }
}

extension Optional: FieldValue where Wrapped: FieldValue {
    /// The value and whether there is one.
    public typealias Stored = StoredOptional<Wrapped.Stored>

    /// An optional of the wrapped type.
    public static var fieldType: FieldType { .optional(Wrapped.fieldType) }

    /// Whether the wrapped type is.
    @inlinable public static var isInline: Bool { Wrapped.isInline }

    /// Adds a presence leaf and those of the wrapped type, scoped to it.
    public static func describe(at offset: Int, in layout: inout RowLayout.Builder) {
        let presence = MemoryLayout<Stored>.offset(of: \Stored.isPresent)!
        let wrapped = MemoryLayout<Stored>.offset(of: \Stored.wrapped)!
        layout.addOptional(at: offset + presence) { layout in
            Wrapped.describe(at: offset + wrapped, in: &layout)
        }
    }

    /// That of the value, if there is one.
    @inlinable public static func heapByteCount(of value: Wrapped?, upTo limit: Int) -> Int {
        guard let value else { return 0 }
        return Wrapped.heapByteCount(of: value, upTo: limit)
    }

    /// Places the value, if there is one.
    @inlinable public static func place(_ value: Wrapped?, in heap: inout HeapWriter) -> Stored {
        guard let value else { return absent }
        return StoredOptional(wrapped: Wrapped.place(value, in: &heap), isPresent: 1)
    }

    /// No value.
    @inlinable static var absent: Stored {
        // SAFETY: all-zero bytes are a valid Stored (FieldValue), and its references are empty.
        unsafe withUnsafeTemporaryAllocation(of: Stored.self, capacity: 1) { memory in
            unsafe UnsafeMutableRawBufferPointer(memory).initializeMemory(
                as: UInt8.self, repeating: 0)
            return unsafe memory[0]
        }
    }

    /// That of the value, if there is one.
    @inlinable public static func heapByteCount(
        of value: Wrapped?, replacing stored: Stored, upTo limit: Int
    ) -> Int {
        guard let value else { return 0 }
        return Wrapped.heapByteCount(of: value, replacing: stored.wrapped, upTo: limit)
    }

    /// Replaces the value, or discards it.
    @inlinable public static func replace(
        _ stored: inout Stored, with value: Wrapped?, in heap: inout HeapWriter
    ) {
        guard let value else {
            discard(stored, from: &heap)
            stored = absent
            return
        }
        // Where there was no value, its references are empty: nothing is overwritten.
        Wrapped.replace(&stored.wrapped, with: value, in: &heap)
        stored.isPresent = 1
    }

    /// Builds the value, if there is one.
    @inlinable public static func load(_ stored: Stored, from heap: HeapView) -> Wrapped? {
        stored.isPresent == 0 ? nil : Wrapped.load(stored.wrapped, from: heap)
    }

    /// Discards the value, if there is one.
    @inlinable public static func discard(_ stored: Stored, from heap: inout HeapWriter) {
        if stored.isPresent != 0 { Wrapped.discard(stored.wrapped, from: &heap) }
    }

    /// Stages the value, if there is one.
    @inlinable public static func stage(
        _ value: Wrapped?, upTo limit: Int, in staged: inout StagedValues
    ) {
        if let value { Wrapped.stage(value, upTo: limit, in: &staged) }
    }

    /// `none` or the value.
    public static func value(of value: Wrapped?) -> Value {
        value.map { Wrapped.value(of: $0) } ?? Value.none
    }
}

extension Optional: TableKey where Wrapped: TableKey {
    /// Feeds a byte, 0 or 1, and the value if there is one.
    @inlinable public func absorb(into hasher: inout KeyHasher) {
        hasher.absorb(littleEndian: self == nil ? 0 as UInt8 : 1)
        self?.absorb(into: &hasher)
    }

    /// Whether both are absent, or the values are the same.
    @inlinable public static func matches(
        _ stored: Stored, _ key: Wrapped?, in heap: HeapView
    ) -> Bool {
        guard let key else { return stored.isPresent == 0 }
        return stored.isPresent != 0 && Wrapped.matches(stored.wrapped, key, in: heap)
    }
}
