/// Where a repository's files live: the few operations that the commit protocol is made of.
///
/// Paths are relative, with `/` between components; "" is the repository's directory. What must hold:
///
/// - Nothing is durable before it is synced: a file's bytes by ``StorageWriter/sync()`` or ``syncFile(_:)``, a
///   name in a directory by ``syncDirectory(_:)``. Until then a crash may keep any part, in any order.
/// - ``create(_:)`` and ``link(_:as:)`` never replace: exactly one of several callers wins.
/// - A lock ends with the process that holds it.
///
/// Calls block, so they are made on threads of the repository's own, never on the cooperative pool. An
/// implementation is called from several threads at once.
public protocol Storage: Sendable {
    /// Makes a directory, unless it is there.
    func makeDirectory(_ path: String) throws(RepositoryError)

    /// Makes a file and opens it for writing.
    /// - Throws: `exists` if the name is taken.
    func create(_ path: String) throws(RepositoryError) -> any StorageWriter

    /// Opens a file for reading.
    /// - Throws: `notFound` if there is none.
    func open(_ path: String) throws(RepositoryError) -> any StorageReader

    /// Gives a file a second name, all at once.
    /// - Throws: `exists` if the name is taken.
    func link(_ path: String, as name: String) throws(RepositoryError)

    /// Takes a name away.
    /// - Throws: `notFound` if there is none.
    func remove(_ path: String) throws(RepositoryError)

    /// Makes the directory's names durable, as they are now.
    func syncDirectory(_ path: String) throws(RepositoryError)

    /// Makes the bytes of a file durable that another process may have written, and not have been given the time
    /// to sync.
    /// - Throws: `notFound` if there is none.
    func syncFile(_ path: String) throws(RepositoryError)

    /// The names in a directory, sorted.
    func list(_ path: String) throws(RepositoryError) -> [String]

    /// Takes the lock at `path`, or fails at once.
    ///
    /// The file stays: its lock is what counts, not its existence.
    /// - Throws: `locked`, naming the holder.
    func lock(_ path: String) throws(RepositoryError) -> any StorageLock

    /// A path as people should see it.
    func display(_ path: String) -> String
}

/// A new file, written from front to back by one thread.
public protocol StorageWriter: AnyObject, Sendable {
    /// Appends bytes.
    func append(_ bytes: borrowing RawSpan) throws(RepositoryError)

    /// Makes the bytes appended so far durable.
    ///
    /// After a failure nothing is known of them: leave the file and write another.
    func sync() throws(RepositoryError)

    /// Lets go of the file; it is of no further use.
    func close()
}

/// A file open for reading, from any number of threads.
public protocol StorageReader: Sendable {
    /// The file's length in bytes when it was opened.
    var size: Int { get }

    /// Fills `buffer` with the bytes from `offset` on.
    /// - Throws: `damaged` if the file ends before.
    func read(
        at offset: Int, into buffer: inout MutableRawSpan
    ) throws(RepositoryError)
}

/// A lock that is held until it is released or goes out of use.
public protocol StorageLock: AnyObject, Sendable {
    /// Lets others have it.
    func release()
}

extension Storage {
    /// Reads a whole file of at most `limit` bytes.
    func contents(of path: String, upTo limit: Int) throws(RepositoryError) -> [UInt8] {
        let file = try open(path)
        guard file.size <= limit else {
            throw RepositoryError(
                .damaged, "the file has \(file.size) bytes, more than the \(limit) allowed",
                path: display(path))
        }
        var bytes = [UInt8](repeating: 0, count: file.size)
        var span = bytes.mutableSpan
        var rawSpan = unsafe span.mutableBytes
        try file.read(at: 0, into: &rawSpan)
        return bytes
    }

    /// Writes a small file so that its name appears only once its bytes are durable.
    ///
    /// When this returns, the name is durable too. When it throws before the link, nothing has
    /// appeared; after it, the name may or may not survive a crash.
    func publish(_ bytes: [UInt8], as path: String, in directory: String) throws(RepositoryError) {
        let temporary = path + Layout.temporarySuffix
        let file = try create(temporary)
        defer { file.close() }
        try unsafe file.append(bytes.span.bytes)
        try file.sync()
        try link(temporary, as: path)
        try syncDirectory(directory)
        // Not worth failing for: the next writer removes it.
        try? remove(temporary)
    }
}
