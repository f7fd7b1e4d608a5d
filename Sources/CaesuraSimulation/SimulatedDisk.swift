import Caesura
import CaesuraFormat
import CaesuraMigration
import CaesuraNode
import CaesuraRepository

/// The disk of a node, with a real repository on it: what was written and what was synced are kept apart, and a crash may tear
/// what was not.
///
/// It knows what must be there: the rows of each cut that was saved, and the newest checkpoint that somebody was told of.
final class SimulatedDisk {
    private var storage = MemoryStorage()
    /// Until when it is full.
    var fullUntil = Duration.zero
    /// For each checkpoint that may be there, the digests of its cut's regions.
    private var digests: [UInt64: [String: UInt64]] = [:]
    /// The newest that somebody was told of, and the one before; 0 where there is none.
    private var promised: (newest: UInt64, before: UInt64) = (0, 0)
    /// Whether a bit has changed.
    private var isDamaged = false
    /// Changes of the disk that a checkpoint is made of, at the most.
    private static let operations = 16
    private static let sectorBytes = 512

    init() {}

    /// A disk on which a bit of some file has changed, and which nobody uses.
    init?(flipping disk: SimulatedDisk, _ random: inout Random) {
        storage = disk.storage.afterKill()
        (digests, promised) = (disk.digests, disk.promised)
        let files = storage.paths.compactMap { path in
            storage.bytes(path).flatMap { $0.isEmpty ? nil : (path, $0.count) }
        }
        guard !files.isEmpty else { return nil }
        let (path, count) = files[random.below(files.count)]
        storage.flip(path, at: random.below(count), 1 << UInt8(random.below(8)))
        isDamaged = true
    }

    /// Lets it be full from the middle of a checkpoint on.
    func fill(until time: Duration, _ random: inout Random) {
        fullUntil = time
        storage.plan(.full(from: storage.operations + random.below(Self.operations)))
    }

    /// Makes room once it is time.
    private func makeRoom(at now: Duration) {
        if now >= fullUntil { storage.refill() }
    }

    /// Opens the repository and restores the newest checkpoint of it.
    ///
    /// - Throws: A `RepositoryError`; what is not as it must be.
    func restore(into store: Store, at now: Duration) throws -> Repository {
        makeRoom(at: now)
        let storage = storage
        let (repository, epoch) = try OwnThread.wait {
            () throws(RepositoryError) -> (Repository, UInt64) in
            let repository = try Repository(location: .storage(storage), access: .write)
            let checkpoint = try repository.restoreNewest(into: store)
            try repository.holdNewest(store)
            return (repository, checkpoint?.epoch ?? 0)
        }
        // A bad byte in the last delta looks like one that was never finished: REPOSITORY.md section 5.
        guard epoch >= (isDamaged ? promised.before : promised.newest) else {
            throw Wrong(
                "epoch \(epoch) is restored, and somebody was told of epoch \(promised.newest)")
        }
        guard epoch > 0 else { return repository }
        let cut = store.cut()
        defer { cut.close() }
        let (found, wanted) = (try Self.digests(of: cut), digests[epoch] ?? [:])
        for name in Set(found.keys).union(wanted.keys).sorted() where found[name] != wanted[name] {
            throw Wrong("what is restored of \(name) at epoch \(epoch) is not what its cut had")
        }
        return repository
    }

    /// Makes a cut durable.
    func save(_ checkpoint: SimulatedCheckpoint, at now: Duration) throws {
        makeRoom(at: now)
        try write(checkpoint)
        promised = (checkpoint.epoch, promised.newest)
        digests = digests.filter { $0.key >= promised.before }
        guard checkpoint.isFull else { return }
        let repository = checkpoint.repository
        try OwnThread.wait { () throws(RepositoryError) in
            _ = try repository.removeOld(keeping: Retention(newest: 2))
        }
    }

    /// Ends what a process of the node has begun, and leaves what a crash leaves.
    ///
    /// - Parameters:
    ///   - checkpoint: The one that it was writing.
    ///   - losesPower: Whether the whole machine stops, so that what was not synced may be lost, or torn.
    func crash(
        writing checkpoint: SimulatedCheckpoint?, losesPower: Bool, _ random: inout Random
    ) {
        if let checkpoint {
            storage.plan(.crash(at: storage.operations + random.below(Self.operations)))
            try? write(checkpoint)
        }
        storage =
            losesPower
            ? storage.image(sectorBytes: Self.sectorBytes) { random.below(2) == 0 }
            : storage.afterKill()
        if fullUntil > .zero { storage.plan(.full(from: 0)) }
    }

    private func write(_ checkpoint: SimulatedCheckpoint) throws {
        digests[checkpoint.epoch] = try Self.digests(of: checkpoint.cut)
        try checkpoint.write()
    }

    private static func digests(of cut: Cut) throws -> [String: UInt64] {
        var digests: [String: UInt64] = [:]
        for name in cut.regions.map(\.name) {
            let digest = try ContentDigest(of: .all, at: cut, in: [name])
            while try digest.advance() {}
            digests[name] = digest.value
        }
        return digests
    }

    /// What must not be.
    struct Wrong: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }
}

/// A checkpoint that a process takes: the cut at once, the bytes later.
final class SimulatedCheckpoint {
    let cut: Cut
    let repository: Repository
    /// What it makes durable.
    let tickets: [Node.Ticket]
    let answers: [(partition: PartitionNumber, answer: () -> Void)]
    private let store: Store
    private let longestChain: Int
    /// Whether it was written as a full one.
    private(set) var isFull = false

    init(
        _ store: Store, _ repository: Repository, longestChain: Int, _ tickets: [Node.Ticket],
        _ answers: [(partition: PartitionNumber, answer: () -> Void)]
    ) {
        store.prepareForCut()
        cut = store.cut()
        self.store = store
        self.repository = repository
        self.longestChain = longestChain
        self.tickets = tickets
        self.answers = answers
    }

    var epoch: UInt64 { cut.epoch.rawValue }

    /// Writes it; blocks until it is durable.
    func write() throws {
        var options = CheckpointOptions()
        options.encoders = 1
        options.holdsBase = longestChain > 0
        options.policy.longest = longestChain
        let (cut, store, repository, taken) = (cut, store, repository, options)
        isFull = try OwnThread.wait { () throws(RepositoryError) in
            try repository.write(cut, of: store, taken).isFull
        }
    }
}
