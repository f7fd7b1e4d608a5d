public import Caesura
internal import CaesuraFormat
import Synchronization

extension Repository {
    /// Brings a checkpoint back into an empty store, on all processors.
    ///
    /// Every byte is verified before the first row is decoded. Whatever goes wrong, the store is empty when an
    /// error is thrown, and takes an older checkpoint. Nothing else should write to it meanwhile: a row that is
    /// set during the restore may make it fail, and is removed with the others.
    ///
    /// A checkpoint that is a delta is restored from the full one before it and the deltas up to it; or, if that is
    /// shorter, or all that is good, from a full one after it and the deltas in between, undone, if these carry the way
    /// back (``CheckpointOptions/isReversible``).
    ///
    /// - Parameters:
    ///   - store: A store without rows; its regions have the fields of the checkpoint's, or are not there.
    ///   - epoch: The checkpoint; the newest one if nil.
    /// - Returns: What was restored; nil if no epoch was asked for and the repository has no checkpoint.
    /// - Throws: `damaged` with file, chunk, offset, what is still good, and which other checkpoints
    ///   there are; `notFound`; `mismatch` if the store has rows or other fields, and then it is as it was;
    ///   `disturbed` if something else wrote to the store; `cancelled`.
    @discardableResult
    public func restore(
        into store: Store, at epoch: UInt64? = nil
    ) async throws(RepositoryError) -> Checkpoint? {
        try await OwnThread.run { (cancellation) throws(RepositoryError) -> Checkpoint? in
            try self.restore(epoch, into: store, cancellation)
        }
    }

    /// Brings the newest checkpoint back, as ``restore(into:at:)``, blocking on the storage.
    package func restoreNewest(into store: Store) throws(RepositoryError) -> Checkpoint? {
        try restore(nil, into: store, Cancellation())
    }

    private func restore(
        _ epoch: UInt64?, into store: Store, _ cancellation: Cancellation
    ) throws(RepositoryError) -> Checkpoint? {
        let catalog = try Catalog(storage)
        let epochs = catalog.epochs
        // The newest that can be read need not be the newest that somebody was told of.
        if epoch == nil, let loss = catalog.losses(in: storage).first {
            throw Self.advised(loss, others: epochs)
        }
        guard let epoch = epoch ?? epochs.last else { return nil }
        do throws(RepositoryError) {
            return try restore(epoch, of: catalog, into: store, cancellation)
        } catch {
            throw Self.advised(error, instead: epoch, catalog)
        }
    }

    /// Restores a checkpoint along the first way that is good, blocking on the storage.
    private func restore(
        _ epoch: UInt64, of catalog: Catalog, into store: Store, _ cancellation: Cancellation
    ) throws(RepositoryError) -> Checkpoint {
        var refusal: RepositoryError?
        for path in try catalog.paths(to: epoch, in: storage) {
            do throws(RepositoryError) {
                return try restore(path, into: store, newest: catalog.newestEpoch, cancellation)
            } catch {
                // The other way may be good: this one's files are damaged, cannot be read or have just been removed.
                guard
                    [.damaged, .unsupported, .storage, .notFound].contains(error.code)
                else { throw error }
                if refusal == nil || !path.isBackwards { refusal = error }
            }
        }
        // If there is no way but back, what is missing before it is the matter.
        _ = try catalog.path(to: epoch, in: storage)
        guard let refusal else { preconditionFailure("there is a path, or none is found") }
        throw refusal
    }

    /// Restores along a path, blocking on the storage.
    ///
    /// - Throws: `unsupported` if the path goes back and a delta does not carry the way; else as
    ///   ``restore(into:at:)``.
    func restore(
        _ path: Catalog.Path, into store: Store, newest: UInt64?, _ cancellation: Cancellation
    ) throws(RepositoryError) -> Checkpoint {
        let reader = try CheckpointReader(storage: storage, epoch: path.full)
        let manifest = reader.manifest
        if !path.deltas.isEmpty,
            try !Self.takesDeltas(of: manifest, into: store, undone: path.isBackwards)
        {
            return try restoreConverting(path, into: store, newest: newest, cancellation)
        }
        var deltas = DeltaReader(storage)
        if path.isBackwards {
            try deltas.verify(back: path, from: manifest, cancellation)
        } else {
            try deltas.verify(path, from: manifest, cancellation)
        }
        var verification = Verification(reader)
        let report = try verification.run(cancellation)
        if let problem = report.problems.first { throw report.refusal(problem) }
        let restoration = try Restoration(reader, store)
        try restoration.emptyingOnFailure { () throws(RepositoryError) in
            if let problem = try restoration.run(manifest.parts, cancellation).first {
                throw problem.error
            }
            try restoration.finish()
        }
        let regions = manifest.regions.map(\.name)
        adopt(
            store, epoch: manifest.epoch, identity: manifest.identity, regions: regions,
            newest: newest)
        do throws(RepositoryError) {
            for entry in path.deltas {
                try deltas.apply(entry, to: store, isBackwards: path.isBackwards, cancellation)
            }
        } catch {
            store.abandon()
            throw error
        }
        return path.target.map { Checkpoint($0, regions: regions) } ?? Checkpoint(manifest)
    }

    /// Brings back every partition of a checkpoint that verifies, and leaves out the others.
    ///
    /// A damaged manifest is made anew from the packs, if they are whole. A partition comes back whole or
    /// not at all: where one verifies and cannot be decoded, the store is emptied and filled again without it.
    ///
    /// Of a checkpoint that is a delta, the full one before it is salvaged. If all of that is good, so many of the
    /// deltas are applied as are good, up to the first that is not: the report says at which epoch the store is.
    ///
    /// When it throws, the store is empty, as after ``restore(into:at:)``.
    ///
    /// - Returns: What was lost and why.
    /// - Throws: `damaged` if the manifest is and a pack too; `notFound`; `mismatch` if the store has rows
    ///   or other fields; `disturbed` if something else wrote to the store; `cancelled`.
    public func salvage(
        into store: Store, at epoch: UInt64? = nil
    ) async throws(RepositoryError) -> VerifyReport {
        try await OwnThread.run { (cancellation) throws(RepositoryError) in
            // What is resolved first is in a catalog made later.
            let epoch = try self.resolve(epoch)
            let catalog = try Catalog(self.storage)
            let path = try catalog.path(to: epoch, in: self.storage)
            return try self.salvage(path, into: store, newest: catalog.newestEpoch, cancellation)
        }
    }

    private func salvage(
        _ path: Catalog.Path, into store: Store, newest: UInt64?, _ cancellation: Cancellation
    ) throws(RepositoryError) -> VerifyReport {
        let (reader, problem) = try readerForSalvage(at: path.full)
        let manifest = reader.manifest
        var verification = Verification(reader)
        var report = try verification.run(cancellation)
        if let problem { report.problems.insert(problem, at: 0) }
        let good = manifest.parts.filter { part in
            !report.regions[part.region].damagedPartitions.contains(part.partition)
        }
        let failures = try Self.salvage(good, of: reader, into: store, cancellation)
        let isWhole =
            failures.isEmpty && report.regions.allSatisfy { $0.damagedPartitions.isEmpty }
        adopt(
            store, epoch: manifest.epoch, identity: manifest.identity,
            regions: manifest.regions.map(\.name), newest: newest, isWhole: isWhole)
        if !failures.isEmpty {
            // Bytes as they were written, by a writer that broke the format's rules.
            var damaged = Set(failures.flatMap(\.part.chunks))
            for part in manifest.parts
            where report.regions[part.region].damagedPartitions.contains(part.partition) {
                damaged.formUnion(part.chunks)
            }
            let bytesRead = report.bytesRead
            report = VerifyReport(
                manifest, damaged: damaged, problems: report.problems + failures.map(\.error))
            report.bytesRead = bytesRead
        }
        guard let last = path.deltas.last else { return report }
        guard isWhole else {
            report.problems.append(
                RepositoryError(
                    .damaged,
                    "the changes after epoch \(manifest.epoch) are lost: they can be applied to all of its rows only",
                    epoch: last.epoch))
            return report
        }
        return try salvage(path.deltas, of: manifest, into: store, report, cancellation)
    }

    /// Applies deltas up to the first that is damaged.
    private func salvage(
        _ entries: [ChainEntry], of manifest: Manifest, into store: Store,
        _ report: VerifyReport, _ cancellation: Cancellation
    ) throws(RepositoryError) -> VerifyReport {
        var report = report
        var deltas = DeltaReader(storage)
        var identity = manifest.identity
        var good: [ChainEntry] = []
        do throws(RepositoryError) {
            for entry in entries {
                try cancellation.check()
                try deltas.verify(entry, base: identity)
                identity = entry.commit.state
                good.append(entry)
            }
        } catch  where error.code == .damaged {
            var error = error
            error.message += "; the store is at epoch \(good.last?.epoch ?? manifest.epoch)"
            report.problems.append(error)
        }
        do throws(RepositoryError) {
            for entry in good { try deltas.apply(entry, to: store, cancellation) }
        } catch {
            store.abandon()
            throw error
        }
        guard let last = good.last else { return report }
        report.epoch = last.epoch
        for (region, rows) in last.commit.rows.enumerated() where region < report.regions.count {
            report.regions[region].rows = Int(clamping: rows)
            report.regions[region].goodRows = Int(clamping: rows)
        }
        report.bytesRead += deltas.bytesRead
        return report
    }

    /// Fills the store with those of the partitions that can be applied whole, and returns the others.
    ///
    /// Of a partition that fails the chunks before the bad one are in the store, so it begins anew without
    /// that partition. Each round leaves out one or more, so there is an end.
    private static func salvage(
        _ parts: [Manifest.Part], of reader: CheckpointReader, into store: Store,
        _ cancellation: Cancellation
    ) throws(RepositoryError) -> [Restoration.Failure] {
        var parts = parts
        var failures: [Restoration.Failure] = []
        while true {
            let restoration: Restoration
            do throws(RepositoryError) {
                restoration = try Restoration(reader, store)
            } catch {
                guard !failures.isEmpty else { throw error }
                // It could be prepared before, and was emptied since.
                store.removeAll()
                var error = error
                error.code = .disturbed
                error.hint = Restoration.disturbanceHint
                throw error
            }
            let failed = try restoration.emptyingOnFailure { () throws(RepositoryError) in
                let failed = try restoration.run(parts, cancellation)
                // Nothing is wrong with those parts, and what is there is no salvage of them.
                if let disturbance = failed.first(where: { $0.error.code == .disturbed }) {
                    throw disturbance.error
                }
                if failed.isEmpty { try restoration.finish() } else { restoration.abandon() }
                return failed
            }
            guard !failed.isEmpty else { return failures }
            failures += failed
            let lost = Set(failed.map(\.part.chunks.lowerBound))
            parts.removeAll { lost.contains($0.chunks.lowerBound) }
        }
    }

    /// The checkpoint's reader, and what is wrong with its manifest.
    private func readerForSalvage(
        at epoch: UInt64
    ) throws(RepositoryError) -> (CheckpointReader, RepositoryError?) {
        do throws(RepositoryError) {
            return (try CheckpointReader(storage: storage, epoch: epoch), nil)
        } catch  where error.code == .damaged {
            let manifest = try Manifest(rebuildingFrom: storage, epoch: epoch)
            return (CheckpointReader(storage: storage, manifest: manifest), error)
        }
    }

    /// An error about a checkpoint with the advice to take another, one that is not restored through what is damaged.
    static func advised(
        _ error: RepositoryError, instead epoch: UInt64, _ catalog: Catalog
    ) -> RepositoryError {
        let others = catalog.epochs(without: error.epoch ?? epoch).filter { $0 != epoch }
        var error = error
        if others.isEmpty, catalog.epochs.count > 1, error.code == .damaged, error.hint == nil {
            error.hint = "all other checkpoints are restored through it; salvage what is good"
        }
        return advised(error, others: others)
    }

    private static func advised(_ error: RepositoryError, others: [UInt64]) -> RepositoryError {
        guard error.code == .damaged, error.hint == nil else { return error }
        var error = error
        let shown = others.suffix(5).reversed().map(String.init).joined(separator: ", ")
        error.hint =
            (others.isEmpty
                ? "there is no other checkpoint"
                : "restore another checkpoint (epochs \(shown)\(others.count > 5 ? ", …" : ""))")
            + ", or salvage what is good of this one"
        return error
    }
}

extension VerifyReport {
    /// The refusal of the checkpoint: its first problem, and what is still good.
    fileprivate func refusal(_ problem: RepositoryError) -> RepositoryError {
        var refusal = problem
        let more = problems.count > 1 ? ", and \(problems.count - 1) more problems" : ""
        let rows = regions.reduce(0) { $0 + $1.rows }
        let good = regions.reduce(0) { $0 + $1.goodRows }
        refusal.message += "\(more); \(good) of \(rows) rows are good"
        return refusal
    }
}

/// Reads, verifies and applies partitions on several threads.
final class Restoration: Sendable {
    /// A partition that could not be applied.
    struct Failure {
        var part: Manifest.Part
        var error: RepositoryError
    }

    static let disturbanceHint =
        "the store is empty: restore again while nothing writes to it"

    private let reader: CheckpointReader
    private let applier: ChunkApplier
    private let failures = Mutex<[Failure]>([])
    private let next = Atomic(0)

    /// Prepares the store.
    init(_ reader: CheckpointReader, _ store: Store) throws(RepositoryError) {
        self.reader = reader
        do throws(StoreError) {
            applier = try ChunkApplier(store, metadata: reader.manifest.metadata)
        } catch {
            throw RepositoryError(
                .mismatch, "the store cannot take the checkpoint: \(error)",
                epoch: reader.manifest.epoch)
        }
    }

    /// Applies the partitions; a failure in one does not keep the others from being applied.
    func run(
        _ parts: [Manifest.Part], _ cancellation: Cancellation
    ) throws(RepositoryError) -> [Failure] {
        let threads = min(OwnThread.processorCount, max(1, parts.count))
        OwnThread.run(threads) { [self] in
            let worker = ChunkApplier.Worker(for: applier)
            var buffer: [UInt8] = []
            while true {
                let index = next.add(1, ordering: .relaxed).oldValue
                guard index < parts.count else { return }
                do throws(RepositoryError) {
                    try cancellation.check()
                    for chunk in parts[index].chunks { try apply(chunk, worker, &buffer) }
                } catch {
                    failures.withLock { $0.append(Failure(part: parts[index], error: error)) }
                }
            }
        }
        try cancellation.check()
        return failures.withLock { $0 }
    }

    /// Takes all rows out of the store again.
    func abandon() { applier.abandon() }

    /// Ends the restore: no more rows come.
    func finish() throws(RepositoryError) {
        do throws(FormatError) {
            // A log whose rows were lost goes on behind them: no position is given twice.
            let logs = reader.manifest.regions.filter { $0.schema.kind == .log }
            try applier.finish(heads: logs.map { $0.head + UInt64($0.rows) })
        } catch {
            throw RepositoryError(.damaged, error.message, epoch: reader.manifest.epoch)
        }
    }

    /// Runs `body`, and takes all rows out of the store again when it throws.
    func emptyingOnFailure<Result>(
        _ body: () throws(RepositoryError) -> Result
    ) throws(RepositoryError) -> Result {
        do throws(RepositoryError) {
            return try body()
        } catch {
            abandon()
            throw error
        }
    }

    private func apply(
        _ index: Int, _ worker: ChunkApplier.Worker, _ buffer: inout [UInt8]
    ) throws(RepositoryError) {
        try reader.withChunk(index, buffer: &buffer) { (chunk) throws(RepositoryError) in
            do {
                try applier.apply(chunk, with: worker)
            } catch let error as FormatError {
                throw reader.problem(error, index)
            } catch let error as StoreError {
                throw RepositoryError(
                    .disturbed, error.message, epoch: reader.manifest.epoch,
                    hint: Self.disturbanceHint)
            } catch {
                preconditionFailure("only these are thrown")
            }
        }
    }
}
