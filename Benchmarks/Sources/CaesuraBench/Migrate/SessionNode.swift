import Caesura
import CaesuraMigration
import CaesuraNode
import CaesuraNodeService
import CaesuraRepository
import Foundation
import Synchronization

/// A node of sessions in this process, without a repository.
final class SessionNode: Sendable {
    let setting: NodeSetting
    let service: NodeService
    let register: DirectoryOwnerRegister
    private let store: Store
    private let sessions: Table<UInt64, Session>
    /// Those of the partitions of rows.
    private let gates: [PartitionGate]
    private static let key = HashKey(k0: 11, k1: 12)
    /// Writes whose row was not there.
    private let misses = Atomic<Int>(0)

    /// Sets a node up.
    ///
    /// - Parameters:
    ///   - name: One of the setting's; a creates all partitions, and has all rows.
    ///   - advertised: Where the other node is to connect; nil for where it listens.
    ///   - observer: Is told where it listens.
    init(
        _ name: String, _ setting: NodeSetting, advertised: NetworkAddress? = nil,
        observer: @escaping @Sendable (NodeService.Event) -> Void
    ) async throws {
        self.setting = setting
        let isFirst = name == NodeSetting.names.own
        var shape = Store.Configuration()
        shape.hashKey = Self.key
        shape.partitionBits = setting.partitionBits
        store = Store(shape)
        sessions = try store.table("sessions", key: UInt64.self, row: Session.self)
        if isFirst {
            for row in 0..<setting.rows { sessions.set(Session(row), for: Session.id(row)) }
        }
        var configuration = NodeService.Configuration(
            Node.Configuration(
                name: name, moveBits: NodeSetting.bits, createsPartitions: isFirst),
            listen: NetworkAddress(host: "127.0.0.1", port: 0), security: try setting.security)
        if setting.bandwidth > 0 {
            configuration.node.bytesPerSecond = UInt64(setting.bandwidth) * 1_000_000
        }
        configuration.advertised = advertised
        configuration.observer = observer
        register = try await DirectoryOwnerRegister(setting.owners)
        service = try await NodeService(
            configuration, of: store, register: register,
            addresses: DirectoryAddressBook(setting.owners))
        let all = service.gates
        gates = try (0..<NodeSetting.partitions).map {
            guard let gate = all[Self.partition($0)] else { throw Failure("no gate \($0)") }
            return gate
        }
    }

    /// The partition of rows of an index.
    static func partition(_ index: Int) -> PartitionNumber {
        PartitionNumber(index: index, bits: NodeSetting.bits)
    }

    /// Returns when it has found out what it owns, and serves that.
    func isSettled() async throws {
        while await service.partitions.contains(where: { $0.holding == .unknown }) {
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    // MARK: Writes

    /// The index of the partition in which a row is.
    @inline(__always) func partition(ofRow row: Int) -> Int {
        Int(Session.id(row).hash(with: Self.key) >> UInt64(64 - NodeSetting.bits))
    }

    enum Outcome { case done, waits, elsewhere }

    /// Does a write, or sees to it that it comes to `resumed` when it has waited.
    @inline(__always) func attempt(
        _ request: WriteRequest, resumed: ResumedRequests
    ) -> Outcome {
        let gate = gates[Int(request.partition)]
        switch gate.perform({ _ in addVisit(to: request.row) }) {
        case .done(let isThere): return note(isThere)
        case .wait: break
        case .elsewhere, .overtaken: return .elsewhere
        }
        // It is named only if rows may be still to come, or the gate is sealed: naming it costs an allocation.
        let rows = [sessions.row(Session.id(Int(request.row)))]
        if case .done(let isThere) = gate.perform(
            touching: rows, { _ in addVisit(to: request.row) })
        {
            return note(isThere)
        }
        _ = gate.wait(touching: rows) { _ in resumed.add(request) }
        return .waits
    }

    private func note(_ isThere: Bool) -> Outcome {
        if !isThere { misses.add(1, ordering: .relaxed) }
        return .done
    }

    @inline(__always) private func addVisit(to row: UInt32) -> Bool {
        sessions.update(Session.id(Int(row))) { $0.visits &+= 1 } != nil
    }

    // MARK: What is there

    /// The sum of the visits of all rows that are here.
    ///
    /// - Throws: If a write has not found its row.
    func visits() throws -> Int {
        let misses = misses.load(ordering: .relaxed)
        guard misses == 0 else { throw Failure("\(misses) writes have not found their rows") }
        let cut = store.cut()
        defer { cut.close() }
        var sum = 0
        try cut.forEach(in: sessions) { _, row in sum += Int(row.visits) }
        return sum
    }

    /// The sum of the visits of all rows before the first write.
    static func visitsAtFirst(rows: Int) -> Int {
        (0..<rows).reduce(0) { $0 + Int(Session.id($1) % 977) }
    }
}

/// Writes that have waited at a gate, for the thread that is to try them again.
final class ResumedRequests: Sendable {
    private let requests = Mutex<[WriteRequest]>([])
    private let count = Atomic<Int>(0)
    private let bell: Bell

    /// - Parameter bell: Wakes the thread.
    init(_ bell: Bell) { self.bell = bell }

    /// Adds one; on the thread of whoever has opened or closed the gate.
    func add(_ request: WriteRequest) {
        requests.withLock { $0.append(request) }
        count.add(1, ordering: .releasing)
        bell.ring()
    }

    /// Takes all, in the order in which they came.
    func takeAll() -> [WriteRequest] {
        if count.load(ordering: .acquiring) == 0 { return [] }
        let taken = requests.withLock { requests in
            defer { requests = [] }
            return requests
        }
        count.subtract(taken.count, ordering: .relaxed)
        return taken
    }
}
