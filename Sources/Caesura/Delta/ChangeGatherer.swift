import CPrefetch
import CaesuraFormat

/// Copies the changed leaves of updated rows, before and after, into the columns of a delta.
///
/// Row by row, so that the lines of a row come once: rows that have changed mostly stand alone in their pages.
@safe
struct ChangeGatherer: ~Copyable {
    /// One changed leaf, and where its next values go.
    @safe
    private struct Target {
        var cursor: LeafCursor
        var oldValues: UnsafeMutableRawPointer
        var leaf: Int
    }

    private let layout: RowLayout
    private let batch: DeltaBatch
    /// For each leaf how many values its column has so far.
    private var counts: [Int]
    private var targets: [Target] = []

    init(_ layout: RowLayout, _ batch: DeltaBatch) {
        self.layout = layout
        self.batch = batch
        counts = Array(repeating: 0, count: layout.leaves.count)
    }

    /// Appends the values of updated rows that all have changed the same leaves.
    ///
    /// Values that go in segments leave their lengths.
    mutating func append(_ changes: ArraySlice<RowChange>, _ isChanged: (Int) -> Bool) {
        begin(changes.count, isChanged)
        defer { settle(changes.count) }
        unsafe changes.withUnsafeBufferPointer { changes in
            for index in 0..<changes.count {
                if index + Self.ahead < changes.count {
                    unsafe Self.prefetch(changes[index + Self.ahead], layout.stride)
                }
                guard let new = unsafe changes[index].new, let old = unsafe changes[index].old
                else {
                    preconditionFailure("an updated row is there before and after")
                }
                copy(new, old)
            }
        }
    }

    /// Rows that are asked for before they are copied.
    private static let ahead = 8

    @inline(__always)
    private static func prefetch(_ change: RowChange, _ stride: Int) {
        guard let new = change.new, let old = change.old else { return }
        unsafe caesura_prefetch(new.entry)
        unsafe caesura_prefetch(old.entry)
        unsafe caesura_prefetch(new.entry + stride - 1)
        unsafe caesura_prefetch(old.entry + stride - 1)
    }

    private mutating func begin(_ count: Int, _ isChanged: (Int) -> Bool) {
        targets.removeAll(keepingCapacity: true)
        for leaf in layout.keyLeafCount..<layout.leaves.count where isChanged(leaf) {
            let (new, old) = (batch.changes[leaf].new, batch.changes[leaf].old)
            new.reserveCapacity(counts[leaf] + count)
            old.reserveCapacity(counts[leaf] + count)
            unsafe targets.append(
                Target(
                    cursor: LeafCursor(
                        layout.leaves[leaf], of: layout, new, after: counts[leaf],
                        new.contentByteCount),
                    oldValues: old.values + counts[leaf] * old.width, leaf: leaf))
        }
    }

    private mutating func settle(_ count: Int) {
        for target in targets {
            counts[target.leaf] += count
            if target.cursor.shape == .reference { continue }
            batch.changes[target.leaf].new.count += count
            batch.changes[target.leaf].old.count += count
        }
    }

    @inline(__always)
    private mutating func copy(_ new: FrozenRow, _ old: FrozenRow) {
        for index in targets.indices {
            switch targets[index].cursor.shape {
            case .one: Self.copyFixed(UInt8.self, &targets[index], new, old)
            case .two: Self.copyFixed(UInt16.self, &targets[index], new, old)
            case .four: Self.copyFixed(UInt32.self, &targets[index], new, old)
            case .eight: Self.copyFixed(UInt64.self, &targets[index], new, old)
            case .sixteen: Self.copyFixed(SIMD2<UInt64>.self, &targets[index], new, old)
            case .reference:
                let changes = batch.changes[targets[index].leaf]
                Self.copyBytes(new, targets[index].cursor, changes.new)
                Self.copyBytes(old, targets[index].cursor, changes.old)
            }
        }
    }

    @inline(__always)
    private static func copyFixed<Word: BitwiseCopyable>(
        _ type: Word.Type, _ target: inout Target, _ new: FrozenRow, _ old: FrozenRow
    ) {
        // SAFETY: the layout's offset; room was made for a value a row.
        unsafe copyFixed(type, target.cursor, new, to: target.cursor.values)
        unsafe copyFixed(type, target.cursor, old, to: target.oldValues)
        unsafe target.cursor.values += MemoryLayout<Word>.size
        unsafe target.oldValues += MemoryLayout<Word>.size
    }

    @inline(__always)
    private static func copyFixed<Word: BitwiseCopyable>(
        _ type: Word.Type, _ cursor: LeafCursor, _ row: FrozenRow,
        to target: UnsafeMutableRawPointer
    ) {
        guard unsafe cursor.isPresent(in: row.entry) else {
            unsafe target.initializeMemory(
                as: UInt8.self, repeating: 0, count: MemoryLayout<Word>.size)
            return
        }
        unsafe target.storeBytes(
            of: row.entry.loadUnaligned(fromByteOffset: cursor.offset, as: Word.self),
            as: Word.self)
    }

    private static func copyBytes(_ row: FrozenRow, _ cursor: LeafCursor, _ column: ColumnBuffer) {
        guard unsafe cursor.isPresent(in: row.entry) else {
            return unsafe column.append(row.entry, byteCount: 0)
        }
        column.append(
            unsafe row.entry.load(fromByteOffset: cursor.offset, as: HeapReference.self), of: row)
    }
}
