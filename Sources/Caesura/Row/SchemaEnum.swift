public import CaesuraFormat

/// An enum that can be a field: its raw value is stored.
///
///     enum Status: UInt8, SchemaEnum { case active = 1, blocked = 2 }
///
/// The raw type is a fixed-width integer or String.
public protocol SchemaEnum: FieldValue, CaseIterable, RawRepresentable
where RawValue: FieldValue & TableKey, Stored == RawValue.Stored {
    /// What is read for a raw value of a later version, which is no case of this one; nil, unless declared, to refuse
    /// data that may have some.
    ///
    /// The row keeps the raw value until the field is set.
    static var fallback: Self? { get }
}

extension SchemaEnum {
    /// None.
    @inlinable public static var fallback: Self? { nil }

    /// An enumeration of the cases.
    public static var fieldType: FieldType {
        let fallback = fallback.map { RawValue.value(of: $0.rawValue) }
        return .enumeration(
            raw: RawValue.fieldType,
            cases: allCases.map {
                let raw = RawValue.value(of: $0.rawValue)
                return EnumerationCase(
                    name: String(describing: $0), raw: raw, isFallback: raw == fallback)
            })
    }

    /// Whether the raw type is.
    @inlinable public static var isInline: Bool { RawValue.isInline }

    /// Adds the raw type's leaf.
    public static func describe(at offset: Int, in layout: inout RowLayout.Builder) {
        RawValue.describe(at: offset, in: &layout)
    }

    /// That of the raw value.
    @inlinable public static func heapByteCount(of value: Self, upTo limit: Int) -> Int {
        RawValue.heapByteCount(of: value.rawValue, upTo: limit)
    }

    /// Places the raw value.
    @inlinable public static func place(_ value: Self, in heap: inout HeapWriter) -> Stored {
        RawValue.place(value.rawValue, in: &heap)
    }

    /// That of the raw value.
    @inlinable public static func heapByteCount(
        of value: Self, replacing stored: Stored, upTo limit: Int
    ) -> Int {
        RawValue.heapByteCount(of: value.rawValue, replacing: stored, upTo: limit)
    }

    /// Replaces the raw value.
    @inlinable public static func replace(
        _ stored: inout Stored, with value: Self, in heap: inout HeapWriter
    ) {
        RawValue.replace(&stored, with: value.rawValue, in: &heap)
    }

    /// The case of the raw value.
    @inlinable public static func load(_ stored: Stored, from heap: HeapView) -> Self {
        guard let value = Self(rawValue: RawValue.load(stored, from: heap)) ?? fallback else {
            preconditionFailure("a row holds a raw value that is no case: it was not checked")
        }
        return value
    }

    /// Discards the raw value.
    @inlinable public static func discard(_ stored: Stored, from heap: inout HeapWriter) {
        RawValue.discard(stored, from: &heap)
    }

    /// The raw value.
    public static func value(of value: Self) -> Value { RawValue.value(of: value.rawValue) }
}

extension SchemaEnum where Self: TableKey {
    /// The hash of the raw value.
    @inlinable public func hash(with hashKey: HashKey) -> UInt64 { rawValue.hash(with: hashKey) }

    /// Feeds the raw value.
    @inlinable public func absorb(into hasher: inout KeyHasher) { rawValue.absorb(into: &hasher) }

    /// Whether the raw value is the key's.
    @inlinable public static func matches(
        _ stored: Stored, _ key: Self, in heap: HeapView
    ) -> Bool { RawValue.matches(stored, key.rawValue, in: heap) }
}
