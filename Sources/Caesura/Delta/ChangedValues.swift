import CaesuraFormat

/// The new values of one updated row after the other, on their way into entries.
@safe
struct ChangedValues {
    /// The place in the changes of one leaf.
    @safe
    private struct Cursor {
        let shape: LeafCursor.Shape
        /// Bytes from the start of an entry.
        let offset: Int
        let width: Int
        var values: UnsafeMutableRawPointer
        var lengths: UnsafeMutablePointer<UInt32>
        var content: UnsafeMutableRawPointer

        var byteCount: Int {
            shape == .reference ? unsafe Int(lengths.pointee) * width : width
        }

        /// Whether the value came in segments.
        var isSegmented: Bool { shape == .reference && byteCount > Limits.inlineValueBytes }
    }

    private let batch: DeltaBatch
    private let direction: LeafChanges.Direction
    private let pieces: DeltaPieces
    private var cursors: [Cursor]
    private var row = 0
    /// The leaves that the present row changes: those of fixed width, the others.
    private var fixed: [Int] = []
    private var content: [Int] = []
    private var code = -1

    init(
        _ batch: DeltaBatch, _ layout: RowLayout, _ direction: LeafChanges.Direction,
        _ pieces: DeltaPieces
    ) {
        self.batch = batch
        self.direction = direction
        self.pieces = pieces
        cursors = zip(layout.leaves, batch.changes).map { leaf, changes in
            let cursor = LeafCursor(leaf, of: layout, changes.values(direction), after: 0, 0)
            return unsafe Cursor(
                shape: cursor.shape, offset: leaf.offset, width: changes.new.width,
                values: cursor.values, lengths: cursor.lengths, content: cursor.content)
        }
    }

    /// Whether the present row changes leaves of variable length.
    var hasContent: Bool { !content.isEmpty }

    /// The bytes of the present row's new values of variable length.
    var byteCounts: [(leaf: Int, byteCount: Int)] {
        content.map { ($0, cursors[$0].byteCount) }
    }

    /// Goes to an updated row: to the first, and then from each to the next.
    mutating func next(_ row: Int) {
        if code >= 0 { advance() }
        self.row = row
        let next = Int(batch.masks.codes[row])
        if next != code { begin(next) }
    }

    private mutating func advance() {
        for leaf in fixed { unsafe cursors[leaf].values += cursors[leaf].width }
        for leaf in content {
            if !cursors[leaf].isSegmented {
                unsafe cursors[leaf].content += cursors[leaf].byteCount
            }
            unsafe cursors[leaf].lengths += 1
        }
    }

    private mutating func begin(_ code: Int) {
        self.code = code
        fixed.removeAll(keepingCapacity: true)
        content.removeAll(keepingCapacity: true)
        for leaf in batch.keyLeafCount..<cursors.count where batch.masks.contains(leaf, in: code) {
            if cursors[leaf].shape == .reference {
                content.append(leaf)
            } else {
                fixed.append(leaf)
            }
        }
    }

    /// The present row's new value of a leaf, if it has changed; empty when it came in segments.
    subscript(leaf: Int) -> UnsafeRawBufferPointer? {
        guard leaf >= batch.keyLeafCount, batch.masks.contains(leaf, in: code) else {
            return nil
        }
        let cursor = cursors[leaf]
        return unsafe UnsafeRawBufferPointer(
            start: cursor.shape == .reference ? cursor.content : cursor.values,
            count: cursor.isSegmented ? 0 : cursor.byteCount)
    }

    /// Stores the values of fixed width in a row's entry.
    @inline(__always)
    func storeFixed(in entry: UnsafeMutableRawPointer) {
        for leaf in fixed {
            let cursor = cursors[leaf]
            // SAFETY: the layout's offset; the column has a value for each row that changes the leaf.
            let target = unsafe entry + cursor.offset
            switch cursor.shape {
            case .one:
                unsafe target.storeBytes(of: cursor.values.load(as: UInt8.self), as: UInt8.self)
            case .two:
                unsafe target.storeBytes(
                    of: cursor.values.loadUnaligned(as: UInt16.self), as: UInt16.self)
            case .four:
                unsafe target.storeBytes(
                    of: cursor.values.loadUnaligned(as: UInt32.self), as: UInt32.self)
            case .eight:
                unsafe target.storeBytes(
                    of: cursor.values.loadUnaligned(as: UInt64.self), as: UInt64.self)
            case .sixteen:
                unsafe target.storeBytes(
                    of: cursor.values.loadUnaligned(as: SIMD2<UInt64>.self),
                    as: SIMD2<UInt64>.self)
            case .reference: preconditionFailure("a leaf of variable length")
            }
        }
    }

    /// A leaf's number, as segments name the values that the rows are to have.
    private func number(_ leaf: Int) -> Int {
        direction == .forwards ? leaf : leaf + cursors.count
    }

    /// Stores all values in a row's entry; the writer has room for those of variable length.
    func store(in entry: UnsafeMutableRawPointer, _ heap: inout HeapWriter) {
        unsafe storeFixed(in: entry)
        for leaf in content {
            let cursor = cursors[leaf]
            let target = unsafe entry + cursor.offset
            var reference = unsafe target.load(as: HeapReference.self)
            if cursor.isSegmented {
                guard let value = pieces.take(row: row, leaf: number(leaf)) else {
                    preconditionFailure("all large values were made before")
                }
                heap.replace(&reference, with: value)
            } else {
                unsafe heap.replace(
                    &reference,
                    with: UnsafeRawBufferPointer(start: cursor.content, count: cursor.byteCount))
            }
            unsafe target.storeBytes(of: reference, as: HeapReference.self)
        }
    }
}
