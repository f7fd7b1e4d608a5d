import Synchronization

/// An address book in one process: what a program is configured with.
public final class LocalAddressBook: AddressBook {
    private let entries: Mutex<[String: NodeAddresses]>

    /// Creates a book with what is known from the beginning.
    public init(_ entries: [String: NodeAddresses] = [:]) { self.entries = Mutex(entries) }

    /// Where a node is.
    nonisolated(nonsending) public func addresses(
        of node: String
    ) async throws(OwnerRegisterError) -> NodeAddresses? {
        entries.withLock { $0[node] }
    }

    /// Says where a node is.
    nonisolated(nonsending) public func publish(
        _ addresses: NodeAddresses, of node: String
    ) async throws(OwnerRegisterError) {
        entries.withLock { $0[node] = addresses }
    }
}
