/// Why a repository could not be opened, written or read.
///
/// Two errors are equal when their codes are.
public struct RepositoryError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What a caller may act on.
    @nonexhaustive
    public enum Code: String, Hashable, Sendable {
        /// There is no such repository, checkpoint or file.
        case notFound
        /// The name or the epoch is taken, or checkpoints are there that the store does not go on from.
        case exists
        /// Another writer has the repository: wait for it, or stop it.
        case locked
        /// Another writer has gone on from here and removed what this one was about to go on from: stop, or restore.
        case fenced
        /// Bytes are not those that were written: restore an older checkpoint, or salvage.
        case damaged
        /// A newer version wrote it: use a newer reader.
        case unsupported
        /// What is stored does not fit what the caller has: other schemas, a store that is not empty.
        case mismatch
        /// Something else wrote to the store during a restore: restore again while nothing writes.
        case disturbed
        /// The storage is full: make room and take the next checkpoint; the previous one is intact.
        case outOfSpace
        /// The storage refused or failed: see the message.
        case storage
        /// The caller's task was cancelled: nothing was committed.
        case cancelled
        /// The cut kept more memory than the store allows, or was closed: nothing was committed; take the
        /// next checkpoint when fewer writes run, or allow more.
        case cutCancelled
    }

    /// What a caller may act on.
    public var code: Code
    /// What happened, in one sentence, without the place.
    ///
    /// It never holds user data.
    public var message: String
    /// The file or directory concerned.
    public var path: String?
    /// Bytes from the start of the file.
    public var offset: Int?
    /// The checkpoint concerned.
    public var epoch: UInt64?
    /// The chunk concerned, counted from 0 in the manifest's order.
    public var chunk: Int?
    /// What the operator can do, in one sentence.
    public var hint: String?

    /// Creates an error.
    public init(
        _ code: Code, _ message: String, path: String? = nil, offset: Int? = nil,
        epoch: UInt64? = nil, chunk: Int? = nil, hint: String? = nil
    ) {
        self.code = code
        self.message = message
        self.path = path
        self.offset = offset
        self.epoch = epoch
        self.chunk = chunk
        self.hint = hint
    }

    /// The message, and behind it the place.
    public var description: String {
        var places: [String] = []
        if let path { places.append(path) }
        if let offset { places.append("byte \(offset)") }
        if let chunk { places.append("chunk \(chunk)") }
        if let epoch { places.append("epoch \(epoch)") }
        return places.isEmpty ? message : "\(message) (\(places.joined(separator: ", ")))"
    }

    /// Compares the codes.
    public static func == (a: RepositoryError, b: RepositoryError) -> Bool { a.code == b.code }

    /// Hashes the code.
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
}
