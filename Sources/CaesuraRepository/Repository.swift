import Synchronization

/// The durable home of a store's checkpoints.
///
/// A repository that is open for writing holds its lock until it is closed or goes out of use, so that
/// two services never mix their checkpoints. Reading needs no lock: a checkpoint, once there, does not
/// change.
public final class Repository: Sendable {
    /// Where a repository is.
    public struct Location: Sendable {
        let storage: @Sendable (Access) throws(RepositoryError) -> any Storage

        /// A directory on this machine, made if it is opened for writing and not there.
        public static func directory(_ path: String) -> Location {
            Location { (access) throws(RepositoryError) in
                do throws(RepositoryError) {
                    return try DirectoryStorage(path, creating: access == .write)
                } catch  where error.code == .notFound {
                    throw access == .write ? error : Marker.missing(in: path)
                }
            }
        }

        /// A storage of the caller's own.
        public static func storage(_ storage: any Storage) -> Location {
            Location { (_) throws(RepositoryError) in storage }
        }
    }

    /// What a repository is opened for.
    public enum Access: Hashable, Sendable {
        /// Checkpoints are taken and restored; takes the lock.
        case write
        /// Old checkpoints are made full or removed, beside a service that takes new ones; each such call takes
        /// a lock of its own.
        case maintain
        /// Checkpoints are restored, inspected and verified.
        case read
    }

    let storage: any Storage
    /// What the repository was opened for.
    public let access: Access
    /// What the next delta goes on from.
    let chain = OngoingChain()
    let misses = Mutex(DeltaMisses())
    /// Held while open for writing; inside is whether a checkpoint is under way.
    private let writer: Mutex<WriterState>

    struct WriterState {
        var lock: (any StorageLock)?
        var isBusy = false
        var isClosed = false

        /// Gives the lock back, unless a checkpoint under way still needs it.
        mutating func releaseIfIdle() {
            guard isClosed, !isBusy else { return }
            lock?.release()
            lock = nil
        }
    }

    /// Opens a repository.
    ///
    /// For writing, it is made if it is not there, its lock is taken, and what an interrupted writer left
    /// behind is removed.
    ///
    /// - Throws: `locked` if another writer has it; `notFound` if there is none; `unsupported`;
    ///   `exists` if the directory holds other files.
    public static func open(
        _ location: Location, for access: Access = .write
    ) async throws(RepositoryError) -> Repository {
        try await OwnThread.run { () throws(RepositoryError) in
            try Repository(location: location, access: access)
        }
    }

    /// The epochs of the checkpoints that are there, oldest first.
    public func epochs() async throws(RepositoryError) -> [UInt64] {
        try await OwnThread.run { () throws(RepositoryError) in try self.listEpochs() }
    }

    /// The epoch of the newest checkpoint; nil if there is none.
    ///
    /// - Throws: `damaged` if a newer one is lost that somebody was told of.
    public func newest() async throws(RepositoryError) -> UInt64? {
        try await OwnThread.run { () throws(RepositoryError) in
            let catalog = try Catalog(self.storage)
            if let loss = catalog.losses(in: self.storage).first { throw loss }
            return catalog.epochs.last
        }
    }

    /// Opens a full checkpoint for reading, the newest checkpoint unless told.
    ///
    /// - Throws: `notFound`, also if it is a delta: ``delta(at:)``; or `damaged` if its manifest is.
    public func reader(at epoch: UInt64? = nil) async throws(RepositoryError) -> CheckpointReader {
        try await OwnThread.run { () throws(RepositoryError) in
            try CheckpointReader(storage: self.storage, epoch: self.resolve(epoch))
        }
    }

    /// Opens a repository, blocking on the storage.
    package init(location: Location, access: Access) throws(RepositoryError) {
        let storage = try location.storage(access)
        var lock: (any StorageLock)?
        if access == .write {
            try Marker.refuseForeignDirectory(storage)
            lock = try storage.lock(Layout.lock)
            try Marker.create(in: storage)
        }
        try Marker.check(in: storage)
        self.storage = storage
        self.access = access
        writer = Mutex(WriterState(lock: lock))
        if access == .write { try removeLeftovers() }
    }

    /// Removes what earlier writers have left behind, and maintainers too unless one is at work.
    private func removeLeftovers() throws(RepositoryError) {
        let maintenance: (any StorageLock)?
        do throws(RepositoryError) {
            maintenance = try storage.lock(Layout.maintenance)
        } catch  where error.code == .locked {
            maintenance = nil
        }
        defer { maintenance?.release() }
        try Leftovers.remove(
            from: storage, newest: newestEpoch(), as: maintenance == nil ? .writer : .both)
    }

    deinit { close() }

    /// Releases the lock.
    ///
    /// No checkpoint can be taken afterwards; reading goes on. One that is under way is brought to its end,
    /// and the lock is released then: until that, no other writer can open the repository.
    public func close() {
        writer.withLock {
            $0.isClosed = true
            $0.releaseIfIdle()
        }
    }

    /// The epochs of the checkpoints that are there, oldest first, blocking on the storage.
    func listEpochs() throws(RepositoryError) -> [UInt64] { try Catalog(storage).epochs }

    /// The epochs of the full checkpoints that are there, oldest first, blocking on the storage.
    func manifestEpochs() throws(RepositoryError) -> [UInt64] {
        try storage.list(Layout.manifests).compactMap(Layout.epoch(ofManifest:)).sorted()
    }

    /// The epoch of the newest checkpoint that is, or was, there.
    func newestEpoch() throws(RepositoryError) -> UInt64? { try Catalog(storage).newestEpoch }

    /// Why checkpoints that could have been deltas were full ones, since the repository was opened.
    public var deltaMisses: DeltaMisses { misses.withLock { $0 } }

    /// Gives up a checkpoint that has failed, and frees its room at once if the storage lets us.
    ///
    /// Should the failure have come after the manifest was linked, its packs are no leftovers and stay.
    func abandon(_ writer: CheckpointWriter, as owner: Leftovers.Owner) {
        writer.abort()
        do throws(RepositoryError) {
            try Leftovers.remove(from: storage, newest: newestEpoch(), as: owner)
        } catch {
            // The next checkpoint tries again.
        }
    }

    /// Lets the next checkpoint begin.
    func endCheckpoint() {
        writer.withLock {
            $0.isBusy = false
            $0.releaseIfIdle()
        }
    }

    /// Whether checkpoints can be taken.
    var isOpenForWriting: Bool { writer.withLock { $0.lock != nil && !$0.isClosed } }

    /// Makes this the only checkpoint under way; the caller ends it with ``endCheckpoint()``.
    func claim() throws(RepositoryError) {
        let refusal: RepositoryError? = writer.withLock { state in
            if state.lock == nil || state.isClosed {
                return RepositoryError(
                    .storage, "the repository is not open for writing",
                    path: storage.display(""), hint: "open it for writing, and before closing it")
            }
            if state.isBusy {
                return RepositoryError(
                    .locked, "a checkpoint into this repository is under way",
                    path: storage.display(""), hint: "wait until it has ended")
            }
            state.isBusy = true
            return nil
        }
        if let refusal { throw refusal }
    }
}
