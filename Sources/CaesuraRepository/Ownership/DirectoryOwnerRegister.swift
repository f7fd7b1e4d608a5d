public import CaesuraMigration

/// An owner register in a directory that the nodes share: `docs/MIGRATION.md` section 3, "In a shared directory".
///
/// The file system's `link` must be exclusive for all nodes, and its `fsync` kept: a local disk for processes of one
/// machine, NFS version 4 for several.
public final class DirectoryOwnerRegister: OwnerRegister {
    private let storage: any Storage

    /// Opens the register in a directory, which is made if it is not there.
    ///
    /// - Throws: `unavailable`.
    public convenience init(_ path: String) async throws(OwnerRegisterError) {
        let storage = try await OwnThread.inRegister { () throws(RepositoryError) in
            try DirectoryStorage(path, creating: true)
        }
        self.init(storage: storage)
    }

    init(storage: any Storage) { self.storage = storage }

    /// The last entry of a partition; nil if it has none.
    nonisolated(nonsending) public func last(
        of partition: PartitionNumber
    ) async throws(OwnerRegisterError) -> OwnerEntry? {
        let storage = storage
        return try await OwnThread.inRegister { () throws(RepositoryError) in
            try Self.last(of: partition, in: storage)?.entry
        }
    }

    /// Makes an entry the last one, if that before it is.
    nonisolated(nonsending) public func append(
        _ entry: OwnerEntry, to partition: PartitionNumber
    ) async throws(OwnerRegisterError) -> OwnerAppending {
        let storage = storage
        let found = try await OwnThread.inRegister {
            () throws(RepositoryError) -> (OwnerAppending?, UInt64) in
            let last = try Self.last(of: partition, in: storage)?.entry
            let number = last?.number ?? 0
            if let last, entry.number <= number { return (.refused(last), number) }
            guard entry.number == number + 1 else { return (nil, number) }
            return (try Self.append(entry, to: partition, in: storage), number)
        }
        guard let appending = found.0 else {
            throw OwnerRegisterError(
                .outOfOrder,
                "partition \(partition) has \(found.1) entries, and number \(entry.number) is to follow"
            )
        }
        return appending
    }

    /// Writes a file as that of an entry, gives it a name that is none of an entry, and removes it.
    nonisolated(nonsending) public func probe() async throws(OwnerRegisterError) {
        let storage = storage
        try await OwnThread.inRegister { () throws(RepositoryError) in
            let attempt = UInt64.random(in: 0 ... .max)
            let name = "\(OwnerFile.root)/probe-\(attempt)\(Layout.temporarySuffix)"
            defer { try? storage.remove(name) }
            let bytes = [UInt8](repeating: 0x20, count: 256)
            try Self.link(bytes, as: name, attempt: attempt, in: OwnerFile.root, of: storage)
        }
    }

    /// What the first who asked has proposed.
    nonisolated(nonsending) public func shape(proposing shape: OwnerShape)
        async throws(OwnerRegisterError) -> OwnerShape
    {
        let storage = storage
        return try await OwnThread.inRegister { () throws(RepositoryError) in
            try Self.shape(proposing: shape, in: storage)
        }
    }

    /// How rows are divided into partitions; nil if nobody has proposed anything yet.
    ///
    /// - Throws: `unavailable`, `damaged`, `unsupported`.
    public func shape() async throws(OwnerRegisterError) -> OwnerShape? {
        let storage = storage
        return try await OwnThread.inRegister { () throws(RepositoryError) in
            try Self.settledShape(in: storage)
        }
    }

    // MARK: Blocking

    private static func settledShape(
        in storage: any Storage
    ) throws(RepositoryError) -> OwnerShape? {
        do throws(RepositoryError) {
            let settled = try ShapeFile(in: storage).shape
            // What is seen and not durable could be gone after a crash, and another one in its place.
            try storage.syncDirectory(OwnerFile.root)
            return settled
        } catch  where error.code == .notFound {
            return nil
        }
    }

    private static func shape(
        proposing shape: OwnerShape, in storage: any Storage
    ) throws(RepositoryError) -> OwnerShape {
        if let settled = try settledShape(in: storage) { return settled }
        // This is the first, or one of them.
        try storage.makeDirectory(OwnerFile.root)
        try storage.syncDirectory("")
        do throws(RepositoryError) {
            try link(
                ShapeFile(shape: shape).encoded, as: ShapeFile.path,
                attempt: .random(in: 0 ... .max),
                in: OwnerFile.root, of: storage)
            return shape
        } catch  where error.code == .exists {
            let settled = try ShapeFile(in: storage).shape
            try storage.syncDirectory(OwnerFile.root)
            return settled
        }
    }

    /// Writes a file, and gives it a name that nobody has; the name is durable then.
    ///
    /// - Throws: `exists` when somebody has it.
    static func link(
        _ bytes: [UInt8], as path: String, attempt: UInt64, in directory: String,
        of storage: any Storage
    ) throws(RepositoryError) {
        let temporary = directory + "/" + String(attempt, radix: 16) + Layout.temporarySuffix
        let writer = try storage.create(temporary)
        defer {
            writer.close()
            try? storage.remove(temporary)
        }
        try unsafe writer.append(bytes.span.bytes)
        try writer.sync()
        try storage.link(temporary, as: path)
        try storage.syncDirectory(directory)
    }

    private static func last(
        of partition: PartitionNumber, in storage: any Storage
    ) throws(RepositoryError) -> OwnerFile? {
        let directory = OwnerFile.directory(of: partition)
        let names: [String]
        do throws(RepositoryError) {
            names = try storage.list(directory)
        } catch  where error.code == .notFound {
            return nil
        }
        guard let number = names.compactMap(OwnerFile.number(ofName:)).max() else { return nil }
        let file = try OwnerFile(reading: number, of: partition, in: storage)
        // What is seen and not durable could be gone after a crash, and another one in its place.
        try storage.syncDirectory(directory)
        return file
    }

    private static func append(
        _ entry: OwnerEntry, to partition: PartitionNumber, in storage: any Storage
    ) throws(RepositoryError) -> OwnerAppending {
        let directory = OwnerFile.directory(of: partition)
        if entry.number == 1 {
            try storage.makeDirectory(OwnerFile.root)
            try storage.makeDirectory(directory)
            try storage.syncDirectory(OwnerFile.root)
            try storage.syncDirectory("")
        }
        let file = OwnerFile(entry: entry, attempt: .random(in: 0 ... .max))
        do throws(RepositoryError) {
            try link(
                file.encoded, as: OwnerFile.path(of: entry.number, of: partition),
                attempt: file.attempt, in: directory, of: storage)
        } catch  where error.code == .exists {
            guard let last = try last(of: partition, in: storage) else { throw error }
            // Over a network a link may be told to exist because it was made, and the answer was lost.
            return last.attempt == file.attempt && last.entry == entry
                ? .appended : .refused(last.entry)
        }
        return .appended
    }
}

extension OwnThread {
    /// Runs `body` on a new thread and waits for it without blocking the caller's, for a register in a directory.
    nonisolated(nonsending) static func inRegister<Value: Sendable>(
        _ body: @escaping @Sendable () throws(RepositoryError) -> Value
    ) async throws(OwnerRegisterError) -> Value {
        do throws(RepositoryError) {
            return try await run(body)
        } catch {
            throw OwnerRegisterError(error)
        }
    }
}

extension OwnerRegisterError {
    fileprivate init(_ error: RepositoryError) {
        switch error.code {
        case .damaged: self.init(.damaged, "\(error)")
        case .unsupported: self.init(.unsupported, "\(error)")
        default: self.init(.unavailable, "\(error)")
        }
    }
}
