#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Files in a local directory, through POSIX calls.
///
/// A link, not a rename, publishes a name: it fails if the name is taken on every file system that has
/// links, network ones too, while renaming without replacing needs Linux and the file system's support.
public struct DirectoryStorage: Storage {
    /// The directory, as an absolute path without symbolic links.
    public let root: String

    /// Opens a directory.
    ///
    /// - Parameters:
    ///   - path: where it is.
    ///   - creating: whether to make the directory if it is not there. The one above it must be.
    /// - Throws: `notFound` if there is none, `storage` if it is not a directory.
    public init(_ path: String, creating: Bool = false) throws(RepositoryError) {
        let path = path.isEmpty ? "." : path
        let isNew = unsafe creating && mkdir(path, 0o777) == 0
        if creating, !isNew, errno != EEXIST {
            throw SystemCall.error("make the directory", path)
        }
        guard let resolved = unsafe realpath(path, nil) else {
            throw SystemCall.error("find the directory", path)
        }
        // SAFETY: realpath returned a string of its own, ours to free.
        root = unsafe String(cString: resolved)
        unsafe free(resolved)
        // The name of the directory itself must survive a crash too. If it was there, this repeats a sync
        // that its maker may not have come to; the one above need not be ours to read then.
        if isNew {
            try SystemCall.syncDirectory(root + "/..")
        } else if creating {
            try? SystemCall.syncDirectory(root + "/..")
        }
    }

    /// Makes a directory, unless it is there.
    public func makeDirectory(_ path: String) throws(RepositoryError) {
        guard unsafe mkdir(display(path), 0o777) == 0 || errno == EEXIST else {
            throw SystemCall.error("make the directory", display(path))
        }
    }

    /// Makes a file and opens it for writing.
    public func create(_ path: String) throws(RepositoryError) -> any StorageWriter {
        let path = display(path)
        let descriptor = try SystemCall.open(path, O_WRONLY | O_CREAT | O_EXCL, "make the file")
        return DirectoryWriter(descriptor, path)
    }

    /// Opens a file for reading.
    public func open(_ path: String) throws(RepositoryError) -> any StorageReader {
        let path = display(path)
        // O_NONBLOCK: someone may have put a pipe there, which would have us wait for a writer.
        let descriptor = try SystemCall.open(path, O_RDONLY | O_NONBLOCK, "open the file")
        return try DirectoryReader(descriptor, path)
    }

    /// Gives a file a second name, all at once.
    public func link(_ path: String, as name: String) throws(RepositoryError) {
        #if canImport(Darwin)
            let result = unsafe Darwin.link(display(path), display(name))
        #elseif canImport(Musl)
            let result = unsafe Musl.link(display(path), display(name))
        #else
            let result = unsafe Glibc.link(display(path), display(name))
        #endif
        guard result == 0 else {
            let cause = errno
            var error = SystemCall.error("link the finished file as", display(name))
            if cause == EPERM || cause == EOPNOTSUPP {
                error.hint =
                    "the file system must have hard links: ext4, XFS, Btrfs, tmpfs and NFS do"
            }
            throw error
        }
    }

    /// Takes a name away.
    public func remove(_ path: String) throws(RepositoryError) {
        guard unsafe unlink(display(path)) == 0 else {
            throw SystemCall.error("remove", display(path))
        }
    }

    /// Makes the directory's names durable, as they are now.
    public func syncDirectory(_ path: String) throws(RepositoryError) {
        try SystemCall.syncDirectory(display(path))
    }

    /// Makes the bytes of a file durable, whoever has written them.
    public func syncFile(_ path: String) throws(RepositoryError) {
        let path = display(path)
        let descriptor = try SystemCall.open(path, O_RDONLY | O_NONBLOCK, "open the file")
        defer { _ = close(descriptor) }
        try SystemCall.sync(descriptor, path)
    }

    /// The names in a directory, sorted.
    public func list(_ path: String) throws(RepositoryError) -> [String] {
        let path = display(path)
        guard let directory = unsafe opendir(path) else {
            throw SystemCall.error("list the directory", path)
        }
        defer { unsafe closedir(directory) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = unsafe readdir(directory) else {
                guard errno == 0 else { throw SystemCall.error("list the directory", path) }
                return names.sorted()
            }
            // SAFETY: the entry, with its terminated name, is valid until the next readdir.
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
            }
            if name != ".", name != ".." { names.append(name) }
        }
    }

    /// Takes the lock at `path`, or fails at once.
    public func lock(_ path: String) throws(RepositoryError) -> any StorageLock {
        let path = display(path)
        let descriptor = try SystemCall.open(path, O_RDWR | O_CREAT, "open the lock")
        return try DirectoryLock.take(descriptor, path)
    }

    /// A path as people should see it.
    public func display(_ path: String) -> String { path.isEmpty ? root : root + "/" + path }
}
