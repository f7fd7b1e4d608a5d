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
                    throw access == .read ? Marker.missing(in: path) : error
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
        /// Checkpoints are restored, inspected and verified.
        case read
    }

    let storage: any Storage
    /// What the repository was opened for.
    public let access: Access
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

    /// Opens a checkpoint for reading, the newest one unless told.
    ///
    /// - Throws: `notFound`, or `damaged` if its manifest is.
    public func reader(at epoch: UInt64? = nil) async throws(RepositoryError) -> CheckpointReader {
        try await OwnThread.run { () throws(RepositoryError) in
            try CheckpointReader(storage: self.storage, epoch: self.resolve(epoch))
        }
    }

    /// Removes a checkpoint for good.
    ///
    /// - Throws: `notFound` if there is none of that epoch.
    public func remove(at epoch: UInt64) async throws(RepositoryError) {
        try await OwnThread.run { () throws(RepositoryError) in
            try self.removeCheckpoint(at: epoch)
        }
    }

    /// Opens a repository, blocking on the storage.
    init(location: Location, access: Access) throws(RepositoryError) {
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
        if access == .write { _ = try Leftovers.remove(from: storage) }
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
    func listEpochs() throws(RepositoryError) -> [UInt64] {
        try storage.list(Layout.manifests).compactMap(Layout.epoch(ofManifest:)).sorted()
    }

    /// Begins a checkpoint, between ``claim()`` and ``endCheckpoint()``.
    func beginCheckpoint(
        _ manifest: Manifest, packBytes: Int = CheckpointWriter.packBytes
    ) throws(RepositoryError) -> CheckpointWriter {
        let newest = try listEpochs().last
        if let newest, newest >= manifest.epoch {
            throw RepositoryError(
                .exists,
                "epoch \(manifest.epoch) is not newer than the newest checkpoint, \(newest)",
                path: storage.display(Layout.manifests), epoch: manifest.epoch,
                hint: Self.descentHint)
        }
        _ = try Leftovers.remove(from: storage)
        var manifest = manifest
        manifest.previousEpoch = newest
        return CheckpointWriter(storage: storage, manifest: manifest, packBytes: packBytes)
    }

    /// Gives up a checkpoint that has failed, and frees its room at once if the storage lets us.
    ///
    /// Should the failure have come after the manifest was linked, its packs are no leftovers and stay.
    func abandon(_ writer: CheckpointWriter) {
        writer.abort()
        _ = try? Leftovers.remove(from: storage)
    }

    /// Lets the next checkpoint begin.
    func endCheckpoint() {
        writer.withLock {
            $0.isBusy = false
            $0.releaseIfIdle()
        }
    }

    /// Removes a checkpoint for good, blocking on the storage.
    ///
    /// The manifest goes first and durably, so that no crash leaves one without its packs.
    func removeCheckpoint(at epoch: UInt64) throws(RepositoryError) {
        try claim()
        defer { endCheckpoint() }
        do throws(RepositoryError) {
            try storage.remove(Layout.manifest(epoch))
        } catch  where error.code == .notFound {
            throw RepositoryError(
                .notFound, "there is no checkpoint of epoch \(epoch)",
                path: storage.display(Layout.manifests), epoch: epoch)
        }
        _ = try Leftovers.remove(from: storage)
    }

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
