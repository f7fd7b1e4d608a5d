import Caesura
import CaesuraFormat

/// From a store to chunks in memory and back into an empty store, on one thread.
enum StoreEncoding {
    static func run(rows: Int, passes: Int, compression: Compression) throws {
        let scale = short(rows)
        let subject = compression == .none ? Target.subject : Target.subject + ", zstd 3"
        func report(_ metric: String, _ unit: String, _ value: Double) {
            Result(metric, subject, scale, unit, value).print()
        }
        let table = try CaesuraTable()
        _ = table.fill(rows: rows)
        var byteCount = 0
        let encode = try EncodeBenchmark.best(of: passes, rows: rows) {
            byteCount = 0
            try encodeAll(table.store, compression) { byteCount += $0.count }
        }
        var chunks: [UInt8] = []
        chunks.reserveCapacity(byteCount)
        let keep = try EncodeBenchmark.best(of: passes, rows: rows) {
            chunks.removeAll(keepingCapacity: true)
            try encodeAll(table.store, compression) { unsafe chunks.append(contentsOf: $0) }
        }
        report("encode", "ns/row", encode)
        if compression == .none {
            Result("encode", subject + ", kept in one array", scale, "ns/row", keep).print()
        }
        report("encode, of state", "GB/s", Double(Session.stateBytes) / encode)
        report("encoded size", "B/row", Double(chunks.count) / Double(rows))

        let cut = table.store.cut()
        let metadata = try SnapshotSource(cut, compression: compression).metadata
        cut.close()
        /// The best time of restoring into a new store; how its memory is made ready is not timed.
        func restore(_ prepare: (Store) -> Void) throws -> Double {
            var best = Double.infinity
            for _ in 0..<passes {
                let copy = try CaesuraTable()
                prepare(copy.store)
                best = min(
                    best, try nanoseconds { try apply(chunks, metadata, to: copy.store) })
                guard copy.count == rows else { throw Failure("\(copy.count) rows restored") }
            }
            return best / Double(rows)
        }
        let metric = "restore; peers: parse"
        report(metric, "ns/row", try restore { $0.prefault(rows * 256) })
        if compression == .none {
            Result(metric, subject + ", cold memory", scale, "ns/row", try restore { _ in }).print()
        }
    }

    /// Hands each chunk of a cut on.
    private static func encodeAll(
        _ store: Store, _ compression: Compression, _ sink: (UnsafeRawBufferPointer) -> Void
    ) throws {
        let cut = store.cut()
        defer { cut.close() }
        let source = try SnapshotSource(cut, compression: compression)
        let worker = SnapshotSource.Worker(for: source)
        while let job = try source.next() {
            try source.encode(
                job, with: worker,
                emit: { (_, bytes) throws(StoreError) in unsafe sink(bytes) },
                refused: { $0 })
        }
    }

    static func apply(
        _ chunks: [UInt8], _ metadata: StreamMetadata, to store: Store
    ) throws {
        let applier = try ChunkApplier(store, metadata: metadata)
        let worker = ChunkApplier.Worker(for: applier)
        try chunks.withUnsafeBytes { bytes in
            var start = 0
            while start < bytes.count {
                let chunk = try unsafe VerifiedChunk(
                    verifying: UnsafeRawBufferPointer(rebasing: bytes[start...]), origin: start)
                try applier.apply(chunk, with: worker)
                start += chunk.header.chunkLength
            }
        }
        try applier.finish()
    }
}

/// Cuts encoded one after the other, their bytes dropped.
enum Checkpoints {
    /// Goes on until told to stop, in the middle of a cut if need be; the number of cuts begun.
    static func run(_ store: Store, until stop: Flag) -> Int {
        var count = 0
        var bytes = 0
        while !stop.isSet {
            count += 1
            store.prepareForCut()
            let cut = store.cut()
            defer { cut.close() }
            do {
                let source = try SnapshotSource(cut)
                let worker = SnapshotSource.Worker(for: source)
                while !stop.isSet, let job = try source.next() {
                    try source.encode(
                        job, with: worker,
                        emit: { (_, chunk) throws(StoreError) in bytes += chunk.count },
                        refused: { $0 })
                }
            } catch {
                fatalError("a checkpoint fails: \(error)")
            }
        }
        keep(bytes)
        return count
    }
}
