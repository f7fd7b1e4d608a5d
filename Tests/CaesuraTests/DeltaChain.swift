import CaesuraFormat
import Testing

@testable import Caesura

enum RichStatus: UInt8, SchemaEnum { case idle = 0, busy = 1, gone = 9 }

@Schema("rich_inner")
struct RichInner: Equatable {
    @Field(1) var level: Int16
    @Field(2) var label: String?
    @Field(3) var parts: [UInt16]
}

/// A row with fields of every kind that a delta treats in its own way, some of which may be large.
@Schema("rich")
struct RichRow: Equatable {
    @Field(1) var count: UInt32
    @Field(2) var status: RichStatus
    @Field(3) var text: String
    @Field(4) var bytes: [UInt8]
    @Field(5) var numbers: [UInt32]
    @Field(6) var flags: [Bool]
    @Field(7) var note: String?
    @Field(8) var inner: RichInner?
    @Field(9) var id: UInt128

    init(count: UInt32 = 0) {
        self.count = count
        status = .idle
        text = ""
        bytes = []
        numbers = []
        flags = []
        note = nil
        inner = nil
        id = 0
    }
}

/// A store, the states that it was saved in, and the deltas between them.
final class DeltaChain<Key: TableKey, Row: SchemaStruct & Equatable> {
    let store: Store
    let table: Table<Key, Row>
    /// What the table holds.
    var model: [Key: Row] = [:]
    private var base: Cut
    private var digest: UInt64 = 0

    /// A delta: groups of chunks, each the segments of a delta chunk and then that, and what ends it.
    struct Delta {
        var groups: [[[UInt8]]] = []
        var end: StreamEnd
        var baseEpoch: UInt64
        var epoch: UInt64
        var chunks: [[UInt8]] { groups.flatMap { $0 } }
        var byteCount: Int { chunks.reduce(0) { $0 + $1.count } }
    }

    /// A store that was restored from a snapshot.
    struct Copy {
        let store = Store()
        let table: Table<Key, Row>

        init(_ snapshot: [UInt8]) throws {
            table = try store.table("rows", key: Key.self, row: Row.self)
            var restorer = StreamRestorer(into: store)
            try restorer.push(snapshot)
            try restorer.finish()
        }

        func apply(_ delta: Delta) throws {
            let applier = try DeltaApplier(store)
            try apply(delta.chunks, applier)
            try applier.finish(delta.end, at: delta.epoch)
        }

        func undo(_ delta: Delta) throws {
            let applier = try undoing(delta)
            try apply(delta.chunks, applier)
            try applier.finish(delta.end, at: delta.baseEpoch)
        }

        func undoing(_ delta: Delta) throws -> DeltaApplier {
            try DeltaApplier(
                store, undoing: delta.end, at: delta.epoch, backTo: delta.baseEpoch)
        }

        func apply(_ chunks: [[UInt8]], _ applier: DeltaApplier) throws {
            let worker = DeltaApplier.Worker(for: applier)
            for chunk in chunks {
                try unsafe chunk.withUnsafeBytes {
                    let outcome = try unsafe applier.apply(
                        VerifiedChunk(verifying: $0), with: worker)
                    #expect(outcome == .applied)
                }
            }
        }

        /// Whether the table holds exactly these rows.
        func holds(_ model: [Key: Row]) -> Bool {
            table.count == model.count && model.allSatisfy { table[$0] == $1 }
        }
    }

    init(partitionBits: Int, hashKey: HashKey = HashKey(k0: 1, k1: 2)) throws {
        var configuration = Store.Configuration()
        configuration.partitionBits = partitionBits
        configuration.hashKey = hashKey
        store = Store(configuration)
        table = try store.table("rows", key: Key.self, row: Row.self)
        base = store.cut()
    }

    func set(_ key: Key, _ row: Row?) {
        if let row { table[key] = row } else { table.remove(key) }
        model[key] = row
    }

    /// A snapshot of the present state: the next delta goes on from it.
    func snapshot() throws -> [UInt8] {
        base = store.cut()
        let bytes = try base.write(to: ByteArraySink()).bytes
        digest = try #require(Copy(bytes).store.ancestor).digest
        return bytes
    }

    /// What changed since the last snapshot or delta.
    func delta(reversible: Bool = false, compression: Compression = .none) throws -> Delta {
        let cut = store.cut()
        let source = try DeltaSource(
            from: base, to: cut, baseDigest: digest, isReversible: reversible,
            compression: compression)
        let worker = DeltaSource.Worker(for: source)
        var end = source.totals
        var groups: [[[UInt8]]] = []
        while let job = try source.next() {
            var group: [[UInt8]] = []
            try unsafe source.encode(
                job, with: worker,
                emit: { (header, bytes) throws(StoreError) in
                    #expect(header.sequence == end.chunkCount)
                    end.add(header)
                    unsafe group.append([UInt8](bytes))
                }, refused: { $0 })
            groups.append(group)
        }
        let delta = Delta(
            groups: groups, end: end, baseEpoch: base.epoch.rawValue, epoch: cut.epoch.rawValue)
        base = cut
        digest = end.digest
        return delta
    }
}
