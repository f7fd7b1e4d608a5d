public import Caesura
public import CaesuraFormat

/// How a checkpoint is written.
public struct CheckpointOptions: Sendable {
    /// Whether chunks are compressed after their columns are coded.
    public var compression = Compression.none
    /// Threads that encode.
    ///
    /// Half of the processors unless told: the other half is the service's.
    public var encoders: Int
    /// Encoded bytes that may wait for the disk; encoders wait beyond it.
    public var waitingBytes = 16 << 20

    /// Creates the default options.
    public init() { encoders = max(1, OwnThread.processorCount / 2) }
}

extension Repository {
    /// Writes the store's present state as a checkpoint.
    ///
    /// The cut is the pause; the rest runs on threads of the repository's own, of low priority, while
    /// writers go on. When this returns, the checkpoint survives a crash.
    ///
    /// - Returns: The manifest, with counts, sizes and timings.
    /// - Throws: `outOfSpace`, `storage`, `cancelled`, `cutCancelled`, `mismatch`; `exists` if the repository has
    ///   checkpoints that the store neither wrote nor was restored from; `locked` if another checkpoint is
    ///   under way. No checkpoint has come to be, and the ones before are intact.
    @discardableResult
    public func checkpoint(
        _ store: Store, options: CheckpointOptions = CheckpointOptions()
    ) async throws(RepositoryError) -> Manifest {
        try await OwnThread.run { (cancellation) throws(RepositoryError) in
            try self.claim()
            defer { self.endCheckpoint() }
            store.prepareForCut()
            let cut = store.cut()
            defer { cut.close() }
            return try self.write(cut, options, cancellation)
        }
    }

    /// Writes a cut that the caller has taken as a checkpoint; the caller closes it.
    ///
    /// - Throws: As ``checkpoint(_:options:)``.
    @discardableResult
    public func checkpoint(
        of cut: Cut, options: CheckpointOptions = CheckpointOptions()
    ) async throws(RepositoryError) -> Manifest {
        try await OwnThread.run { (cancellation) throws(RepositoryError) in
            try self.claim()
            defer { self.endCheckpoint() }
            return try self.write(cut, options, cancellation)
        }
    }

    private func write(
        _ cut: Cut, _ options: CheckpointOptions, _ cancellation: Cancellation
    ) throws(RepositoryError) -> Manifest {
        let start = ContinuousClock.now
        let created = WallClock.now
        let source: SnapshotSource
        do throws(FormatError) {
            source = try SnapshotSource(cut, compression: options.compression)
        } catch {
            throw RepositoryError(
                .mismatch, "the store has a schema that cannot be written: \(error)")
        }
        var manifest = Manifest(
            metadata: source.metadata, created: created, writer: Manifest.thisWriter)
        var heads = source.heads.makeIterator()
        for index in manifest.regions.indices
        where manifest.regions[index].schema.kind == .log {
            manifest.regions[index].head = heads.next() ?? 0
        }
        try checkDescent(of: cut)
        let writer = try beginCheckpoint(manifest)
        do throws(RepositoryError) {
            var timings = Manifest.Timings()
            timings.pause = cut.pause.nanoseconds
            timings.encode = try Self.stream(source, to: writer, options, cancellation)
            timings.total = ContinuousClock.now.nanoseconds(since: start)
            let committed = try writer.commit(timings)
            cut.ancestor = ancestor(committed, writeMark: cut.epoch.rawValue + 1)
            return committed
        } catch {
            // When the last sync failed, the manifest has its name all the same, and the store goes on from it.
            if let epochs = try? listEpochs(), epochs.contains(writer.manifest.epoch) {
                cut.ancestor = ancestor(writer.manifest, writeMark: cut.epoch.rawValue + 1)
            }
            abandon(writer)
            throw error
        }
    }

    /// Encodes on threads of their own and writes on this one; returns the time spent encoding.
    private static func stream(
        _ source: SnapshotSource, to writer: CheckpointWriter, _ options: CheckpointOptions,
        _ cancellation: Cancellation
    ) throws(RepositoryError) -> UInt64 {
        let encoders = max(1, options.encoders)
        let queue = ChunkQueue(encoders: encoders, limit: options.waitingBytes)
        let encodeTime = Monitor<UInt64>(0)
        OwnThread.stepBack()
        OwnThread.run(encoders) {
            OwnThread.stepBack()
            do throws(RepositoryError) {
                try encode(source, into: queue, cancellation)
            } catch {
                queue.fail(error)
            }
            queue.encoderEnded()
            encodeTime.withLock { $0 += OwnThread.processorTime }
        } alongside: {
            do throws(RepositoryError) {
                try drain(queue, source, to: writer)
            } catch {
                queue.fail(error)
            }
        }
        if let failure = queue.failure { throw failure }
        return encodeTime.withLock { $0 }
    }

    private static func encode(
        _ source: SnapshotSource, into queue: ChunkQueue, _ cancellation: Cancellation
    ) throws(RepositoryError) {
        let worker = SnapshotSource.Worker(for: source)
        while true {
            try cancellation.check()
            let job: SnapshotSource.Job?
            do throws(StoreError) {
                job = try source.next()
            } catch {
                throw RepositoryError(refusal: error)
            }
            guard let job else { return }
            try unsafe source.encode(
                job, with: worker,
                emit: { (_, chunk) throws(RepositoryError) in
                    try unsafe queue.add(chunk, of: job.ordinal)
                }, refused: RepositoryError.init(refusal:))
            queue.complete(job.ordinal)
        }
    }

    private static func drain(
        _ queue: ChunkQueue, _ source: SnapshotSource, to writer: CheckpointWriter
    ) throws(RepositoryError) {
        var stream = try StreamWriter(
            metadata: source.metadata, heads: source.heads, to: CheckpointSink(writer))
        var chunk: [UInt8]?
        while let next = try queue.next(after: chunk) {
            try unsafe next.withUnsafeBufferPointer { (bytes) throws(RepositoryError) in
                try unsafe stream.append(UnsafeRawBufferPointer(bytes))
            }
            chunk = next
        }
        _ = try stream.finish()
    }
}

/// Gives each chunk of a stream to a checkpoint's writer.
private struct CheckpointSink: ByteSink {
    private let writer: CheckpointWriter

    init(_ writer: CheckpointWriter) { self.writer = writer }

    mutating func write(_ bytes: UnsafeRawBufferPointer) throws(RepositoryError) {
        let header: ChunkHeader
        do throws(FormatError) {
            header = try unsafe ChunkHeader(reading: bytes)
        } catch {
            preconditionFailure("a chunk that was just encoded has a good header: \(error)")
        }
        try unsafe writer.append(RawSpan(_unsafeBytes: bytes), ChunkFacts(header))
    }
}

extension RepositoryError {
    /// A store's refusal to be read.
    fileprivate init(refusal: StoreError) {
        switch refusal.code {
        case .cutCancelled, .cutClosed:
            self.init(
                .cutCancelled, "the cut was given up: \(refusal.message)",
                epoch: refusal.epoch?.rawValue,
                hint: "the checkpoints already there are intact; take the next one")
        default: self.init(.mismatch, "the store cannot be written: \(refusal)")
        }
    }
}

extension Duration {
    /// The whole nanoseconds of a duration that is not negative.
    fileprivate var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        return UInt64(max(0, seconds)) * 1_000_000_000 + UInt64(max(0, attoseconds / 1_000_000_000))
    }
}
