#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// POSIX calls with their failures turned into errors that an operator can act on.
enum SystemCall {
    /// The error for the call that has just failed: call it before anything else changes `errno`.
    static func error(_ action: String, _ path: String) -> RepositoryError {
        error(action, path, number: errno)
    }

    /// The error for a failure with this `errno`.
    static func error(_ action: String, _ path: String, number: Int32) -> RepositoryError {
        // SAFETY: strerror returns a terminated string that is valid until this thread's next call.
        let text = unsafe String(cString: strerror(number))
        let message = "cannot \(action): \(text) (errno \(number))"
        switch number {
        case ENOSPC, EDQUOT:
            return RepositoryError(
                .outOfSpace, message, path: path,
                hint: "make room on that file system; the checkpoints already there are intact")
        case ENOENT:
            // Only for a new name does it mean the directory above.
            return RepositoryError(
                .notFound, message, path: path,
                hint: action.hasPrefix("make") ? "make the directory above it first" : nil)
        case EEXIST:
            return RepositoryError(.exists, message, path: path)
        default:
            return RepositoryError(.storage, message, path: path, hint: hint(number))
        }
    }

    /// What to do about a failure that says nothing about what is stored.
    private static func hint(_ number: Int32) -> String? {
        switch number {
        case EACCES, EPERM: "run as a user who has the right to do that, or give it to this user"
        case EROFS: "the file system is mounted read-only: use another, or mount it for writing"
        case EMFILE, ENFILE: "raise the limit on open files (ulimit -n)"
        case EFBIG: "raise the limit on the size of files (ulimit -f)"
        case ENOTDIR: "name a directory: that, or a part of the path to it, is a file"
        case EISDIR: "there is a directory where a file should be: move it away"
        case ENAMETOOLONG: "give the directory a shorter name, or put it somewhere else"
        case EIO, ENXIO, ENODEV:
            "see the system's log for the device; the checkpoints already there are intact"
        default: nil
        }
    }

    /// Opens a file; a child process does not inherit it.
    static func open(
        _ path: String, _ flags: Int32, _ action: String
    ) throws(RepositoryError) -> Int32 {
        while true {
            #if canImport(Darwin)
                let descriptor = unsafe Darwin.open(path, flags | O_CLOEXEC, 0o666)
            #elseif canImport(Musl)
                let descriptor = unsafe Musl.open(path, flags | O_CLOEXEC, 0o666)
            #else
                let descriptor = unsafe Glibc.open(path, flags | O_CLOEXEC, 0o666)
            #endif
            if descriptor >= 0 { return descriptor }
            guard errno == EINTR else { throw error(action, path) }
        }
    }

    /// Makes what was written to the descriptor durable.
    static func sync(_ descriptor: Int32, _ path: String) throws(RepositoryError) {
        #if canImport(Darwin)
            // fsync(2) on Darwin stops at the drive's cache.
            let result = fcntl(descriptor, F_FULLFSYNC)
        #else
            let result = fsync(descriptor)
        #endif
        guard result == 0 else { throw error("sync the file", path) }
    }

    /// Makes a directory's names durable.
    static func syncDirectory(_ path: String) throws(RepositoryError) {
        let descriptor = try open(path, O_RDONLY | O_DIRECTORY, "open the directory")
        defer { _ = close(descriptor) }
        try sync(descriptor, path)
    }
}
