import CaesuraFormat
import Testing

@testable import Caesura

/// Deltas of stores with tables, logs and cells, applied to copies, and undone.
@Suite struct RegionDeltaTests {
    typealias Random = TableModelTests.Random
    typealias Model = RegionModelTests.Model
    typealias Subject = RegionModelTests.Subject

    /// A store, and the deltas between its states.
    final class Chain {
        let subject: Subject
        var model = Model()
        var base: Cut
        var digest: UInt64

        init(_ subject: Subject) throws {
            self.subject = subject
            base = subject.store.cut()
            digest = 0
        }

        /// A copy that was restored from a snapshot of the present state.
        func copy() throws -> Subject {
            base = subject.store.cut()
            let copy = try RegionModelTests.subject(1, partitionBits: 2)
            try RegionModelTests.restore(base.write(to: ByteArraySink()).bytes, into: copy.store)
            digest = try #require(copy.store.ancestor).digest
            return copy
        }

        func delta(reversible: Bool = false) throws -> DeltaTests.Delta {
            let cut = subject.store.cut()
            let source = try DeltaSource(
                from: base, to: cut, baseDigest: digest, isReversible: reversible)
            let worker = DeltaSource.Worker(for: source)
            var end = source.totals
            var chunks: [[UInt8]] = []
            while let job = try source.next() {
                try unsafe source.encode(
                    job, with: worker,
                    emit: { (header, bytes) throws(StoreError) in
                        end.add(header)
                        unsafe chunks.append([UInt8](bytes))
                    }, refused: { $0 })
            }
            // The end as a reader gets it.
            var encoder = ChunkEncoder()
            encoder.encode(
                end: end, epoch: cut.epoch.rawValue, baseEpoch: base.epoch.rawValue)
            let read = try unsafe [UInt8](encoder.bytes).withUnsafeBytes { bytes in
                var decoder = ChunkDecoder()
                return try unsafe decoder.decode(end: VerifiedChunk(verifying: bytes))
            }
            #expect(read == end)
            let delta = DeltaTests.Delta(
                chunks: chunks, end: read, epoch: cut.epoch.rawValue, counts: source.counts)
            base = cut
            digest = end.digest
            return delta
        }
    }

    static func apply(
        _ chunks: [[UInt8]], _ applier: DeltaApplier
    ) throws -> [DeltaApplier.Outcome] {
        let worker = DeltaApplier.Worker(for: applier)
        return try chunks.map { chunk in
            try unsafe chunk.withUnsafeBytes {
                try unsafe applier.apply(VerifiedChunk(verifying: $0), with: worker)
            }
        }
    }

    static func apply(_ delta: DeltaTests.Delta, to copy: Subject) throws {
        let applier = try DeltaApplier(copy.store)
        let outcomes = try apply(delta.chunks, applier)
        #expect(outcomes.allSatisfy { $0 == .applied })
        #expect(try apply(delta.chunks, applier).allSatisfy { $0 == .alreadyApplied })
        try applier.finish(delta.end, at: delta.epoch)
    }

    static func undo(_ delta: DeltaTests.Delta, backTo epoch: UInt64, in copy: Subject) throws {
        let applier = try DeltaApplier(
            copy.store, undoing: delta.end, at: delta.epoch, backTo: epoch)
        _ = try apply(delta.chunks, applier)
        try applier.finish(delta.end, at: epoch)
    }

    @Test func `after each delta a copy is what the store is, and undone what it was`() throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var random = Random(state: seed)
        let chain = try Chain(RegionModelTests.subject(seed, partitionBits: 2))
        for _ in 0..<50 { RegionModelTests.change(chain.subject, &chain.model, &random) }
        let copy = try chain.copy()
        copy.check(chain.model)
        var held: [(cut: Cut, model: Model)] = []
        for round in 0..<60 {
            let before = chain.model
            let baseEpoch = chain.base.epoch.rawValue
            let count = [0, 1, 5, 60].randomElement(using: &random)!
            for _ in 0..<count {
                RegionModelTests.change(chain.subject, &chain.model, &random)
            }
            if round % 17 == 9 {
                // Several stretches at once, with a large value.
                var rows = (0..<20_000).map { SnapshotTests.row($0) }
                rows[700].token = String(repeating: "g", count: 1_300_000)
                chain.subject.log.append(contentsOf: rows)
                chain.model.rows += rows
            }
            let isTrimmed = before.head != chain.model.head
            if isTrimmed {
                let cut = chain.subject.store.cut()
                #expect(throws: StoreError(.noDelta, "")) {
                    try DeltaSource(
                        from: chain.base, to: cut, baseDigest: chain.digest, isReversible: true)
                }
            }
            let delta = try chain.delta(reversible: !isTrimmed)
            try Self.apply(delta, to: copy)
            copy.check(chain.model)
            if isTrimmed {
                #expect(throws: StoreError(.noDelta, "")) {
                    try Self.undo(delta, backTo: baseEpoch, in: copy)
                }
            } else {
                if round % 3 == 0 { held.append((copy.store.cut(), chain.model)) }
                try Self.undo(delta, backTo: baseEpoch, in: copy)
                copy.check(before)
                // What a cut saw of the rows that went is still there.
                try Self.apply(delta, to: copy)
                copy.check(chain.model)
            }
            if held.count > 3 {
                for (cut, then) in held { try copy.check(then, in: cut) }
                held = []
            }
        }
        for (cut, then) in held { try copy.check(then, in: cut) }
        held = []
        copy.store.cut().close()
        #expect(copy.store.memoryUse.retained == 0)
        // Byte for byte what the store writes, but for epochs.
        let bytes = try LogTests.bytes(of: copy.store)
        #expect(
            try RegionModelTests.logChunks(bytes)
                == RegionModelTests.logChunks(LogTests.bytes(of: chain.subject.store)))
    }

    @Test func `one row more is a small delta, and a trimmed row a smaller one`() throws {
        let chain = try Chain(RegionModelTests.subject(1))
        for index in 0..<3 as Range<UInt64> { chain.subject.log.append(SnapshotTests.row(index)) }
        let copy = try chain.copy()
        chain.subject.log.append(SnapshotTests.row(3))
        let appended = try chain.delta()
        #expect(appended.byteCount < 160)
        chain.subject.log.trim(before: 1)
        let trimmed = try chain.delta()
        #expect(trimmed.byteCount == 0)
        chain.subject.cell.update { $0.total += 1 }
        let updated = try chain.delta()
        #expect(updated.byteCount < 100)
        for delta in [appended, trimmed, updated] { try Self.apply(delta, to: copy) }
        #expect(copy.log.positions == 1..<4)
        #expect(copy.cell.value.total == 1)
    }

    @Test func `a log that was trimmed past the base's end goes on where it is`() throws {
        for keepsRows in [false, true] {
            let chain = try Chain(RegionModelTests.subject(1))
            for index in 0..<10 as Range<UInt64> {
                chain.subject.log.append(SnapshotTests.row(index))
            }
            let copy = try chain.copy()
            for index in 10..<30 as Range<UInt64> {
                chain.subject.log.append(SnapshotTests.row(index))
            }
            chain.subject.log.trim(before: keepsRows ? 25 : 30)
            try Self.apply(chain.delta(), to: copy)
            #expect(copy.log.positions == (keepsRows ? 25 : 30)..<30)
            if keepsRows { #expect(copy.log[25] == SnapshotTests.row(25)) }
            chain.subject.log.append(SnapshotTests.row(30))
            try Self.apply(chain.delta(), to: copy)
            #expect(copy.log[30] == SnapshotTests.row(30))
        }
    }

    @Test func `rows that do not follow are refused, and the next that do are taken`() throws {
        let chain = try Chain(RegionModelTests.subject(1))
        chain.subject.log.append(SnapshotTests.row(0))
        let copy = try chain.copy()
        chain.subject.log.append(
            contentsOf: (1..<20_000).map { SnapshotTests.row($0) })
        let delta = try chain.delta()
        #expect(delta.chunks.count == 3)
        let applier = try DeltaApplier(copy.store)
        #expect(throws: StoreError(.inconsistentData, "")) {
            try Self.apply([delta.chunks[0], delta.chunks[2]], applier)
        }
        #expect(copy.log.positions == 0..<8_192)
        // A delta without one of its chunks.
        #expect(throws: StoreError(.inconsistentData, "")) {
            try applier.finish(delta.end, at: delta.epoch)
        }
        #expect(try Self.apply(delta.chunks, applier) == [.alreadyApplied, .applied, .applied])
        var end = delta.end
        end.heads = [20_001]
        #expect(throws: StoreError(.inconsistentData, "")) {
            try applier.finish(end, at: delta.epoch)
        }
        end.heads = []
        #expect(throws: StoreError(.inconsistentData, "")) {
            try applier.finish(end, at: delta.epoch)
        }
        end.heads = [0]
        end.baseHeads = [1]
        #expect(throws: StoreError(.inconsistentData, "")) {
            try applier.finish(end, at: delta.epoch)
        }
        try applier.finish(delta.end, at: delta.epoch)
        #expect(copy.log.positions == 0..<20_000)
        #expect(try Self.apply(delta.chunks, applier).allSatisfy { $0 == .alreadyApplied })
    }

    @Test func `a delta of rows of another state is refused before a row is taken`() throws {
        let chain = try Chain(RegionModelTests.subject(1))
        let copy = try chain.copy()
        chain.digest ^= 1
        chain.subject.log.append(SnapshotTests.row(0))
        let delta = try chain.delta()
        #expect(throws: StoreError(.wrongBase, "")) { try Self.apply(delta, to: copy) }
        #expect(copy.log.positions == 0..<0)
    }

    @Test func `a copy that is appended to takes no delta`() throws {
        let chain = try Chain(RegionModelTests.subject(1))
        let copy = try chain.copy()
        chain.subject.log.append(SnapshotTests.row(0))
        let delta = try chain.delta()
        let applier = try DeltaApplier(copy.store)
        _ = try Self.apply(delta.chunks, applier)
        copy.log.append(SnapshotTests.row(9))
        #expect(throws: StoreError(.wrongBase, "")) {
            try applier.finish(delta.end, at: delta.epoch)
        }
        #expect(throws: StoreError(.wrongBase, "")) { try DeltaApplier(copy.store) }
    }

    @Test func `a chunk of a snapshot is no delta, and the other way round`() throws {
        let chain = try Chain(RegionModelTests.subject(1))
        let copy = try chain.copy()
        chain.subject.log.append(SnapshotTests.row(0))
        let snapshot = try RegionModelTests.chunks(LogTests.bytes(of: chain.subject.store))
        let delta = try chain.delta()
        let log = try #require(snapshot.first { $0.header.role == .log })
        let applier = try DeltaApplier(copy.store)
        #expect(try Self.apply([log.bytes], applier) == [.alreadyApplied])
        #expect(copy.log.count == 0)
        let empty = Store()
        let restorer = try LogTests.applier(empty)
        var chunk = delta.chunks[0]
        // Its region has another index.
        #expect(throws: FormatError.self) { try LogTests.apply(chunk, restorer) }
        chunk[chunk.count - 1] ^= 1
        #expect(throws: FormatError.self) { _ = try Self.apply([chunk], applier) }
    }

    @Test(arguments: [0, 3, 5, 9])
    func `a log that went back and grew again is no base's`(_ appended: Int) throws {
        let chain = try Chain(RegionModelTests.subject(5))
        for row in 0..<10 as Range<UInt64> { chain.subject.log.append(SnapshotTests.row(row)) }
        let copy = try chain.copy()
        let baseEpoch = chain.base.epoch.rawValue
        for row in 10..<15 as Range<UInt64> { chain.subject.log.append(SnapshotTests.row(row)) }
        let delta = try chain.delta(reversible: true)
        try Self.apply(delta, to: copy)
        let base = copy.store.cut()
        defer { base.close() }
        try Self.undo(delta, backTo: baseEpoch, in: copy)
        for row in 0..<appended { copy.log.append(SnapshotTests.row(100 + UInt64(row))) }
        let target = copy.store.cut()
        defer { target.close() }
        // Rows between the two ends are others than the base's.
        #expect(throws: StoreError(.noDelta, "")) {
            _ = try DeltaSource(from: base, to: target, baseDigest: delta.end.digest)
        }
    }
}
