import CaesuraFormat
import Testing

@testable import Caesura

/// Cuts that see the rows of a range of hashes, and cost only the writers of these something.
struct PartCutTests {
    typealias Node = StorePartTests.Node
    typealias Random = TableModelTests.Random

    private static let half = StorePart.rows(HashRange(partition: 1, bits: 1))

    private static func content(of part: StorePart, at cut: Cut) throws -> [UInt64] {
        let digest = try ContentDigest(of: part, at: cut, in: ["rich", "samples"])
        while try digest.advance() {}
        return [digest.value, digest.rowCount]
    }

    @Test func `writes to other rows copy nothing`() throws {
        var random = Random(state: 1)
        let node = try Node(bits: 3)
        node.write(6_000, keys: 2_000, &random)
        let cut = node.store.cut(of: Self.half)
        let content = try Self.content(of: Self.half, at: cut)
        func update(inside isInside: Bool) {
            for key in 0..<2_000 as Range<UInt64>
            where Self.half.range.contains(key.hash(with: StorePartTests.key)) == isInside {
                node.rich.update(key) { $0.count += 1 }
            }
        }
        update(inside: false)
        node.log.append(StorePartTests.sample(1))
        node.cell.value = StorePartTests.sample(2)
        #expect(node.store.memoryUse.retained == 0)
        update(inside: true)
        #expect(node.store.memoryUse.retained > 0)
        #expect(try Self.content(of: Self.half, at: cut) == content)
        cut.close()
        while node.store.reclaimSome() {}
        #expect(node.store.memoryUse.retained == 0)
    }

    /// Cuts of everything and of parts that overlap come and go, rows are written and taken out, and each cut has to the end
    /// what it had at first.
    @Test(arguments: 0..<12 as Range<UInt64>)
    func `cuts of parts and of everything keep what they see and nothing else`(
        seed: UInt64
    ) throws {
        var random = Random(state: seed)
        let node = try Node(bits: 3)
        let empty = node.store.memoryUse.inUse
        let parts: [StorePart] =
            [.all, .rows(.all), .logsAndCells, Self.half]
            + (0..<4).map { .rows(HashRange(partition: $0, bits: 2)) }
        var open: [(cut: Cut, part: StorePart, content: [UInt64])] = []
        var removals: [PartRemoval] = []
        for _ in 0..<150 {
            switch Int.random(in: 0..<11, using: &random) {
            case 0..<4:
                node.write(.random(in: 1...200, using: &random), keys: 600, &random)
            case 4, 5:
                let part = parts.randomElement(using: &random)!
                let cut = node.store.cut(of: part)
                open.append((cut, part, try Self.content(of: part, at: cut)))
            case 6, 7:
                guard let index = open.indices.randomElement(using: &random) else { continue }
                let last = open.remove(at: index)
                #expect(try Self.content(of: last.part, at: last.cut) == last.content)
                last.cut.close()
            case 8:
                removals.append(node.store.detach(parts[1...].randomElement(using: &random)!))
            case 9: node.store.reclaimSome()
            default:
                guard let index = removals.indices.randomElement(using: &random) else { continue }
                if !removals[index].advance() { removals.remove(at: index) }
            }
            for (cut, part, content) in open {
                #expect(try Self.content(of: part, at: cut) == content)
            }
        }
        for (cut, _, _) in open { cut.close() }
        open = []
        while node.store.reclaimSome() {}
        #expect(node.store.memoryUse.retained == 0)
        removals = []
        node.store.remove(.all)
        #expect(node.store.memoryUse.inUse == empty)
        #expect(node.store.memoryUse.retained == 0)
    }

    /// While writers go on, one thread cuts parts and another everything, and each reads the same twice.
    @Test func `cuts of parts and of everything beside writers see what does not change`() throws {
        let store = try Node(bits: 3)
        let rows = store.rich
        for key in 0..<2_000 as Range<UInt64> { rows[key] = RichRow(count: 1) }
        let running = ConcurrencyTests.Running(2)
        func read(_ parts: [StorePart], _ seed: UInt64) -> @Sendable () throws -> Void {
            {
                defer { running.done() }
                var random = Random(state: seed)
                for _ in 0..<60 {
                    let part = parts.randomElement(using: &random)!
                    let cut = store.store.cut(of: part)
                    let first = try Self.content(of: part, at: cut)
                    #expect(try Self.content(of: part, at: cut) == first)
                    cut.close()
                    store.store.reclaimSome()
                }
            }
        }
        func write(_ seed: UInt64) -> @Sendable () throws -> Void {
            {
                var random = Random(state: seed)
                while !running.isNone { store.write(20, keys: 2_000, &random) }
            }
        }
        let parts = (0..<4).map { StorePart.rows(HashRange(partition: $0, bits: 2)) }
        try onThreads(read(parts + [Self.half], 1), read([.all] + parts, 2), write(3), write(4))
        while store.store.reclaimSome() {}
        store.store.cut().close()
        #expect(store.store.memoryUse.retained == 0)
    }

    @Test func `what a move leaves is given back, and nothing is kept for its own cuts`() throws {
        var random = Random(state: 2)
        let node = try Node(bits: 3)
        node.write(3_000, keys: 1_000, &random)
        var round: OutgoingRound? = try OutgoingRound(of: Self.half, in: node.store)
        while try round?.next() != nil {}
        node.write(300, keys: 1_000, &random)
        round = try round.map { try OutgoingRound(after: $0) }
        while try round?.next() != nil {}
        let removal = node.store.detach(Self.half)
        round = nil
        repeat {
            while node.store.reclaimSome() {}
            #expect(node.store.memoryUse.retained == 0)
        } while removal.advance()
        while node.store.reclaimSome() {}
        let inUse = node.store.memoryUse.inUse
        node.store.cut().close()
        #expect(node.store.memoryUse.inUse == inUse)
        #expect(!node.store.hasReclaimable)
    }

    @Test func `a limit of what cuts keep ends those of parts too`() throws {
        var configuration = Store.Configuration()
        configuration.retainedByteLimit = 1 << 16
        let store = Store(configuration)
        let table = try store.table("rich", key: UInt64.self, row: RichRow.self)
        for key in 0..<4_000 as Range<UInt64> { table[key] = RichRow(count: 1) }
        let cut = store.cut(of: .rows(.all))
        for key in 0..<4_000 as Range<UInt64> { table.update(key) { $0.count += 1 } }
        #expect(cut.isCancelled)
        #expect(throws: StoreError(.cutCancelled, "")) {
            try ContentDigest(of: .rows(.all), at: cut, in: ["rich"]).advance()
        }
        cut.close()
        store.cut().close()
        #expect(store.memoryUse.retained == 0)
    }

    @Test func `a cut of a part is not read as a whole`() async throws {
        await #expect(processExitsWith: .failure) {
            let cut = Store().cut(of: .rows(.all))
            _ = cut.rowCount(of: "rich")
        }
        await #expect(processExitsWith: .failure) {
            let cut = Store().cut(of: .rows(HashRange(partition: 1, bits: 1)))
            _ = try SnapshotSource(cut, of: .rows(HashRange(partition: 0, bits: 1)))
        }
    }
}
