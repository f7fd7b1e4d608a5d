import Caesura
import CaesuraMigration
import CaesuraNode
import CaesuraNodeService
import CaesuraRepository
import CaesuraService
import CaesuraTransport
import Foundation
import Logging
import ServiceLifecycle
import UnixSignals

@Schema("count")
struct Count {
    @Field(1) var count: UInt64
}

/// A row that nobody writes to, so that there is something to move.
@Schema("ballast")
struct Ballast {
    @Field(1) var bytes: [UInt8]

    static let byteCount = 1_000

    /// Bytes that do not compress, the same for a key each time.
    init(of key: UInt64) {
        var random = SplitMix(seed: key)
        bytes = (0..<Self.byteCount).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }
}

/// A node whose clients ask on standard input, and are answered on standard output, each by lines.
///
///     write CLIENT SEQUENCE KEY     done CLIENT SEQUENCE COUNT, once that is on disk, or: again CLIENT SEQUENCE
///     move TARGET [PARTITION ...]   ended COUNT, when each of them, or of all, has moved or stays: so many have moved
///     holdings                      holdings, and of each partition what it is to this node
///     ballast                       ballast COUNT, the rows of it that are here and as they were written
///
/// Unasked it says: listens, and notDurable each time that a checkpoint has failed which a move waits for.
struct CountingNode {
    /// What a node is started with.
    struct Options {
        /// Where other nodes find it.
        var host = "127.0.0.1"
        var createsPartitions = false
        /// Whether partitions are handed over before all of their rows have gone.
        var isPostcopy = false
        /// Rows of ballast that it begins with.
        var ballast: UInt64 = 0
        var aim: Aim?
    }

    let service: NodeService
    private let checkpoints: ContinuousCheckpoints
    private let counts: Table<UInt64, Count>
    private let replies: ReplyTable
    private let ballast: Table<UInt64, Ballast>
    private let options: Options

    init(_ name: String, _ directory: String, _ options: Options) async throws {
        let repository = try await Repository.open(.directory("\(directory)/\(name)"))
        var shape = Store.Configuration()
        // The same in each run: the clients' rows are then in both partitions of tables.
        shape.hashKey = HashKey(k0: 1, k1: 2)
        let store = Store(shape)
        counts = try store.table("counts", key: UInt64.self, row: Count.self)
        ballast = try store.table("ballast", key: UInt64.self, row: Ballast.self)
        replies = try ReplyTable(in: store)
        if try await repository.restore(into: store) == nil {
            for key in 0..<options.ballast { ballast[key] = Ballast(of: key) }
        }
        var saving = ContinuousCheckpoints.Options()
        saving.retention = Retention(newest: 2)
        checkpoints = repository.checkpoints(of: store, every: .milliseconds(5), options: saving)
        var node = Node.Configuration(
            name: name, moveBits: 1, createsPartitions: options.createsPartitions)
        node.patience = .seconds(1)
        var configuration = NodeService.Configuration(
            node, listen: NetworkAddress(host: options.host, port: 0), security: .insecure)
        configuration.transport.pingInterval = .milliseconds(100)
        configuration.transport.silence = .milliseconds(500)
        configuration.transport.openingTime = .seconds(1)
        configuration.observer = { event in
            switch event {
            case .listens: Lines.write("listens")
            case .notDurable: Lines.write("notDurable")
            default: break
            }
            FileHandle.standardError.write(Data("\(name): \(event)\n".utf8))
        }
        configuration.watcher = { [aim = options.aim] node in aim?.look(at: node) }
        service = try await NodeService(
            configuration, of: store, register: DirectoryOwnerRegister("\(directory)/owners"),
            addresses: DirectoryAddressBook("\(directory)/owners"), checkpoints: checkpoints)
        self.options = options
    }

    func run() async throws {
        let group = ServiceGroup(
            services: [CheckpointService(checkpoints), service],
            gracefulShutdownSignals: [.sigterm],
            logger: Logger(label: "node", factory: { _ in SwiftLogNoOpLogHandler() }))
        async let running: Void = group.run()
        for await line in Lines.read() {
            let words = line.split(separator: " ").map(String.init)
            Task { await answer(words) }
        }
        await group.triggerGracefulShutdown()
        try await running
    }

    private func answer(_ words: [String]) async {
        switch words.first {
        case "write":
            let numbers = words.dropFirst().compactMap { UInt64($0) }
            await write(client: numbers[0], sequence: numbers[1], key: numbers[2])
        case "move":
            let partitions = words.dropFirst(2).compactMap { UInt64($0) }
            await move(partitions.map { PartitionNumber(rawValue: $0) }, to: words[1])
        case "holdings":
            let holdings = await service.partitions.map { "\($0.partition.rawValue)=\($0.holding)" }
            Lines.write("holdings " + holdings.joined(separator: " "))
        case "ballast":
            let keys = (0..<UInt64(words[1])!).filter {
                ballast[$0].map(\.bytes) == Ballast(of: $0).bytes
            }
            Lines.write("ballast \(keys.count)")
        default: Lines.write("what?")
        }
    }

    // MARK: Writes

    private func write(client: UInt64, sequence: UInt64, key: UInt64) async {
        do {
            let (epoch, count) = try await count(client: client, sequence: sequence, key: key)
            options.aim?.answerWaits()
            try await service.durable(key, writtenUnder: epoch, until: .now + .seconds(1))
            Lines.write("done \(client) \(sequence) \(count.map { "\($0)" } ?? "none")")
        } catch {
            Lines.write("again \(client) \(sequence)")
        }
    }

    /// Adds one to a row, once, and gives the count and the fencing epoch of that; no count for a request that is older than
    /// the client's last.
    private func count(
        client: UInt64, sequence: UInt64, key: UInt64
    ) async throws(GateError) -> (epoch: UInt64, count: UInt64?) {
        guard let range = service.division.range(of: service.partition(of: key)) else {
            preconditionFailure("a key is in a partition of rows")
        }
        let place = replies.place(of: client, in: range)
        let rows = [counts.row(key), replies.row(of: client, place: place)]
        let (epoch, outcome) = try await service.write(
            to: key, touching: rows, until: .now + .seconds(1)
        ) { epoch in
            let outcome = replies.perform(
                client: client, sequence: sequence, place: place, at: .now, in: range,
                touching: [counts.row(key)]
            ) { transaction in
                let count =
                    transaction.update(counts, key) { row -> UInt64 in
                        row.count += 1
                        return row.count
                    } ?? 1
                if count == 1 { transaction[counts, key] = Count(count: 1) }
                return Array("\(count)".utf8)
            }
            return (epoch, outcome)
        }
        switch outcome {
        case .done(let reply), .repeated(let reply):
            return (epoch, UInt64(String(decoding: reply, as: UTF8.self)))
        case .tooOld, .tooLong: return (epoch, nil)
        }
    }

    // MARK: Moves

    private func move(_ partitions: [PartitionNumber], to target: String) async {
        let partitions = partitions.isEmpty ? Array(service.division.partitions) : partitions
        let isPostcopy = options.isPostcopy
        let count = await withTaskGroup { group in
            for partition in partitions {
                group.addTask { () -> Int in
                    // Logs and cells cannot be handed over ahead.
                    let isAhead = isPostcopy && partition != .unkeyed
                    let end = try? await service.move(
                        partition, to: target, budget: isAhead ? .zero : .seconds(1),
                        policy: isAhead ? .postcopy : .slow(limit: .milliseconds(1)))
                    FileHandle.standardError.write(
                        Data("\(partition.rawValue): \(String(describing: end))\n".utf8))
                    guard case .moved = end?.outcome else { return 0 }
                    return 1
                }
            }
            return await group.reduce(0, +)
        }
        Lines.write("ended \(count)")
    }
}
