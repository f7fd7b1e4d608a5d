import CMachine
import Caesura
import CaesuraFormat
import CaesuraMigration
import CaesuraNode
import Synchronization

/// `move`: a quarter of a store's rows moves to another store of the same process and back, while a writer goes on.
///
/// One thread does what both sides have to do, in turns, without a network between them; the writer has the other core. So
/// the rates are those of encoding *and* applying on one core, and the blackout is that of the protocol and the store alone.
enum MoveBenchmark {
    /// Two stores, one of which serves the quarter.
    final class Pair: Sendable {
        let stores: [Store]
        let sessions: [Table<UInt64, Session>]
        /// Which store serves the quarter; -1 while writes to it wait.
        let serving = Atomic<Int>(0)
        /// Whether the writer is inside the quarter.
        let isInside = Atomic(false)
        let isDone = Atomic(false)
        let rows: Int
        let key = HashKey(k0: 11, k1: 12)
        static let bits = 2

        init(rows: Int) throws {
            self.rows = rows
            var configuration = Store.Configuration()
            configuration.hashKey = key
            stores = [Store(configuration), Store(configuration)]
            sessions = try stores.map {
                try $0.table("sessions", key: UInt64.self, row: Session.self)
            }
            stores[1].prefault(rows * 60)
            for row in 0..<rows { sessions[0].set(Session(row), for: Session.id(row)) }
        }

        var range: HashRange { HashRange(partition: 1, bits: Self.bits) }

        /// Writes at a rate until it is told to end; how often.
        func write(perSecond rate: Int) -> Int {
            var random = RandomRows(rows: rows)
            var count = 0
            let interval = 1_000_000_000 / UInt64(rate)
            var due = now()
            while !isDone.load(ordering: .acquiring) {
                due += interval
                while now() < due {}
                let id = Session.id(random.next())
                let isQuarter = range.contains(id.hash(with: key))
                var store = 0
                if isQuarter {
                    while true {
                        isInside.store(true, ordering: .sequentiallyConsistent)
                        store = serving.load(ordering: .sequentiallyConsistent)
                        if store >= 0 { break }
                        isInside.store(false, ordering: .releasing)
                        if isDone.load(ordering: .acquiring) { return count }
                    }
                }
                sessions[store].update(id) {
                    $0.visits &+= 1
                    $0.lastSeen += 1
                }
                count += 1
                if isQuarter { isInside.store(false, ordering: .releasing) }
            }
            return count
        }

        /// What one move has taken.
        struct Took {
            var total: UInt64 = 0
            var blackout: UInt64 = 0
            var bytes = 0
            var rounds = 0
        }

        /// Moves the quarter from one store to the other.
        func move(from source: Int, _ entry: OwnerEntry) throws -> (took: Took, entry: OwnerEntry) {
            let target = 1 - source
            let names = ["a", "b"]
            let plan = SourceMove.Plan(
                partition: PartitionNumber(index: 1, bits: Self.bits), entry: entry,
                target: names[target], attempt: 1, budget: .milliseconds(1))
            let outgoing = OutgoingMove(
                plan, of: .rows(range), in: stores[source], auditing: ["sessions"])
            var incoming: IncomingMove?
            var took = Took()
            let start = now()
            var sealed: UInt64 = 0
            var owned: OwnerEntry?
            var problem: MigrationProblem?
            func time() -> Duration { .nanoseconds(Int64(now() - start)) }
            var toTarget: [MigrationMessage] = []
            var toSource: [MigrationMessage] = []
            func carryOut(_ actions: [SourceMove.Action]) {
                for action in actions {
                    switch action {
                    case .send(let message):
                        if case .chunk(let bytes) = message { took.bytes += bytes.count }
                        if case .round = message { took.rounds += 1 }
                        toTarget.append(message)
                    case .connect: carryOut(outgoing.handle(.connected, at: time()))
                    case .seal:
                        sealed = now()
                        serving.store(-1, ordering: .sequentiallyConsistent)
                        while isInside.load(ordering: .sequentiallyConsistent) {}
                        carryOut(outgoing.handle(.sealed, at: time()))
                    case .end(.givenUp(let why)): problem = why
                    default: break
                    }
                }
            }
            func carryOut(_ actions: [TargetMove.Action]) {
                for action in actions {
                    switch action {
                    case .send(let message): toSource.append(message)
                    case .append:
                        if let incoming { carryOut(incoming.handle(.appended(.appended))) }
                    case .serve(let entry):
                        serving.store(target, ordering: .sequentiallyConsistent)
                        took.blackout = now() - sealed
                        took.total = now() - start
                        owned = entry
                    default: break
                    }
                }
            }
            carryOut(outgoing.begin())
            while owned == nil || outgoing.machine.state == .handingOver {
                if let problem { throw problem }
                for message in toTarget {
                    if let incoming {
                        carryOut(incoming.handle(.received(message)))
                    } else if case .move(let request) = message {
                        let move = IncomingMove(
                            request, node: names[target], of: .rows(range), into: stores[target],
                            auditing: ["sessions"])
                        incoming = move
                        carryOut(move.begin())
                    }
                }
                toTarget.removeAll()
                for message in toSource {
                    carryOut(outgoing.handle(.received(message), at: time()))
                }
                toSource.removeAll()
                if outgoing.hasWork { carryOut(outgoing.work(at: time())) }
                if let incoming, incoming.hasWork { carryOut(incoming.work()) }
            }
            guard let owned else { throw Failure("the quarter was not moved") }
            // The target has a checkpoint: the source takes the rows out.
            carryOut(outgoing.handle(.received(.durable(owned)), at: time()))
            return (took, owned)
        }
    }

    static func run(_ options: Options) throws {
        let rows = try options.int("rows", default: 1_000_000)
        let moves = try options.int("moves", default: 20)
        _ = machine_pin(0)
        for rate in [0, 10_000, 100_000] {
            let pair = try Pair(rows: rows)
            let writer =
                rate == 0 ? nil : Worker(core: 1) { pair.write(perSecond: rate) }
            var entry = try OwnerEntry(creating: "a")
            var took: [Pair.Took] = []
            for move in 0..<moves {
                let result = try pair.move(from: move % 2, entry)
                took.append(result.took)
                entry = result.entry
            }
            pair.isDone.store(true, ordering: .releasing)
            let scale =
                "\(short(rows / 4)) rows, " + (rate == 0 ? "idle" : "\(short(rate)) writes/s")
            let state = Double(rows / 4 * Session.stateBytes)
            Result(
                "move: state a second, both sides on one core", Target.subject, scale, "MB/s",
                state / Double(took.map(\.total).sorted()[moves / 2]) * 1e3
            ).print()
            Result(
                "move: bytes sent over those of the state", Target.subject, scale, "x",
                Double(took.map(\.bytes).sorted()[moves / 2]) / state
            ).print()
            Result(
                "move: rounds", Target.subject, scale, "",
                Double(took.map(\.rounds).sorted()[moves / 2])
            ).print()
            reportPercentiles("move: blackout", Target.subject, scale, took.map(\.blackout))
            if let writer, writer.wait() == 0 { throw Failure("nothing was written") }
        }
    }
}
