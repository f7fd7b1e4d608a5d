import CaesuraFormat

/// Decides which rows of a frozen log go into which chunk: a function of positions and rows alone (FORMAT, "Stretches
/// of a log").
///
///     head ──► stretch ──► stretch ──► … ──► end
///                └─► chunk, chunk … by weight, numbered anew in each stretch
///
/// Where the rows of a stretch are few and their heaps small, page headers suffice; otherwise its rows are weighed.
struct LogPlanner {
    /// One chunk to come.
    struct Chunk {
        var positions: Range<UInt64>
        /// Its number among those of its stretch, that of its first segment chunk if it has some.
        var sequence: UInt64
    }

    private let log: LogCore
    private let extent: LogExtent
    private let fixedRowWeight: Int
    /// Positions whose chunks the receiver has.
    private let kept: Range<UInt64>
    /// The next position to plan, after the chunks of ``planned``.
    private var next: UInt64
    /// The chunks of a stretch, the next one last.
    private var planned: [Chunk] = []

    /// - Parameters:
    ///   - start: The first position; the head, or in a delta where the base ends.
    ///   - kept: Positions whose chunks the receiver has.
    init(
        _ frozen: FrozenLog, from start: UInt64, fixedRowWeight: Int,
        keeping kept: Range<UInt64> = 0..<0
    ) {
        log = frozen.log
        extent = frozen.extent
        self.fixedRowWeight = fixedRowWeight
        self.kept = kept
        next = start
    }

    /// The next chunk that the receiver does not have; nil at the end.
    mutating func nextChunk() -> Chunk? {
        while planned.isEmpty {
            if next == extent.end { return nil }
            let stretch = Limits.positionsPerStretch
            let end = min((next / stretch + 1) * stretch, extent.end)
            // A stretch that was trimmed since has other chunks than the receiver's.
            let beginsAlike =
                next % stretch == 0 ? next >= kept.lowerBound : next == kept.lowerBound
            let isKept = beginsAlike && end <= kept.upperBound && end % stretch == 0
            if !isKept { plan(next..<end) }
            next = end
        }
        return planned.popLast()
    }

    /// Plans the kept rows of a stretch.
    private mutating func plan(_ positions: Range<UInt64>) {
        if isOneChunk(positions) {
            planned = [Chunk(positions: positions, sequence: 0)]
            return
        }
        var first = positions.lowerBound
        var sequence: UInt64 = 0
        // Segment chunks before the chunk that is being filled.
        var segments: UInt64 = 0
        var weight = 0
        extent.forEachPage(in: positions) { page, slots, start in
            let heap = unsafe HeapView(page: UnsafeRawPointer(page.base))
            for (index, slot) in slots.enumerated() {
                let entry = unsafe page.entries + slot * log.layout.stride
                let (rowWeight, rowSegments) = unsafe weigh(entry, heap)
                let position = start + UInt64(index)
                if position > first, weight + rowWeight > Limits.rowBytesPerChunk {
                    planned.append(Chunk(positions: first..<position, sequence: sequence))
                    sequence += segments + 1
                    (first, segments, weight) = (position, 0, 0)
                }
                weight += rowWeight
                segments += rowSegments
            }
        }
        planned.append(Chunk(positions: first..<positions.upperBound, sequence: sequence))
        planned.reverse()
    }

    /// Whether the pages' headers say that the rows are one chunk.
    private func isOneChunk(_ positions: Range<UInt64>) -> Bool {
        var weight = positions.count * fixedRowWeight
        let isFixed = log.pageLayout.referenceOffsets.isEmpty
        if isFixed { return weight <= Limits.rowBytesPerChunk }
        var isBounded = true
        let last = extent.page(extent.pages.upperBound - 1).page
        extent.forEachPage(in: positions) { page, _, _ in
            // Writers go on in the last page, and change its header.
            guard isBounded, unsafe page.base != last.base,
                unsafe !page.header.pointee.hasOutOfLine
            else {
                isBounded = false
                return
            }
            let slotCount = unsafe Int(page.header.pointee.slotCount)
            unsafe weight +=
                Int(page.header.pointee.heapTop)
                - Page.byteCount(slotCount: slotCount, stride: log.layout.stride, heap: 0)
        }
        return isBounded && weight <= Limits.rowBytesPerChunk
    }

    /// The weight of a row, and the number of its segment chunks (FORMAT).
    private func weigh(
        _ entry: UnsafeMutableRawPointer, _ heap: HeapView
    ) -> (weight: Int, segments: UInt64) {
        var weight = fixedRowWeight
        var segments = 0
        for offset in log.pageLayout.referenceOffsets {
            let bytes = unsafe heap.byteCount(
                of: entry.load(fromByteOffset: offset, as: HeapReference.self))
            weight += HeapWriter.heapByteCount(of: bytes, upTo: Limits.inlineValueBytes)
            if bytes > Limits.inlineValueBytes {
                segments += (bytes + Limits.segmentBytes - 1) / Limits.segmentBytes
            }
        }
        return (weight, UInt64(segments))
    }
}
