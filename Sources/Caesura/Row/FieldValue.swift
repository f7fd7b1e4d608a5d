public import CaesuraFormat

/// A type that a field can have.
///
/// A value has two forms: the Swift value, and its ``Stored`` twin, which is bitwise-copyable and lies
/// in a row of a page. Bytes of variable length lie in the heap of the same page and `Stored` refers to
/// them. Storing goes in three steps, so that a page never moves while values are being placed in it:
/// measure (``heapByteCount(of:upTo:)``), reserve (the page may move), place
/// (``place(_:in:)``).
///
/// The library conforms Bool, all fixed-width integers and floats, ``UUID``, ``Timestamp``, arrays of these,
/// String, and optionals of them all. `@Schema` conforms structs. An enum with a raw value
/// conforms by declaring ``SchemaEnum``.
public protocol FieldValue: Sendable {
    /// The form in a page's row. All-zero bytes must be a valid value of it.
    associatedtype Stored: BitwiseCopyable & Sendable

    /// The type in the schema.
    static var fieldType: FieldType { get }

    /// Whether `Stored` holds the whole value and nothing of it lies in the page's heap.
    static var isInline: Bool { get }

    /// Adds the leaves of this type, whose `Stored` starts at byte `offset` of the row.
    static func describe(at offset: Int, in layout: inout RowLayout.Builder)

    /// The bytes that ``place(_:in:)`` will take from the page's heap when values of more than `limit`
    /// bytes live outside the page.
    static func heapByteCount(of value: Self, upTo limit: Int) -> Int

    /// Stores a value, putting what does not fit in `Stored` into the page's heap.
    ///
    /// The caller has reserved what ``heapByteCount(of:upTo:)`` said for the writer's limit.
    static func place(_ value: Self, in heap: inout HeapWriter) -> Stored

    /// The bytes that ``replace(_:with:in:)`` will take from the page's heap: none for what fits where the
    /// present value lies.
    static func heapByteCount(of value: Self, replacing stored: Stored, upTo limit: Int) -> Int

    /// Stores a value in place of another: bytes that are no more than the present ones overwrite them.
    ///
    /// The caller has reserved what ``heapByteCount(of:replacing:upTo:)`` said for the writer's limit.
    static func replace(_ stored: inout Stored, with value: Self, in heap: inout HeapWriter)

    /// Builds the Swift value.
    static func load(_ stored: Stored, from heap: HeapView) -> Self

    /// Gives up what lies outside the page for a value that is about to be removed.
    static func discard(_ stored: Stored, from heap: inout HeapWriter)

    /// Copies values of more than `limit` bytes out of line before the partition is locked.
    ///
    /// Only bytes that stay where they are as long as `value` lives may be staged.
    static func stage(_ value: Self, upTo limit: Int, in staged: inout StagedValues)

    /// The value in the form that schemas and tools use.
    static func value(of value: Self) -> Value
}

extension FieldValue {
    /// As much as for a value where there was none.
    @inlinable public static func heapByteCount(
        of value: Self, replacing stored: Stored, upTo limit: Int
    ) -> Int {
        heapByteCount(of: value, upTo: limit)
    }

    /// Discards the present value and places the new one.
    @inlinable public static func replace(
        _ stored: inout Stored, with value: Self, in heap: inout HeapWriter
    ) {
        discard(stored, from: &heap)
        stored = place(value, in: &heap)
    }

    /// Nothing lies outside the page.
    @inlinable public static func discard(_ stored: Stored, from heap: inout HeapWriter) {}

    /// Nothing is staged.
    @inlinable public static func stage(
        _ value: Self, upTo limit: Int, in staged: inout StagedValues
    ) {}
}

/// A type that can be the key of a table.
///
/// Keys are the same when their canonical bytes (`docs/FORMAT.md`) are: those that a key absorbs. For strings
/// that is UTF-8, and not what `==` compares: `é` as one scalar and as `e` with an accent are two keys of a table
/// and one of a `Dictionary`. Bring such strings into one form before they become keys.
public protocol TableKey: FieldValue, Hashable {
    /// The hash of the key's canonical bytes.
    ///
    /// A key of one field hashes that field with its own `hash(with:)`: the bytes of a string or an array
    /// that is all of the key go in without their number.
    func hash(with hashKey: HashKey) -> UInt64

    /// Feeds the canonical bytes as one of several leaves of a key.
    func absorb(into hasher: inout KeyHasher)

    /// Whether `stored` is this key.
    static func matches(_ stored: Stored, _ key: Self, in heap: HeapView) -> Bool
}

extension TableKey {
    /// The hash of a key of several leaves: what ``absorb(into:)`` feeds.
    @inlinable public func hash(with hashKey: HashKey) -> UInt64 {
        var hasher = KeyHasher(key: hashKey)
        absorb(into: &hasher)
        return hasher.finalize()
    }
}

/// A struct whose fields are a schema: what `@Schema` makes of a plain Swift struct.
public protocol SchemaStruct: FieldValue {
    /// Reads the fields of one row in a page, without building the struct.
    associatedtype Reader: RowReading & ~Copyable
    /// Reads and writes the fields of one row in a page.
    associatedtype Editor: RowEditing & ~Copyable

    /// The fields, with their numbers, types and defaults.
    static var schema: Schema { get }
}

extension SchemaStruct {
    /// A nested struct of this schema's fields.
    public static var fieldType: FieldType {
        .structure(schema.fields, retired: schema.retired)
    }
}

/// What `@Schema` generates to read a row's fields.
///
/// It cannot be copied, so it cannot outlive the closure that is given it.
public protocol RowReading: ~Copyable {
    /// Creates a reader of a row.
    init(_ row: RowView)
}

/// What `@Schema` generates to write a row's fields.
///
/// Neither it nor its cursor can be copied, so they cannot outlive the closure that is given them.
public protocol RowEditing: ~Copyable {
    /// Creates an editor of a row.
    init(_ cursor: consuming RowCursor)
    /// Where the row is now, and which fields have changed.
    var cursor: RowCursor { get }
}
