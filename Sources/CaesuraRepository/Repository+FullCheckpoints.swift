import Caesura
import CaesuraFormat

/// Writing a whole cut.
extension Repository {
    /// Writes a cut as a full checkpoint, if its store goes on from what the repository has.
    func writeFull(
        _ cut: Cut, _ options: CheckpointOptions, _ cancellation: Cancellation
    ) throws(RepositoryError) -> Manifest {
        let epoch = cut.epoch.rawValue
        var content = try FullContent(cut, as: epoch, .now, options)
        let catalog = try Catalog(storage)
        try checkDescent(of: cut, catalog)
        if let newest = catalog.newestEpoch, newest >= epoch {
            throw RepositoryError(
                .exists, "epoch \(epoch) is not newer than the newest checkpoint, \(newest)",
                path: storage.display(Layout.manifests), epoch: epoch, hint: Self.descentHint)
        }
        content.manifest.previousEpoch = catalog.newestEpoch
        do throws(RepositoryError) {
            let manifest = try write(content, as: .writer, catalog, options, cancellation)
            cut.ancestor = ancestor(manifest, writeMark: epoch + 1)
            return manifest
        } catch {
            // When the last sync failed, the manifest has its name all the same, and the store goes on from it.
            if let reader = try? CheckpointReader(storage: storage, epoch: epoch) {
                cut.ancestor = ancestor(reader.manifest, writeMark: epoch + 1)
            }
            throw error
        }
    }

    /// Encodes and writes a full checkpoint, and makes it exist.
    ///
    /// - Parameters:
    ///   - content: What it is made of.
    ///   - owner: Which lock the caller holds.
    ///   - catalog: What is there.
    func write(
        _ content: FullContent, as owner: Leftovers.Owner, _ catalog: Catalog,
        _ options: CheckpointOptions, _ cancellation: Cancellation
    ) throws(RepositoryError) -> Manifest {
        try Leftovers.remove(from: storage, newest: catalog.newestEpoch, as: owner)
        func write(_ content: FullContent) throws(RepositoryError) -> Manifest {
            let writer = CheckpointWriter(
                storage: storage, manifest: content.manifest, logEnds: content.logEnds)
            do throws(RepositoryError) {
                var timings = Manifest.Timings()
                timings.pause = content.cut.pause.nanoseconds
                timings.encode = try Self.stream(content, to: writer, options, cancellation)
                timings.total = ContinuousClock.now.nanoseconds(since: content.start)
                try cancellation.check()
                let manifest = try writer.commit(timings)
                try retractIfFenced(manifest.epoch)
                return manifest
            } catch {
                abandon(writer, as: owner)
                throw error
            }
        }
        guard options.takesOverPacks, !content.logEnds.isEmpty,
            let earlier = earlierFull(for: content.cut, catalog)
        else { return try write(content) }
        let rest = try content.leavingOut(packsOf: earlier, in: storage, options)
        do throws(RepositoryError) {
            return try write(rest)
        } catch {
            // Someone has removed the earlier checkpoint meanwhile, and its packs with it.
            guard error.code == .notFound, !rest.kept.packs.isEmpty else { throw error }
            return try write(content)
        }
    }

    /// The full checkpoint from which a cut's store goes on, if its logs have kept their positions since and it can be
    /// read.
    private func earlierFull(for cut: Cut, _ catalog: Catalog) -> Manifest? {
        guard let ancestor = cut.ancestor, ancestor.isExact,
            let path = try? catalog.path(to: ancestor.epoch, in: storage),
            path.full >= cut.lastRewind,
            let manifest = try? CheckpointReader(storage: storage, epoch: path.full).manifest,
            path.target?.commit.state ?? manifest.identity == ancestor.digest
        else { return nil }
        return manifest
    }

    /// Encodes on threads of their own and writes on this one; returns the time spent encoding.
    private static func stream(
        _ content: FullContent, to writer: CheckpointWriter, _ options: CheckpointOptions,
        _ cancellation: Cancellation
    ) throws(RepositoryError) -> UInt64 {
        let source = content.source
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
                try drain(queue, content, to: writer)
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
        _ queue: ChunkQueue, _ content: FullContent, to writer: CheckpointWriter
    ) throws(RepositoryError) {
        var stream = try StreamWriter(
            metadata: content.source.metadata, heads: content.source.heads,
            to: CheckpointSink(writer))
        var kept = content.kept
        var chunk: [UInt8]?
        while let next = try queue.next(after: chunk) {
            let header = unsafe next.withUnsafeBufferPointer { bytes in
                unsafe ChunkHeader(encoded: UnsafeRawBufferPointer(bytes))
            }
            while let pack = kept.popFirst(before: header) {
                for (_, header) in pack.chunks { stream.skip(header) }
                try writer.append(pack)
            }
            try unsafe next.withUnsafeBufferPointer { (bytes) throws(RepositoryError) in
                try unsafe stream.append(UnsafeRawBufferPointer(bytes))
            }
            chunk = next
        }
        while let pack = kept.popFirst(before: nil) {
            for (_, header) in pack.chunks { stream.skip(header) }
            try writer.append(pack)
        }
        _ = try stream.finish()
    }
}

extension ChunkHeader {
    /// That of a chunk that was just encoded.
    fileprivate init(encoded bytes: UnsafeRawBufferPointer) {
        do throws(FormatError) {
            unsafe self = try ChunkHeader(reading: bytes)
        } catch {
            preconditionFailure("a chunk that was just encoded has a good header: \(error)")
        }
    }
}

/// Gives each chunk of a stream to a checkpoint's writer.
private struct CheckpointSink: ByteSink {
    private let writer: CheckpointWriter

    init(_ writer: CheckpointWriter) { self.writer = writer }

    mutating func write(_ bytes: UnsafeRawBufferPointer) throws(RepositoryError) {
        let header = unsafe ChunkHeader(encoded: bytes)
        try unsafe writer.append(RawSpan(_unsafeBytes: bytes), ChunkFacts(header))
    }
}
