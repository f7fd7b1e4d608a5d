public import Caesura
import Synchronization

/// Checkpoints of a store, taken again and again while it serves: what is lost when the process dies is what
/// was written in the last interval, and nothing of what ``durable()`` was awaited for.
///
///     let checkpoints = repository.checkpoints(of: store, every: .milliseconds(100))
///     async let running: Void = checkpoints.run()
///     ...
///     accounts.update(id) { $0.balance -= 10 }
///     try await checkpoints.durable()              // on disk
///
/// They are deltas, so each costs what changed since the one before, and one sync. When the chain is as long as the
/// policy allows, a full checkpoint is made *beside* it, of one of its cuts, on a thread of low priority: neither
/// writers nor the next checkpoints wait for that.
///
///     checkpoint   ▕▏     ▕▏     ▕▏     ▕▏     ▕▏     ▕▏
///     full                       ├──────────────────┤        of the third one's cut
///
/// One checkpoint at a time: when one takes longer than the interval (a slow disk), the next begins later, and so that
/// at least as long passes without one. An unchanged store is skipped.
public final class ContinuousCheckpoints: Sendable {
    /// How checkpoints are taken.
    public struct Options: Sendable {
        /// How each is written; its `holdsBase` is taken as true.
        public var checkpoint = CheckpointOptions()
        /// What is kept when a full checkpoint has come to be; nil to remove nothing.
        public var retention: Retention? = nil
        /// Called on the thread that takes the checkpoints; it should return soon.
        public var observer: (@Sendable (Event) -> Void)? = nil

        /// Creates the default options.
        public init() {}
    }

    /// What happens.
    @nonexhaustive
    public enum Event: Sendable {
        /// A checkpoint has been taken.
        case checkpoint(Checkpoint)
        /// A full checkpoint has been made beside the chain.
        case full(Checkpoint)
        /// The next checkpoint begins so much later than the interval asks for.
        case stretched(by: Duration)
        /// A checkpoint has failed and will be tried again; the service goes on.
        case failed(RepositoryError)
        /// A full checkpoint beside the chain, or removing old ones, has failed and will be tried again.
        case maintenanceFailed(RepositoryError)
    }

    /// What was done so far.
    public struct Counts: Hashable, Sendable {
        /// Checkpoints taken.
        public var checkpoints = 0
        /// Intervals in which nothing was written.
        public var skipped = 0
        /// Checkpoints that began later than the interval asks for.
        public var stretched = 0
        /// Checkpoints that failed.
        public var failed = 0
        /// Full checkpoints made beside the chain.
        public var full = 0

        init() {}
    }

    private let repository: Repository
    private let store: Store
    private let interval: Duration
    private let options: Options
    private let state = Monitor(State())
    /// Of the full checkpoint beside the chain.
    private let cancellation = Cancellation()
    private let done = Mutex(Counts())

    private struct State {
        enum Phase { case new, running, ended }
        var phase = Phase.new
        var isStopping = false
        /// Who waits for what it has written.
        var waiting: [CheckedContinuation<RepositoryError?, Never>] = []
        var maintenance = Maintenance()
        /// What a full checkpoint that has come to be makes of the chain.
        var shortening: Shortening?
    }

    /// When full checkpoints are made beside the chain.
    private struct Maintenance {
        var isUnderWay = false
        /// The next one begins no earlier.
        var earliest = ContinuousClock.now
        private var delay = Duration.zero

        mutating func end(isDone: Bool) {
            isUnderWay = false
            delay = isDone ? .zero : min(max(.seconds(1), delay * 2), .seconds(300))
            earliest = .now + delay
        }
    }

    /// A full checkpoint beside the chain, and how long the chain was when it was begun.
    private struct Shortening {
        var fullBytes: Int
        var length: Int
        var deltaBytes: Int
    }

    init(_ repository: Repository, _ store: Store, every interval: Duration, _ options: Options) {
        self.repository = repository
        self.store = store
        self.interval = interval
        var options = options
        options.checkpoint.holdsBase = true
        self.options = options
    }

    /// What was done so far.
    public var counts: Counts { done.withLock { $0 } }

    // MARK: Running

    /// Takes checkpoints until the task is cancelled, and a last one then.
    ///
    /// A full one that is being made beside the chain is given up then: the chain is good without it.
    ///
    /// A store that has just been restored from the repository goes on with deltas.
    ///
    /// - Throws: `fenced`, `exists`, `mismatch` and others that trying again does not mend; `storage` if the repository
    ///   is not open for writing, or no more. A full disk or a failed call is tried again.
    public func run() async throws(RepositoryError) {
        let error = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                OwnThread.start { [self] in continuation.resume(returning: loop()) }
            }
        } onCancel: {
            stop()
        }
        if let error { throw error }
    }

    private func stop() {
        state.withLock { $0.isStopping = true }
        cancellation.request()
    }

    /// Takes checkpoints until it is stopped; why it had to end, if not so.
    private func loop() -> RepositoryError? {
        let isFirst = state.withLock { state in
            defer { state.phase = .running }
            return state.phase == .new
        }
        precondition(isFirst, "run() is called once")
        let error = loopUntilStopped()
        let waiting = state.withLock { state in
            state.phase = .ended
            defer { state.waiting = [] }
            return state.waiting
        }
        let refusal =
            error ?? RepositoryError(.cancelled, "continuous checkpoints have been stopped")
        for waiter in waiting { waiter.resume(returning: refusal) }
        cancellation.request()
        state.wait { $0.maintenance.isUnderWay ? nil : () }
        return error
    }

    private func loopUntilStopped() -> RepositoryError? {
        var next = ContinuousClock.now
        var delay = Duration.zero
        var earliest = next
        while true {
            let (waiting, isStopping) = nextTurn(at: next, notBefore: earliest)
            let start = ContinuousClock.now
            switch take() {
            case .success(let taken):
                delay = .zero
                for waiter in waiting { waiter.resume(returning: nil) }
                if let taken {
                    done.withLock { $0.checkpoints += 1 }
                    options.observer?(.checkpoint(taken.checkpoint))
                    if let end = taken.chainEnd { makeFull(end, unless: isStopping) }
                } else {
                    done.withLock { $0.skipped += 1 }
                }
            case .failure(let error):
                for waiter in waiting { waiter.resume(returning: error) }
                if isStopping || !error.isWorthAnotherTry || !repository.isOpenForWriting {
                    return error
                }
                done.withLock { $0.failed += 1 }
                options.observer?(.failed(error))
                delay = min(max(interval, delay * 2), .seconds(10))
                earliest = .now + Self.retryPause
            }
            if isStopping { return nil }
            let end = ContinuousClock.now
            let wanted = start + interval
            // As long without a checkpoint as it took.
            next = max(wanted, end + (end - start)) + delay
            if next > wanted {
                done.withLock { $0.stretched += 1 }
                options.observer?(.stretched(by: next - wanted))
            }
        }
    }

    /// The shortest time between a checkpoint that has failed and the next, whoever waits for it.
    private static let retryPause = Duration.milliseconds(100)

    /// Waits until a checkpoint is due: at a time, earlier when somebody waits for one, at once when it is the last.
    private func nextTurn(
        at time: ContinuousClock.Instant, notBefore earliest: ContinuousClock.Instant
    ) -> (waiting: [CheckedContinuation<RepositoryError?, Never>], isStopping: Bool) {
        _ = state.wait(upTo: earliest - .now) { $0.isStopping ? true : nil }
        _ = state.wait(upTo: time - .now) { state in
            state.isStopping || !state.waiting.isEmpty ? true : nil
        }
        return state.withLock { state in
            defer { state.waiting = [] }
            return (state.waiting, state.isStopping)
        }
    }

    private struct Taken {
        var checkpoint: Checkpoint
        /// Where the chain ends, if it is long enough; its cut is held once more.
        var chainEnd: ChainEnd?
    }

    /// A cut that a full checkpoint is to be made of, and the chain up to it.
    private struct ChainEnd {
        var base: OngoingChain.Base
        var length: Int
        var deltaBytes: Int
    }

    /// Takes a checkpoint; nil if nothing was written since the last.
    private func take() -> Result<Taken?, RepositoryError> {
        do throws(RepositoryError) {
            try repository.claim()
            defer { repository.endCheckpoint() }
            let chain = repository.chain
            if let shortening = state.withLock({ state in
                defer { state.shortening = nil }
                return state.shortening
            }) {
                chain.shorten(
                    fullBytes: shortening.fullBytes, length: shortening.length,
                    deltaBytes: shortening.deltaBytes)
            }
            if chain.base == nil, try repository.holdRestored(store) {}
            if let base = chain.base, base.cut.isOf(store),
                !store.isWritten(since: base.cut.epoch.rawValue + 1)
            {
                return .success(nil)
            }
            var taken = Taken(
                checkpoint: try repository.write(
                    store, options.checkpoint, Cancellation(), isContinuous: true))
            if let base = chain.base, chain.isLongEnough(for: options.checkpoint.policy) {
                base.held.hold()
                taken.chainEnd = ChainEnd(
                    base: base, length: chain.length, deltaBytes: chain.deltaBytes)
            }
            return .success(taken)
        } catch {
            return .failure(error)
        }
    }

    // MARK: Waiting for the disk

    /// Returns when all that was written to the store before the call is on disk.
    ///
    /// Callers share a checkpoint: those that come while one is under way wait for the next, which begins when that
    /// one has ended. ``run()`` must be running, or begin to.
    ///
    /// - Throws: Why the checkpoint failed; `cancelled` when ``run()`` has ended. What was written is in memory all
    ///   the same, and part of the next checkpoint that succeeds.
    public func durable() async throws(RepositoryError) {
        let error = await withCheckedContinuation { continuation in
            let hasEnded = state.withLock { state in
                if state.phase == .ended { return true }
                state.waiting.append(continuation)
                return false
            }
            if hasEnded {
                continuation.resume(
                    returning: RepositoryError(
                        .cancelled, "continuous checkpoints have been stopped",
                        hint: "await durable() while run() is running"))
            }
        }
        if let error { throw error }
    }

    // MARK: Full checkpoints beside the chain

    /// Begins to make a full checkpoint of a cut, if none is being made and none has just failed.
    private func makeFull(_ end: ChainEnd, unless isStopping: Bool) {
        let isFree = state.withLock { state in
            if isStopping || state.maintenance.isUnderWay || state.shortening != nil
                || state.maintenance.earliest > .now
            {
                return false
            }
            state.maintenance.isUnderWay = true
            return true
        }
        guard isFree else { return end.base.held.release() }
        OwnThread.start { [self] in
            OwnThread.stepBack()
            var shortening: Shortening?
            do throws(RepositoryError) {
                let manifest = try makeFull(end.base)
                shortening = Shortening(
                    fullBytes: manifest.storedBytes, length: end.length,
                    deltaBytes: end.deltaBytes)
                done.withLock { $0.full += 1 }
                options.observer?(.full(Checkpoint(manifest)))
                if let retention = options.retention {
                    try repository.removeOld(keeping: retention)
                }
            } catch {
                if error.code != .cancelled { options.observer?(.maintenanceFailed(error)) }
            }
            end.base.held.release()
            state.withLock { state in
                state.shortening = shortening
                state.maintenance.end(isDone: shortening != nil)
            }
        }
    }

    private func makeFull(_ base: OngoingChain.Base) throws(RepositoryError) -> Manifest {
        try repository.maintaining { () throws(RepositoryError) in
            try repository.writeBeside(
                base.cut, as: base.epoch, state: base.state, created: base.created,
                options.checkpoint, cancellation)
        }
    }
}

extension Repository {
    /// Prepares to take checkpoints of a store again and again.
    ///
    /// - Parameters:
    ///   - store: The store.
    ///   - interval: The time from the beginning of one to that of the next.
    ///   - options: How they are taken, and what becomes of old ones.
    public func checkpoints(
        of store: Store, every interval: Duration,
        options: ContinuousCheckpoints.Options = ContinuousCheckpoints.Options()
    ) -> ContinuousCheckpoints {
        ContinuousCheckpoints(self, store, every: interval, options)
    }
}

extension RepositoryError {
    /// Whether the same may succeed later without anybody's doing, or after room was made.
    fileprivate var isWorthAnotherTry: Bool {
        switch code {
        case .outOfSpace, .storage, .cutCancelled, .locked: true
        case .notFound, .exists, .fenced, .damaged, .unsupported, .mismatch, .disturbed,
            .cancelled:
            false
        }
    }
}
