import CaesuraFormat

/// The values outside pages of some rows that go into a chunk.
struct LargeValues {
    private let layout: RowLayout
    /// By the row's number and the leaf.
    private var values: [Int: LargeValue] = [:]

    init(_ layout: RowLayout) { self.layout = layout }

    /// Notes those of a row.
    mutating func note(_ row: Int, _ entry: UnsafeRawPointer, _ heap: HeapView) {
        for (leaf, described) in layout.leaves.enumerated() {
            switch described.kind {
            case .presence, .fixed: continue
            case .bytes, .array: break
            }
            let reference = unsafe entry.load(
                fromByteOffset: described.offset, as: HeapReference.self)
            guard reference.isOutOfLine else { continue }
            values[row << 10 | leaf] = heap.largeValue(reference)
        }
    }

    subscript(value: SegmentedValue) -> LargeValue {
        guard let large = values[value.row << 10 | value.leaf] else {
            preconditionFailure("a segmented value lies outside its page")
        }
        return large
    }
}

extension Cut {
    /// Encodes the segment chunks before a chunk of rows, each copied by itself, so that a cancellation waits for no
    /// more than one.
    ///
    /// - Parameter header: That of the first of them; its sequence is counted up.
    func encodeSegments<Failure: Error>(
        _ segmented: [SegmentedValue], of values: LargeValues, _ header: inout ChunkHeader,
        _ encoder: inout ChunkEncoder,
        emit: (ChunkHeader, UnsafeRawBufferPointer) throws(Failure) -> Void,
        refused: (StoreError) -> Failure
    ) throws(Failure) {
        let piece = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Limits.segmentBytes, alignment: 64)
        defer { unsafe piece.deallocate() }
        for value in segmented {
            let large = values[value]
            for offset in stride(from: 0, to: value.byteCount, by: Limits.segmentBytes) {
                let size = min(Limits.segmentBytes, value.byteCount - offset)
                try read(
                    { () throws(Failure) in
                        unsafe large.read(offset..<offset + size, into: piece.baseAddress!)
                    }, cancelled: refused)
                unsafe encoder.encode(
                    segment: UnsafeRawBufferPointer(rebasing: piece[..<size]), leaf: value.leaf,
                    row: value.row, offset: offset, header: header)
                try unsafe emit(encoder.header, encoder.bytes)
                header.sequence += 1
            }
        }
    }
}
