import CaesuraFormat
import Synchronization
import Testing

@testable import Caesura

/// Numbers of rows that walks note in the nodes of a directory, and go by later.
struct LeafWalkTests {
    typealias Random = TableModelTests.Random

    /// A store of one partition, which has nodes of nodes.
    struct World {
        let store: Store
        let table: Table<UInt64, SampleRow>

        init() throws {
            store = SnapshotTests.store(0)
            table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        }

        /// The present directory, and the epoch of who writes to it next.
        var live: (root: DirectoryEntry, epoch: UInt64) {
            let root = unsafe store.core.tables[0].partition(0).pointee.root
            return (root, store.epoch.rawValue)
        }

        func digest() throws -> [UInt64] {
            let digest = try ContentDigest(of: .all, at: store.cut(), in: ["sample"])
            while try digest.advance() {}
            return [digest.value, digest.rowCount]
        }

        func write(_ count: Int, _ random: inout Random) {
            // Now few rows and now many, here and there or all of some keys.
            let first = UInt64.random(in: 0..<20_000, using: &random)
            let isDense = Bool.random(using: &random)
            for index in 0..<UInt64(count) {
                let key = isDense ? first + index : .random(in: 0..<25_000, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: table.remove(key)
                case 1: table.update(key) { $0.visits &+= 1 }
                default: table[key] = SnapshotTests.row(.random(in: 0..<99, using: &random))
                }
            }
        }
    }

    /// Counts the rows below an entry, and checks what is noted on the way.
    ///
    /// - Parameter epoch: That of who may write below; nil where a cut sees it.
    /// - Returns: The rows, and the nodes whose rows are known.
    static func check(
        _ entry: DirectoryEntry, writtenIn epoch: UInt64?, isRoot: Bool = true
    ) -> (rows: Int, known: Int) {
        guard entry.isNode else { return (entry.rowCount, 0) }
        var (rows, known) = (0, 0)
        entry.node.forEachChild { _, child in
            let below = check(child, writtenIn: epoch, isRoot: false)
            rows += below.rows
            known += below.known
        }
        let noted = unsafe entry.node.rowsBelow.pointee.load(ordering: .relaxed)
        if isRoot {
            #expect(noted == .max)
        } else if noted != .max, entry.epoch < epoch ?? .max {
            #expect(Int(noted) == rows)
            known += 1
        }
        return (rows, known)
    }

    static func check(_ cut: Cut) -> Int {
        guard case .table(let frozen) = cut.frozenRegions[0] else { preconditionFailure("a table") }
        let (rows, known) = check(frozen.roots[0], writtenIn: nil)
        #expect(rows == frozen.rowCount)
        return known
    }

    @Test(arguments: 0..<6 as Range<UInt64>)
    func `what is noted is right, whoever writes, and deltas come out as without it`(
        seed: UInt64
    ) throws {
        var random = Random(state: seed)
        let (world, copy) = (try World(), try World())
        for key in 0..<20_000 as Range<UInt64> { world.table[key] = SnapshotTests.row(key) }
        var base = world.store.cut()
        var restorer = StreamRestorer(into: copy.store)
        try restorer.push(base.write(to: ByteArraySink()).bytes)
        try restorer.finish()
        var digest = try #require(copy.store.ancestor).digest
        var others: [Cut] = []
        var (known, passed) = (0, 0)
        for round in 0..<14 {
            for _ in 0..<(round == 13 ? 0 : Int.random(in: 0..<3, using: &random)) {
                world.write(
                    [3, 40, 2_000].randomElement(using: &random)!, &random)
                if Bool.random(using: &random) { others.append(world.store.cut()) }
            }
            if round == 13 { world.table[7] = SnapshotTests.row(seed) }
            let cut = world.store.cut()
            let source = try DeltaSource(from: base, to: cut, baseDigest: digest)
            let worker = DeltaSource.Worker(for: source)
            var end = source.totals
            let applier = try DeltaApplier(copy.store)
            let applying = DeltaApplier.Worker(for: applier)
            while let job = try source.next() {
                try unsafe source.encode(
                    job, with: worker,
                    emit: { header, bytes in
                        end.add(header)
                        _ = try unsafe applier.apply(
                            VerifiedChunk(verifying: bytes), with: applying)
                    }, refused: { $0 as any Error })
            }
            try applier.finish(end, at: cut.epoch.rawValue)
            digest = end.digest
            base = cut
            #expect(try world.digest() == copy.digest())
            if round == 13 { passed = source.counts.pages }
            if Bool.random(using: &random) { others.shuffle(using: &random) }
            for other in others.suffix(2) { other.close() }
            others = others.dropLast(2)
            for side in [world, copy] {
                known += Self.check(side.live.root, writtenIn: side.live.epoch).known
            }
            for open in others + [base] { known += Self.check(open) }
        }
        #expect(known > 0, "some nodes' rows are known")
        // One row was written: those of its node, of 800 or more.
        #expect(passed > 0 && passed < 400, "\(passed) pages were looked at")
    }

    @Test func `of a node that is being written below nothing is noted`() throws {
        let world = try World()
        for key in 0..<20_000 as Range<UInt64> { world.table[key] = SnapshotTests.row(key) }
        world.store.cut().close()
        world.table.update(1) { $0.visits = 1 }
        let (root, epoch) = world.live
        var walk = LeafWalk(below: root, from: 0, writtenIn: epoch)
        var rows = 0
        while let leaf = walk.next() { rows += leaf.rowCount }
        #expect(rows == 20_000)
        let known = Self.check(root, writtenIn: epoch).known
        world.table.remove(1)
        // The same node, in the same epoch.
        #expect(Self.check(world.live.root, writtenIn: epoch).known == known)
        let cut = world.store.cut()
        #expect(Self.check(cut) == known)
    }

    /// Notes of walks of cuts that have closed, in nodes that are then written in place.
    @Test(arguments: 0..<4 as Range<UInt64>)
    func `what a closed cut's walk has noted is forgotten by who writes`(seed: UInt64) throws {
        var random = Random(state: seed)
        let world = try World()
        for key in 0..<20_000 as Range<UInt64> { world.table[key] = SnapshotTests.row(key) }
        var known = 0
        for _ in 0..<6 {
            let base = world.store.cut()
            world.write(3, &random)
            let cut = world.store.cut()
            // It notes all nodes that it walks.
            let source = try DeltaSource(from: base, to: cut, baseDigest: 0)
            while try source.next() != nil {}
            known += Self.check(cut)
            base.close()
            cut.close()
            world.write(.random(in: 1...300, using: &random), &random)
            let next = world.store.cut()
            known += Self.check(next)
            next.close()
        }
        #expect(known > 0)
    }

    @Test func `the number of rows lies between the header and the entries`() {
        #expect(MemoryLayout<DirectoryNode.Header>.size <= DirectoryNode.rowsBelowOffset)
        #expect(
            DirectoryNode.rowsBelowOffset + MemoryLayout<Atomic<UInt32>>.size
                <= DirectoryNode.headerSize)
    }
}
