import CaesuraFormat

/// The segments of one partition, or of a sequence of rows, that wait for their chunk of rows.
@safe
final class PendingSegments: @unchecked Sendable {
    // @unchecked: chunks of one partition come one at a time.

    private var ledger = SegmentLedger()
    private var pieces: [Int: Pieces] = [:]
    private var values: [Int: LargeValue] = [:]

    private static func place(_ row: Int, _ leaf: Int) -> Int { row << 10 | leaf }

    /// Copies a piece into segments of its own: memory follows the bytes that came, not what they claim.
    func append(_ segment: Segment, at offset: Int) throws(FormatError) {
        try ledger.note(segment, at: offset)
        let place = Self.place(segment.row, segment.leaf)
        var pieces = self.pieces[place] ?? Pieces()
        unsafe pieces.append(segment.bytes)
        self.pieces[place] = pieces
    }

    /// Checks that the pieces are those of the batch's segmented values, and makes values of them.
    func settle(_ batch: ColumnBatch, at offset: Int) throws(FormatError) {
        let expected = batch.segmentedValues
        try ledger.settle(batch, at: offset)
        for (place, piece) in pieces {
            values[place] = unsafe LargeValue.make(
                adopting: piece.segments, byteCount: piece.byteCount)
        }
        pieces = [:]
        for value in expected {
            guard let large = values[Self.place(value.row, value.leaf)] else { continue }
            try large.check(batch.leaves[value.leaf].kind, at: offset)
        }
    }

    /// Adds a value that is whole.
    func put(_ value: LargeValue, row: Int, leaf: Int) { values[Self.place(row, leaf)] = value }

    /// Takes out the values of the leaves from one on; there they are numbered from 0.
    func takeValues(from leaf: Int) -> PendingSegments {
        let taken = PendingSegments()
        for (place, value) in values where place & 1023 >= leaf {
            taken.values[place - leaf] = value
            values[place] = nil
        }
        return taken
    }

    /// Takes over values whose leaves are numbered from one on here.
    func add(_ others: PendingSegments, from leaf: Int) {
        for (place, value) in others.values { values[place + leaf] = value }
        others.values = [:]
    }

    /// Renames the values' leaves: those of the stream become those of the store.
    ///
    /// - Parameter leaves: For each of the stream's the store's; nil for one that is not stored.
    func rename(_ leaves: [Int?]) {
        if values.isEmpty { return }
        let before = values
        values = [:]
        for (place, value) in before {
            if let leaf = leaves[place & 1023] {
                values[Self.place(place >> 10, leaf)] = value
            } else {
                value.deallocate()
            }
        }
    }

    func value(row: Int, leaf: Int) -> LargeValue? { values[Self.place(row, leaf)] }

    /// Gives a value away: whoever takes it frees it.
    func take(row: Int, leaf: Int) -> LargeValue? {
        values.removeValue(forKey: Self.place(row, leaf))
    }

    /// Frees what no page has taken.
    func discard() {
        for piece in pieces.values {
            piece.deallocate()
        }
        for value in values.values { value.deallocate() }
        pieces = [:]
        values = [:]
    }

    /// What came of one value, in segments as a ``LargeValue`` has them.
    @safe
    private struct Pieces {
        private(set) var segments: [UnsafeMutableRawPointer] = unsafe []
        private(set) var byteCount = 0

        mutating func append(_ bytes: UnsafeRawBufferPointer) {
            var done = 0
            while done < bytes.count {
                let size = min(LargeValue.segmentBytes, bytes.count - done)
                let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
                // SAFETY: `size` bytes from `done` lie in `bytes`.
                unsafe memory.copyMemory(from: bytes.baseAddress! + done, byteCount: size)
                unsafe segments.append(memory)
                done += size
            }
            byteCount += bytes.count
        }

        func deallocate() {
            for index in unsafe segments.indices { unsafe segments[index].deallocate() }
        }
    }
}
