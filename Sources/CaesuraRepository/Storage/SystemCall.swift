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
            return RepositoryError(.notFound, message, path: path)
        case EEXIST:
            return RepositoryError(.exists, message, path: path)
        case EACCES, EPERM, EROFS:
            return RepositoryError(
                .storage, message, path: path,
                hint: "run as a user who may write there, or give this user the right to")
        case EMFILE, ENFILE:
            return RepositoryError(
                .storage, message, path: path, hint: "raise the limit on open files (ulimit -n)")
        default:
            return RepositoryError(
                .storage, message, path: path,
                hint:
                    "see the system's log for the device; the checkpoints already there are intact"
            )
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
        guard result == 0 else { throw error("sync", path) }
    }

    /// Makes a directory's names durable.
    static func syncDirectory(_ path: String) throws(RepositoryError) {
        let descriptor = try open(path, O_RDONLY | O_DIRECTORY, "open the directory")
        defer { _ = close(descriptor) }
        try sync(descriptor, path)
    }
}
