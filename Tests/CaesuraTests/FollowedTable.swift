import CaesuraFormat
import Testing

@testable import Caesura

/// A table, and a copy in another store that deltas keep equal to it.
final class FollowedTable<Key: TableKey, Row: SchemaStruct> {
    let store: Store
    let table: Table<Key, Row>
    let copy: Store
    /// The last cut that the copy has, still open.
    private(set) var base: Cut
    /// The snapshot that the copy began with.
    let snapshot: [UInt8]
    private(set) var digest: UInt64

    /// Restores the present state into a copy.
    ///
    /// - Parameter isTyped: Whether the copy knows the table's Swift types.
    init(_ store: Store, _ table: Table<Key, Row>, copyingTyped isTyped: Bool = true) throws {
        self.store = store
        self.table = table
        var configuration = Store.Configuration()
        configuration.partitionBits = store.core.partitionBits
        copy = Store(configuration)
        base = store.cut()
        snapshot = try base.write(to: ByteArraySink()).bytes
        digest = 0
        if isTyped { _ = try copied }
        var restorer = StreamRestorer(into: copy)
        try restorer.push(snapshot)
        try restorer.finish()
        digest = try #require(copy.ancestor).digest
    }

    /// The copy's table, which gets its Swift types now if it had none.
    var copied: Table<Key, Row> {
        get throws {
            try copy.table(table.core.schema.name, key: Key.self, row: Row.self)
        }
    }

    /// Cuts, and gives what changed since the cut before.
    func delta(
        isReversible: Bool = false, compression: Compression = .none
    ) throws -> DeltaTests.Delta {
        let cut = store.cut()
        let source = try DeltaSource(
            from: base, to: cut, baseDigest: digest, isReversible: isReversible,
            compression: compression)
        let worker = DeltaSource.Worker(for: source)
        var end = source.totals
        var chunks: [[UInt8]] = []
        while let job = try source.next() {
            try unsafe source.encode(
                job, with: worker,
                emit: { (header, bytes) throws(StoreError) in
                    end.add(header)
                    unsafe chunks.append([UInt8](bytes))
                }, refused: { $0 })
        }
        base = cut
        digest = end.digest
        return DeltaTests.Delta(
            chunks: chunks, end: end, epoch: cut.epoch.rawValue, counts: source.counts)
    }

    /// Applies a delta to the copy.
    func apply(_ delta: DeltaTests.Delta) throws {
        let applier = try DeltaApplier(copy)
        let worker = DeltaApplier.Worker(for: applier)
        for chunk in delta.chunks {
            #expect(try Self.apply(chunk, applier, worker) == .applied)
        }
        try applier.finish(delta.end, at: delta.epoch)
    }

    @discardableResult
    static func apply(
        _ chunk: [UInt8], _ applier: DeltaApplier, _ worker: DeltaApplier.Worker
    ) throws -> DeltaApplier.Outcome {
        try unsafe chunk.withUnsafeBytes {
            try unsafe applier.apply(VerifiedChunk(verifying: $0), with: worker)
        }
    }

    /// Brings both stores to the same epoch and compares what they write, byte by byte.
    ///
    /// What was a base is one no more: cuts end epochs.
    func expectSameSnapshots(
        _ comment: Comment? = nil, location: SourceLocation = #_sourceLocation
    ) throws {
        let epoch = max(store.epoch, copy.epoch)
        let snapshots = try [store, copy].map { store in
            while store.epoch < epoch { store.cut().close() }
            return try store.cut().write(to: ByteArraySink()).bytes
        }
        let areEqual = snapshots[0] == snapshots[1]
        #expect(areEqual, comment, sourceLocation: location)
    }
}
