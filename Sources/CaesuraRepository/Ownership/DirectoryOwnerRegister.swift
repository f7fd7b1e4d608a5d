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
        let opened = await Self.run { () throws(RepositoryError) in
            try DirectoryStorage(path, creating: true)
        }
        self.init(storage: try opened.get())
    }

    init(storage: any Storage) { self.storage = storage }

    /// The last entry of a partition; nil if it has none.
    public func last(
        of partition: PartitionNumber
    ) async throws(OwnerRegisterError) -> OwnerEntry? {
        let storage = storage
        return try await Self.run { () throws(RepositoryError) in
            try Self.last(of: partition, in: storage)?.entry
        }.get()
    }

    /// Makes an entry the last one, if that before it is.
    public func append(
        _ entry: OwnerEntry, to partition: PartitionNumber
    ) async throws(OwnerRegisterError) -> OwnerAppending {
        let storage = storage
        let found = try await Self.run { () throws(RepositoryError) -> (OwnerAppending?, UInt64) in
            let last = try Self.last(of: partition, in: storage)?.entry
            let number = last?.number ?? 0
            if let last, entry.number <= number { return (.refused(last), number) }
            guard entry.number == number + 1 else { return (nil, number) }
            return (try Self.append(entry, to: partition, in: storage), number)
        }.get()
        guard let appending = found.0 else {
            throw OwnerRegisterError(
                .outOfOrder,
                "partition \(partition) has \(found.1) entries, and number \(entry.number) is to follow"
            )
        }
        return appending
    }

    private static func run<Value: Sendable>(
        _ body: @escaping @Sendable () throws(RepositoryError) -> Value
    ) async -> Result<Value, OwnerRegisterError> {
        do throws(RepositoryError) {
            return .success(try await OwnThread.run(body))
        } catch {
            return .failure(OwnerRegisterError(error))
        }
    }

    // MARK: Blocking

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
        let temporary = file.temporaryPath(of: partition)
        let name = OwnerFile.path(of: entry.number, of: partition)
        let writer = try storage.create(temporary)
        defer {
            writer.close()
            try? storage.remove(temporary)
        }
        try unsafe writer.append(file.encoded.span.bytes)
        try writer.sync()
        do throws(RepositoryError) {
            try storage.link(temporary, as: name)
        } catch  where error.code == .exists {
            guard let last = try last(of: partition, in: storage) else { throw error }
            // Over a network a link may be told to exist because it was made, and the answer was lost.
            return last.attempt == file.attempt && last.entry == entry
                ? .appended : .refused(last.entry)
        }
        try storage.syncDirectory(directory)
        return .appended
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
