import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A file of a ``DirectoryStorage`` that is being written, by one thread at a time.
///
// SAFETY: `@unchecked Sendable`: the protocol has one thread at a time use it.
final class DirectoryWriter: StorageWriter, @unchecked Sendable {
    private var descriptor: Int32
    private let path: String

    init(_ descriptor: Int32, _ path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close() }

    func append(_ bytes: borrowing RawSpan) throws(RepositoryError) {
        var done = 0
        while done < bytes.byteCount {
            // SAFETY: `done` is less than the span's count.
            let count = unsafe bytes.withUnsafeBytes {
                unsafe write(descriptor, $0.baseAddress! + done, $0.count - done)
            }
            if count < 0 {
                guard errno == EINTR else { throw SystemCall.error("write the file", path) }
                continue
            }
            done += count
        }
    }

    func sync() throws(RepositoryError) { try SystemCall.sync(descriptor, path) }

    func close() {
        guard descriptor >= 0 else { return }
        closeDescriptor(descriptor)
        descriptor = -1
    }
}

/// A file of a ``DirectoryStorage`` that is being read.
final class DirectoryReader: StorageReader {
    let size: Int
    private let descriptor: Int32
    private let path: String

    init(_ descriptor: Int32, _ path: String) throws(RepositoryError) {
        self.descriptor = descriptor
        self.path = path
        var status = stat()
        // SAFETY: `status` is ours for the duration of the call.
        let known = unsafe fstat(descriptor, &status) == 0
        size = Int(status.st_size)
        guard known else { throw SystemCall.error("look at the file", path) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw RepositoryError(.damaged, "this is not a regular file", path: path)
        }
    }

    deinit { closeDescriptor(descriptor) }

    func read(
        at offset: Int, into buffer: inout MutableRawSpan
    ) throws(RepositoryError) {
        var done = 0
        while done < buffer.byteCount {
            // SAFETY: `done` is less than the span's count.
            let count = unsafe buffer.withUnsafeMutableBytes {
                unsafe pread(
                    descriptor, $0.baseAddress! + done, $0.count - done, off_t(offset + done))
            }
            if count < 0 {
                guard errno == EINTR else { throw SystemCall.error("read the file", path) }
                continue
            }
            guard count > 0 else {
                throw RepositoryError(
                    .damaged,
                    "the file ends before the \(buffer.byteCount) bytes that should be here",
                    path: path, offset: offset)
            }
            done += count
        }
    }
}

/// A lock by `flock(2)`: it belongs to the open file, so it ends with the process and also keeps out a
/// second opener in the same process.
final class DirectoryLock: StorageLock, @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: only `release` touches the descriptor, through an atomic exchange.
    private let descriptor: Atomic<Int32>

    /// Takes the lock on an open file, or closes the file and fails.
    static func take(
        _ descriptor: Int32, _ path: String
    ) throws(RepositoryError) -> DirectoryLock {
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            let number = errno
            if number == EINTR { continue }
            defer { closeDescriptor(descriptor) }
            guard number == EWOULDBLOCK else {
                throw SystemCall.error("take the lock", path, number: number)
            }
            var text = [UInt8](repeating: 0, count: 512)
            // SAFETY: the array has 512 bytes.
            let count = unsafe text.withUnsafeMutableBytes {
                unsafe pread(descriptor, $0.baseAddress!, $0.count, 0)
            }
            throw LockHolder.refusal(text: Array(text.prefix(max(0, count))), path: path)
        }
        return DirectoryLock(holding: descriptor)
    }

    private init(holding descriptor: Int32) {
        self.descriptor = Atomic(descriptor)
        // The text is for people; a full disk must not keep a writer from cleaning up.
        let line = Array("\(LockHolder.current)\n".utf8)
        _ = ftruncate(descriptor, 0)
        // SAFETY: the array lives through the call.
        _ = unsafe line.withUnsafeBytes { unsafe pwrite(descriptor, $0.baseAddress!, $0.count, 0) }
    }

    deinit { release() }

    func release() {
        let held = descriptor.exchange(-1, ordering: .acquiringAndReleasing)
        guard held >= 0 else { return }
        _ = ftruncate(held, 0)
        closeDescriptor(held)
    }
}

private func closeDescriptor(_ descriptor: Int32) {
    // What had to be durable was synced before; there is nothing to do about a failure here.
    _ = close(descriptor)
}
