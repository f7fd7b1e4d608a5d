import CaesuraFormat
import Testing

@testable import Caesura

/// Deltas of a region whose Swift types are declared late, as another version than the data's.
@Suite struct DeltaAdoptionTests {
    typealias Old = Version1.Session
    typealias New = Version2.Session
    typealias Source = DeltaVersionTests.Program<Old>

    /// A delta as it travels.
    struct Delta {
        var chunks: [[UInt8]] = []
        var end: StreamEnd
        let epoch: UInt64

        init(_ base: Cut, as epoch: UInt64, to cut: Cut, _ digest: UInt64) throws {
            let source = try DeltaSource(from: base, as: epoch, to: cut, baseDigest: digest)
            let worker = DeltaSource.Worker(for: source)
            var end = source.totals
            var chunks: [[UInt8]] = []
            while let job = try source.next() {
                try unsafe source.encode(
                    job, with: worker,
                    emit: { (header, bytes) throws(any Error) in
                        end.add(header)
                        unsafe chunks.append(Array(bytes))
                    }, refused: { $0 })
            }
            self.chunks = chunks
            self.end = end
            self.epoch = cut.epoch.rawValue
        }

        func apply(to applier: DeltaApplier, with worker: DeltaApplier.Worker) throws {
            for chunk in chunks {
                try unsafe chunk.withUnsafeBytes { bytes in
                    _ = try unsafe applier.apply(VerifiedChunk(verifying: bytes), with: worker)
                }
            }
        }
    }

    /// When a follower's types are declared.
    enum Moment: CaseIterable { case beforeDeltas, betweenDeltas }

    @Test(arguments: Moment.allCases)
    func `what is declared late takes the deltas that come then`(moment: Moment) throws {
        let source = try Source(Old(1))
        for key in 0..<90 as Range<UInt64> { source.table[key] = Old(key) }
        source.log.append(contentsOf: (0..<40).map { Old($0) })
        let base = source.store.cut()
        let store = Store()
        var restorer = StreamRestorer(into: store)
        try restorer.push(base.write(to: ByteArraySink()).bytes)
        try restorer.finish()

        func declare() throws {
            _ = try store.table("table", key: UInt64.self, row: New.self)
            _ = try store.log("log", row: New.self)
            _ = try store.cell("cell", initial: New(7))
        }
        var worker: DeltaApplier.Worker?
        func follow(_ from: Cut, _ to: Cut) throws {
            let ancestor = try #require(store.ancestor)
            let delta = try Delta(from, as: ancestor.epoch, to: to, ancestor.digest)
            let applier = try DeltaApplier(store)
            let used = worker ?? DeltaApplier.Worker(for: applier)
            worker = used
            try delta.apply(to: applier, with: used)
            try applier.finish(delta.end, at: delta.epoch)
        }
        func change(_ salt: UInt64) {
            for key in stride(from: salt, to: 90, by: 7) {
                guard var row = source.table[key] else { continue }
                Old.mix(&row, Old(key &+ 50), key &* 0x9E37_79B9_7F4A_7C15)
                source.table[key] = row
            }
            source.table[salt + 100] = Old(salt)
            source.table[salt + 3] = nil
            source.cell.value = Old(salt + 20)
            source.log.append(Old(salt))
            source.log.trim(before: source.log.positions.lowerBound + 1)
        }
        if moment == .beforeDeltas { try declare() }
        change(1)
        let second = source.store.cut()
        try follow(base, second)
        if moment == .betweenDeltas { try declare() }
        change(2)
        let third = source.store.cut()
        try follow(second, third)
        change(3)
        let fourth = source.store.cut()
        try follow(third, fourth)

        let fresh = try DeltaVersionTests.Program(New(7))
        try fresh.restore(source.store)
        let table = try store.table("table", key: UInt64.self, row: New.self)
        let log = try store.log("log", row: New.self)
        let cell = try store.cell("cell", initial: New(7))
        #expect(table.count == fresh.table.count)
        for key in 0..<200 as Range<UInt64> { #expect(table[key] == fresh.table[key]) }
        #expect(log.positions == fresh.log.positions)
        for position in log.positions { #expect(log[position] == fresh.log[position]) }
        #expect(cell.value == fresh.cell.value)
        for cut in [base, second, third, fourth] { cut.close() }
    }

    @Test(arguments: [RegionKind.table, .log])
    func `types that come while a delta is applied leave a store that takes no more`(
        kind: RegionKind
    ) throws {
        let source = Store()
        let write: (UInt64) -> Void
        switch kind {
        case .table:
            let rows = try source.table("region", key: UInt64.self, row: Old.self)
            write = { rows[$0] = Old($0) }
        default:
            let rows = try source.log("region", row: Old.self)
            write = { rows.append(Old($0)) }
        }
        for number in 0..<90 as Range<UInt64> { write(number) }
        let base = source.cut()
        let store = Store()
        var restorer = StreamRestorer(into: store)
        try restorer.push(base.write(to: ByteArraySink()).bytes)
        try restorer.finish()
        write(100)
        let second = source.cut()
        let ancestor = try #require(store.ancestor)
        let delta = try Delta(base, as: ancestor.epoch, to: second, ancestor.digest)
        let applier = try DeltaApplier(store)
        try delta.apply(to: applier, with: DeltaApplier.Worker(for: applier))
        if kind == .table {
            _ = try store.table("region", key: UInt64.self, row: New.self)
        } else {
            _ = try store.log("region", row: New.self)
        }
        #expect(throws: StoreError(.wrongBase, "")) {
            try applier.finish(delta.end, at: delta.epoch)
        }
        #expect(throws: StoreError(.wrongBase, "")) { try DeltaApplier(store) }
        base.close()
        second.close()
    }
}
