/// What changed in a hash range between two cuts: the content of one delta chunk.
///
///     positions   0 … baseRowCount-1, in hash order at the base
///     removed     positions of rows that are gone         removedRows   what they were, if reversible
///     updated     positions of rows with changed fields   masks, changes
///     inserted    rows that were not there, with their keys
///
/// Filled by whoever compares pages, or by a decoder; read by an encoder, or by whoever applies it. Kept and
/// reused like a ``ColumnBatch``. Not thread-safe: one worker, one batch.
public final class DeltaBatch {
    /// The region's leaves.
    public let leaves: [LeafColumn]
    /// How many of them belong to the key: they do not change.
    public let keyLeafCount: Int
    /// Identity of the state that the delta builds on: ``StreamEnd/digest`` of the stream that ended there.
    public var baseDigest: UInt64 = 0
    /// Whether the earlier state can be rebuilt from the later one.
    public var isReversible = false
    /// Segment chunks that belong to the chunk and come before it.
    public var segmentCount = 0
    /// Rows of the range at the base.
    public var baseRowCount: UInt64 = 0
    /// Positions of the removed rows, ascending.
    public var removed: [UInt64] = []
    /// Positions of the updated rows, ascending.
    public var updated: [UInt64] = []
    /// Which leaves changed, for the updated rows.
    public var masks: ChangeMasks
    /// For each leaf the values of the updated rows whose masks have it, in their order.
    public let changes: [LeafChanges]
    /// The inserted rows in hash order.
    public let inserted: ColumnBatch
    /// The removed rows as they were, in hash order; empty unless the delta is reversible.
    public let removedRows: ColumnBatch

    /// Creates an empty batch.
    public init(leaves: [LeafColumn]) {
        self.leaves = leaves
        keyLeafCount = leaves.prefix(while: \.isKey).count
        masks = ChangeMasks(leafCount: leaves.count)
        changes = leaves.map { LeafChanges(kind: $0.kind) }
        inserted = ColumnBatch(leaves: leaves)
        removedRows = ColumnBatch(leaves: leaves)
    }

    /// Changes in all: what a chunk's header counts.
    public var changeCount: Int { removed.count + updated.count + inserted.rowCount }

    /// For each updated row its place among the rows that are there before and after, in hash order.
    public var survivors: [UInt64] {
        var removedBefore = 0
        return updated.map { position in
            while removedBefore < removed.count, removed[removedBefore] < position {
                removedBefore += 1
            }
            return position - UInt64(removedBefore)
        }
    }

    /// Forgets the changes and keeps the memory.
    public func removeAll() {
        baseDigest = 0
        isReversible = false
        segmentCount = 0
        baseRowCount = 0
        removed.removeAll(keepingCapacity: true)
        updated.removeAll(keepingCapacity: true)
        masks.removeAll()
        for change in changes { change.removeAll() }
        inserted.removeAll()
        removedRows.removeAll()
    }
}

/// The changed values of one leaf.
///
/// A row in which an optional is absent has zero, or the empty value, for the leaves scoped to it, before and
/// after: so each column has one value for each row whose mask has the leaf.
public final class LeafChanges {
    /// How the new values are given.
    @nonexhaustive
    public enum Mode: UInt8, Hashable, Sendable {
        /// As they are.
        case value = 0
        /// As differences: new - old, modulo 2 to the power of the width in bits.
        case difference = 1
        /// As what stands between a common prefix and a common suffix.
        case affix = 2
    }

    /// How the values are given.
    public var mode = Mode.value
    /// New values, differences, or what stands between prefix and suffix.
    public let new: ColumnBuffer
    /// Old values, or what stood between prefix and suffix; empty unless reversible.
    public let old: ColumnBuffer
    /// Memory for whoever applies the changes: the values that the rows have.
    public let base: ColumnBuffer
    /// For mode ``Mode/affix``: elements (of bytes and texts: bytes) of the common prefixes.
    public let prefixes = ColumnBuffer(kind: .fixed(.uint32))
    /// For mode ``Mode/affix``: elements of the common suffixes.
    public let suffixes = ColumnBuffer(kind: .fixed(.uint32))

    init(kind: LeafColumn.Kind) {
        // What stands between a prefix and a suffix may begin inside a character: texts are checked when whole.
        let kind = kind == .bytes(utf8: true) ? .bytes(utf8: false) : kind
        new = ColumnBuffer(kind: kind)
        old = ColumnBuffer(kind: kind)
        base = ColumnBuffer(kind: kind)
    }

    func removeAll() {
        mode = .value
        new.removeAll()
        old.removeAll()
        base.removeAll()
        prefixes.removeAll()
        suffixes.removeAll()
    }
}

/// Which leaves changed in each of some rows: few different sets, and a number for each row.
public struct ChangeMasks: Sendable {
    /// Words of a set: bit i of all of them together is leaf i.
    public let wordCount: Int
    /// The different sets, `wordCount` words each.
    public private(set) var words: [UInt64] = []
    /// For each row the index of its set.
    public private(set) var codes: [UInt16] = []
    /// The index of each set, once there are more than a few.
    private var places: [[UInt64]: UInt16] = [:]
    /// Sets among which the one that is looked for is soonest found by looking at each.
    private static let few = 16

    init(leafCount: Int) { wordCount = (leafCount + 63) / 64 }

    /// The number of different sets.
    public var count: Int { words.count / wordCount }

    /// Whether the set of that index has a leaf.
    public func contains(_ leaf: Int, in code: Int) -> Bool {
        words[code * wordCount + leaf >> 6] >> UInt64(leaf & 63) & 1 == 1
    }

    /// Adds the set of the next rows.
    ///
    /// - Parameter count: How many rows in a row have it.
    public mutating func append(_ set: ArraySlice<UInt64>, count: Int = 1) {
        precondition(set.count == wordCount, "a set of other leaves")
        let code = code(of: set)
        for _ in 0..<count { codes.append(code) }
    }

    private mutating func code(of set: ArraySlice<UInt64>) -> UInt16 {
        for code in 0..<min(count, Self.few)
        where words[(code * wordCount)..<(code + 1) * wordCount].elementsEqual(set) {
            return UInt16(code)
        }
        let code = UInt16(count)
        if count >= Self.few {
            let key = Array(set)
            if let code = places[key] { return code }
            places[key] = code
        }
        words += set
        return code
    }

    /// Adds a set that rows will refer to.
    mutating func define(_ mask: [UInt64]) { words += mask }

    /// Adds the next row, whose set is defined.
    mutating func append(code: UInt16) { codes.append(code) }

    mutating func removeAll() {
        words.removeAll(keepingCapacity: true)
        codes.removeAll(keepingCapacity: true)
        places.removeAll(keepingCapacity: true)
    }
}
