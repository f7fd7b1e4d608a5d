public import Caesura
import Synchronization

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

    /// Writes the newest cut of a store, as ``checkpoint(_:options:)`` would, blocking on the storage.
    ///
    /// The cut is closed then, or held as the next base.
    package func write(
        _ cut: Cut, of store: Store, _ options: CheckpointOptions
    ) throws(RepositoryError) -> Checkpoint {
        try claim()
        defer { endCheckpoint() }
        return try write(cut, of: store, options, Cancellation(), isContinuous: false)
    }

    /// Gives up what the next delta would build on, and the memory that is kept for it.
    package func releaseBase() throws(RepositoryError) {
        try claim()
        defer { endCheckpoint() }
        chain.end()
    }

    /// Takes a cut and writes it, between ``claim()`` and ``endCheckpoint()``.
    ///
    /// - Parameter isContinuous: Whether the caller shortens the chain by itself.
    func write(
        _ store: Store, _ options: CheckpointOptions, _ cancellation: Cancellation,
        isContinuous: Bool = false
    ) throws(RepositoryError) -> Checkpoint {
        store.prepareForCut()
        return try write(
            store.cut(), of: store, options, cancellation, isContinuous: isContinuous)
    }

    private func write(
        _ cut: Cut, of store: Store, _ options: CheckpointOptions, _ cancellation: Cancellation,
        isContinuous: Bool
    ) throws(RepositoryError) -> Checkpoint {
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
    func hold(_ base: OngoingChain.Base, _ options: CheckpointOptions) {
        chain.hold(base)
        if !options.holdsBase { chain.end() }
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
