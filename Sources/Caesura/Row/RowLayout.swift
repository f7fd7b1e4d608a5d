public import CaesuraFormat

/// Where the leaves of a key and a row lie in an entry of a page.
///
///     byte 0          stamp: epoch of the last change (48 bits), change mask (16 bits); 0 = empty slot
///     byte keyOffset  the key's Stored
///     byte rowOffset  the row's Stored
///     byte stride     the next entry
public struct RowLayout: Sendable {
    /// One leaf in an entry, in the order of ``RegionSchema/leaves``.
    public struct Leaf: Sendable {
        /// What lies there: a byte for `.presence`, the scalar for `.fixed`, otherwise a ``HeapReference``.
        public var kind: LeafColumn.Kind
        /// Bytes from the start of the entry.
        public var offset: Int
        /// Index of the presence leaf that says whether there is a value, or nil.
        public var scope: Int?
    }

    /// The leaves, the key's first.
    public internal(set) var leaves: [Leaf]
    /// How many of them belong to the key.
    public internal(set) var keyLeafCount: Int
    /// Where the key starts in an entry.
    public internal(set) var keyOffset: Int
    /// Where the row starts in an entry.
    public internal(set) var rowOffset: Int
    /// Bytes from one entry to the next.
    public internal(set) var stride: Int

    /// Collects the leaves of a key or a row.
    public struct Builder {
        var leaves: [Leaf] = []
        private var scope: Int?
        private let base: Int

        init(base: Int) { self.base = base }

        /// Adds a leaf at byte `offset`.
        public mutating func add(_ kind: LeafColumn.Kind, at offset: Int) {
            leaves.append(Leaf(kind: kind, offset: offset, scope: scope))
        }

        /// Adds a presence byte at `offset` and then the leaves that `wrapped` adds, scoped to it.
        public mutating func addOptional(at offset: Int, wrapped: (inout Builder) -> Void) {
            add(.presence, at: offset)
            let outer = scope
            scope = base + leaves.count - 1
            wrapped(&self)
            scope = outer
        }
    }

    /// The layout of an entry of a key and a row type.
    init<Key: FieldValue, Row: FieldValue>(key: Key.Type, row: Row.Type) {
        keyOffset = EntryShape<Key, Row>.keyOffset
        rowOffset = EntryShape<Key, Row>.rowOffset
        stride = EntryShape<Key, Row>.stride
        var keys = Builder(base: 0)
        Key.describe(at: keyOffset, in: &keys)
        var rows = Builder(base: keys.leaves.count)
        Row.describe(at: rowOffset, in: &rows)
        keyLeafCount = keys.leaves.count
        leaves = keys.leaves + rows.leaves
    }

    /// The layout of an entry without a key.
    init<Row: FieldValue>(row: Row.Type) {
        keyOffset = 8
        keyLeafCount = 0
        rowOffset = max(8, MemoryLayout<Row.Stored>.alignment)
        stride = (rowOffset + MemoryLayout<Row.Stored>.size)
            .rounded(upToMultipleOf: max(8, MemoryLayout<Row.Stored>.alignment))
        var rows = Builder(base: 0)
        Row.describe(at: rowOffset, in: &rows)
        leaves = rows.leaves
    }

    /// The layout of an entry whose Swift types are not known.
    ///
    /// It is the one that `@Schema` gives a struct of these fields whose types are written by their own
    /// names, so that such a struct can use the rows as they lie. A type behind another name (a typealias)
    /// may make another layout: see ``TableCore/takeRows(of:)``.
    init(region: RegionSchema) {
        let key = StoredShape(region.key?.fields ?? [])
        let row = StoredShape(region.row.fields)
        keyOffset = max(8, key.alignment)
        rowOffset = (keyOffset + key.size).rounded(upToMultipleOf: row.alignment)
        stride = (rowOffset + row.size).rounded(
            upToMultipleOf: max(8, key.alignment, row.alignment))
        let offsets =
            key.offsets.map { [keyOffset] in $0 + keyOffset }
            + row.offsets.map { [rowOffset] in $0 + rowOffset }
        keyLeafCount = key.offsets.count
        leaves = zip(region.leaves, offsets).map { column, offset in
            Leaf(kind: column.kind, offset: offset, scope: column.scope)
        }
    }
}

/// What the compiler makes of a `Stored`: its size, and where in it the leaves lie.
private struct StoredShape {
    /// Bytes, without padding at the end.
    var size: Int
    var alignment: Int
    /// The leaves' offsets, in the order of ``RegionSchema/leaves``.
    var offsets: [Int]

    /// The `Stored` of a struct: its fields in the order in which `@Schema` declares them there.
    init(_ fields: [Field]) {
        let shapes = fields.map { StoredShape($0.type) }
        var starts = Array(repeating: 0, count: fields.count)
        size = 0
        alignment = 1
        // Swift's sort is stable, so equals stay in declaration order.
        for index in fields.indices.sorted(by: { fields[$0].type.rank < fields[$1].type.rank }) {
            size = size.rounded(upToMultipleOf: shapes[index].alignment)
            starts[index] = size
            size += shapes[index].size
            alignment = max(alignment, shapes[index].alignment)
        }
        offsets = zip(shapes, starts).flatMap { shape, start in shape.offsets.map { $0 + start } }
    }

    private init(_ type: FieldType) {
        switch type {
        case .scalar(let scalar):
            size = scalar.width
            // Two words.
            alignment = scalar == .uuid ? 8 : scalar.width
            offsets = [0]
        case .string, .bytes, .array:
            size = MemoryLayout<HeapReference>.size
            alignment = MemoryLayout<HeapReference>.alignment
            offsets = [0]
        case .enumeration(let raw, _): self = StoredShape(raw)
        case .optional(let wrapped):
            self = StoredShape(wrapped)
            // The presence byte lies behind the value; its leaf comes first.
            offsets.insert(size, at: 0)
            size += 1
        case .structure(let fields, _): self = StoredShape(fields)
        }
    }
}

extension FieldType {
    /// The place in `Stored`, lowest first: `FieldSpelling.rank` of the macro, for the type's own name.
    fileprivate var rank: Int {
        switch self {
        case .scalar(let scalar): scalar == .uuid ? -16 : -2 * scalar.width
        case .string, .bytes, .array: -4
        // The macro sees a name that says nothing.
        case .enumeration, .structure: -8
        case .optional(let wrapped): wrapped.rank + 1
        }
    }
}

extension Int {
    @inlinable func rounded(upToMultipleOf alignment: Int) -> Int {
        (self &+ alignment &- 1) / alignment &* alignment
    }
}

/// The offsets of ``RowLayout`` as the compiler knows them, so that typed access costs no load.
@usableFromInline
enum EntryShape<Key: FieldValue, Row: FieldValue> {
    @inlinable static var keyOffset: Int { max(8, MemoryLayout<Key.Stored>.alignment) }
    @inlinable static var rowOffset: Int {
        (keyOffset + MemoryLayout<Key.Stored>.size)
            .rounded(upToMultipleOf: MemoryLayout<Row.Stored>.alignment)
    }
    @inlinable static var stride: Int {
        (rowOffset + MemoryLayout<Row.Stored>.size).rounded(
            upToMultipleOf: max(
                8, MemoryLayout<Key.Stored>.alignment, MemoryLayout<Row.Stored>.alignment))
    }
}
