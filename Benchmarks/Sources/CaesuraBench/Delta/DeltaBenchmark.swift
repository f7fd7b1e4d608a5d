import Caesura
import CaesuraFormat
import Foundation

/// `delta`: what changed between two cuts, in bytes over the information floor and in time over a snapshot.
enum DeltaBenchmark {
    /// Milliseconds over which the updates' times are spread.
    private static let window = 1_000

    static func run(_ options: Options) throws {
        let rows = try options.int("rows", default: 1_000_000)
        let passes = try options.int("passes", default: 5)
        let only = try options.int("changed", default: 0)
        if only < 0 { return try measureChain(rows: rows, changed: -only) }
        let zipf = try options.flag("zipf") ? Zipf(count: rows, theta: 0.99) : nil
        let all = [1, rows / 10_000, rows / 1_000, rows / 100, rows / 10, rows / 2]
        for changed in only > 0 ? [only] : all {
            try measure(rows: rows, changed: changed, zipf, passes: passes)
        }
        for changed in only > 0 || zipf != nil ? [] : [1, 100] {
            try measureChain(rows: rows, changed: changed)
        }
    }

    /// Encodes many small deltas one after the other, as a move does, and applies them, as a restore does that finds a long
    /// chain.
    private static func measureChain(rows: Int, changed: Int) throws {
        let count = 1_000
        let table = try CaesuraTable()
        _ = table.fill(rows: rows)
        var base = table.store.cut()
        let snapshot = try base.write(to: ByteArraySink()).bytes
        let copy = try CaesuraTable()
        var restorer = StreamRestorer(into: copy.store)
        try restorer.push(snapshot)
        try restorer.finish()
        var digest = try end(of: snapshot).digest
        var random = RandomRows(rows: rows)
        var deltas: [(chunks: [UInt8], end: StreamEnd, epoch: UInt64)] = []
        var encoder: DeltaSource.Worker?
        var encoding = 0.0
        for _ in 0..<count {
            for _ in 0..<changed {
                table.sessions.update(Session.id(random.next())) { $0.visits &+= 1 }
            }
            let cut = table.store.cut()
            var delta: (chunks: [UInt8], end: StreamEnd) = ([], StreamEnd(regionCount: 1))
            encoding += try nanoseconds {
                delta = try encode(from: base, to: cut, digest, with: &encoder)
            }
            deltas.append((delta.chunks, delta.end, cut.epoch.rawValue))
            base = cut
            digest = delta.end.digest
        }
        var worker: DeltaApplier.Worker?
        let time = try nanoseconds {
            for delta in deltas {
                try apply((delta.chunks, delta.end), at: delta.epoch, to: copy.store, &worker)
            }
        }
        for (metric, time) in [("encoding", encoding), ("applying", time)] {
            Result(
                "delta, \(metric) one of 1,000", CaesuraTable.subject,
                "\(short(changed)) of \(short(rows))", "us", time / Double(count) / 1000
            ).print()
        }
    }

    private static func measure(rows: Int, changed: Int, _ zipf: Zipf?, passes: Int) throws {
        let scale = "\(short(changed)) of \(short(rows))" + (zipf == nil ? "" : ", Zipf")
        func report(_ metric: String, _ unit: String, _ value: Double) {
            Result(metric, CaesuraTable.subject, scale, unit, value).print()
        }
        let table = try CaesuraTable()
        _ = table.fill(rows: rows)
        let base = table.store.cut()
        let snapshot = try base.write(to: ByteArraySink()).bytes
        let copy = try CaesuraTable()
        var restorer = StreamRestorer(into: copy.store)
        try restorer.push(snapshot)
        try restorer.finish()
        let digest = try end(of: snapshot).digest

        let updates = Updates(of: changed, rows: rows, zipf, milliseconds: window)
        for (row, update) in updates.byRow {
            table.sessions.update(Session.id(row)) {
                $0.visits &+= UInt32(update.count)
                $0.lastSeen = 1_700_086_500_000 + Int64(update.last)
            }
        }
        let cut = table.store.cut()
        var delta: (chunks: [UInt8], end: StreamEnd) = ([], StreamEnd(regionCount: 1))
        let full = try EncodeBenchmark.best(of: passes, rows: 1) { try encode(cut) }
        let partial = try EncodeBenchmark.best(of: passes, rows: 1) {
            delta = try encode(from: base, to: cut, digest)
        }
        // A snapshot in between leaves nothing of the delta's pages in the caches.
        var cold = Double.infinity
        for _ in 0..<passes {
            try encode(cut)
            cold = min(cold, try nanoseconds { delta = try encode(from: base, to: cut, digest) })
        }
        var worker: DeltaApplier.Worker?
        let applying = try nanoseconds {
            try apply(delta, at: cut.epoch.rawValue, to: copy.store, &worker)
        }
        guard copy.count == rows else { throw Failure("\(copy.count) rows after a delta") }

        let bytes = Double(delta.chunks.count)
        let floor = updates.floor
        report("delta, bytes", "B", bytes)
        report("delta, bytes over floor", "x", bytes / max(floor, 1))
        report("delta, bytes over a snapshot", "%", 100 * bytes / Double(snapshot.count))
        report("delta, time", "us", partial / 1000)
        report("delta, time a changed row", "ns", partial / Double(changed))
        report("delta, time over a snapshot", "%", 100 * partial / full)
        report("delta, time after a snapshot, over it", "%", 100 * cold / full)
        report("delta, applying a changed row", "ns", applying / Double(changed))
    }

    private static func encode(_ cut: Cut) throws {
        let source = try SnapshotSource(cut)
        let worker = SnapshotSource.Worker(for: source)
        var bytes = 0
        while let job = try source.next() {
            try unsafe source.encode(
                job, with: worker,
                emit: { (_, chunk) throws(StoreError) in bytes += chunk.count }, refused: { $0 })
        }
        keep(bytes)
    }

    /// The chunks of a delta.
    static func encode(
        from base: Cut, to cut: Cut, _ digest: UInt64
    ) throws -> (chunks: [UInt8], end: StreamEnd) {
        var worker: DeltaSource.Worker?
        return try encode(from: base, to: cut, digest, with: &worker)
    }

    /// The chunks of a delta, encoded by a worker that is kept for the next.
    private static func encode(
        from base: Cut, to cut: Cut, _ digest: UInt64, with kept: inout DeltaSource.Worker?
    ) throws -> (chunks: [UInt8], end: StreamEnd) {
        let source = try DeltaSource(from: base, to: cut, baseDigest: digest)
        let worker = kept ?? DeltaSource.Worker(for: source)
        kept = worker
        var end = source.totals
        var chunks: [UInt8] = []
        while let job = try source.next() {
            try unsafe source.encode(
                job, with: worker,
                emit: { (header, chunk) throws(StoreError) in
                    end.add(header)
                    unsafe chunks.append(contentsOf: chunk)
                }, refused: { $0 })
        }
        return (chunks, end)
    }

    /// Applies a delta, with a worker that is kept for the next.
    static func apply(
        _ delta: (chunks: [UInt8], end: StreamEnd), at epoch: UInt64, to store: Store,
        _ kept: inout DeltaApplier.Worker?
    ) throws {
        let applier = try DeltaApplier(store)
        let worker = kept ?? DeltaApplier.Worker(for: applier)
        kept = worker
        try unsafe delta.chunks.withUnsafeBytes { bytes in
            var start = 0
            while start < bytes.count {
                let chunk = try unsafe VerifiedChunk(
                    verifying: UnsafeRawBufferPointer(rebasing: bytes[start...]), origin: start)
                guard try applier.apply(chunk, with: worker) == .applied else {
                    throw Failure("a chunk was not applied")
                }
                start += chunk.header.chunkLength
            }
        }
        try applier.finish(delta.end, at: epoch)
    }

    /// What ends a stream.
    static func end(of stream: [UInt8]) throws -> StreamEnd {
        var reader = StreamReader()
        reader.push(stream)
        while let item = try reader.next() {
            if case .end(let end) = item { return end }
        }
        throw Failure("a stream without an end")
    }
}
