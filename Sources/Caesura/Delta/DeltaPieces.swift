import CaesuraFormat

/// The segments that wait for their delta chunk, and the large values that are made of them.
///
///     append(piece)*  check(batch)  makeRows, make  ─► take ─► a row
///                                                  └─► discard
///
/// Memory follows the bytes that came, and what a made value has from the one that it replaces.
@safe
final class DeltaPieces: @unchecked Sendable {
    // @unchecked: the chunks of one range come one at a time.

    /// A value, as segments name it.
    private struct Place: Hashable, Comparable {
        var row: Int
        var leaf: Int

        static func < (a: Place, b: Place) -> Bool { (a.row, a.leaf) < (b.row, b.leaf) }
    }

    @safe
    private struct Piece {
        let offset: Int
        let byteCount: Int
        /// Its bytes, in segments as a ``LargeValue`` has them.
        let segments: [UnsafeMutableRawPointer]
    }

    private var pieces: [Place: [Piece]] = [:]
    private var values: [Place: LargeValue] = [:]
    private var last: (place: Place, offset: Int)?
    /// The headers of the chunks that came.
    private(set) var headers: [ChunkHeader] = []

    /// Pieces that came.
    var count: Int { headers.count }

    /// Copies a piece.
    func append(_ segment: Segment, _ header: ChunkHeader, at offset: Int) throws(FormatError) {
        let place = Place(row: segment.row, leaf: segment.leaf)
        if let last, last.place > place || last.place == place && last.offset >= segment.offset {
            throw FormatError(.malformed, "a delta's segments are not in order", at: offset)
        }
        last = (place, segment.offset)
        headers.append(header)
        let bytes = unsafe segment.bytes
        var segments: [UnsafeMutableRawPointer] = unsafe []
        for start in stride(from: 0, to: bytes.count, by: LargeValue.segmentBytes) {
            let size = min(LargeValue.segmentBytes, bytes.count - start)
            let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
            // SAFETY: `size` bytes from `start` lie in `bytes`.
            unsafe memory.copyMemory(from: bytes.baseAddress! + start, byteCount: size)
            unsafe segments.append(memory)
        }
        pieces[place, default: []].append(
            unsafe Piece(offset: segment.offset, byteCount: bytes.count, segments: segments))
    }

    /// Checks that the pieces are of values that the chunk has, whole ones of rows that come and go.
    func check(_ batch: DeltaBatch, at offset: Int) throws(FormatError) {
        guard batch.segmentCount == count else {
            throw FormatError(
                .malformed,
                "a delta chunk has \(batch.segmentCount) segments, and \(count) came before it",
                at: offset)
        }
        var known = 0
        for value in batch.segmentedValues {
            let pieces = pieces[Place(row: value.row, leaf: value.leaf)] ?? []
            known += pieces.count
            for piece in pieces
            where piece.byteCount != min(Limits.segmentBytes, value.byteCount - piece.offset) {
                throw FormatError(
                    .malformed, "a delta's segment does not fit its value", at: offset)
            }
            let whole = (value.byteCount + Limits.segmentBytes - 1) / Limits.segmentBytes
            guard value.row < batch.firstInsertedRow || pieces.count == whole else {
                throw FormatError(.malformed, "a segment of a row is missing", at: offset)
            }
        }
        guard known == count else {
            throw FormatError(
                .malformed, "a delta's segment is of a value that is not in segments", at: offset)
        }
    }

    /// Makes the values of rows that come whole, whose pieces were checked.
    ///
    /// - Parameters:
    ///   - first: The number of the first row.
    ///   - leafCount: Only those of so many leaves are wanted.
    ///   - targets: For each leaf the number that it has in the store, or nil if it is not stored; the same if nil.
    func makeRows(
        _ rows: ColumnBatch, from first: Int, leaves leafCount: Int, as targets: [Int?]?,
        at offset: Int
    ) throws(FormatError) {
        for value in rows.segmentedValues where value.leaf < leafCount {
            let target = if let targets { targets[value.leaf] } else { value.leaf }
            guard let target else { continue }
            let place = Place(row: value.row + first, leaf: value.leaf)
            let made = try make(place, value.byteCount, from: nil, at: offset)
            values[Place(row: place.row, leaf: target)] = made
            try made.check(rows.leaves[value.leaf].kind, at: offset)
        }
    }

    /// Makes the value that an updated row is to have.
    ///
    /// - Parameters:
    ///   - leaf: Its number, as segments name it.
    ///   - target: The number under which it is taken.
    ///   - kind: What it holds.
    ///   - present: The value that the row has, if it is a large one.
    func make(
        row: Int, leaf: Int, as target: Int, _ kind: LeafColumn.Kind, _ byteCount: Int,
        from present: LargeValue?, at offset: Int
    ) throws(FormatError) {
        let made = try make(Place(row: row, leaf: leaf), byteCount, from: present, at: offset)
        values[Place(row: row, leaf: target)] = made
        try made.check(kind, at: offset)
    }

    private func make(
        _ place: Place, _ byteCount: Int, from present: LargeValue?, at offset: Int
    ) throws(FormatError) -> LargeValue {
        let came = pieces[place] ?? []
        // Before memory is asked for: what did not come must be in the present value.
        var end = byteCount
        var next = came.count
        while end > 0 {
            let start = (end - 1) / Limits.segmentBytes * Limits.segmentBytes
            if next > 0, came[next - 1].offset == start {
                next -= 1
            } else if end > present?.byteCount ?? 0 {
                throw FormatError(
                    .malformed, "a segment is missing that the other value does not have",
                    at: offset)
            }
            end = start
        }
        pieces[place] = nil
        var segments: [UnsafeMutableRawPointer] = unsafe []
        next = 0
        for start in stride(from: 0, to: byteCount, by: Limits.segmentBytes) {
            if next < came.count, came[next].offset == start {
                unsafe segments += came[next].segments
                next += 1
            } else if let present {
                let end = min(start + Limits.segmentBytes, byteCount)
                unsafe segments += present.copies(of: start..<end)
            }
        }
        return unsafe LargeValue.make(adopting: segments, byteCount: byteCount)
    }

    func value(row: Int, leaf: Int) -> LargeValue? { values[Place(row: row, leaf: leaf)] }

    /// Gives a value away: whoever takes it frees it.
    func take(row: Int, leaf: Int) -> LargeValue? {
        values.removeValue(forKey: Place(row: row, leaf: leaf))
    }

    /// Frees what no row has taken.
    func discard() {
        for pieces in pieces.values {
            for piece in pieces {
                for index in unsafe piece.segments.indices {
                    unsafe piece.segments[index].deallocate()
                }
            }
        }
        for value in values.values { value.deallocate() }
        pieces = [:]
        values = [:]
    }
}

extension LargeValue {
    /// Copies of the segments of a range, which begins at one and ends at the end of one, or before.
    fileprivate func copies(of range: Range<Int>) -> [UnsafeMutableRawPointer] {
        var segments: [UnsafeMutableRawPointer] = unsafe []
        for start in stride(from: range.lowerBound, to: range.upperBound, by: Self.segmentBytes) {
            let size = min(Self.segmentBytes, range.upperBound - start)
            let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
            unsafe read(start..<start + size, into: memory)
            unsafe segments.append(memory)
        }
        return unsafe segments
    }
}
