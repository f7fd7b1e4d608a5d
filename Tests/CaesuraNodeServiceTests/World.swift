import Caesura
import CaesuraMigration
import CaesuraNode
import CaesuraNodeService
import CaesuraTransport
import Synchronization
import Testing

@Schema("account")
struct Account: Equatable {
    @Field(1) var count: UInt64
    @Field(2) var note: String
}

/// A node, and what its service would have.
struct Member: Sendable {
    let name: String
    let store: Store
    let accounts: Table<UInt64, Account>
    let service: NodeService

    /// Returns when it serves all partitions.
    func servesAll() async {
        while await !service.partitions.allSatisfy({ $0.holding == .served }) {
            await Task.yield()
        }
    }

    /// Returns when it has found out what it owns.
    func isSettled() async {
        while await service.partitions.contains(where: { $0.holding == .unknown }) {
            await Task.yield()
        }
    }

    enum Outcome {
        case done(UInt64?)
        case elsewhere
    }

    /// Adds one to a row; the count then, or nil if there is no such row.
    func increment(_ key: UInt64) async throws(GateError) -> Outcome {
        do throws(GateError) {
            return .done(
                try await service.write(to: key, until: .now + .seconds(60)) { _ in
                    accounts.update(key) { row in
                        row.count += 1
                        return row.count
                    }
                })
        } catch {
            guard case .elsewhere = error else { throw error }
            return .elsewhere
        }
    }

    /// The sum of all counts.
    var sum: UInt64 {
        get throws {
            let cut = store.cut()
            defer { cut.close() }
            var sum: UInt64 = 0
            try cut.forEach(in: accounts) { _, row in sum += row.count }
            return sum
        }
    }
}

/// Nodes that share a register and an address book, and clients that look for the owner of a row.
final class World: Sendable {
    let register: any OwnerRegister
    let addresses: any AddressBook
    let failures = Mutex<[TransportError]>([])
    /// How moves have ended.
    let ends = Mutex<[MoveEnd]>([])
    private let members = Mutex<[Member]>([])

    init(
        _ register: any OwnerRegister = LocalOwnerRegister(),
        _ addresses: any AddressBook = LocalAddressBook()
    ) {
        self.register = register
        self.addresses = addresses
    }

    /// Sets a node up.
    func member(
        _ name: String, createsPartitions: Bool = false,
        security: TransportSecurity = .insecure,
        _ change: (inout NodeService.Configuration) -> Void = { _ in }
    ) async throws -> Member {
        var shape = Store.Configuration()
        shape.partitionBits = 4
        let store = Store(shape)
        let accounts = try store.table("accounts", key: UInt64.self, row: Account.self)
        var configuration = NodeService.Configuration(
            Node.Configuration(name: name, moveBits: 2, createsPartitions: createsPartitions),
            listen: NetworkAddress(host: "127.0.0.1", port: 0), security: security)
        change(&configuration)
        configuration.observer = { [self] event in
            // A peer may close while something is on its way to it.
            if case .connectionFailed(let error) = event, error.code != .closed {
                failures.withLock { $0.append(error) }
            }
            if case .reported(.ended(let end)) = event { ends.withLock { $0.append(end) } }
        }
        let member = Member(
            name: name, store: store, accounts: accounts,
            service: try await NodeService(
                configuration, of: store, register: register, addresses: addresses))
        members.withLock { $0.append(member) }
        return member
    }

    /// Runs the nodes as long as `body` does.
    func run(_ body: @escaping @Sendable () async throws -> Void) async throws {
        let members = members.withLock { $0 }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for member in members { group.addTask { try await member.service.run() } }
            for member in members { await member.isSettled() }
            try await body()
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    /// Adds one to a row, wherever it is.
    ///
    /// - Returns: The count then.
    @discardableResult func increment(_ key: UInt64) async throws -> UInt64 {
        var members = members.withLock { $0 }
        while true {
            for member in members {
                switch try await member.increment(key) {
                case .done(let count): return try #require(count, "the row is not there")
                case .elsewhere: continue
                }
            }
            members.reverse()
            await Task.yield()
        }
    }
}
