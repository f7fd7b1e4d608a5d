package import CaesuraFormat

/// The last round of a part that its new owner takes over slice by slice, in the order in which slices are asked for
/// (`docs/MIGRATION.md` section 4, "Postcopy").
///
///     let last = try OutgoingSlices(after: round, bits: 6)
///     send(last.slices)                          // what is missing; all else the new owner has
///     last.demand(slice)                         // as often as somebody waits for one
///     while let item = try last.next() { … }     // the chunks of a slice, its end, those of the next one, …; then the end chunk
///
/// A delta as ``OutgoingRound`` sends it, but for the order of its chunks. One thread at a time uses it.
package final class OutgoingSlices {
    /// What is next.
    package enum Item {
        /// A chunk; the last one of all is the end chunk.
        case chunk([UInt8])
        /// All chunks of this slice were given.
        case sliceEnd(HashRange)
    }

    /// The cut of the part that the round leads to; open as long as somebody holds it.
    package let cut: Cut
    /// The epoch that the round builds on.
    package let baseEpoch: UInt64
    /// The digest of what it builds on.
    package let baseDigest: UInt64
    /// The slices in which something may have changed.
    package let slices: Set<HashRange>
    /// The chunks so far; once the end has come, its digest is the identity of what the round leads to.
    package private(set) var totals: StreamEnd
    /// Whether all chunks were given.
    package private(set) var hasEnded = false
    private let base: OutgoingRound
    private var headers: [ChunkHeader] = []
    /// Slices that were asked for and have not begun, in that order.
    private var demanded: [HashRange] = []
    /// The others that have not begun, the next one last: those that were written most often since the base are last.
    private var waiting: [HashRange]
    /// The slice that has begun.
    private var present: Slice?
    /// Encoded and not given yet, the next one last.
    private var pending: [[UInt8]] = []
    private let worker: DeltaSource.Worker

    private struct Slice {
        let range: HashRange
        let source: DeltaSource
    }

    /// The epoch of the cut.
    package var epoch: UInt64 { cut.epoch.rawValue }

    /// Begins a delta from what an earlier round led to, to how the part is now.
    ///
    /// - Parameters:
    ///   - base: A round of rows of tables that has ended.
    ///   - bits: A slice has all hashes that share so many top bits: no more than the store's partitions share.
    /// - Complexity: O(tables · partitions of the part).
    /// - Throws: `noDelta`.
    package init(
        after base: OutgoingRound, bits: Int
    ) throws(StoreError) {
        precondition(base.hasEnded, "a round builds on one that has ended")
        let part = base.part.range
        precondition(
            base.part == .rows(part)
                && (part.prefixBits...base.cut.store.partitionBits).contains(bits),
            "slices are of rows, and consist of whole partitions")
        let cut = base.cut.store.cut(of: base.part)
        let source = try DeltaSource(
            from: base.cut, to: cut, of: base.part, baseDigest: base.totals.digest)
        self.base = base
        self.cut = cut
        baseEpoch = base.epoch
        baseDigest = base.totals.digest
        totals = source.totals
        worker = base.deltaWorker ?? DeltaSource.Worker(for: source)
        let changed = part.slices(bits: bits).filter { source.mayHaveChanged(in: $0) }
        slices = Set(changed)
        let heat = base.heat(bits: bits)
        waiting = changed.sorted { heat[$0, default: 0] < heat[$1, default: 0] }
    }

    /// Has a slice go next, unless it has begun: somebody waits for it.
    package func demand(_ slice: HashRange) {
        guard let place = waiting.firstIndex(of: slice) else { return }
        waiting.remove(at: place)
        demanded.append(slice)
    }

    /// The next chunk, or the end of a slice; nil behind the end.
    ///
    /// - Throws: `cutCancelled`, `cutClosed`, `noDelta`.
    package func next() throws(StoreError) -> Item? {
        while true {
            if let chunk = pending.popLast() { return .chunk(chunk) }
            if hasEnded { return nil }
            if let slice = present {
                if try encodeNext(slice) { continue }
                present = nil
                return .sliceEnd(slice.range)
            }
            guard let range = demanded.isEmpty ? waiting.popLast() : demanded.removeFirst() else {
                hasEnded = true
                totals.settleDigest(of: headers, from: baseDigest)
                worker.encoder.encode(end: totals, epoch: epoch, baseEpoch: baseEpoch)
                return unsafe .chunk([UInt8](worker.encoder.bytes))
            }
            let source = try DeltaSource(
                from: base.cut, to: cut, of: .rows(range), baseDigest: baseDigest)
            present = Slice(range: range, source: source)
        }
    }

    /// Encodes the chunks of a slice's next job; false when there is none.
    private func encodeNext(_ slice: Slice) throws(StoreError) -> Bool {
        guard let job = try slice.source.next() else { return false }
        var chunks: [[UInt8]] = []
        try unsafe slice.source.encode(
            job, with: worker,
            emit: { (header, bytes) throws(StoreError) in
                totals.add(header)
                headers.append(header)
                unsafe chunks.append([UInt8](bytes))
            },
            refused: { $0 })
        pending = chunks.reversed()
        return true
    }
}
