import CaesuraFormat
import CaesuraMigration
import Testing

@testable import Caesura
@testable import CaesuraNode

@Schema("account")
struct Account: Equatable {
    @Field(1) var balance: Int64
    @Field(2) var name: String
    @Field(3) var photo: [UInt8]
}

/// Two nodes with real stores that move partitions to and fro, under faults of network and register at random.
///
/// One seed drives everything: the same seed gives the same trace.
struct MoveSimulationTests {
    struct Random: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    final class Node {
        let name: String
        let store: Store
        let accounts: Table<UInt64, Account>
        /// Under which entry it serves a partition.
        var serves: [PartitionNumber: OwnerEntry] = [:]
        var outgoing: [UInt64: OutgoingMove] = [:]
        var incoming: [UInt64: IncomingMove] = [:]
        var deadlines: [UInt64: Duration] = [:]
        /// Frames on their way to the peer: of moves out of here, and into here.
        var wire: [Bool: [[UInt8]]] = [true: [], false: []]
        var isConnected = false
        var wantsConnection = false

        init(_ name: String, bits: Int) throws {
            self.name = name
            var configuration = Store.Configuration()
            configuration.partitionBits = bits
            configuration.hashKey = HashKey(k0: 5, k1: 6)
            store = Store(configuration)
            accounts = try store.table("accounts", key: UInt64.self, row: Account.self)
        }
    }

    final class Simulation {
        var random: Random
        let bits: Int
        let nodes: [Node]
        var register: [PartitionNumber: [OwnerEntry]] = [:]
        /// Appends on their way: who waits for the outcome, nil once it was told that it is not known.
        var appends:
            [(
                node: Int, move: UInt64?, isOutgoing: Bool, partition: PartitionNumber,
                entry: OwnerEntry
            )] = []
        var model: [UInt64: Account] = [:]
        var now = Duration.zero
        var nextMove: UInt64 = 0
        var hasFaults = true
        var finished = 0
        var trace: UInt64 = 0

        init(seed: UInt64, moveBits: Int) throws {
            random = Random(state: seed)
            bits = moveBits
            nodes = [try Node("a", bits: 3), try Node("b", bits: 3)]
            for index in 0..<1 << moveBits {
                let partition = PartitionNumber(index: index, bits: moveBits)
                let first = try OwnerEntry(creating: "a")
                register[partition] = [first]
                nodes[0].serves[partition] = first
            }
        }

        func pick(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }

        func range(_ partition: PartitionNumber) -> HashRange {
            HashRange(partition: Int(partition.rawValue) - 1 << bits, bits: bits)
        }

        func note(_ word: Int) { trace = Checksum.of(trace, UInt64(bitPattern: Int64(word))) }

        // MARK: Carrying out

        func send(_ message: MigrationMessage, _ move: UInt64, from node: Int, isOutgoing: Bool) {
            let opener = isOutgoing ? nodes[node] : nodes[1 - node]
            guard opener.isConnected else { return }
            var writer = ByteWriter()
            message.encode(about: move, into: &writer)
            unsafe nodes[node].wire[isOutgoing, default: []].append(Array(writer.bytes))
        }

        func carryOut(_ actions: [SourceMove.Action], _ move: UInt64, _ index: Int) {
            let node = nodes[index]
            guard let machine = node.outgoing[move]?.machine else { return }
            let partition = machine.plan.partition
            for action in actions {
                switch action {
                case .connect:
                    if node.isConnected {
                        feed(.connected, move, index)
                    } else {
                        node.wantsConnection = true
                    }
                case .send(let message): send(message, move, from: index, isOutgoing: true)
                case .seal:
                    node.serves[partition] = nil
                    feed(.sealed, move, index)
                case .append(let entry): appends.append((index, move, true, partition, entry))
                case .serve(let entry): node.serves[partition] = entry
                case .wait(let time): node.deadlines[move] = time.map { now + $0 }
                case .end:
                    node.outgoing[move] = nil
                    node.deadlines[move] = nil
                    finished += 1
                case .forward, .slow: break
                case .beginRound, .encode, .acknowledge, .resend, .audit, .remove:
                    preconditionFailure("a move does it itself")
                }
            }
        }

        func feed(_ event: SourceMove.Event, _ move: UInt64, _ index: Int) {
            guard let outgoing = nodes[index].outgoing[move] else { return }
            carryOut(outgoing.handle(event, at: now), move, index)
        }

        func carryOut(_ actions: [TargetMove.Action], _ move: UInt64, _ index: Int) {
            let node = nodes[index]
            guard let machine = node.incoming[move]?.machine else { return }
            let partition = machine.request.partition
            for action in actions {
                switch action {
                case .send(let message): send(message, move, from: index, isOutgoing: false)
                case .append(let entry): appends.append((index, move, false, partition, entry))
                case .serve(let entry): node.serves[partition] = entry
                case .wait(let time): node.deadlines[move] = time.map { now + $0 }
                case .end:
                    node.incoming[move] = nil
                    node.deadlines[move] = nil
                case .beginRound, .apply, .audit, .adopt, .drop:
                    preconditionFailure("a move does it itself")
                }
            }
        }

        func feed(_ event: TargetMove.Event, _ move: UInt64, _ index: Int) {
            guard let incoming = nodes[index].incoming[move] else { return }
            carryOut(incoming.handle(event), move, index)
        }

        /// What a node does with a frame of its peer.
        func deliver(to index: Int, isOfOutgoing: Bool) throws {
            let peer = nodes[1 - index]
            guard let frame = peer.wire[isOfOutgoing]?.first else { return }
            peer.wire[isOfOutgoing]?.removeFirst()
            note(frame.count)
            var reader = FrameReader()
            unsafe frame.withUnsafeBytes { unsafe reader.push($0) }
            guard let (move, message) = try reader.next() else {
                preconditionFailure("a frame is whole")
            }
            guard isOfOutgoing else {
                return feed(SourceMove.Event.received(message), move, index)
            }
            let node = nodes[index]
            if node.incoming[move] != nil {
                return feed(TargetMove.Event.received(message), move, index)
            }
            guard case .move(let request) = message,
                let last = register[request.partition]?.last
            else { return }
            if last.owner == node.name, node.serves[request.partition] != nil {
                send(.have(.owns(last)), move, from: index, isOutgoing: false)
                send(.durable(last), move, from: index, isOutgoing: false)
            } else if last == request.entry {
                let incoming = IncomingMove(
                    request, node: node.name, of: .rows(range(request.partition)), into: node.store,
                    auditing: ["accounts"])
                node.incoming[move] = incoming
                carryOut(incoming.begin(), move, index)
            } else {
                let problem = MigrationProblem(.notOwner, "another entry counts")
                send(.giveUp(problem), move, from: index, isOutgoing: false)
            }
        }

        // MARK: Steps

        func step() throws {
            now += .microseconds(pick(200))
            let index = pick(2)
            let node = nodes[index]
            switch pick(hasFaults ? 40 : 30) {
            case 0..<8: try deliver(to: index, isOfOutgoing: true)
            case 8..<14: try deliver(to: index, isOfOutgoing: false)
            case 14..<20:
                for (move, outgoing) in node.outgoing.sorted(by: { $0.key < $1.key })
                where outgoing.hasWork {
                    carryOut(outgoing.work(at: now), move, index)
                }
            case 20..<23:
                for (move, incoming) in node.incoming.sorted(by: { $0.key < $1.key }) {
                    if incoming.hasWork { carryOut(incoming.work(), move, index) }
                }
            case 23..<25 where !appends.isEmpty: land(pick(appends.count))
            case 25: fireTimers(node, index)
            case 26 where node.wantsConnection:
                node.wantsConnection = false
                node.isConnected = true
                for move in node.outgoing.keys.sorted() { feed(.connected, move, index) }
            case 27:
                // A checkpoint of all that it serves.
                for move in node.incoming.keys.sorted() where pick(3) == 0 {
                    feed(.durable, move, index)
                }
            case 28 where hasFaults: beginMove(index)
            case 36 where pick(20) == 0: disconnect(index)
            case 37 where !appends.isEmpty && pick(4) == 0:
                // Its outcome does not become known; it may come all the same.
                let place = pick(appends.count)
                let append = appends[place]
                appends[place].move = nil
                tell(append.node, append.move, append.isOutgoing, nil)
            case 38 where pick(30) == 0: now += .seconds(2)
            case 39 where pick(30) == 0:
                if let move = node.outgoing.keys.sorted().first {
                    feed(
                        SourceMove.Event.stop(MigrationProblem(.stopped, "the operator")), move,
                        index)
                }
            default: try write()
            }
        }

        func land(_ place: Int) {
            let append = appends.remove(at: place)
            let entries = register[append.partition] ?? []
            note(Int(append.entry.fencingEpoch))
            let isNext = append.entry.number == UInt64(entries.count + 1)
            if isNext { register[append.partition, default: []].append(append.entry) }
            tell(
                append.node, append.move, append.isOutgoing,
                isNext ? .appended : entries.last.map { .refused($0) })
        }

        func tell(_ node: Int, _ move: UInt64?, _ isOutgoing: Bool, _ outcome: OwnerAppending?) {
            guard let move else { return }
            if isOutgoing {
                feed(SourceMove.Event.appended(outcome), move, node)
            } else {
                feed(TargetMove.Event.appended(outcome), move, node)
            }
        }

        func fireTimers(_ node: Node, _ index: Int) {
            for (move, deadline) in node.deadlines.sorted(by: { $0.key < $1.key })
            where deadline <= now {
                node.deadlines[move] = nil
                feed(SourceMove.Event.timedOut, move, index)
                feed(TargetMove.Event.timedOut, move, index)
            }
        }

        func beginMove(_ index: Int) {
            let node = nodes[index]
            let moving = Set(node.outgoing.values.map(\.machine.plan.partition))
            let candidates = node.serves.keys.filter { !moving.contains($0) }.sorted()
            guard let partition = candidates.randomElement(using: &random),
                let entry = node.serves[partition]
            else { return }
            nextMove += 1
            note(Int(partition.rawValue))
            let outgoing = OutgoingMove(
                SourceMove.Plan(
                    partition: partition, entry: entry, target: nodes[1 - index].name,
                    attempt: random.next(), budget: .milliseconds(50), window: 100_000),
                of: .rows(range(partition)), in: node.store, auditing: ["accounts"])
            node.outgoing[nextMove] = outgoing
            carryOut(outgoing.begin(), nextMove, index)
        }

        func disconnect(_ index: Int) {
            let node = nodes[index]
            guard node.isConnected else { return }
            node.isConnected = false
            node.wire[true] = []
            nodes[1 - index].wire[false] = []
            for move in node.outgoing.keys.sorted() {
                feed(SourceMove.Event.disconnected, move, index)
            }
            for move in nodes[1 - index].incoming.keys.sorted() {
                feed(TargetMove.Event.disconnected, move, 1 - index)
            }
        }

        func write() throws {
            let key = UInt64(pick(600))
            let hash = key.hash(with: HashKey(k0: 5, k1: 6))
            let partition = PartitionNumber(
                index: bits == 0 ? 0 : Int(hash >> UInt64(64 - bits)), bits: bits)
            let serving = nodes.filter { $0.serves[partition] != nil }
            #expect(serving.count <= 1, "two nodes serve partition \(partition)")
            guard let node = serving.first else { return }
            #expect(node.accounts[key] == model[key], "row \(key) is not what was written")
            switch pick(10) {
            case 0: node.accounts.remove(key)
            case 1..<5: node.accounts.update(key) { $0.balance += 1 }
            default:
                var account = Account(
                    balance: Int64(pick(1_000)), name: String(repeating: "n", count: pick(50)),
                    photo: [])
                if pick(30) == 0 {
                    account.photo = Array(repeating: UInt8(pick(256)), count: pick(90_000))
                }
                node.accounts[key] = account
            }
            model[key] = node.accounts[key]
        }

        /// Without faults and new moves, until all have ended.
        func settle() throws {
            hasFaults = false
            var steps = 0
            while nodes.contains(where: { !$0.outgoing.isEmpty || !$0.incoming.isEmpty })
                || !appends.isEmpty
            {
                try step()
                now += .milliseconds(10)
                steps += 1
                guard steps < 400_000 else {
                    for node in nodes {
                        for (move, outgoing) in node.outgoing {
                            Issue.record(
                                "\(node.name): move \(move) out is still \(outgoing.machine.state)")
                        }
                        for (move, incoming) in node.incoming {
                            Issue.record(
                                "\(node.name): move \(move) in is still \(incoming.machine.state)")
                        }
                    }
                    return
                }
            }
        }

        func check() {
            for (partition, entries) in register {
                guard let last = entries.last else { continue }
                for node in nodes {
                    let isOwner = node.name == last.owner
                    #expect(node.serves[partition] == (isOwner ? last : nil))
                    let rows = model.keys.filter {
                        range(partition).contains($0.hash(with: HashKey(k0: 5, k1: 6)))
                    }
                    for key in rows {
                        #expect(node.accounts[key] == (isOwner ? model[key] : nil))
                    }
                }
            }
            #expect(nodes[0].accounts.count + nodes[1].accounts.count == model.count)
        }
    }

    @Test(arguments: 0..<40 as Range<UInt64>)
    func `partitions move to and fro, and no write is lost`(seed: UInt64) throws {
        let simulation = try Simulation(seed: seed, moveBits: Int(seed % 4))
        for _ in 0..<12_000 { try simulation.step() }
        try simulation.settle()
        simulation.check()
        #expect(simulation.finished > 0)
    }

    @Test func `the same seed gives the same trace`() throws {
        let traces = try (0..<2).map { _ in
            let simulation = try Simulation(seed: 77, moveBits: 2)
            for _ in 0..<8_000 { try simulation.step() }
            return simulation.trace
        }
        #expect(traces[0] == traces[1])
    }
}
