import Caesura
import CaesuraFormat

/// Writing what changed.
extension Repository {
    /// Why a delta was not written.
    enum DeltaRefusal: Error {
        /// A full checkpoint will do instead.
        case missed(DeltaMisses.Cause)
        /// It failed, as a full one would.
        case failed(RepositoryError)
    }

    /// Writes what changed as a delta, and makes the cut the next base.
    func writeDelta(
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
}
