public import CaesuraMigration
import Synchronization

/// An owner register in a directory that the nodes share: `docs/MIGRATION.md` section 3, "In a shared directory".
///
/// The file system's `link` must be exclusive for all nodes, and its `fsync` kept: a local disk for processes of one
/// machine, NFS version 4 for several.
public final class DirectoryOwnerRegister: OwnerRegister {
    private let storage: any Storage
    /// A node that starts reads thousands of partitions, and whoever asks it for them makes it read once more.
    private let threads = Turnstile(places: 8)
    /// Files that lie there for entries which may be appended; the last one of each partition.
    private let prepared = Mutex<[PartitionNumber: OwnerFile]>([:])

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
        return try await threads.run { () throws(RepositoryError) in
            try Self.last(of: partition, in: storage)?.entry
        }
    }

    /// Writes the file of an entry: to append it takes one `fsync` then, and not two.
    nonisolated(nonsending) public func prepare(
        _ entry: OwnerEntry, for partition: PartitionNumber
    ) async throws(OwnerRegisterError) {
        // With the first entry its directory is made.
        guard entry.number > 1 else { return }
        let storage = storage
        let (isThere, old): (Bool, OwnerFile?) = prepared.withLock { prepared in
            prepared[partition]?.entry == entry
                ? (true, nil) : (false, prepared.removeValue(forKey: partition))
        }
        if isThere { return }
        let file = try await threads.run { () throws(RepositoryError) in
            if let old { try? storage.remove(old.temporaryPath(of: partition)) }
            let file = OwnerFile(entry: entry, attempt: .random(in: 0 ... .max))
            try Self.write(file.encoded, as: file.temporaryPath(of: partition), in: storage)
            return file
        }
        // Of two at once one comes later.
        let other = prepared.withLock { $0.updateValue(file, forKey: partition) }
        if let other {
            try await threads.run { () throws(RepositoryError) in
                try? storage.remove(other.temporaryPath(of: partition))
            }
        }
    }

    /// Makes an entry the last one, if that before it is.
    nonisolated(nonsending) public func append(
        _ entry: OwnerEntry, to partition: PartitionNumber
    ) async throws(OwnerRegisterError) -> OwnerAppending {
        let storage = storage
        let prepared = prepared.withLock { $0.removeValue(forKey: partition) }
        let outcome = try await threads.run(isUrgent: true) {
            () throws(RepositoryError) -> OwnerAppending? in
            try Self.append(entry, to: partition, prepared, in: storage)
        }
        guard let outcome else {
            throw OwnerRegisterError(
                .outOfOrder,
                "partition \(partition) has no entry \(entry.number - 1), and number \(entry.number) is to follow"
            )
        }
        return outcome
    }

    /// Gives a file a name that is none of an entry, durably, and takes it away again: what an append takes that was prepared.
    nonisolated(nonsending) public func probe() async throws(OwnerRegisterError) {
        let storage = storage
        // As an append, it does not wait for reads.
        try await threads.run(isUrgent: true) { () throws(RepositoryError) in
            let attempt = UInt64.random(in: 0 ... .max)
            let name = "\(OwnerFile.root)/probe-\(attempt)\(Layout.temporarySuffix)"
            defer { try? storage.remove(name) }
            // Every node has asked for it when it began.
            try storage.link(ShapeFile.path, as: name)
            try storage.syncDirectory(OwnerFile.root)
        }
    }

    /// What the first who asked has proposed.
    nonisolated(nonsending) public func shape(proposing shape: OwnerShape)
        async throws(OwnerRegisterError) -> OwnerShape
    {
        let storage = storage
        return try await threads.run { () throws(RepositoryError) in
            try Self.shape(proposing: shape, in: storage)
        }
    }

    /// How rows are divided into partitions; nil if nobody has proposed anything yet.
    ///
    /// - Throws: `unavailable`, `damaged`, `unsupported`.
    public func shape() async throws(OwnerRegisterError) -> OwnerShape? {
        let storage = storage
        return try await threads.run { () throws(RepositoryError) in
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
                ShapeFile(shape: shape).encoded, as: ShapeFile.path, in: OwnerFile.root, of: storage
            )
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
        _ bytes: [UInt8], as path: String, in directory: String, of storage: any Storage
    ) throws(RepositoryError) {
        let attempt = UInt64.random(in: 0 ... .max)
        let temporary = directory + "/" + OwnerFile.temporaryName(of: attempt)
        defer { try? storage.remove(temporary) }
        try write(bytes, as: temporary, in: storage)
        try storage.link(temporary, as: path)
        try storage.syncDirectory(directory)
    }

    /// Writes a file; its bytes are durable then, and its name is not.
    private static func write(
        _ bytes: [UInt8], as path: String, in storage: any Storage
    ) throws(RepositoryError) {
        let writer = try storage.create(path)
        defer { writer.close() }
        try unsafe writer.append(bytes.span.bytes)
        try writer.sync()
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

    /// Appends an entry; nil if the one before it is not there.
    ///
    /// That one is durable: whoever knows it has read it, or has it from its owner.
    private static func append(
        _ entry: OwnerEntry, to partition: PartitionNumber, _ prepared: OwnerFile?,
        in storage: any Storage
    ) throws(RepositoryError) -> OwnerAppending? {
        defer {
            // Not worth failing for.
            if let prepared { try? storage.remove(prepared.temporaryPath(of: partition)) }
        }
        let directory = OwnerFile.directory(of: partition)
        if entry.number == 1 {
            try storage.makeDirectory(OwnerFile.root)
            try storage.makeDirectory(directory)
            try storage.syncDirectory(OwnerFile.root)
            try storage.syncDirectory("")
        } else {
            do throws(RepositoryError) {
                _ = try OwnerFile(reading: entry.number - 1, of: partition, in: storage)
            } catch  where error.code == .notFound {
                return nil
            }
        }
        if let prepared, prepared.entry == entry {
            do throws(RepositoryError) {
                return try link(prepared, to: partition, in: storage)
            } catch  where error.code == .notFound {
                // Somebody has removed it.
            }
        }
        let file = OwnerFile(entry: entry, attempt: .random(in: 0 ... .max))
        let temporary = file.temporaryPath(of: partition)
        defer { try? storage.remove(temporary) }
        try write(file.encoded, as: temporary, in: storage)
        return try link(file, to: partition, in: storage)
    }

    /// Gives the file of an entry its name.
    private static func link(
        _ file: OwnerFile, to partition: PartitionNumber, in storage: any Storage
    ) throws(RepositoryError) -> OwnerAppending {
        let (number, directory) = (file.entry.number, OwnerFile.directory(of: partition))
        do throws(RepositoryError) {
            try storage.link(
                file.temporaryPath(of: partition), as: OwnerFile.path(of: number, of: partition))
        } catch  where error.code == .exists {
            guard let last = try last(of: partition, in: storage) else { throw error }
            // Over a network a link may be told to exist because it was made, and the answer was lost.
            return last == file ? .appended : .refused(last.entry)
        }
        try storage.syncDirectory(directory)
        return .appended
    }
}

extension Turnstile {
    /// Runs `body` on a thread of its own, once there is a place, and waits for it without blocking the caller's.
    nonisolated(nonsending) fileprivate func run<Value: Sendable>(
        isUrgent: Bool = false, _ body: @escaping @Sendable () throws(RepositoryError) -> Value
    ) async throws(OwnerRegisterError) -> Value {
        await enter(isUrgent: isUrgent)
        defer { leave() }
        return try await OwnThread.inRegister(body)
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
