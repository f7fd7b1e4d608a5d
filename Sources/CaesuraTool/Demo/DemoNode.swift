import Caesura
import CaesuraMigration
import CaesuraNode
import CaesuraNodeService
import CaesuraRepository
import CaesuraTransport
import Foundation

/// Sessions of the demo at one of its two nodes.
struct DemoNode: Sendable {
    let service: NodeService
    private let sessions: Table<UInt64, Session>
    private let addresses: DirectoryAddressBook

    /// The partitions of its rows.
    static let moveBits = 4

    /// Sets a node up over a store that has the table already.
    ///
    /// - Parameter directory: Where both nodes find the owner register.
    init(
        _ name: String, of store: Store, _ sessions: Table<UInt64, Session>, in directory: String,
        creates: Bool
    ) async throws {
        let configuration = NodeService.Configuration(
            Node.Configuration(name: name, moveBits: Self.moveBits, createsPartitions: creates),
            listen: NetworkAddress(host: "127.0.0.1", port: 0), security: .insecure)
        addresses = try await DirectoryAddressBook(directory)
        service = try await NodeService(
            configuration, of: store, register: await DirectoryOwnerRegister(directory),
            addresses: addresses)
        self.sessions = sessions
    }

    /// Whether somebody has said where a node is.
    func isKnown(_ name: String) async throws -> Bool {
        try await addresses.addresses(of: name) != nil
    }

    /// What became of a visit.
    enum Outcome {
        case done
        /// It is called when the partition is served, or is another node's.
        case waits
        case elsewhere
    }

    /// Notes a visit, if its session is served here.
    ///
    /// - Parameter again: Is called when it is to be tried again, if it has to wait.
    func visit(
        _ id: UInt64, at time: Int64, again: @escaping @Sendable () -> Void
    ) -> Outcome {
        guard let gate = service.gates[service.partition(of: id)] else { return .elsewhere }
        let outcome = gate.perform { _ in
            sessions.update(id) {
                $0.visits &+= 1
                $0.lastSeen = time
            }
        }
        switch outcome {
        case .done: return .done
        case .wait:
            _ = gate.wait { _ in again() }
            return .waits
        case .elsewhere, .overtaken: return .elsewhere
        }
    }
}
