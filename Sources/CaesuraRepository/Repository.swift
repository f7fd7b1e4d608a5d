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
                    throw access == .read ? notARepository(path) : error
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
    /// No checkpoint can be taken afterwards; reading goes on.
    public func close() {
        writer.withLock {
            $0.lock?.release()
            $0.lock = nil
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
                hint: "restore that checkpoint into the store first, "
                    + "or use another directory for a store that began anew")
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
    func endCheckpoint() { writer.withLock { $0.isBusy = false } }

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
            if state.lock == nil {
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

private func notARepository(_ path: String) -> RepositoryError {
    RepositoryError(
        .notFound, "there is no repository here", path: path,
        hint: "name the directory that holds \(Layout.marker)")
}

/// The file that makes a directory a repository, and says of which version.
enum Marker {
    /// The version of the directory's layout that this library writes and reads.
    static let version: UInt64 = 1
    private static let format = "caesura-repository"

    /// Refuses a directory that has something in it and is no repository, so that nobody's files are
    /// mixed with ours by a mistyped path.
    static func refuseForeignDirectory(_ storage: any Storage) throws(RepositoryError) {
        let names = try storage.list("")
        guard !names.contains(Layout.marker) else { return }
        let ours = [Layout.lock, Layout.packs, Layout.manifests, "lost+found"]
        for name in names where !ours.contains(name) && !Layout.isTemporary(name) {
            throw RepositoryError(
                .exists,
                "the directory holds other files, for example \(name.debugDescription), "
                    + "and is no repository", path: storage.display(""),
                hint: "name an empty directory or one that does not exist yet")
        }
    }

    /// Makes the directory a repository, unless it is one.
    ///
    /// What an earlier writer made and was not given the time to sync is synced here.
    static func create(in storage: any Storage) throws(RepositoryError) {
        try storage.makeDirectory(Layout.packs)
        try storage.makeDirectory(Layout.manifests)
        try storage.syncDirectory("")
        let names = try storage.list("")
        guard !names.contains(Layout.marker) else { return }
        for name in names where Layout.isTemporary(name) { try storage.remove(name) }
        var json = JSONWriter()
        json.openDocument()
        json.string("format", format)
        json.number("version", version)
        json.string("created", WallClock.now.description)
        try storage.publish(json.bytes + Array("\n}\n".utf8), as: Layout.marker, in: "")
    }

    /// Checks that the directory is a repository of a version this library knows.
    static func check(in storage: any Storage) throws(RepositoryError) {
        let path = storage.display(Layout.marker)
        let bytes: [UInt8]
        do throws(RepositoryError) {
            bytes = try storage.contents(of: Layout.marker, upTo: 65_536)
        } catch  where error.code == .notFound {
            throw notARepository(storage.display(""))
        }
        var stated: String?
        var version: UInt64?
        var reader = JSONReader(bytes, file: path)
        try reader.object { (json, name) throws(RepositoryError) in
            switch name {
            case "format": stated = try json.string(upTo: 64)
            case "version": version = try json.unsigned()
            default: try json.skip()
            }
        }
        try reader.end()
        guard stated == format, let version else {
            throw RepositoryError(.damaged, "this is not a repository's marker", path: path)
        }
        guard version == Self.version else {
            throw RepositoryError(
                .unsupported,
                "the repository is of version \(version), and this library knows "
                    + "\(Self.version)", path: path, hint: "use a newer version of the library")
        }
    }
}
