public import CaesuraMigration

/// An address book in a directory that the nodes share, beside a ``DirectoryOwnerRegister``: `docs/MIGRATION.md` section 3,
/// "Addresses".
public final class DirectoryAddressBook: AddressBook {
    private let storage: any Storage

    /// Opens the book in a directory, which is made if it is not there.
    ///
    /// - Throws: `unavailable`.
    public convenience init(_ path: String) async throws(OwnerRegisterError) {
        let storage = try await OwnThread.inRegister { () throws(RepositoryError) in
            try DirectoryStorage(path, creating: true)
        }
        self.init(storage: storage)
    }

    init(storage: any Storage) { self.storage = storage }

    /// Where a node is; nil if nobody has said.
    nonisolated(nonsending) public func addresses(
        of node: String
    ) async throws(OwnerRegisterError) -> NodeAddresses? {
        let storage = storage
        return try await OwnThread.inRegister { () throws(RepositoryError) in
            try Self.addresses(of: node, in: storage)
        }
    }

    /// Says where a node is, in place of what was said before.
    nonisolated(nonsending) public func publish(
        _ addresses: NodeAddresses, of node: String
    ) async throws(OwnerRegisterError) {
        let storage = storage
        try await OwnThread.inRegister { () throws(RepositoryError) in
            try Self.publish(NodeFile(node: node, addresses: addresses), in: storage)
        }
    }

    // MARK: Blocking

    private static func numbers(
        of node: String, in storage: any Storage
    ) throws(RepositoryError) -> [UInt64] {
        do throws(RepositoryError) {
            return try storage.list(NodeFile.directory(of: node))
                .compactMap(OwnerFile.number(ofName:))
        } catch  where error.code == .notFound {
            return []
        }
    }

    private static func addresses(
        of node: String, in storage: any Storage
    ) throws(RepositoryError) -> NodeAddresses? {
        while let number = try numbers(of: node, in: storage).max() {
            do throws(RepositoryError) {
                return try NodeFile(reading: number, of: node, in: storage).addresses
            } catch  where error.code == .notFound {
                // A later one has come, and this one was removed.
                continue
            }
        }
        return nil
    }

    private static func publish(
        _ file: NodeFile, in storage: any Storage
    ) throws(RepositoryError) {
        let directory = NodeFile.directory(of: file.node)
        try storage.makeDirectory(NodeFile.root)
        try storage.makeDirectory(directory)
        let earlier = try numbers(of: file.node, in: storage)
        if earlier.isEmpty {
            try storage.syncDirectory(NodeFile.root)
            try storage.syncDirectory("")
        }
        let last = earlier.max() ?? 0
        if last > 0,
            (try? NodeFile(reading: last, of: file.node, in: storage)) == file
        {
            return
        }
        // Two processes of one name would go on in turn; that they are two is found out elsewhere.
        try DirectoryOwnerRegister.link(
            file.encoded, as: NodeFile.path(of: last + 1, of: file.node), in: directory,
            of: storage)
        for number in earlier { try? storage.remove(NodeFile.path(of: number, of: file.node)) }
    }
}
