import CaesuraFormat
import Testing

@testable import Caesura

/// Parts of a store that move into another one.
struct StorePartTests {
    typealias Random = TableModelTests.Random
    static let key = HashKey(k0: 3, k1: 4)

    /// A store with two tables, a log and a cell.
    struct Node {
        let store: Store
        let rich: Table<UInt64, RichRow>
        let samples: Table<String, SampleRow>
        let log: Log<SampleRow>
        let cell: Cell<SampleRow>

        init(bits: Int, epochs: Int = 0) throws {
            var configuration = Store.Configuration()
            configuration.partitionBits = bits
            configuration.hashKey = StorePartTests.key
            store = Store(configuration)
            rich = try store.table("rich", key: UInt64.self, row: RichRow.self)
            samples = try store.table("samples", key: String.self, row: SampleRow.self)
            log = try store.log("log", row: SampleRow.self)
            cell = try store.cell("cell", initial: StorePartTests.sample(0))
            for _ in 0..<epochs { store.cut().close() }
        }

        /// Writes to rows at random, of keys below `keys`.
        func write(_ count: Int, keys: UInt64, in part: StorePart = .all, _ random: inout Random) {
            for _ in 0..<count {
                let number = UInt64.random(in: 0..<keys, using: &random)
                let name = "key \(number)"
                switch Int.random(in: 0..<8, using: &random) {
                case 0 where part.range.contains(number.hash(with: StorePartTests.key)):
                    rich.remove(number)
                case 1 where part.range.contains(name.hash(with: StorePartTests.key)):
                    samples.remove(name)
                case 2 where part.range.contains(name.hash(with: StorePartTests.key)):
                    samples[name] = StorePartTests.sample(.random(in: 0..<1000, using: &random))
                case 4 where part.range.contains(number.hash(with: StorePartTests.key)):
                    rich.update(number) { $0.count += 1 }
                default:
                    guard part.range.contains(number.hash(with: StorePartTests.key)) else {
                        continue
                    }
                    var row = RichRow(count: .random(in: 0..<100, using: &random))
                    row.text = String(repeating: "t", count: .random(in: 0..<60, using: &random))
                    if Int.random(in: 0..<40, using: &random) == 0 {
                        row.bytes = Array(
                            repeating: UInt8.random(in: 0...9, using: &random),
                            count: .random(in: 1_000..<200_000, using: &random))
                    }
                    rich[number] = row
                }
            }
        }

        /// The rows of a part.
        func rows(of part: StorePart, keys: UInt64) -> [String: String] {
            var rows: [String: String] = [:]
            for number in 0..<keys {
                if part.range.contains(number.hash(with: StorePartTests.key)),
                    let row = rich[number]
                {
                    rows["rich \(number)"] = "\(row)"
                }
                let name = "key \(number)"
                if part.range.contains(name.hash(with: StorePartTests.key)), let row = samples[name]
                {
                    rows["sample \(name)"] = "\(row)"
                }
            }
            return rows
        }
    }

    static func sample(_ number: UInt64) -> SampleRow {
        SampleRow(
            user: number, token: "token \(number)", visits: UInt32(number),
            note: number % 3 == 0 ? nil : "note")
    }

    /// Sends a round, chunk by chunk.
    static func send(_ round: OutgoingRound, to incoming: IncomingPart) throws {
        try incoming.beginRound(at: round.epoch, from: round.baseEpoch, round.baseDigest)
        var hasEnded = false
        while let chunk = try round.next() {
            #expect(!hasEnded)
            hasEnded = try unsafe chunk.withUnsafeBytes { try unsafe incoming.apply($0) }
        }
        #expect(hasEnded)
        #expect(incoming.state?.digest == round.totals.digest)
    }

    /// Moves a part in one round.
    static func move(_ part: StorePart, from source: Node, to target: Node) throws {
        let incoming = try IncomingPart(part, into: target.store)
        try send(try OutgoingRound(of: part, in: source.store), to: incoming)
        source.store.remove(part)
        try incoming.adopt()
    }

    static func digest(_ part: StorePart, _ cut: Cut) throws -> ContentDigest {
        let digest = try ContentDigest(of: part, at: cut, in: Set(cut.regions.map(\.name)))
        while try digest.advance() {}
        return digest
    }

    @Test(arguments: 0..<6 as Range<UInt64>)
    func `a part moves in rounds into a store that has others, and both go on`(seed: UInt64) throws
    {
        var random = Random(state: seed)
        let bits = Int.random(in: 0...4, using: &random)
        let keys = UInt64.random(in: 50...1_500, using: &random)
        let partBits = Int.random(in: 0...bits, using: &random)
        let part = StorePart.rows(
            HashRange(
                partition: .random(in: 0..<1 << partBits, using: &random), bits: partBits))
        let source = try Node(bits: bits, epochs: .random(in: 0...40, using: &random))
        let target = try Node(bits: bits, epochs: .random(in: 0...40, using: &random))
        source.write(2_000, keys: keys, &random)
        // What the target has lies elsewhere.
        for number in 0..<keys where !part.range.contains(number.hash(with: Self.key)) {
            target.rich[number] = RichRow(count: 7)
        }
        let followed = try FollowedTable(target.store, target.rich)
        let before = target.rows(of: .all, keys: keys)

        let incoming = try IncomingPart(part, into: target.store)
        var round = try OutgoingRound(of: part, in: source.store)
        try Self.send(round, to: incoming)
        for _ in 0..<Int.random(in: 0...4, using: &random) {
            source.write(.random(in: 0...400, using: &random), keys: keys, &random)
            // Somebody looks at what has come meanwhile.
            let staged = incoming.staging.cut()
            let next = try OutgoingRound(after: round)
            try Self.send(next, to: incoming)
            let digests = try (Self.digest(part, round.cut), Self.digest(part, staged))
            #expect(digests.0.value == digests.1.value)
            #expect(digests.0.rowCount == digests.1.rowCount)
            staged.close()
            round.cut.close()
            round = next
        }
        let moved = source.rows(of: part, keys: keys)
        #expect(target.rows(of: .all, keys: keys) == before)
        let old = target.store.cut()
        try incoming.adopt()
        #expect(target.rows(of: part, keys: keys) == moved)
        #expect(target.rows(of: .all, keys: keys).count == before.count + moved.count)
        #expect(old.rowCount(of: "samples") == 0)

        // Both go on: the target's deltas bring a copy all that came, and what was written since.
        target.write(300, keys: keys, in: part, &random)
        try followed.apply(followed.delta())
        try followed.expectSameSnapshots()
        let left = source.rows(of: .all, keys: keys).count - moved.count
        source.store.remove(part)
        #expect(source.rows(of: part, keys: keys).isEmpty)
        #expect(source.rich.count + source.samples.count == left)
    }

    @Test func `a part that comes back is a delta of what is new`() throws {
        var random = Random(state: 9)
        let (here, there) = try (Node(bits: 3), Node(bits: 3, epochs: 100))
        let part = StorePart.rows(HashRange(partition: 2, bits: 2))
        here.write(3_000, keys: 400, &random)
        let followed = try FollowedTable(here.store, here.rich)
        let rows = here.rows(of: .all, keys: 400)
        try Self.move(part, from: here, to: there)
        let stayed = here.rows(of: .all, keys: 400)
        let gone = rows.filter { stayed[$0.key] == nil }
        #expect(there.rows(of: .all, keys: 400) == gone)
        there.write(20, keys: 400, in: part, &random)
        let changed = there.rows(of: part, keys: 400)
        try Self.move(part, from: there, to: here)
        #expect(here.rows(of: part, keys: 400) == changed)
        let delta = try followed.delta()
        try followed.apply(delta)
        try followed.expectSameSnapshots()
        // Rows that are as they were are in no delta.
        #expect(delta.chunks.reduce(0) { $0 + $1.count } < 20 * 200_000)
        here.write(50, keys: 400, &random)
        try followed.apply(followed.delta())
        try followed.expectSameSnapshots()
    }

    /// The pages that come note no changes, and the numbers of their rows are as before.
    @Test func `one row that changed elsewhere is in the delta when the part is back`() throws {
        let (here, there) = try (Node(bits: 2), Node(bits: 2))
        let part = StorePart.rows(.all)
        for number in 0..<60 as Range<UInt64> { here.rich[number] = RichRow(count: 7) }
        let followed = try FollowedTable(here.store, here.rich)
        try Self.move(part, from: here, to: there)
        there.rich.update(18) { $0.count = 100 }
        try Self.move(part, from: there, to: here)
        try followed.apply(followed.delta())
        #expect(try followed.copied[18]?.count == 100)
        try followed.expectSameSnapshots()
    }

    @Test func `logs and cells move as one part`() throws {
        let (source, target) = try (Node(bits: 2), Node(bits: 2))
        for number in 0..<5_000 as Range<UInt64> { source.log.append(Self.sample(number)) }
        source.log.trim(before: 1_234)
        source.cell.value = Self.sample(77)
        source.samples["not moved"] = Self.sample(1)
        let incoming = try IncomingPart(.logsAndCells, into: target.store)
        let first = try OutgoingRound(of: .logsAndCells, in: source.store)
        try Self.send(first, to: incoming)
        source.log.append(contentsOf: (0..<700).map { Self.sample($0) })
        source.cell.update { $0.visits += 1 }
        let second = try OutgoingRound(after: first)
        try Self.send(second, to: incoming)
        #expect(target.log.count == 0)
        #expect(target.cell.value == Self.sample(0))
        try incoming.adopt()
        #expect(target.log.positions == source.log.positions)
        #expect(target.log.positions.allSatisfy { target.log[$0] == source.log[$0] })
        #expect(target.cell.value == source.cell.value)
        #expect(target.samples.count == 0)
        #expect(target.log.append(Self.sample(1)) == 5_700)
        source.store.remove(.logsAndCells)
        #expect(source.log.count == 0)
        #expect(source.cell.value == Self.sample(0))
        #expect(source.samples.count == 1)
        let snapshot = try target.store.cut().write(to: ByteArraySink()).bytes
        let copy = try Node(bits: 2)
        var restorer = StreamRestorer(into: copy.store)
        try restorer.push(snapshot)
        try restorer.finish()
        #expect(copy.log.positions == target.log.positions)
        #expect(copy.cell.value == target.cell.value)
    }

    @Test func `rows that were taken out are given back once no cut sees them`() throws {
        var random = Random(state: 6)
        let node = try Node(bits: 3)
        let empty = node.store.memoryUse.inUse
        node.write(6_000, keys: 2_000, &random)
        let cut = node.store.cut()
        let bytes = try cut.write(to: ByteArraySink()).bytes
        let inUse = node.store.memoryUse.inUse
        let removal = node.store.detach(.rows(.all))
        #expect(node.rich.count + node.samples.count == 0)
        // It sees none of them.
        let later = node.store.cut()
        while removal.advance() {}
        while node.store.reclaimSome() {}
        #expect(node.store.memoryUse.inUse == inUse)
        #expect(node.store.memoryUse.retained >= inUse - empty, "large values too")
        #expect(try cut.write(to: ByteArraySink()).bytes == bytes)
        cut.close()
        #expect(node.store.memoryUse.inUse == empty)
        #expect(node.store.memoryUse.retained == 0)
        later.close()
    }

    @Test func `rows that were taken out count for the limit of what cuts may keep`() throws {
        var random = Random(state: 8)
        var configuration = Store.Configuration()
        configuration.retainedByteLimit = 1 << 16
        let store = Store(configuration)
        let table = try store.table("rich", key: UInt64.self, row: RichRow.self)
        for key in 0..<4_000 as Range<UInt64> {
            table[key] = RichRow(count: .random(in: 0..<100, using: &random))
        }
        let cut = store.cut()
        store.remove(.rows(.all))
        #expect(cut.isCancelled)
        cut.close()
        #expect(store.memoryUse.retained == 0)
    }

    @Test func `rows that nobody gives back go with their removal, as far as cuts let them`() throws
    {
        var random = Random(state: 7)
        let node = try Node(bits: 3)
        let empty = node.store.memoryUse.inUse
        node.write(3_000, keys: 1_000, &random)
        let cut = node.store.cut()
        let bytes = try cut.write(to: ByteArraySink()).bytes
        _ = node.store.detach(.rows(.all))
        #expect(try cut.write(to: ByteArraySink()).bytes == bytes)
        cut.close()
        #expect(node.store.memoryUse.inUse == empty)
    }

    @Test func `a part that is dropped gives its memory back`() throws {
        var random = Random(state: 5)
        let (source, target) = try (Node(bits: 3), Node(bits: 3))
        source.write(4_000, keys: 1_000, &random)
        let before = target.store.memoryUse
        for isCut in [false, true] {
            var incoming: IncomingPart? = try IncomingPart(.rows(.all), into: target.store)
            let first = try OutgoingRound(of: .rows(.all), in: source.store)
            if let incoming { try Self.send(first, to: incoming) }
            #expect(target.store.memoryUse.inUse > before.inUse)
            let cut = isCut ? incoming?.staging.cut() : nil
            source.write(500, keys: 1_000, &random)
            let second = try OutgoingRound(after: first)
            if let incoming { try Self.send(second, to: incoming) }
            incoming = nil
            cut?.close()
            #expect(target.store.memoryUse.inUse == before.inUse)
        }
    }

    @Test func `an epoch that is far ahead is refused, in steps too`() throws {
        let source = Store()
        let table = try source.table("rows", key: UInt64.self, row: RichRow.self)
        table[1] = RichRow()
        let target = try Node(bits: 3)
        let incoming = try IncomingPart(.rows(.all), into: target.store)
        let first = try OutgoingRound(of: .rows(.all), in: source)
        // What a source says of its epoch, for rounds without rows.
        var epoch = target.store.cut().epoch.rawValue + IncomingPart.epochLead
        try incoming.beginRound(at: epoch)
        while let chunk = try first.next() {
            do {
                _ = try unsafe chunk.withUnsafeBytes { try unsafe incoming.apply($0) }
            } catch { break }
        }
        epoch += IncomingPart.epochLead
        #expect(throws: StoreError.self) { try incoming.beginRound(at: epoch, from: epoch) }
    }

    @Test func `rows that another hash key has placed become nobody's`() throws {
        var shape = Store.Configuration()
        shape.hashKey = HashKey(k0: 1, k1: 2)
        let (source, target) = (Store(shape), Store(shape))
        let table = try source.table("rows", key: UInt64.self, row: RichRow.self)
        table[1] = RichRow()
        let here = try target.table("rows", key: UInt64.self, row: RichRow.self)
        let incoming = try IncomingPart(.rows(.all), into: target)
        try Self.send(try OutgoingRound(of: .rows(.all), in: source), to: incoming)
        try target.take(HashKey(k0: 3, k1: 4))
        #expect(throws: StoreError(.inconsistentData, "")) { try incoming.adopt() }
        #expect(here.count == 0)
    }

    @Test func `what does not belong is refused`() throws {
        var random = Random(state: 5)
        let (source, target) = try (Node(bits: 3, epochs: 2), Node(bits: 3))
        source.write(1_000, keys: 300, &random)
        let part = StorePart.rows(HashRange(partition: 1, bits: 1))
        let round = try OutgoingRound(of: .rows(.all), in: source.store)
        let incoming = try IncomingPart(part, into: target.store)
        #expect(throws: StoreError(.wrongBase, "")) {
            try incoming.beginRound(at: 3, from: 2, 1)
        }
        #expect(throws: StoreError(.inconsistentData, "")) {
            try incoming.beginRound(at: IncomingPart.epochLead + 3)
        }
        #expect(throws: StoreError(.inconsistentData, "")) {
            try incoming.beginRound(at: 1 << 47)
        }
        let error = #expect(throws: FormatError.self) { try Self.send(round, to: incoming) }
        #expect(error?.message == "a chunk of rows that are not of the part that moves")
        target.rich[1] = RichRow()
        #expect(throws: StoreError(.notEmpty, "")) {
            try IncomingPart(.rows(.all), into: target.store)
        }
        // Written where the part was to go.
        target.rich.remove(1)
        let late = try IncomingPart(.rows(.all), into: target.store)
        try Self.send(try OutgoingRound(of: .rows(.all), in: source.store), to: late)
        target.rich[1] = RichRow(count: 5)
        #expect(throws: StoreError(.notEmpty, "")) { try late.adopt() }
        #expect(target.rich.count == 1)
    }
}
