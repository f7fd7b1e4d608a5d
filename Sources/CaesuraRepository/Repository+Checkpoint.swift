public import Caesura
public import CaesuraFormat
import Synchronization

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
    /// Whether the cut is held open when it is saved, so that the next checkpoint can be a delta.
    ///
    /// While it is, writers copy each page once before they change it, and what they replace stays in memory: at
    /// most as much as the pages themselves, less the shorter the time to the next checkpoint. Worth it for
    /// checkpoints that follow each other within seconds.
    public var holdsBase = false
    /// When the next checkpoint is full although it could be a delta.
    public var policy = ChainPolicy()
    /// Whether deltas also carry the way back, for about the size of the old values.
    public var isReversible = false
    /// Whether a full checkpoint takes over the packs of the one before that hold nothing but sealed rows of logs.
    ///
    /// What is damaged in such a pack is damaged in each checkpoint that has it. Set this to false for one full
    /// checkpoint when ``Repository/verify(at:progress:)`` has found that: it writes everything anew.
    public var takesOverPacks = true

    /// Creates the default options.
    public init() { encoders = max(1, OwnThread.processorCount / 2) }
}

extension Repository {
    /// Writes the store's present state as a checkpoint.
    ///
    /// The cut is the pause; the rest runs on threads of the repository's own, of low priority, while
    /// writers go on. When this returns, the checkpoint survives a crash.
    ///
    /// It is a delta when the checkpoint before was told to hold its base, and the policy has room for one:
    /// ``CheckpointOptions/holdsBase``, ``CheckpointOptions/policy``. Else it is a full one.
    ///
    /// - Returns: What was written, with counts, sizes and timings.
    /// - Throws: `outOfSpace`, `storage`, `cancelled`, `cutCancelled`, `mismatch`; `exists` if the repository has
    ///   checkpoints that the store neither wrote nor was restored from; `locked` if another checkpoint is
    ///   under way; `fenced` if another writer has taken over. No checkpoint has come to be, and the ones
    ///   before are intact.
    @discardableResult
    public func checkpoint(
        _ store: Store, options: CheckpointOptions = CheckpointOptions()
    ) async throws(RepositoryError) -> Checkpoint {
        try await OwnThread.run { (cancellation) throws(RepositoryError) in
            try self.claim()
            defer { self.endCheckpoint() }
            return try self.write(store, options, cancellation)
        }
    }

    /// Writes a cut that the caller has taken as a full checkpoint; the caller closes it.
    ///
    /// - Throws: As ``checkpoint(_:options:)``.
    @discardableResult
    public func checkpoint(
        of cut: Cut, options: CheckpointOptions = CheckpointOptions()
    ) async throws(RepositoryError) -> Checkpoint {
        try await OwnThread.run { (cancellation) throws(RepositoryError) in
            try self.claim()
            defer { self.endCheckpoint() }
            self.chain.end()
            return Checkpoint(try self.writeFull(cut, options, cancellation))
        }
    }

    /// Takes a cut and writes it, between ``claim()`` and ``endCheckpoint()``.
    ///
    /// - Parameter isContinuous: Whether the caller shortens the chain by itself.
    func write(
        _ store: Store, _ options: CheckpointOptions, _ cancellation: Cancellation,
        isContinuous: Bool = false
    ) throws(RepositoryError) -> Checkpoint {
        store.prepareForCut()
        let cut = store.cut()
        let base = chain.base(for: cut)
        if let base, isContinuous || !chain.isLongEnough(for: options.policy) {
            do throws(DeltaRefusal) {
                let checkpoint = try writeDelta(from: base, to: cut, options, cancellation)
                return checkpoint
            } catch {
                switch error {
                case .failed(let error):
                    cut.close()
                    chain.end()
                    throw error
                case .missed(let cause): misses.withLock { $0.note(cause) }
                }
            }
        } else if base == nil, chain.base != nil {
            misses.withLock { $0.note(.baseGone) }
        }
        // The base may have kept so much that both cuts were given up.
        chain.hold(nil)
        guard cut.isCancelled else { return try writeFull(holding: cut, options, cancellation) }
        cut.close()
        return try writeFull(holding: store.cut(), options, cancellation)
    }

    /// Writes a cut of our own as a full checkpoint, and closes it unless it becomes the next base.
    private func writeFull(
        holding cut: Cut, _ options: CheckpointOptions, _ cancellation: Cancellation
    ) throws(RepositoryError) -> Checkpoint {
        do throws(RepositoryError) {
            let manifest = try writeFull(cut, options, cancellation)
            chain.begin(fullBytes: manifest.storedBytes)
            hold(
                OngoingChain.Base(
                    held: HeldCut(cut), epoch: manifest.epoch, state: manifest.identity,
                    regions: manifest.regions.map(\.name), created: manifest.created), options)
            return Checkpoint(manifest)
        } catch {
            cut.close()
            chain.end()
            throw error
        }
    }

    /// Keeps a cut that has been saved open as the next base, or closes it.
    private func hold(_ base: OngoingChain.Base, _ options: CheckpointOptions) {
        chain.hold(base)
        if !options.holdsBase { chain.end() }
    }

    // MARK: Deltas

    /// Why a delta was not written.
    private enum DeltaRefusal: Error {
        /// A full checkpoint will do instead.
        case missed(DeltaMisses.Cause)
        /// It failed, as a full one would.
        case failed(RepositoryError)
    }

    /// Writes what changed as a delta, and makes the cut the next base.
    private func writeDelta(
        from base: OngoingChain.Base, to cut: Cut, _ options: CheckpointOptions,
        _ cancellation: Cancellation
    ) throws(DeltaRefusal) -> Checkpoint {
        let start = ContinuousClock.now
        let created = WallClock.now
        let source = try Self.source(from: base, to: cut, options)
        let writer = chain.writer(in: storage)
        let entry: ChainEntry
        do throws(RepositoryError) {
            try writer.begin(
                from: base.epoch, to: cut.epoch.rawValue, totals: source.totals)
        } catch {
            throw .failed(error)
        }
        let encodeStart = OwnThread.processorTime
        try Self.encode(source, to: writer, cancellation)
        var timings = Manifest.Timings()
        timings.pause = cut.pause.nanoseconds
        timings.encode = OwnThread.processorTime - encodeStart
        timings.total = ContinuousClock.now.nanoseconds(since: start)
        do throws(RepositoryError) {
            let rows = base.regions.map { cut.rowCount(of: $0) ?? 0 }
            entry = try writer.commit(created: created, timings: timings, rows: rows)
            try checkFence(of: entry)
        } catch {
            throw .failed(error)
        }
        chain.append(entry)
        cut.ancestor = Ancestor(
            place: storage.display(""), epoch: entry.epoch, digest: entry.commit.state,
            regions: base.regions, writeMark: cut.epoch.rawValue + 1)
        hold(
            OngoingChain.Base(
                held: HeldCut(cut), epoch: entry.epoch, state: entry.commit.state,
                regions: base.regions, created: created), options)
        return Checkpoint(entry, regions: base.regions)
    }

    private static func source(
        from base: OngoingChain.Base, to cut: Cut, _ options: CheckpointOptions
    ) throws(DeltaRefusal) -> DeltaSource {
        func source(_ isReversible: Bool) throws(StoreError) -> DeltaSource {
            try DeltaSource(
                from: base.cut, as: base.epoch, to: cut, baseDigest: base.state,
                isReversible: isReversible, compression: options.compression)
        }
        do throws(StoreError) {
            return try source(options.isReversible)
        } catch {
            // A log that was trimmed has no way back.
            if options.isReversible, let oneWay = try? source(false) { return oneWay }
            throw .missed(.regionsChanged)
        }
    }

    private static func encode(
        _ source: DeltaSource, to writer: ChainWriter, _ cancellation: Cancellation
    ) throws(DeltaRefusal) {
        let worker = DeltaSource.Worker(for: source)
        do {
            while let job = try source.next() {
                try cancellation.check()
                try unsafe source.encode(
                    job, with: worker,
                    emit: { (header, bytes) throws(any Error) in
                        try unsafe writer.append(header, bytes)
                    }, refused: { $0 })
            }
        } catch let error as StoreError {
            throw .missed(error.code == .noDelta ? .notExpressible : .baseGone)
        } catch let error as RepositoryError {
            throw .failed(error)
        } catch {
            preconditionFailure("only these are thrown")
        }
    }

    /// Checks that a checkpoint that has just come to be is not one that has been removed.
    ///
    /// - Throws: `fenced`.
    func checkFence(epoch: UInt64) throws(RepositoryError) {
        guard let boundary = try Boundary.read(from: storage), boundary.isRemoved(epoch) else {
            return
        }
        throw fence(boundary, epoch: epoch, removed: epoch)
    }

    /// Checks that a delta that has just come to be is there, and not one of a writer that has been replaced.
    ///
    /// - Throws: `fenced`.
    private func checkFence(of entry: ChainEntry) throws(RepositoryError) {
        try checkFence(epoch: entry.epoch)
        guard let boundary = try Boundary.read(from: storage),
            boundary.isRemoved(entry.baseEpoch)
        else { return }
        // Who removed the base may have seen the delta before its writer knew that it was durable, and kept it. A
        // writer in our place may have used the same epoch, for another state.
        let catalog = try Catalog(storage)
        guard let boundary = catalog.boundary, entry.epoch <= boundary.epoch,
            !boundary.isRemoved(entry.epoch),
            try catalog.isOnly(entry.commit.state, at: entry.epoch, in: storage)
        else { throw fence(boundary, epoch: entry.epoch, removed: entry.baseEpoch) }
    }

    private func fence(
        _ boundary: Boundary, epoch: UInt64, removed: UInt64
    ) -> RepositoryError {
        RepositoryError(
            .fenced,
            "another writer has gone on from here and removed epoch \(removed), while this one stood still",
            path: storage.display(Layout.boundary(boundary.number)), epoch: epoch,
            hint: "stop this service, or restore the newest checkpoint into it")
    }

    // MARK: Full checkpoints

    private func writeFull(
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

/// What a full checkpoint is made of: what is encoded, and what is there already.
struct FullContent {
    private(set) var source: SnapshotSource
    private(set) var kept = LogPacks()
    /// Without chunks.
    var manifest: Manifest
    /// When it was begun.
    let start = ContinuousClock.now
    /// For the logs, by their regions, the position behind the last row.
    private(set) var logEnds: [Int: UInt64] = [:]
    let cut: Cut

    init(
        _ cut: Cut, as epoch: UInt64, _ created: WallClock, _ options: CheckpointOptions
    ) throws(RepositoryError) {
        self.cut = cut
        source = try Self.source(cut, as: epoch, options, keeping: [:])
        manifest = Manifest(
            metadata: source.metadata, created: created, writer: Manifest.thisWriter)
        var heads = source.heads.makeIterator()
        for index in manifest.regions.indices
        where manifest.regions[index].schema.kind == .log {
            let head = heads.next() ?? 0
            manifest.regions[index].head = head
            logEnds[index] = head + UInt64(cut.rowCount(of: manifest.regions[index].name) ?? 0)
        }
    }

    /// The same without what packs of an earlier checkpoint hold, from whose state the cut's store goes on.
    func leavingOut(
        packsOf earlier: Manifest, in storage: any Storage, _ options: CheckpointOptions
    ) throws(RepositoryError) -> FullContent {
        var rest = self
        rest.kept = try LogPacks(of: earlier, for: manifest, in: storage)
        guard !rest.kept.packs.isEmpty else { return self }
        rest.source = try Self.source(
            cut, as: manifest.epoch, options, keeping: rest.kept.positions(in: manifest.regions))
        return rest
    }

    private static func source(
        _ cut: Cut, as epoch: UInt64, _ options: CheckpointOptions,
        keeping kept: [String: Range<UInt64>]
    ) throws(RepositoryError) -> SnapshotSource {
        do throws(FormatError) {
            return try SnapshotSource(
                cut, as: epoch, compression: options.compression, keeping: kept)
        } catch {
            throw RepositoryError(
                .mismatch, "the store has a schema that cannot be written: \(error)")
        }
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

extension RepositoryError {
    /// A store's refusal to be read.
    init(refusal: StoreError) {
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
    var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        return UInt64(max(0, seconds)) * 1_000_000_000 + UInt64(max(0, attoseconds / 1_000_000_000))
    }
}
