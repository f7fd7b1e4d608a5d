package import CaesuraFormat

/// One round of a part that moves, as chunks: a snapshot, or what changed since the round before (`docs/MIGRATION.md`
/// section 4, "Rounds").
///
///     let first = try OutgoingRound(of: part, in: store)
///     while let chunk = try first.next() { send(chunk) }
///     let second = try OutgoingRound(after: first)
///
/// A snapshot begins with its metadata chunk, and every round ends with its end chunk. One thread at a time uses it; no
/// lock is held. Memory: the chunks of one job, and the columns of one chunk.
package final class OutgoingRound {
    /// The part.
    package let part: StorePart
    /// The cut of the part that the round leads to; open as long as somebody holds it.
    package let cut: Cut
    /// The epoch that the round builds on; 0 in a snapshot.
    package let baseEpoch: UInt64
    /// The digest of what it builds on; 0 in a snapshot.
    package let baseDigest: UInt64
    /// The chunks so far; once the end has come, its digest is the identity of what the round leads to.
    package private(set) var totals: StreamEnd
    private let source: Source
    /// Encoded and not given yet, the next one last.
    private var pending: [[UInt8]] = []
    /// Whether all chunks were given.
    package private(set) var hasEnded = false
    /// How often each of the store's partitions of the part had been written when the round began.
    private let writeCounts: [HashRange: Int]

    /// In a snapshot: the content of the regions that are audited.
    private var content: (regions: Set<String>, checksum: ContentChecksum)

    private enum Source {
        case snapshot(SnapshotSource, SnapshotSource.Worker)
        case delta(DeltaSource, DeltaSource.Worker)
    }

    /// The epoch of the cut.
    package var epoch: UInt64 { cut.epoch.rawValue }

    /// What encoded the chunks of a delta that has ended: small deltas that follow each other would else spend most of their time
    /// on memory for columns.
    var deltaWorker: DeltaSource.Worker? {
        guard hasEnded, case .delta(_, let worker) = source else { return nil }
        return worker
    }

    /// Begins a snapshot of a part, as it is now.
    ///
    /// - Parameter audited: The regions of which ``contentDigest(of:)`` will be asked for.
    /// - Throws: When a schema is one that cannot be written.
    package init(
        of part: StorePart, in store: Store, auditing audited: Set<String> = []
    ) throws(FormatError) {
        let cut = store.cut(of: part)
        let source = try SnapshotSource(cut, of: part)
        let worker = SnapshotSource.Worker(for: source)
        self.source = .snapshot(source, worker)
        content = (audited, ContentChecksum())
        self.part = part
        self.cut = cut
        baseEpoch = 0
        baseDigest = 0
        writeCounts = Self.writeCounts(of: part, in: cut.store)
        totals = StreamEnd(regionCount: source.metadata.regions.count)
        totals.heads = source.heads
        worker.encoder.encode(metadata: source.metadata)
        totals.add(worker.encoder.header)
        unsafe pending.append([UInt8](worker.encoder.bytes))
    }

    /// Begins a delta from what an earlier round led to, to how the part is now.
    ///
    /// It takes that round's memory over: one thread uses all rounds that follow a delta.
    ///
    /// - Throws: `noDelta`: the move has to begin anew.
    package init(after base: OutgoingRound) throws(StoreError) {
        precondition(base.hasEnded, "a round builds on one that has ended")
        let cut = base.cut.store.cut(of: base.part)
        let source = try DeltaSource(
            from: base.cut, to: cut, of: base.part, baseDigest: base.totals.digest)
        self.source = .delta(source, base.deltaWorker ?? DeltaSource.Worker(for: source))
        content = ([], ContentChecksum())
        part = base.part
        self.cut = cut
        baseEpoch = base.epoch
        baseDigest = base.totals.digest
        writeCounts = Self.writeCounts(of: base.part, in: cut.store)
        totals = source.totals
    }

    private static func writeCounts(
        of part: StorePart, in store: StoreCore
    ) -> [HashRange: Int] {
        guard case .rows(let range) = part else { return [:] }
        let slices = range.slices(bits: store.partitionBits)
        return Dictionary(uniqueKeysWithValues: slices.map { ($0, store.writeCount(in: $0)) })
    }

    /// How often slices of so many bits were written since the round began.
    ///
    /// - Complexity: O(tables · partitions of the part).
    func heat(bits: Int) -> [HashRange: Int] {
        var heat: [HashRange: Int] = [:]
        for (partition, count) in writeCounts {
            let slice = HashRange(bits: bits, of: partition.first)
            heat[slice, default: 0] += cut.store.writeCount(in: partition) - count
        }
        return heat
    }

    /// The next chunk; nil behind the end.
    ///
    /// - Throws: `cutCancelled`, `cutClosed`.
    package func next() throws(StoreError) -> [UInt8]? {
        if let chunk = pending.popLast() { return chunk }
        if hasEnded { return nil }
        if try encodeNext() { return pending.popLast() }
        hasEnded = true
        switch source {
        case .snapshot(_, let worker): return encodeEnd(with: &worker.encoder)
        case .delta(_, let worker): return encodeEnd(with: &worker.encoder)
        }
    }

    private func encodeEnd(with encoder: inout ChunkEncoder) -> [UInt8] {
        encoder.encode(end: totals, epoch: epoch, baseEpoch: baseEpoch)
        return unsafe [UInt8](encoder.bytes)
    }

    /// The content digest of the regions that are audited, and their rows, once all chunks of a snapshot were given.
    ///
    /// It is of the chunks that were given, and takes no time: who works it out by himself encodes the same ones.
    ///
    /// - Returns: Nil in a delta, and of other regions: ``ContentDigest`` works it out then.
    package func contentDigest(of regions: Set<String>) -> (value: UInt64, rowCount: UInt64)? {
        guard case .snapshot = source, hasEnded, regions == content.regions else { return nil }
        return (content.checksum.value, content.checksum.rowCount)
    }

    /// Encodes the chunks of the next job; false when there is none.
    private func encodeNext() throws(StoreError) -> Bool {
        var chunks: [[UInt8]] = []
        func take(_ header: ChunkHeader, _ bytes: UnsafeRawBufferPointer) {
            totals.add(header)
            unsafe chunks.append([UInt8](bytes))
        }
        switch source {
        case .snapshot(let source, let worker):
            guard let job = try source.next() else { return false }
            let name = source.metadata.regions[job.region].name
            let isAudited = content.regions.contains(name)
            try unsafe source.encode(
                job, with: worker,
                emit: { (header, bytes) throws(StoreError) in
                    unsafe take(header, bytes)
                    if isAudited { content.checksum.add(header, ofRegion: name) }
                }, refused: { $0 })
        case .delta(let source, let worker):
            guard let job = try source.next() else { return false }
            try unsafe source.encode(
                job, with: worker,
                emit: { (header, bytes) throws(StoreError) in unsafe take(header, bytes) },
                refused: { $0 })
        }
        pending = chunks.reversed()
        return true
    }
}
