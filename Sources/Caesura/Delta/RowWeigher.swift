import CaesuraFormat

/// Tells how many bytes a delta chunk has of a row, to bound chunks.
@safe
struct RowWeigher: ~Copyable {
    /// One leaf.
    private struct Leaf {
        /// As `docs/FORMAT.md`, "Ranges and planning", weighs a leaf without its content.
        var fixed: Int
        /// Where the reference to the content lies in an entry; -1 for a leaf of fixed width.
        var reference: Int
    }

    private let leaves: UnsafeMutablePointer<Leaf>
    private let leafCount: Int
    private let references: ReferenceOffsets
    private let fixedRowWeight: Int
    /// The set of leaves that was weighed last, and the weight of its leaves without content.
    private var lastSet: UInt64 = 0
    private var lastWeight = 0
    private var hasContent = false

    init(_ table: TableCore, fixedRowWeight: Int) {
        self.fixedRowWeight = fixedRowWeight
        references = table.pageLayout.referenceOffsets
        leafCount = table.layout.leaves.count
        unsafe leaves = .allocate(capacity: leafCount)
        for (index, leaf) in table.layout.leaves.enumerated() {
            let weighed =
                switch leaf.kind {
                case .presence: Leaf(fixed: 1, reference: -1)
                case .fixed(let scalar): Leaf(fixed: scalar.width, reference: -1)
                case .bytes, .array: Leaf(fixed: 4, reference: leaf.offset)
                }
            unsafe (leaves + index).initialize(to: weighed)
        }
    }

    deinit { unsafe leaves.deallocate() }

    /// The weight of a whole row.
    func weight(_ row: FrozenRow?) -> Int {
        guard let row else { return 0 }
        var weight = fixedRowWeight
        for offset in references { weight += Self.content(row, offset) }
        return weight
    }

    /// The weight of the leaves of a set, before and after.
    ///
    /// - Parameter set: Leaves 0 to 63.
    @inline(__always)
    mutating func weight(of new: FrozenRow, _ old: FrozenRow, in set: UInt64) -> Int {
        if set != lastSet { weigh(set) }
        return hasContent ? lastWeight &+ content(new, old, set) : lastWeight
    }

    private mutating func weigh(_ set: UInt64) {
        lastSet = set
        lastWeight = 0
        hasContent = false
        for leaf in 0..<leafCount where set >> UInt64(leaf) & 1 == 1 {
            unsafe lastWeight += 2 * leaves[leaf].fixed
            hasContent = unsafe hasContent || leaves[leaf].reference >= 0
        }
    }

    private func content(_ new: FrozenRow, _ old: FrozenRow, _ set: UInt64) -> Int {
        var weight = 0
        for leaf in 0..<leafCount where set >> UInt64(leaf) & 1 == 1 {
            let offset = unsafe leaves[leaf].reference
            if offset >= 0 { weight += Self.content(new, offset) + Self.content(old, offset) }
        }
        return weight
    }

    /// Bytes of content that a column has of a value.
    private static func content(_ row: FrozenRow, _ offset: Int) -> Int {
        let reference = unsafe row.entry.load(fromByteOffset: offset, as: HeapReference.self)
        return min(row.heap.byteCount(of: reference), Limits.inlineValueBytes)
    }
}
