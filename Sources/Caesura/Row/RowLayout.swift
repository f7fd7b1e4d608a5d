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

    /// The layout of an entry whose Swift types are not known: leaves by falling alignment.
    init(region: RegionSchema) {
        let columns = region.leaves
        keyLeafCount = columns.count { $0.isKey }
        func size(_ kind: LeafColumn.Kind) -> (size: Int, alignment: Int) {
            switch kind {
            case .presence: (1, 1)
            case .fixed(let scalar): (scalar.width, scalar.width)
            case .bytes, .array: (MemoryLayout<HeapReference>.size, 2)
            }
        }
        leaves = columns.map { Leaf(kind: $0.kind, offset: 0, scope: $0.scope) }
        var end = 8
        var widest = 8
        func lay(_ range: Range<Int>) -> Int {
            let order = range.sorted {
                let (a, b) = (size(columns[$0].kind).alignment, size(columns[$1].kind).alignment)
                return a != b ? a > b : $0 < $1
            }
            let first = order.first.map { size(columns[$0].kind).alignment } ?? 1
            end = end.rounded(upToMultipleOf: first)
            let start = end
            for index in order {
                let (size, alignment) = size(columns[index].kind)
                end = end.rounded(upToMultipleOf: alignment)
                leaves[index].offset = end
                end += size
                widest = max(widest, alignment)
            }
            return start
        }
        keyOffset = 0
        rowOffset = 0
        stride = 0
        keyOffset = lay(0..<keyLeafCount)
        rowOffset = lay(keyLeafCount..<columns.count)
        stride = end.rounded(upToMultipleOf: widest)
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
